"""The command, where another distribution has packages of our names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from project import ROOT

from dendrostream import __main__ as entry


def command(site: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(map(str, (site, ROOT)))
    return subprocess.run(
        [sys.executable, "-m", "dendrostream", "sources"],
        env={**os.environ, "PYTHONPATH": path},
        cwd=cwd,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("name", entry.PARTS)
def test_another_package_of_our_name_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("raise RuntimeError('imported')")
    done = command(tmp_path, tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: {name}: got another package of this name, in {tmp_path / name}; expected "
        f"dendrostream's own, in {ROOT / name}; take the other one off PYTHONPATH, or install "
        "dendrostream into an environment of its own\n"
    )


def test_without_one_the_command_runs(tmp_path: Path) -> None:
    done = command(tmp_path, tmp_path)
    assert done.returncode == 0 and "digits" in done.stdout and done.stderr == ""


def test_our_own_packages_are_no_strangers() -> None:
    assert entry.stranger() == "" and entry.shared() == ""


def test_distributions_in_one_folder_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    owners = {"streaming": ["dendrostream", "mosaicml-streaming", "dendrostream"]}
    monkeypatch.setattr(entry.importlib.metadata, "packages_distributions", lambda: owners)
    assert "streaming: got files of dendrostream and mosaicml-streaming in one" in entry.shared()
