"""One more hyperparameter is one more field in the rule's file: all else follows from it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import guides
import numpy as np
import pytest
from command_line import called

from rate_models import rules
from rate_models.checks import check_rule
from rate_models.network import NetworkSpec
from rate_models.online.network import OnlineNetwork
from streaming.files import checkpoint
from streaming.learner.learner import OnlineLearner
from streaming.sweeps.sweep import cells, parse_over

ALONE, WHOLE = guides.rule_files()
FIELDS = '''
from typing import NamedTuple
from rate_models.model.hyperparameters import Positive, Share
from rate_models.network import Init


class Hyperparameters(NamedTuple):
    """dropout: share of silent hidden units. init: distribution of W. strength: of the feedback."""

    dropout: Share = 0.0
    init: Init = "he_uniform"
    strength: Positive = 1.0


NEEDS ='''
SOURCE = "synthetic:samples=60,features=4"
SMALL = shlex.split(f"--source {SOURCE} --hidden 3 --quiet --json")


def with_field(text: str) -> str:
    """The guide's rule with the factor of its feedback as a hyperparameter."""
    text = text.replace("NEEDS =", FIELDS.lstrip(), 1).replace("(1.5 /", "hyper.strength * (1.5 /")
    return text.replace("batch=batch", "hyperparameters=Hyperparameters, batch=batch")


def mine(folder: Path, text: str) -> str:
    path = folder / "mine.py"
    path.write_text(with_field(text))
    return str(path)


@pytest.mark.filterwarnings("ignore:rule mine has no kernel")
def test_a_new_hyperparameter_appears_everywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run: list[str] = ["run", "--rule", mine(tmp_path, ALONE), *SMALL]

    assert called(capsys, *run, "--set", "strength=2", "--out", "r").code == 0
    assert json.loads(Path("r/config.json").read_text())["settings"]["strength"] == 2
    assert checkpoint.read("r/checkpoint")[1]["learner"]["strength"] == 2
    loaded = OnlineLearner.load("r/checkpoint")
    assert loaded.network.options["strength"] == 2

    refused = called(capsys, *run, "--set", "strength=0", "--out", "s")
    assert refused.code == 2 and "strength: got 0; expected greater than 0" in refused.err
    unknown = called(capsys, *run, "--set", "stength=2", "--out", "s")
    assert unknown.code == 2 and "did you mean 'strength'" in unknown.err
    assert not Path("s").exists()

    over = parse_over(["strength=1,3"])
    two = cells({"rule": "mine.py", "source": SOURCE, "hidden": 3}, over)
    assert [cell.config.settings["strength"] for cell in two] == [1, 3]


def test_an_installed_rule_is_listed_with_its_hyperparameters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine(tmp_path, ALONE)
    about = tmp_path / "offered-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: offered\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[dendrostream.rules]\nmine = mine\n")
    monkeypatch.syspath_prepend(tmp_path)
    rows: list[dict[str, Any]] = json.loads(called(capsys, "rules", "--json").out)["rows"]
    listed = {row["rule"]: row["hyperparameters"] for row in rows}
    assert listed["mine"] == ["dropout", "init", "strength"]
    assert "feedback_scale" in listed["pepita"]


@pytest.mark.slow
def test_a_new_hyperparameter_reaches_the_kernel(tmp_path: Path) -> None:
    path = mine(tmp_path, WHOLE)
    assert check_rule(path, only=["kernel = textbook, float64"]).ok
    weights = []
    for strength in (1.0, 2.0):
        net = OnlineNetwork(NetworkSpec((4, 5, 3)), rules.get(path), strength=strength)
        net.learn(np.eye(4), [0, 1, 2, 0])
        weights.append(net.parameters()["W"][0])
    assert not np.array_equal(*weights)
