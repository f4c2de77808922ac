"""lsl:NAME[,markers=NAME]: a signal of the Lab Streaming Layer, with labels from a marker stream.

    dendrostream run --source lsl:EEG,markers=Stimuli --labels left,right --samples 60000

======== ======= ================================================================
key      default meaning
======== ======= ================================================================
name             name of the signal's stream; the key can be left out
type             type of the signal's stream, e.g. EEG
id               source_id of the signal's stream
markers  none    name of a stream of texts or numbers, one channel, with the labels
wait     10      seconds to look for the streams at the start
grace    0.002   seconds that a sample waits for a marker sent at the same time
======== ======= ================================================================

A marker holds for all samples from its time on, until the next one (``--match hold``), or belongs
to the sample nearest in time (``--match nearest``). Without markers samples are only predicted.
Samples and markers travel on two connections, so a marker may arrive after a sample that was sent
after it; ``grace`` is how long a sample is held back for that.

Times of both streams are converted to the clock of this machine by the clock correction of liblsl.
Streams of the same host have the same correction, which changes only in steps of 1 ms, so that
equal times stay equal. If the outlet disappears the source looks for it again, and reports it.
Streams of LSL have no sequence numbers: what liblsl drops, if learning is more than 360 seconds
behind with ``--when-full block``, is not counted. Needs the extra ``lsl``.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import BadOption, MissingData
from streaming.live.batch import Batch, LateLabel
from streaming.live.connections.lsl import pylsl
from streaming.live.inferring import classes_of
from streaming.live.reconnecting import ConnectionGone
from streaming.live.schema import Malformed, Schema
from streaming.live.source import LiveSource, check_options
from streaming.sources import Options, SourceFile

KEYS = ("name", "type", "id", "markers", "wait", "grace")
SECONDS = {"wait": 10.0, "grace": 0.002}
MOST = 1024  # samples pulled at a time
TIMEOUT = 0.02  # seconds to wait for a sample, then look for markers
OPENING = 5.0  # seconds to open a stream that was found
STEP, REFRESH = 1e-3, 5.0  # seconds: smallest change of a clock correction, and how often to look


class Choice(NamedTuple):
    """The streams to read: predicates of the signal, and the name of the markers. wait, grace: see
    the module."""

    signal: str
    markers: str | None
    wait: float
    grace: float


class Pulled(NamedTuple):
    """Samples X (n, channels), their times (n,) here, and when they arrived."""

    X: NDArray[Any]
    times: NDArray[np.float64]
    arrived: int


def open(argument: str | None, options: Options) -> Lsl:
    return Lsl(argument or "", _choice(argument or ""), options)


class Lsl(LiveSource):
    """A signal stream and a marker stream; see the module."""

    match = "hold"

    def __init__(self, argument: str, choice: Choice, options: Options) -> None:
        self._lsl, self._choice = pylsl(), choice
        name = f"lsl:{argument}"
        check_options(options, name)
        info = _resolve(self._lsl, choice.signal, choice.wait, lambda: False)
        if info is None:
            got = f"no stream with {choice.signal} within {choice.wait:g} s"
            raise MissingData(name, got=got, expected="a stream on this network")
        if info.channel_format() == self._lsl.cf_string:
            raise BadOption(name, got="a stream of texts", expected="a stream of numbers")
        schema = Schema(info.channel_count(), classes_of(name, (), options))
        super().__init__(name, options, schema, info.nominal_srate() or None)

    def read(self) -> None:
        """See `LiveSource.read`."""
        signal = self._found(self._choice.signal, 1.0)
        if signal is None:
            raise ConnectionGone("no outlet")
        if signal.channel_count() != self.schema.n_features:
            got, expected = f"{signal.channel_count()} channels", f"{self.schema.n_features}"
            raise BadOption(self.name, got=f"{got} of the new outlet", expected=expected)
        markers = None
        if self._choice.markers is not None:
            markers = self._found(f"name='{self._choice.markers}'", self._choice.wait)
            if markers is None:
                raise ConnectionGone(f"no stream of markers {self._choice.markers!r}")
        origin = crc32(signal.uid().encode())
        with self._gone(), contextlib.ExitStack() as inlets:
            labels, other = None, None
            if markers is not None:  # first, so that the first samples have a marker to hold
                labels = inlets.enter_context(self._inlet(markers))
                same = markers.hostname() == signal.hostname()
                other = None if same else Clock(labels)
            inlet = inlets.enter_context(self._inlet(signal))
            clock = Clock(inlet)
            self._pull(inlet, clock, labels, other or clock, origin)

    def _pull(self, signal: Any, clock: Clock, markers: Any, other: Clock, origin: int) -> None:
        """Put what arrives into the queue until the connection ends."""
        self.connected()
        held = deque[Pulled]()  # samples that wait for their markers
        grace = int(self._choice.grace * 1e9) if markers is not None else 0
        while not self.closing:
            left = held[0].arrived + grace - time.perf_counter_ns() if held else TIMEOUT * 1e9
            timeout = min(max(left / 1e9, 0.0), TIMEOUT)
            X, times = signal.pull_chunk(timeout, MOST, min_samples=1, as_numpy=True)
            now = time.perf_counter_ns()
            clock.refresh()
            if len(times):
                times = times + clock.correction
                self._report_gap(origin, float(times[0]))
                held.append(Pulled(np.asarray(X, np.float64), times, now))
            if markers is not None:
                if other is not clock:
                    other.refresh()
                values, at = markers.pull_chunk(0.0, MOST, as_numpy=True)
                self._label(values, at, other.correction)
            while held and held[0].arrived + grace <= now:
                self._put(*held.popleft(), origin)

    def _put(self, X: NDArray[Any], times: Any, arrived: int, origin: int) -> None:
        good = self.schema.good(X)
        marks = np.round(times * 1e9).astype(np.int64)
        edges = [0, *(np.flatnonzero(~good) + 1).tolist()]
        for first, end in zip(edges, [*edges[1:], len(X) + 1], strict=True):
            rows = slice(first, end - 1)
            n, malformed = end - 1 - first, int(first > 0)
            if malformed and self.options.on_bad == "raise":
                raise self.bad(
                    f"the sample at {times[first - 1]:.6f} s", "got NaN or a huge number"
                )
            y = np.full(n, self.schema.no_label, self.schema.y_type)
            upto = int(marks[end - 2] if n else marks[first - 1]) if len(marks) else 0
            if n or malformed:
                self.queue.put(
                    Batch(
                        X[rows],
                        y,
                        np.full(n, arrived),
                        times[rows],
                        marks[rows],
                        upto,
                        origin,
                        malformed=malformed,
                    )
                )

    def _label(self, values: NDArray[Any], times: Any, correction: float) -> None:
        arrived = time.perf_counter_ns()
        for value, at in zip(values, times, strict=True):
            try:
                label = self._code(value[0])
            except Malformed as problem:
                if self.options.on_bad == "raise":
                    raise self.bad(f"the marker at {at:.6f} s", str(problem)) from None
                self.labels_malformed += 1
                continue
            self.queue.label(LateLabel(label, None, float(at) + correction, arrived))

    def _code(self, value: Any) -> float:
        if not isinstance(value, bytes | str):
            return self.schema.label(float(value))
        try:
            text = value.decode() if isinstance(value, bytes) else value
        except UnicodeError:
            raise Malformed("got bytes that are no text in utf-8") from None
        return self.schema.label_text(text.strip())

    def _report_gap(self, origin: int, first: float) -> None:
        """Report how many samples a resumed run missed before the one with time ``first``.

        It follows from their times and the nominal rate.
        """
        start, self.start = self.start, None
        if start is None or start.mark < 0:
            return
        if origin != start.origin or not self.rate:
            self.notify(f"{self.name}: another outlet than before; missed samples are not known")
            return
        missed = round((first - start.mark / 1e9) * self.rate) - 1
        if missed > 0:
            self.notify(f"{self.name}: about {missed:,} samples were missed since the run stopped")

    def _found(self, predicate: str, wait: float) -> Any:
        return _resolve(self._lsl, predicate, wait, lambda: self.closing)

    @contextlib.contextmanager
    def _inlet(self, info: Any) -> Iterator[Any]:
        inlet = self._lsl.StreamInlet(info, recover=False)
        try:
            inlet.open_stream(OPENING)
            yield inlet
        finally:
            inlet.close_stream()

    @contextlib.contextmanager
    def _gone(self) -> Iterator[None]:
        """Convert errors of pylsl about lost connections."""
        try:
            yield
        except (self._lsl.util.LostError, self._lsl.util.TimeoutError) as error:
            raise ConnectionGone(f"the outlet is gone ({str(error)[:80]})") from None


class Clock:
    """The clock correction of an inlet, in seconds, to add to the times of its samples."""

    def __init__(self, inlet: Any) -> None:
        self._inlet = inlet
        self.correction = float(inlet.time_correction(OPENING))
        self._due = time.monotonic() + REFRESH

    def refresh(self) -> None:
        """Take over the current correction now and then, if it has changed by 1 ms."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + REFRESH
        now = float(self._inlet.time_correction(OPENING))
        if abs(now - self.correction) >= STEP:
            self.correction = now


def _resolve(lsl: Any, predicate: str, wait: float, closing: Callable[[], bool]) -> Any:
    """The stream that a predicate describes; None if there is none after ``wait`` seconds."""
    due = time.monotonic() + wait
    while not closing():
        left = due - time.monotonic()
        if found := lsl.resolve_bypred(predicate, 1, max(min(left, 0.5), 0.01)):
            return found[0]
        if left <= 0:
            break
    return None


def _choice(text: str) -> Choice:
    """
    >>> _choice("EEG,markers=Stimuli")
    Choice(signal="name='EEG'", markers='Stimuli', wait=10.0, grace=0.002)
    """
    given = dict[str, str]()
    for i, item in enumerate(text.split(",") if text else ()):
        key, equals, value = (part.strip() for part in item.partition("="))
        key, value = (key, value) if equals else ("name", key)
        if key not in KEYS or key in given or not value or "'" in value or (i and not equals):
            raise BadOption("lsl", got=repr(item), expected=f"KEY=VALUE, {', '.join(KEYS)}")
        given[key] = value
    known = {"name": "name", "type": "type", "id": "source_id"}
    signal = " and ".join(f"{known[k]}='{v}'" for k, v in given.items() if k in known)
    if not signal:
        raise BadOption("lsl", got="no stream", expected="lsl:NAME, or lsl:type=EEG")
    seconds = [_seconds(key, given.get(key, str(least))) for key, least in SECONDS.items()]
    return Choice(signal, given.get("markers"), *seconds)


def _seconds(key: str, text: str) -> float:
    try:
        value = float(text)
        if not 0 <= value <= 1e6:
            raise ValueError
    except ValueError:
        raise BadOption(f"lsl:{key}", got=repr(text), expected="seconds") from None
    return value


SOURCE = SourceFile(__name__, open=open, live=True)
