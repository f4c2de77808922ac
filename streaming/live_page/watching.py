"""Takes the numbers that the page shows from a run, in the thread that learns.

Four times a second, and less often where reading takes long: the share of time that it may take is
bounded. Nothing here waits for the page.
"""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from rate_models.diagnostics import measures
from rate_models.errors import UserError
from rate_models.network import Parameters
from rate_models.support import own_files
from streaming.live_page.ring import About, Frame, Point, Ring
from streaming.pictures.drawn import attempt
from streaming.runs.live.run import LiveRun
from streaming.runs.loop import Run
from streaming.runs.summary import among_known, classes_of
from streaming.threads.network import ScheduledNetwork

PERIOD, SLOW = 0.25, 1.0  # seconds between points, and between looks at the weights
SHARE = 0.01  # of the time, for each of the two
UNITS, INPUTS = 4096, 65_536  # numbers of a layer, and of an input, that are shown at most
CLASSES = 30  # classes of the confusion that are shown at most


class Pace:
    """When to do something again that may take at most `SHARE` of all time.

    Its cost is the processor time of this thread: other programs on the machine do not count.
    """

    def __init__(self, period: float) -> None:
        self._period, self._due = period, 0.0
        self._began = 0.0, 0.0

    def due(self) -> bool:
        """Whether it is time."""
        return time.perf_counter() >= self._due

    def begin(self) -> None:
        """To be called before it is done."""
        self._began = time.perf_counter(), time.thread_time()

    def done(self) -> None:
        """To be called afterwards: notes how long it took."""
        began, spent = self._began
        self._due = began + max(self._period, (time.thread_time() - spent) / SHARE)


class Watcher:
    """Adds a point and a frame to ``ring`` whenever it is time; call it after every chunk."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._points, self._weights = Pace(PERIOD), Pace(SLOW)
        self._before = 0, 0.0
        self._norms: tuple[float, ...] = ()
        self._angles: tuple[float, ...] = ()
        self._pace = math.nan
        self._confusion: tuple[Any, tuple[str, ...]] = None, ()

    def begin(self, run: Run) -> None:
        """Tell the page what does not change; call it once, before the first chunk."""
        angles = _angles(run, run.learner.network.parameters())
        source, learner = run.source, run.learner
        self._ring.about = About(
            rule=learner.rule if run.config.circuit is None else
            f"{own_files.shown(run.config.circuit)} circuit",
            source=own_files.shown(run.config.source),
            sizes=tuple(learner.sizes),
            score="R²" if source.classes is None else "accuracy",
            layers=tuple(f"W{n}" for n in range(1, len(learner.sizes))),
            links=tuple(angles),
            image_shape=source.image_shape,
            live=isinstance(run, LiveRun),
            threads=isinstance(learner.network, ScheduledNetwork) and learner.workers > 1,
            folder=str(run.folder),
        )  # fmt: skip
        self._before = run.position, run.seconds

    def __call__(self, run: Run) -> None:
        if self._points.due():
            self.look(run)

    def look(self, run: Run) -> None:
        """Add a point and a frame now. An error here is a warning and does not end the run."""
        with attempt("the live page", "the run goes on"):
            if self._weights.due():
                self._weights.begin()
                self._weigh(run)
                self._weights.done()
            self._points.begin()
            self._ring.add(self._point(run), self._frame(run))
            self._points.done()

    def _weigh(self, run: Run) -> None:
        if self._ring.about is not None:  # it may have grown
            self._ring.about = self._ring.about._replace(sizes=tuple(run.learner.sizes))
        parameters = run.learner.network.parameters()
        self._norms = tuple(measures.weight_norms(parameters))
        self._angles = tuple(_angles(run, parameters).values())
        self._confusion = _confusion(run)

    def _point(self, run: Run) -> Point:
        scores = run.metrics.get()
        names = "progressive_accuracy", "windowed_accuracy", "loss", "windowed_loss"
        if run.source.classes is None:
            names = "r2", "windowed_r2", *names[2:]
        samples, seconds = run.position - self._before[0], run.seconds - self._before[1]
        if samples and seconds > 0:
            self._pace = samples / seconds
            self._before = run.position, run.seconds
        times = run.latency.recent()["learned"] if isinstance(run, LiveRun) else {}
        score, windowed_score, loss, windowed_loss = (_known(scores.get(name)) for name in names)
        return Point(
            run.position, run.seconds, score, windowed_score, loss, windowed_loss, self._pace,
            _known(times.get("p50_ms")), _known(times.get("p99_ms")), self._norms, self._angles,
        )  # fmt: skip

    def _frame(self, run: Run) -> Frame:
        confusion, labels = self._confusion
        learner, frame = run.learner, Frame(epoch=run.epoch, rate=run.learner.lr)
        frame.can_drift, frame.confusion, frame.labels = run.source.can_drift, confusion, labels
        frame.activities = {
            layer: {name: part[:UNITS] for name, part in parts.items()}
            for layer, parts in learner.network.activities().items()
        }
        if run.last is not None and len(run.last.losses) and len(run.recent):
            frame.x = run.recent[-1][:INPUTS].copy()
            frame.predicted, frame.truth = (
                _text(run, each[-1]) for each in (run.last.predicted, run.last.true)
            )
        network = learner.network
        if isinstance(network, ScheduledNetwork) and network.measured is not None:
            frame.busy = tuple(network.measured.busy.tolist())
        return frame


def _known(value: float | None) -> float:
    return math.nan if value is None else value


def _angles(run: Run, parameters: Parameters) -> dict[str, float]:
    """The alignment angle of each feedback matrix; empty for rules without feedback."""
    net = run.learner.network
    try:
        links = measures.rule_links(net.definition, net.spec.layers, **net.hyper._asdict())
        with np.errstate(all="ignore"):
            return measures.alignment_angle(parameters, links)
    except UserError:
        return {}


def _confusion(run: Run) -> tuple[Any, tuple[str, ...]]:
    """The confusion of the most frequent classes, and their names."""
    labels, names = classes_of(run)
    if labels is None:
        return None, ()
    few = (run.metrics.n_classes or 0) <= CLASSES
    shown, counts = (None, run.metrics.confusion) if few else run.metrics.largest()
    counts, part = among_known(labels, shown, counts)
    return np.asarray(counts, float), tuple(map(str, part or names or labels))[: len(counts)]


def _text(run: Run, value: Any) -> str:
    """A class index as the name of its class, or numbers of a regression."""
    labels, names = classes_of(run)
    if labels is None:
        return as_text(value, True)
    known = 0 <= int(value) < len(labels)
    return str((names or labels)[int(value)]) if known else "nothing yet"


def as_text(value: Any, numbers: bool) -> str:
    """A label, or the numbers of a regression."""
    if not numbers:
        return "nothing yet" if value is None else str(value)
    several = np.atleast_1d(value)
    return ", ".join(f"{v:.4g}" for v in several[:4]) + (" …" if len(several) > 4 else "")
