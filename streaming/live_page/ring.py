"""What the page shows, in a buffer of bounded size between the learner's thread and the page's."""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SIZE = 1200  # points; at four a second these are the last five minutes
NAN = math.nan


class About(NamedTuple):
    """What stays the same in a run.

    score: "accuracy", or "R²" for a regression. layers: names of the layers that have weights;
    links: names of feedback matrices. live: whether samples arrive by themselves, with a latency.
    threads: whether several workers share the layers. folder: of the run.
    """

    rule: str
    source: str
    sizes: tuple[int, ...]
    score: str
    layers: tuple[str, ...]
    links: tuple[str, ...]
    image_shape: tuple[int, ...] | None
    live: bool
    threads: bool
    folder: str


class Point(NamedTuple):
    """The numbers of a run at one moment; NaN where one is not known.

    score, windowed_score: see `About`. pace: samples per second of learning since the last point.
    p50, p99: milliseconds from arrival to learned. norms: ‖W_l‖. angles: of each link, in degrees.
    """

    samples: int
    seconds: float = NAN
    score: float = NAN
    windowed_score: float = NAN
    loss: float = NAN
    windowed_loss: float = NAN
    pace: float = NAN
    p50: float = NAN
    p99: float = NAN
    norms: tuple[float, ...] = ()
    angles: tuple[float, ...] = ()


@dataclass
class Frame:
    """What is shown of the last moment only; None, or empty, where it is not known.

    activities: {layer: {compartment: (n_l,)}}. x: the last input, raw; predicted, truth: of it.
    remark: a line about the last sample, or why it is not known.
    confusion (k, k): true class by predicted class, of the labels ``labels``. busy: share of the
    time in which each worker has worked. rate: the learning rate. can_drift: see `Source`.
    """

    epoch: int = 0
    rate: float = NAN
    can_drift: bool = False
    predicted: str = ""
    truth: str = ""
    x: Array | None = None
    confusion: Array | None = None
    labels: tuple[str, ...] = ()
    activities: dict[str, dict[str, Array]] = field(default_factory=dict)
    busy: tuple[float, ...] = ()
    remark: str = ""


class Ring:
    """The last points of a run, and its last frame. Several threads may use it.

    >>> ring = Ring(size=2)
    >>> for n in range(5):
    ...     ring.add(Point(n))
    >>> [p.samples for p in ring.after(0)[1]], ring.after(4)[0], ring.after(5)[1]
    ([3, 4], 5, [])
    """

    def __init__(self, size: int = SIZE) -> None:
        self._lock = threading.Lock()
        self._points = deque[Point](maxlen=size)
        self._added = 0
        self._frame = Frame()
        self.about: About | None = None  # until the run begins
        self.state = "opening the source, compiling kernels"
        self.note = ""  # about what the person did last

    @property
    def frame(self) -> Frame:
        """The last frame. It is replaced, never changed."""
        with self._lock:
            return self._frame

    @property
    def last(self) -> Point | None:
        """The last point."""
        with self._lock:
            return self._points[-1] if self._points else None

    def add(self, point: Point, frame: Frame | None = None) -> None:
        """Add a point, which takes the place of the oldest one if the buffer is full."""
        with self._lock:
            self._points.append(point)
            self._added += 1
            if frame is not None:
                self._frame = frame

    def after(self, count: int) -> tuple[int, list[Point]]:
        """How many points were added so far, and those of them after the first ``count``, as far
        as they are still there."""
        with self._lock:
            new = min(self._added - count, len(self._points))
            return self._added, list(self._points)[len(self._points) - new :]
