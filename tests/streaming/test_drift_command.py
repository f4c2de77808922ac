"""The comparison of rules on streams that drift, its page and its figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import assert_one_error

from streaming import OnlineLearner
from streaming.continual.comparing import CONTROL, Outcome, Plan, detections, learned, scores
from streaming.continual.page import text
from streaming.continual.streams import Stream, streams
from streaming.scores.evaluate import held_out
from streaming.sources import Options, open_source

BASE = "synthetic:samples=1000,features=6,clusters=1"


def test_an_outcome_is_test_then_train_with_tests_between_the_periods() -> None:
    plan = Plan(BASE, 2000, (8,))
    stream = Stream("abrupt", "", f"drift:at=700,period=600,concepts=3:{BASE}", 2000)
    outcome = learned(plan, stream, "pepita", seed=1)
    source: Any = open_source(stream.source, Options(seed=1))
    from streaming.runs.config import RunConfig

    config = RunConfig.checked(source=stream.source, hidden=(8,), seed=1)
    learner: OnlineLearner = config.resolved(source).learner(source)
    hits, R = list[bool](), []
    samples = [(x, y) for epoch in (0, 1) for X, Y in source.chunks(epoch)
               for x, y in zip(X, Y, strict=True)]  # fmt: skip
    for at, (x, y) in enumerate(samples, 1):
        hits.append(learner.predict_one(x) == y)
        learner.learn_one(x, y)
        if at in (700, 1300, 2000):
            R.append([held_out(learner, source.held_out(k))["accuracy"] for k in range(3)])
    assert outcome.drifts == (700, 1300) and len(samples) == 2000
    assert outcome.hits.tolist() == hits and outcome.R.tolist() == R
    assert outcome.before.shape == (3,)


def test_the_control_learns_no_hidden_weights() -> None:
    from streaming.continual.comparing import _config

    plan = Plan(BASE, 2000, (8,))
    stream = streams(BASE, 2000)[0]
    changed = {}
    for name in (CONTROL, "pepita"):
        config = _config(plan, stream, name, 0)
        source = config.open()
        learner = config.resolved(source).learner(source)
        before = learner.parameters()["W"]
        learner.learn_many(*next(source.chunks(0)))
        pairs = zip(before, learner.parameters()["W"], strict=True)
        changed[name] = [not np.array_equal(a, b) for a, b in pairs]
    assert changed == {CONTROL: [False, True], "pepita": [True, True]}


def test_scores_of_constructed_outcomes() -> None:
    """All right, but for 300 samples after a drift at 1,000 of 2,000."""
    hits = np.ones(2000, np.bool_)
    hits[1000:1300] = False
    R, before = np.array([[0.9, 0.2], [0.5, 0.8]]), np.array([0.1, 0.1])
    result = scores(Stream("x", "", "", 2000, transfers=True),
                    [Outcome(hits, (1000,), R, before)] * 2)  # fmt: skip
    assert result["accuracy"] == [0.85, 0.85] and result["lowest"] == [0.0, 0.0]
    assert result["curve"] == [1.0, 1.0, 1.0, 1.0, 0.0, 0.8, 1.0, 1.0]
    assert result["recovery"] == [[300 + 238]] * 2  # ⌈0.95 · 250⌉
    assert result["transfer"][0] == {
        "accuracy": 0.65, "backward": -0.4, "forward": 0.1, "forgetting": 0.4, "learned": 0.85,
    }  # fmt: skip


def test_detections_are_counted() -> None:
    pytest.importorskip("river")
    hits = np.ones(4000, np.bool_)
    hits[1000:1500] = hits[3500:3900] = False
    found = detections([Outcome(hits, (1000, 2000), np.zeros((0, 0)), np.zeros(0))])["adwin"]
    first, second = found["delays"]  # the rise at 3,500 comes 1,500 samples after the second drift
    assert 0 < first < 100 and 1500 < second < 1600 and found["false"] == 0


def test_the_command_writes_page_figures_and_numbers(call: Any, tmp_path: Path) -> None:
    ended = call("drift", "--source", BASE, "--samples", 2000, "--hidden", 8, "--seeds", 2,
                 "--rules", "backprop,pepita", "--out", tmp_path / "new", "--json")  # fmt: skip
    assert ended.code == 0, ended.err
    result = json.loads(ended.out)
    tmp_path = tmp_path / "new"
    assert result == json.loads((tmp_path / "drift.json").read_text())
    assert [row["rule"] for row in result["rows"][::6]] == ["backprop", "pepita", CONTROL]
    page = (tmp_path / "drift.md").read_text()
    assert page == text(result, f"--source {BASE} --samples 2000 --hidden 8 --seeds 2 "
                                "--rules backprop,pepita")  # fmt: skip
    for name in ("rules", "streams", "recovery", "forgetting"):
        assert f"(img/drift_{name}.png)" in page
        assert (tmp_path / "img" / f"drift_{name}.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rules", "pepito"], "did you mean 'pepita'"),
        (["--seeds", "0"], "--seeds: got 0"),
        (["--samples", "100"], "at least 2000"),
        (["--samples", "1"], "40 at least"),
        (["--source", "synthetic"], "synthetic has no end"),
        (["--source", "stdin"], "live source"),
        (["--out", __file__], "a file; expected a folder"),
        (["--hidden", "a"], "sizes"),
    ],
)
def test_bad_options_are_one_line(call: Any, options: list[str], message: str) -> None:
    ended = call("drift", *options)
    assert_one_error(ended)
    assert message in ended.err
