"""Rules and sources that installed packages offer."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import guides
import pytest
from command_line import called
from own import SOURCE

from rate_models import rules
from rate_models.rules import RULES
from rate_models.support import lookup
from streaming.sources import open_source

ALONE, WHOLE = guides.rule_files()


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution that offers rules and sources by entry points."""
    package = tmp_path / "offered_rules"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "sign_symmetric.py").write_text(ALONE)
    (package / "pepita.py").write_text(ALONE)  # ours come first
    (tmp_path / "offered_ones.py").write_text(SOURCE)
    about = tmp_path / "offered-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: offered\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[dendrostream.rules]\nmine = offered_rules\n\n[dendrostream.sources]\none = offered_ones\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_installed_packages_offer_rules_and_sources(
    installed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "sign_symmetric" in rules.names()
    rule = rules.get("sign_symmetric")
    assert rule.reference == "sign_symmetric" and pickle.loads(pickle.dumps(rule)) is rule
    assert lookup.catalogue(RULES)["pepita"] == "rate_models.rules.pepita"
    assert open_source("offered_ones:30").n_features == 3
    listed = json.loads(called(capsys, "rules", "--json").out)
    assert "sign_symmetric" in listed["names"]


def test_an_entry_point_of_nothing_is_passed_over(installed: Path) -> None:
    points = installed / "offered-1.0.dist-info" / "entry_points.txt"
    points.write_text("[dendrostream.rules]\nmine = no_such_package\n")
    with pytest.warns(RuntimeWarning, match="of offered: got no module no_such_package"):
        assert "pepita" in rules.names()
