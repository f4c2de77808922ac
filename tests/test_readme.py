"""The README names commands, options, files and pictures that exist."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from streaming.app import main

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as done:
        main([*arguments, "--help"])
    assert done.value.code == 0, arguments
    return capsys.readouterr().out


def test_commands_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    commands = re.findall(r"^dendrostream ([a-z]+)([^#\n]*)", TEXT, re.M)
    names = {"run", "rules", "sources", "parity", "bench", "schedule", "paper", "sweep"}
    assert {name for name, _ in commands} == names
    for name, rest in commands:
        shown = said(capsys, name)
        for option in re.findall(r"--[a-z-]+", rest):
            assert option in shown, (name, option)
    shown = "".join(said(capsys, name) for name in ("run", "sweep", "paper"))
    for option in re.findall(r"`(--[a-z-]+)", TEXT):
        assert option in shown, option


def test_files_pictures_and_modules() -> None:
    for picture in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", TEXT):
        assert (ROOT / picture).stat().st_size > 10_000
    for path in re.findall(r"`((?:tests|rate_models|streaming|demos|biocircuits)/[^`]*)`", TEXT):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"pytest -m slow (\S+)`", TEXT):
        assert (ROOT / path).is_file(), path
    for module in re.findall(r"python -m ([\w.]+)", TEXT):
        assert importlib.util.find_spec(module), module


def test_pictures_are_all_shown_somewhere() -> None:
    docs = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md"))
    for picture in (ROOT / "docs" / "img").iterdir():
        assert f"docs/img/{picture.name}" in TEXT or f"(img/{picture.name})" in docs, picture
