"""README and docs name commands, options, files, pages and pictures that exist."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from project import ROOT

from streaming.cli import main

README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = re.compile(r"^dendrostream ([a-z]+)([^#\n]*)", re.M)
PICTURE = re.compile(r"!\[[^\]]+\]\(([^)]+)\)")
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)#:]+)\)")
MOST_PICTURES = 1 + 5  # that of the two commands, and five


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as done:
        main([*arguments, "--help"])
    assert done.value.code == 0, arguments
    return capsys.readouterr().out


def test_commands_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    listed = {name for name, _ in COMMANDS.findall(text(ROOT / "docs" / "command_line.md"))}
    assert {name for name, _ in COMMANDS.findall(text(README))} <= listed
    help_texts = {name: shown(capsys, name) for name in listed}
    for page in PAGES:
        for name, rest in COMMANDS.findall(text(page)):
            for option in re.findall(r"--[a-z-]+", rest):
                assert option in help_texts[name], (page.name, name, option)
    for page in (README, ROOT / "docs" / "command_line.md"):
        for option in re.findall(r"`(--[a-z-]+)", text(page)):
            assert any(option in shown for shown in help_texts.values()), option


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_pictures_links_and_modules(page: Path) -> None:
    for picture in PICTURE.findall(text(page)):
        assert (page.parent / picture).stat().st_size > 10_000, picture
    for link in LINK.findall(text(page)):
        assert (page.parent / link).exists(), link
    folders = "tests|rate_models|streaming|demos|biocircuits|dendrostream|docs"
    for path in re.findall(rf"`((?:{folders})/[^`\s]*)`", text(page)):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"pytest -m slow (\S+)`", text(page)):
        assert (ROOT / path).is_file(), path
    for module in re.findall(r"python -m ([\w.]+)", text(page)):
        assert importlib.util.find_spec(module.rstrip(".")), module


def test_the_readme_is_short() -> None:
    assert len(PICTURE.findall(text(README))) <= MOST_PICTURES
    assert len(text(README).splitlines()) <= 130


def test_pages_and_pictures_are_all_reached() -> None:
    everything = "".join(map(text, PAGES))
    index = text(ROOT / "docs" / "index.md")
    for page in PAGES[1:]:
        assert page.name == "index.md" or f"({page.name})" in index, page.name
    for picture in (ROOT / "docs" / "img").iterdir():
        assert f"img/{picture.name})" in everything, picture
