"""Files and functions of the packages stay short: one concept a file, one screen a function."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from project import ROOT

PACKAGES = ("rate_models", "biocircuits", "streaming", "dendrostream", "demos")
LONGEST_FILE, LONGEST_FUNCTION = 320, 65  # lines, with docstrings

# What is longer today. To be shortened; nothing is to be added.
LONG_FILES = {
    "rate_models/rules/bmvr.py",
    "rate_models/rules/forward_forward.py",
    "rate_models/rules/pepita.py",
}
LONG_FUNCTIONS = {"streaming/threads/kernels.py: _walk"}


def long_files(root: Path) -> Iterator[str]:
    """The files of the packages with more than `LONGEST_FILE` lines."""
    for path in sources(root):
        if len(path.read_text(encoding="utf-8").splitlines()) > LONGEST_FILE:
            yield path.relative_to(root).as_posix()


def long_functions(root: Path) -> Iterator[str]:
    """The functions of the packages with more than `LONGEST_FUNCTION` lines."""
    for path in sources(root):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                if node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION:
                    yield f"{path.relative_to(root).as_posix()}: {node.name}"


def sources(root: Path) -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((root / package).rglob("*.py"))


def test_files_are_short() -> None:
    assert {*long_files(ROOT)} <= LONG_FILES


def test_functions_are_short() -> None:
    assert {*long_functions(ROOT)} <= LONG_FUNCTIONS


def test_what_is_too_long_is_detected(tmp_path: Path) -> None:
    (tmp_path / "demos").mkdir()
    for extra in (0, 1):
        body = "    pass\n" * (LONGEST_FUNCTION - 1 + extra)
        text = f"def f():\n{body}"
        text += "\n" * (LONGEST_FILE + extra - len(text.splitlines()))
        (tmp_path / "demos" / f"file_{extra}.py").write_text(text)
    assert [*long_files(tmp_path)] == ["demos/file_1.py"]
    assert [*long_functions(tmp_path)] == ["demos/file_1.py: f"]
