"""Detection of drift in a stream of errors, by the detectors of the library river."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rate_models.errors import BadOption
from rate_models.support import bounds
from rate_models.support.arguments import check_choice
from rate_models.support.extras import import_extra

Name = Literal["adwin", "page_hinkley"]
LONGEST = 1_000_000  # errors that a detector sees before it begins anew
Array = NDArray[Any]


class DriftDetector:
    """Reports when the errors of a stream of predictions become more frequent.

    name: "adwin": ADWIN, with its defaults in river (Bifet & Gavaldà, SDM 2007); "page_hinkley":
    the test of Page-Hinkley for an increase, threshold 50, tolerance 0.005 and no forgetting factor
    (Page, Biometrika 41, 1954). With river's default factor the cumulated sum decays to 0, which
    counts as an increase after a fast start of learning.

    A detector begins anew after each detection, and after `LONGEST` errors without one. So its
    state is the list of errors since then. Raises BadOption for another name, and MissingExtra.

    >>> detector = DriftDetector("adwin")
    >>> detector.update([0] * 1000 + [1] * 200)
    >>> [1000 < at < 1100 for at in detector.detected]
    [True]
    """

    def __init__(self, name: str) -> None:
        check_choice("drift_detector", name, get_args(Name))
        self.name, self.samples = name, 0
        self.detected = list[int]()  # the number of samples up to each detection
        self._drift = import_extra("river.drift", "river", f"drift detector {name}")
        self._begin()

    def _begin(self) -> None:
        self._errors = bytearray()
        self._step = self._adwin() if self.name == "adwin" else self._page_hinkley()

    def _adwin(self) -> Callable[[int], bool]:
        detector = self._drift.ADWIN()

        def step(error: int) -> bool:
            before = detector.estimation
            detector.update(error)
            return bool(detector.drift_detected and detector.estimation > before)

        return step

    def _page_hinkley(self) -> Callable[[int], bool]:
        detector = self._drift.PageHinkley(mode="up", alpha=1.0)

        def step(error: int) -> bool:
            detector.update(error)
            return bool(detector.drift_detected)

        return step

    def update(self, errors: ArrayLike) -> None:
        """Add samples (n,): 1 where the prediction was wrong, 0 where it was right."""
        for error in np.asarray(errors, np.bool_).tolist():
            self.samples += 1
            self._errors.append(error)
            if self._step(int(error)):
                self.detected.append(self.samples)
                self._begin()
            elif len(self._errors) >= LONGEST:
                self._begin()

    def get(self) -> dict[str, int | None]:
        """{drifts, last_drift}: the number of detections, and the samples up to the last one."""
        last = self.detected[-1] if self.detected else None
        return {"drifts": len(self.detected), "last_drift": last}

    def state(self) -> dict[str, Array]:
        """The whole state as copies."""
        return {
            "counts": np.array([self.samples, len(self._errors)], np.int64),
            "errors": np.packbits(np.frombuffer(self._errors, np.uint8)),
            "detected": np.array(self.detected, np.int64),
        }

    def load_state(self, arrays: Mapping[str, Array]) -> None:
        """Restore what `state` returned. Raises BadOption or LookupError for an invalid state."""
        given = {name: np.asarray(arrays[name]) for name in ("counts", "errors", "detected")}
        like: dict[str, Array] = {
            "counts": np.zeros(2, np.int64),
            "errors": np.zeros(given["errors"].size, np.uint8),
            "detected": np.zeros(given["detected"].size, np.int64),
        }
        fit = bounds.fitting(given, like)
        samples, since = fit["counts"].tolist()
        limits = {"counts": (0, bounds.MOST), "errors": (0, 255), "detected": (1, max(samples, 1))}
        bounds.check(fit, limits)
        last = fit["detected"][-1] if len(fit["detected"]) else 0
        if since > min(samples - last, LONGEST - 1) or len(fit["errors"]) != -(-since // 8):
            raise BadOption("drift errors", got=f"{since} in {len(fit['errors'])} bytes",
                            expected="those since the last detection")  # fmt: skip
        if (np.diff(fit["detected"]) <= 0).any():
            raise BadOption("detected", expected="ascending numbers of samples")
        self.samples, self.detected = samples, fit["detected"].tolist()
        self._begin()
        self._errors = bytearray(np.unpackbits(fit["errors"])[:since].tobytes())
        for error in self._errors:
            if self._step(error):
                raise BadOption("drift errors", expected="none that the detector reports")
