"""Drift detectors on errors: they are river's, and their state is kept exactly."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from rate_models.errors import BadOption
from streaming.scores import drift_detector
from streaming.scores.drift_detector import DriftDetector
from streaming.scores.metrics import Metrics

river = pytest.importorskip("river.drift")
NAMES = ("adwin", "page_hinkley")


def errors(rates: list[tuple[int, float]], seed: int = 0) -> np.ndarray:
    """Random errors: n samples with each rate."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.random(n) < rate for n, rate in rates])


RISE = errors([(3000, 0.1), (2000, 0.6)])
BOTH = errors([(2000, 0.9), (3000, 0.1), (2000, 0.6), (3000, 0.05), (1000, 0.5)])


@pytest.mark.parametrize(("name", "latest"), [("adwin", 100), ("page_hinkley", 400)])
def test_a_rise_is_detected_soon_and_a_fall_is_not(name: str, latest: int) -> None:
    detector = DriftDetector(name)
    detector.update(BOTH)
    assert len(detector.detected) == 2
    for at, drift in zip(detector.detected, (5000, 10_000), strict=True):
        assert drift < at < drift + latest
    calm = DriftDetector(name)
    calm.update(errors([(500, 0.9), (1000, 0.4), (30_000, 0.1)]))
    assert calm.detected == [] and calm.get() == {"drifts": 0, "last_drift": None}


def test_the_first_detection_is_rivers() -> None:
    theirs = {"adwin": river.ADWIN(), "page_hinkley": river.PageHinkley(mode="up", alpha=1.0)}
    for name, detector in theirs.items():
        for first, error in enumerate(RISE.tolist(), 1):
            detector.update(int(error))
            if detector.drift_detected and first > 3000:
                break
        ours = DriftDetector(name)
        ours.update(RISE)
        assert ours.detected[0] == first


@pytest.mark.parametrize("name", NAMES)
def test_chunks_and_a_stored_state_do_not_matter(name: str) -> None:
    whole = DriftDetector(name)
    whole.update(BOTH)
    detector = DriftDetector(name)
    for start in range(0, len(BOTH), 397):
        detector.update(BOTH[start : start + 397])
        again = DriftDetector(name)
        again.load_state(detector.state())
        detector = again
    assert detector.detected == whole.detected
    for key, array in whole.state().items():
        assert np.array_equal(array, detector.state()[key])


def test_the_state_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift_detector, "LONGEST", 100)
    detector = DriftDetector("adwin")
    detector.update(np.zeros(250))
    assert detector.state()["counts"].tolist() == [250, 50] and detector.state()["errors"].size == 7


@pytest.mark.parametrize(
    "change",
    [
        {"counts": np.array([100, 200])},
        {"counts": np.array([-1, 0])},
        {"counts": np.array([5000, 10.0])},
        {"detected": np.array([10, 5])},
        {"detected": np.array([9999])},
        {"errors": np.zeros(0, np.uint8)},
        {"errors": np.zeros(10**4, np.uint8)},
        # a rise that the detector would have reported
        {"errors": np.repeat([0, 255], 125).astype(np.uint8), "counts": np.array([5000, 2000])},
    ],
)
def test_an_invalid_state_is_refused(change: dict[str, Any]) -> None:
    detector = DriftDetector("adwin")
    detector.update(errors([(2000, 0.1)]))
    good = detector.state()
    with pytest.raises((BadOption, LookupError)):
        DriftDetector("adwin").load_state({**good, **change})
    with pytest.raises(LookupError):
        DriftDetector("adwin").load_state({})


def test_metrics_hold_the_detector() -> None:
    metrics = Metrics(2, detector=DriftDetector("adwin"))
    metrics.update(RISE.astype(int), np.zeros(len(RISE), int), None)
    assert metrics.get()["drifts"] == 1 and 3000 < metrics.get()["last_drift"] < 3100
    again = Metrics(2, detector=DriftDetector("adwin"))
    again.load_state(metrics.state())
    assert again.get()["last_drift"] == metrics.get()["last_drift"]
    with pytest.raises(BadOption, match="numbers to predict"):
        Metrics(None, detector=DriftDetector("adwin"))
    with pytest.raises(BadOption, match="adwin or page_hinkley"):
        DriftDetector("ddm")


def test_without_river_the_error_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['river'] = None\n"
        "from streaming.cli import main; main(['run', '--drift-detector', 'adwin', '--quiet'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and 'pip install "dendrostream[river]"' in done.stderr
    assert done.stderr.count("\n") == 1
