"""Requirements of every rule: its example's score, a hidden layer that learns, its cost."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dendrostream_demos.every_rule import DIGITS

from rate_models import catalogue, rules
from streaming import OnlineLearner
from streaming.cli import main
from streaming.scores.evaluate import held_out
from streaming.sources import Options, open_source

RULES = rules.names()
SIZES = (784, 1024, 10)


@pytest.mark.parametrize("rule", RULES)
def test_the_example_reaches_its_score(
    rule: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, score = catalogue.example(rule)
    assert f"--rule {rule} " in " ".join(arguments) + " " and "--seed" in arguments
    with pytest.raises(SystemExit) as done:
        main([*arguments, "--json", "--out", str(tmp_path / "run")])
    assert not done.value.code
    assert json.loads(capsys.readouterr().out)["test_accuracy"] == pytest.approx(score, abs=0.01)


def accuracies(rule: str, **changes: Any) -> np.ndarray:
    """Held-out accuracy of 64-32-10 on digits after ten epochs, ten seeds, at the demo's rate."""
    options = {"scale": "range", **DIGITS[rule], **changes}
    scores = []
    for seed in range(10):
        digits = open_source("digits", Options(seed=seed))
        learner = OnlineLearner(
            rule, (64, 32, 10), seed=seed, maximum=16, classes=digits.classes, **options
        )
        for epoch in range(10):
            for X, y in digits.chunks(epoch):
                learner.learn_many(X, y)
        scores.append(held_out(learner, digits.test() or ())["accuracy"])
    return np.array(scores)


@pytest.mark.parametrize("rule", RULES)
def test_the_hidden_layer_learns(rule: str) -> None:
    """On a narrow network; the control is the rule without feedback, or feedback alignment so."""
    if "feedback_scale" in rules.get(rule).hyperparameters._fields:
        frozen = accuracies(rule, feedback_scale=0.0)
    else:
        frozen = accuracies("feedback_alignment", feedback_scale=0.0)
    gain = accuracies(rule) - frozen
    assert gain.mean() > 2 * gain.std(ddof=1) / np.sqrt(len(gain))
    assert gain.mean() > 0.02


@pytest.mark.parametrize("rule", RULES)
def test_the_table_has_what_a_reader_needs(rule: str) -> None:
    (row,) = (row for row in catalogue.rows(SIZES) if row["rule"] == rule)
    assert re.search(r"(19|20)\d\d", row["paper"]), "paper and year"
    weights = 784 * 1024 + 1024 * 10
    assert 2 * weights <= row["multiply-adds"] < 8 * weights
    assert row["multiply-adds"] < next(
        wide["multiply-adds"] for wide in catalogue.rows((784, 2048, 10)) if wide["rule"] == rule
    )


def test_costs_by_hand() -> None:
    costs = {row["rule"]: row["multiply-adds"] for row in catalogue.rows((4, 3, 5, 2))}
    assert costs["backprop"] == 37 + (15 + 10) + 37
    assert costs["feedback_alignment"] == costs["backprop"]
    assert costs["direct_feedback_alignment"] == costs["drtp"] == 37 + 2 * (3 + 5) + 37
    assert costs["pepita"] == 37 + 4 * 2 + (12 + 15) + 37
