"""An estimate of the duration of a run, shown once near its start if the run is long."""

from __future__ import annotations

from collections.abc import Callable

from rate_models.support.estimates import duration
from streaming.progress import _total
from streaming.runs.run import Run

MEASURED = 5.0  # seconds of streaming over which the speed is measured
LONG = 3600.0  # seconds left; above this a line is shown


class Outlook:
    """Shows one line, through ``notify``, if a run will take more than an hour.

    Call it after every chunk of samples. It calls ``watch`` each time as well.
    """

    def __init__(self, notify: Callable[[str], None], watch: Callable[[Run], None]) -> None:
        self._notify, self._watch, self._done = notify, watch, False
        self._start: tuple[int, float] | None = None

    def __call__(self, run: Run) -> None:
        self._watch(run)
        if self._done:
            return
        if self._start is None:
            self._start = run.position, run.seconds
        samples, seconds = run.position - self._start[0], run.seconds - self._start[1]
        if seconds >= MEASURED:
            self._done = True
            if (left := seconds_left(run, samples / seconds)) > LONG:
                self._notify(
                    f"at {samples / seconds:,.0f} samples per second this takes about "
                    f"{duration(left)}; --seconds or --samples limit a run, and Ctrl-C ends it "
                    "with what was learned saved"
                )


def seconds_left(run: Run, pace: float) -> float:
    """Seconds until the run ends, at ``pace`` samples per second; 0 if only Ctrl-C ends it."""
    total, most = _total(run), run.config.seconds
    left = [] if total is None else [(total - run.position) / pace]
    return min(left if most is None else [*left, most - run.seconds], default=0.0)
