"""`LiveSource`: the base of sources whose samples arrive while the run goes on.

A thread reads the source and puts batches of samples into a bounded queue; the run takes them from
there. A subclass has one method, `read`, which is called in that thread, and again after it raised
`ConnectionGone`. Everything else is here: the queue and its policy, back-off, signal steps, the
position in the source, and the end.

A live stream is one epoch without a known length, and can be read once only. Whether a resumed run
can go on where it stopped, or can only count what it missed, depends on the source.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from rate_models.errors import BadOption, BadSample
from streaming.live.batch import Batch, LateLabel
from streaming.live.bounded import BoundedQueue, Closed
from streaming.live.reconnecting import BackOff, ConnectionGone
from streaming.live.schema import Schema
from streaming.live_options import LiveOptions
from streaming.options import SourceOptions
from streaming.samples.source import Chunk, Source
from streaming.signals import Steps
from streaming.table_options import TableOptions

STOPPING = 2.0  # seconds that the reader thread gets to end


class AllOptions(SourceOptions, TableOptions, LiveOptions):
    """The options of a live source; those of tables are for lines of CSV."""

    loss: str | None = None
    classes: Literal["grow"] | None = None


@dataclass(frozen=True)
class Position:
    """The position of a stopped run in its source.

    mark, origin: as in `Batch`. queued: samples that waited in the queue when it stopped.
    """

    mark: int = -1
    origin: int = 0
    queued: int = 0


class Taken(NamedTuple):
    """What `LiveSource.take` gives: samples after the signal steps (or None), and late labels.

    merged: samples that signal steps merged.
    """

    batch: Batch | None
    labels: list[LateLabel]
    merged: int = 0


class LiveSource(Source):
    """A source whose samples arrive while the run goes on; see the module.

    schema: the form of a sample before signal steps. rate: samples per second, if it is known.
    match: how late labels find their samples, unless the user chose. again: whether a resumed run
    reads on from the position where the earlier one stopped.

    Raises BadOption for options that do not fit a live source.
    """

    length = None
    match = "key"
    rate: float | None = None
    again = False

    def __init__(self, name: str, options: AllOptions, schema: Schema, rate: float | None) -> None:
        self.name, self.options, self.schema, self.rate = name, options, schema, rate
        self.match = options.match or self.match
        self.classes, schema.grows = schema.classes, options.classes == "grow"
        self.steps = Steps(options.signal, schema.n_features, rate)
        self.n_features = self.steps.n_outputs
        self.feature_names = schema.names if not options.signal else ()
        self.queue = BoundedQueue(options.queue, options.when_full)
        self.start: Position | None = None
        self.reconnects = self.labels_malformed = 0
        self._mark, self._origin = -1, 0
        self._stop, self._thread = threading.Event(), threading.Thread()
        self._connections = 0
        self._back_off: BackOff | None = None
        self.notify: Callable[[str], None] = lambda text: None

    @abstractmethod
    def read(self) -> None:
        """Read the source until it ends or `closing`, and `put` what arrives.

        Called in a thread of its own. Raises ConnectionGone to be called again after a wait, and
        BadSample for a malformed message that is to stop the run.
        """

    def begin(self, notify: Callable[[str], None]) -> None:
        """Start to read. ``notify`` gets lines about connections and gaps."""
        self.notify = notify
        self._back_off = BackOff(self.name, notify, self._stop.wait)
        self._thread = threading.Thread(target=self._work, name=f"reader of {self.name}")
        self._thread.daemon = True  # a read that hangs must not keep the program
        self._thread.start()

    def take(self, most: int, timeout: float) -> Taken | None:
        """At most ``most`` samples, waiting up to ``timeout`` seconds; None at the end.

        Raises what ended the stream, after all samples before it.
        """
        if (taken := self.queue.take(most, timeout)) is None:
            return None
        self.classes = self.schema.classes  # may have grown
        batch, labels = taken
        if batch is None:
            return Taken(None, labels)
        self._mark, self._origin = batch.upto, batch.origin
        if not self.steps:
            return Taken(batch, labels)
        X, at = self.steps(batch.X)
        return Taken(batch.rows(at)._replace(X=X), labels, batch.n - len(at))

    def close(self) -> None:
        """Stop reading. Samples in the queue stay there."""
        self._stop.set()
        self.queue.close()
        if self._thread.ident is not None:
            self._thread.join(STOPPING)

    @property
    def closing(self) -> bool:
        """Whether `read` has to return."""
        return self._stop.is_set()

    def pause(self, seconds: float) -> bool:
        """Wait in `read`; True if it has to return."""
        return self._stop.wait(seconds)

    def connected(self) -> None:
        """Called by `read` once samples can arrive."""
        self._connections += 1
        if self._back_off is not None:
            self._back_off.connected()
        if self._connections > 1:
            self.reconnects += 1
            self.notify(f"{self.name}: connected again")

    def missed_at_start(self, missed: int) -> None:
        """Called by `read` of a resumed run, when the number of missed samples is known."""
        if missed:
            self.notify(f"{self.name}: {missed:,} samples were missed since the run stopped")

    def bad(self, where: str, reason: str) -> BadSample:
        """The error for a malformed message."""
        return BadSample(f"{self.name}, {where}: {reason}; correct it, or --on-bad skip")

    def position(self) -> Position:
        """The position after the samples taken so far."""
        return Position(self._mark, self._origin, self.queue.waiting)

    def begin_at(self, position: Position) -> None:
        """Go on after a stopped run; called before `begin`."""
        self.start = position
        self._mark, self._origin = position.mark, position.origin

    def label_of(self, codes: Any) -> Any:
        """Labels of class indices (n,); numbers to predict stay as they are."""
        if (labels := self.schema.classes) is None:
            return np.asarray(codes, np.float64)
        return [labels[int(code)] for code in codes]

    def chunks(self, epoch: int, start: int = 0, size: int = 256) -> Iterator[Chunk]:
        """Raises BadOption: see `take`."""
        raise BadOption(
            f"--source {self.name}", got="a live stream", expected="samples that can be read again",
            remedy="--record, for example, needs them",
        )  # fmt: skip

    def _work(self) -> None:
        error: BaseException | None = None
        try:
            while not self.closing:
                try:
                    self.read()
                    break
                except ConnectionGone as gone:
                    if self._back_off is not None and not self._back_off.wait(str(gone)):
                        break
        except Closed:
            pass
        except BaseException as problem:
            error = problem
        self.queue.end(error)


def check_options(options: AllOptions, where: str) -> None:
    """Raise BadOption for options of tables that need a stream which can be read again."""
    unfit = {
        "held_out": options.held_out != 0,
        "missing": options.missing not in ("raise", "skip"),
    }
    for name, given in unfit.items():
        if given:
            raise BadOption(
                "--" + name.replace("_", "-"), got=f"{getattr(options, name)} beside {where}",
                expected="a file that can be read again, e.g. csv:FILE.csv",
                remedy="leave it out; rows with missing cells are skipped by --on-bad skip",
            )  # fmt: skip
