"""The guides of docs/ work as they stand."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import guides
import pytest
from project import ROOT

FILES = {"source": "rings.py", "circuit": "soft_bounds.py", "paper": "widths.py"}


def call(words: list[str], folder: Path) -> str:
    assert words[0] == "dendrostream"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", *words]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout + done.stderr


def written(folder: Path) -> Iterator[Path]:
    """All files of code that the guides show."""
    for name, text in zip(("alone.py", "whole.py"), guides.rule_files(), strict=True):
        (folder / name).write_text(text, encoding="utf-8")
        yield folder / name
    for kind, name in FILES.items():
        (text,) = guides.blocks(f"write_your_own_{kind}.md")
        (folder / name).write_text(text, encoding="utf-8")
        yield folder / name


def test_the_rule_is_short() -> None:
    alone, whole = map(guides.lines_of_code, guides.rule_files())
    assert alone < whole <= 45


@pytest.mark.slow
def test_types_are_strict(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    files = [str(path) for path in written(tmp_path)]
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_a_rule(tmp_path: Path) -> None:
    path, guide = tmp_path / "sign_symmetry.py", "write_your_own_rule.md"
    for text, block in zip(guides.rule_files(), guides.commands(guide), strict=True):
        path.write_text(text, encoding="utf-8")
        printed = [call(words, tmp_path) for words in block]
        assert any("has no kernel" in one for one in printed) == (text == guides.rule_files()[0])
        assert all("FAILED" not in one for one in printed)
    code = guides.blocks(guide)[-1]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("kind", FILES)
def test_the_other_guides(kind: str, tmp_path: Path) -> None:
    list(written(tmp_path))
    (block,) = guides.commands(f"write_your_own_{kind}.md")
    printed = "".join(call(words, tmp_path) for words in block)
    assert "FAILED" not in printed
    if kind != "paper":
        return
    again = call(block[0], tmp_path)
    assert "table: runs/papers/widths-quick.json" in again and "backprop" in again
