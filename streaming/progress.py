"""Progress bars on stderr, and the handling of Ctrl-C while a run is active."""

from __future__ import annotations

import contextlib
import math
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

from tqdm import tqdm

from rate_models.support import own_files
from streaming.runs.run import Run

PATIENCE = 3.0  # seconds: a third signal within this time ends the program at once


class Bar:
    """A progress bar with samples per second, windowed accuracy (or R² and RMSE) and loss.

    Call it after every chunk of samples. It reads the scores at most ten times per second. If the
    terminal is gone nothing is shown any more, and the run goes on.
    """

    def __init__(self) -> None:
        self._bar: tqdm[None] | None = None
        self._due = 0.0

    def __call__(self, run: Run) -> None:
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + 0.1
        try:
            self._show(run)
        except OSError:
            self._due = math.inf
            if self._bar is not None:
                self._bar.disable = True

    def _show(self, run: Run) -> None:
        if self._bar is None:
            self._bar = tqdm(
                desc=f"{run.learner.rule} on {own_files.shown(run.config.source)}",
                total=_total(run),
                initial=run.position,
                unit=" samples",
                file=sys.stderr,
                disable=None,  # no bar if stderr is a file
                dynamic_ncols=True,
                leave=False,
            )
        scores = run.metrics.get()
        shown = {"accuracy": scores["windowed_accuracy"], "R2": scores.get("windowed_r2"),
                 "loss": scores["windowed_loss"]}  # fmt: skip
        known = {name: f"{value:.3f}" for name, value in shown.items() if value is not None}
        if (rmse := scores.get("windowed_rmse")) is not None:
            known["RMSE"] = f"{rmse:.4g}"  # in the units of the targets
        self._bar.set_postfix(known | run.shown(), refresh=False)
        self._bar.update(run.position - self._bar.n)

    def close(self) -> None:
        """Remove the bar from the screen."""
        if self._bar is not None:
            with contextlib.suppress(OSError):
                self._bar.close()


class Steps:
    """A progress bar over steps that the caller counts: ``bar(label, done, total)``."""

    def __init__(self, name: str, unit: str) -> None:
        self._bar = tqdm(
            desc=name,
            unit=unit,
            total=0,
            file=sys.stderr,
            disable=None,  # no bar if stderr is a file
            dynamic_ncols=True,
            leave=False,
        )

    def __call__(self, what: str, done: int, total: int) -> None:
        self._bar.total = total
        self._bar.set_postfix_str(what, refresh=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Remove the bar from the screen."""
        self._bar.close()


def _total(run: Run) -> int | None:
    """The largest number of samples that the run can take; None if it is not known."""
    c, length = run.config, run.source.length
    ends = [] if length is None or c.epochs is None else [c.epochs * length]
    return min(ends if c.samples is None else [*ends, c.samples], default=None)


class Interrupts:
    """Turns SIGINT, SIGTERM and SIGHUP into a stop request that a run polls between two chunks.

    SIGHUP comes when the terminal is closed. Calling the object polls it: True after a signal. One
    signal may arrive twice, as Ctrl-C does when one program starts another. A third signal within
    three seconds raises KeyboardInterrupt, so that a run that hangs can be ended. The first signal
    raises it too if nothing has polled yet, since then nothing was learned. A signal that is
    ignored stays ignored, as SIGHUP under nohup.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._polled = False
        self._times: list[float] = []

    def __call__(self) -> bool:
        self._polled = True
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """The exit code of a program that this signal ended: 128 + signal."""
        return 128 + (self.signal or signal.SIGINT)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        first, self.signal = self.signal is None, number
        self._times = [*self._times[-2:], time.monotonic()]
        at_once = len(self._times) == 3 and self._times[2] - self._times[0] <= PATIENCE
        if at_once or (first and not self._polled):
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        """Catch the signals inside the context; only the main thread can."""
        signals = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
        numbers = [n for n in signals if _is_ours(n)]
        before = {n: signal.signal(n, self._handle) for n in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _is_ours(number: int) -> bool:
    """Whether a signal can be caught and is not ignored already (nohup, & in a shell)."""
    main = threading.current_thread() is threading.main_thread()
    return main and signal.getsignal(number) not in (signal.SIG_IGN, None)
