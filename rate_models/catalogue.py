"""A table of the rules: what each requires of the biology, and its cost."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

from rate_models import rules
from rate_models.errors import BadOption
from rate_models.rules import Rule
from rate_models.support import lookup


def paragraph(rule: str, heading: str) -> str:
    """The paragraph of a rule's docstring that begins with ``heading:``, on one line.

    >>> paragraph("backprop", "Source")[:26]
    'Rumelhart, Hinton & Willia'
    """
    doc = lookup.document(lookup.module(rules.RULES, rule))
    match = re.search(rf"^{heading}: (.+?)(?:\n\n|\Z)", doc, re.M | re.S)
    return " ".join(match[1].split()) if match else ""


def example(rule: str) -> tuple[list[str], float]:
    """The command of a rule's example, as a list of words, and its final score.

    >>> example("pepita")
    (['run', '--rule', 'pepita', '--seed', '0'], 0.97)
    """
    text = paragraph(rule, "Example")
    match = re.fullmatch(r"`dendrostream (run [^`]*)` ends at (0\.\d+) of held-out digits\.", text)
    assert match, f"{rule}: {text}"
    return shlex.split(match[1]), float(match[2])


def rows(
    sizes: Sequence[int] = (784, 1024, 10),
    others: Mapping[str, Callable[[str], bool]] = MappingProxyType({}),
) -> list[dict[str, Any]]:
    """A row per rule: {rule, paper, passes, weight transport, ..., multiply-adds}.

    sizes: n_0, ..., n_L of the network whose cost per sample is counted. others: implementations
    in packages above this one, {name: function that returns whether a rule has it}.

    >>> [row["passes"] for row in rows() if row["rule"] == "pepita"]
    [2]
    """
    here = "textbook, online" + (", batch" if find_spec("torch") else "")
    table = []
    for name in rules.names():
        rule = rules.get(name)
        needs = rule.properties._asdict().items()
        columns = {k.replace("_", " "): _word(v) for k, v in needs}
        above = "".join(f", {other}" for other, has in others.items() if has(name))
        paper = re.split(r";|\.(?:\s|$)", paragraph(name, "Source"))[0]
        table.append(
            {"rule": name, **columns, "implementations": here + above,
             "multiply-adds": _cost(rule, sizes), "paper": paper}
        )  # fmt: skip
    return table


def _cost(rule: Rule, sizes: Sequence[int]) -> int | None:
    """Multiply-adds per sample; None for a network that the rule cannot learn."""
    try:
        return rule.multiply_adds(sizes)
    except BadOption:
        return None


def _word(value: Any) -> Any:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
