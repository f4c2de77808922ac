"""Scores of all rules with default options, as listed in docs/defaults.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from project import ROOT

from rate_models import rules
from rate_models.network import NetworkSpec
from streaming.runs.run import Hooks, RunConfig, run

RULES = rules.names()
WITH_NUMBERS = [name for name in RULES if "mse" in rules.get(name).losses]
FLOORS = {"digits": 0.80, "synthetic:samples=20000": 0.60}
PAGE = ROOT / "docs" / "defaults.md"


@pytest.mark.slow
@pytest.mark.parametrize("source", FLOORS)
@pytest.mark.parametrize("name", RULES)
def test_far_above_chance(name: str, source: str, tmp_path: Path) -> None:
    summary = run(RunConfig.checked(rule=name, source=source), tmp_path / "r", Hooks(draw=False))
    assert summary["test_accuracy"] >= FLOORS[source]


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_NUMBERS)
def test_pixels_from_pixels(name: str, tmp_path: Path) -> None:
    config = RunConfig.checked(rule=name, target="input", hidden=(64,))
    assert run(config, tmp_path / "r", Hooks(draw=False))["test_r2"] > 0.4


def test_the_page_has_the_numbers_of_the_rules() -> None:
    columns = r"^\| (\w+) \| (.+?) \| (.+?) \| (.+?) \| (\w+) \| (.+?) \|$"
    rows = re.findall(columns, PAGE.read_text(), re.M)
    want = []
    for name in RULES:
        rule = rules.get(name)
        suits = rule.defaults
        spec = NetworkSpec((20, 10, 3), loss=rule.loss)
        own = rule.suits is not None and "lr" in rule.suits(spec, True, 1.0)
        squared = "mse" in rule.losses
        labels, numbers = ("own",) * 2 if own else (f"{suits.rate:g}", f"{suits.squared:g}")
        if not squared:
            numbers = "-"
        deep = f"{suits.depth:g}, {suits.squared_depth:g}" if squared else f"{suits.depth:g}, -"
        depth, scale = "own" if own else deep, suits.scale or "of the source"
        want.append((name, labels, numbers, depth, suits.activation, scale))
    assert [row for row in rows if row[0] != "rule"] == want
