"""The guides of docs/ as files: their blocks of code, and where the tests put them."""

from __future__ import annotations

import ast
import re
import shlex

from project import ROOT


def blocks(guide: str, language: str = "python") -> list[str]:
    """The blocks of code of a guide, in their order."""
    text = (ROOT / "docs" / guide).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def rule_files() -> tuple[str, str]:
    """The guide's rule with `batch` alone, and whole."""
    start, alone, kernel, _ = blocks("write_your_own_rule.md")
    return f"{start}\n\n{alone}", f"{start}\n\n{kernel}"


def lines_of_code(source: str) -> int:
    """Lines that are neither blank nor part of the file's docstring."""
    start = ast.parse(source).body[0].end_lineno
    return sum(bool(line.strip()) for line in source.splitlines()[start:])


def commands(guide: str) -> list[list[list[str]]]:
    """The commands of each console block, as words."""
    return [
        [shlex.split(line) for line in block.splitlines()] for block in blocks(guide, "console")
    ]
