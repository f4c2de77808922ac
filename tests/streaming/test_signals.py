"""Signal steps: against SciPy and slow versions, in any chunks, and through a checkpoint."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from rate_models.errors import BadOption, OtherFile, UserError
from streaming.runs.run import Hooks, RunConfig, resume, run
from streaming.signals import Steps
from streaming.sources import ArraySource, Options, open_source

STEPS = [
    ["standardise"],
    ["standardise:half_life=20"],
    ["window:7"],
    ["window:5,hop=3"],
    ["window:2,hop=9"],
    ["decimate:4"],
    ["band_power:8-12+20-40,rate=200,smooth=0.1"],
    ["band_power:8-12,rate=200,every=6"],
    ["standardise", "decimate:3", "window:4,hop=2"],
]


def signals(n: int = 400, width: int = 3) -> np.ndarray:
    return 5 + np.cumsum(np.random.default_rng(0).normal(size=(n, width)), axis=0)


@pytest.mark.parametrize("texts", STEPS)
@given(cuts=st.lists(st.integers(0, 400), max_size=12), restored=st.integers(0, 12))
@settings(deadline=None, max_examples=20)
def test_chunks_and_checkpoints_change_no_bit(
    texts: list[str], cuts: list[int], restored: int
) -> None:
    X = signals()
    whole = Steps(texts, 3, None)
    expected, at = whole(X)
    assert expected.shape == (len(at), whole.n_outputs)
    steps, got = Steps(texts, 3, None), []
    edges = [0, *sorted(cuts), len(X)]
    for i, (a, b) in enumerate(pairwise(edges)):
        some = steps(X[a:b])
        got.append((some.X, some.at + a))
        if i == restored:
            fresh = Steps(texts, 3, None)
            fresh.load_state(steps.state())
            steps = fresh
    np.testing.assert_array_equal(np.concatenate([x for x, _ in got]), expected)
    np.testing.assert_array_equal(np.concatenate([i for _, i in got]), at)
    for name, array in steps.state().items():
        np.testing.assert_array_equal(array, whole.state()[name])


def test_standardisation_is_that_of_all_samples_so_far() -> None:
    X = signals()
    got, at = Steps(["standardise"], 3, None)(X)
    assert at.tolist() == [*range(len(X))] and (got[0] == 0).all()
    for t in (1, 5, 399):
        mean, spread = X[: t + 1].mean(axis=0), X[: t + 1].std(axis=0)
        np.testing.assert_allclose(got[t], (X[t] - mean) / spread, rtol=1e-9)


def test_a_half_life_weights_the_samples() -> None:
    X, half = signals(), 20
    got, _ = Steps([f"standardise:half_life={half}"], 3, None)(X)
    rate = 1 - 2 ** (-1 / half)
    mean, variance = X[0].copy(), np.zeros(3)
    for t in range(1, len(X)):
        r = max(1 / (t + 1), rate)
        new = (1 - r) * mean + r * X[t]
        # the variance of a mixture of the past and the new sample
        variance = (1 - r) * (variance + (mean - new) ** 2) + r * (X[t] - new) ** 2
        mean = new
    np.testing.assert_allclose(got[-1], (X[-1] - mean) / np.sqrt(variance), rtol=1e-9)


def test_windows_have_the_last_samples() -> None:
    X = signals(30, 2)
    got, at = Steps(["window:5,hop=3"], 2, None)(X)
    assert at.tolist() == [*range(4, 30, 3)]
    for row, end in zip(got, at, strict=True):
        np.testing.assert_array_equal(row, X[end - 4 : end + 1].ravel())


def test_decimation_is_scipys_forward_filter() -> None:
    X = signals()
    got, at = Steps(["decimate:4"], 3, None)(X)
    assert at.tolist() == [*range(0, 400, 4)]
    # signal.decimate starts its forward filter from rest; here the first sample was always there
    expected = signal.decimate(X - X[0], 4, axis=0, zero_phase=False) + X[0] * 10 ** (-0.05 / 20)
    # an even order of Chebyshev's type I has its ripple at zero frequency
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_band_power_finds_the_oscillation() -> None:
    rate, t = 200, np.arange(2000) / 200
    X = np.stack([2 * np.sin(2 * np.pi * 10 * t), 0.5 * np.sin(2 * np.pi * 30 * t)], axis=1)
    got, _ = Steps([f"band_power:8-12+25-35,rate={rate},smooth=0.5"], 2, None)(X)
    low_a, low_b, high_a, high_b = np.exp(got[-1])
    assert low_a == pytest.approx(2.0, rel=0.05)  # the power of a sine is half its amplitude²
    assert high_b == pytest.approx(0.125, rel=0.05)
    assert max(low_b, high_a) < 1e-3 and np.isfinite(got).all()


def test_the_rate_goes_from_step_to_step() -> None:
    steps = Steps(["decimate:4", "band_power:8-12"], 2, 1000.0)
    own = Steps(["decimate:4", "band_power:8-12,rate=250"], 2, None)
    X = signals(800, 2)
    np.testing.assert_array_equal(steps(X).X, own(X).X)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("window", "no length"),
        ("window:0", "at least 1"),
        ("window:2.5", "whole number"),
        ("window:3,hop=x", "a number"),
        ("window:3,step=2", "step"),
        ("window:1e6", "memory|GB|GiB"),
        ("decimate:1", "at least 2"),
        ("band_power:8-12", "rate"),
        ("band_power:12-8,rate=100", "LOW < HIGH"),
        ("band_power:8-60,rate=100", "half the rate"),
        ("standardise:half_life=-1", "at least 0"),
        ("standardise:3,4", "KEY=VALUE"),
        ("smooth", "unknown|expected"),
    ],
)
def test_steps_that_cannot_be(text: str, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        Steps([text], 300_000 if "1e6" in text else 3, None)


@pytest.mark.parametrize("change", ["shape", "name", "missing", "nan", "below"])
def test_a_foreign_state_is_refused(change: str) -> None:
    steps = Steps(["window:3", "standardise"], 2, None)
    state = steps.state()
    if change == "shape":
        state["0.last"] = np.zeros((5, 2))
    elif change == "nan":
        state["1.mean"] = np.full(2, np.nan)
    elif change == "below":
        state["0.count"] = np.array([0, -5])
    elif change == "name":
        state["1.more"] = np.zeros(1)
    else:
        del state["1.mean"]
    with pytest.raises(BadOption):
        steps.load_state(state)


def test_other_sources_have_steps_too() -> None:
    texts = ("window:2,hop=2", "standardise")
    source = open_source("digits", Options(signal=texts))
    plain = open_source("digits")
    assert source.length == plain.length // 2 and source.n_features == 128
    X, y = next(source.chunks(0, start=5, size=20))
    raw, labels = (np.concatenate(part) for part in zip(*plain.chunks(0), strict=True))
    expected, at = Steps(texts, 64, None)(raw.astype(float))
    np.testing.assert_array_equal(X, expected[5:25])
    assert y.tolist() == labels[at][5:25].tolist()
    test = source.test()
    assert test is not None and sum(len(y) for _, y in test) == 360 // 2


OWN = """\"\"\"double:FACTOR: every number times FACTOR.\"\"\"
import numpy as np
from streaming.signals import Given, Step, StepFile

class Double(Step):
    def __init__(self, factor, n, rate):
        self.n_outputs, self.rate, self._factor = n, rate, factor
    def __call__(self, X):
        return Given(X * self._factor, np.arange(len(X)))
    def state(self):
        return {}

def open(given, n_inputs, rate):
    return Double(given.number("factor", None, 0), n_inputs, rate)

STEP = StepFile(__name__, open=open)
"""


def test_a_step_of_ones_own_is_stored_with_its_digest(tmp_path: Path) -> None:
    file = tmp_path / "double.py"
    file.write_text(OWN)
    options = {"source": "synthetic:samples=300,features=3", "hidden": 4, "samples": 200}
    config = RunConfig.checked(**options, signal=f"{file}:2")
    run(config, tmp_path / "r", Hooks(draw=False, stop=lambda: True))
    (stored,) = json.loads((tmp_path / "r" / "config.json").read_text())["signal"]
    assert stored.startswith(f"{file}#") and stored.endswith(":2")
    X, _ = next(config.open().chunks(0))
    np.testing.assert_array_equal(X, 2 * next(open_source(options["source"]).chunks(0))[0])
    file.write_text(OWN.replace("X * ", "X + "))
    with pytest.raises(OtherFile, match="a file that has changed"):
        resume(tmp_path / "r", Hooks(draw=False))


def test_arrays_have_the_same_samples_for_any_chunks() -> None:
    from streaming.samples.stepped import Stepped

    rng = np.random.default_rng(3)
    source = ArraySource(rng.normal(size=(300, 2)), rng.integers(2, size=300))
    stepped = Stepped(source, ["window:3,hop=2"])
    whole = [np.concatenate(part) for part in zip(*stepped.chunks(1), strict=True)]
    for start, size in ((0, 7), (13, 50), (100, 1)):
        part: list[Any] = [*zip(*stepped.chunks(1, start, size), strict=True)]
        for a, b in zip(part, whole, strict=True):
            np.testing.assert_array_equal(np.concatenate(a), b[start:])
    assert stepped.length == len(whole[1])
