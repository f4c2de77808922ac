"""Sinks: where the predictions of a live run go; one file per sink.

``--publish lsl:NAME``, ``--publish mqtt://HOST/TOPIC`` or ``--publish FILE``, a file of JSON lines.
The file of a sink ends in ``SINK = SinkFile(__name__, open=...)``; the name of the file is what
stands before the first colon of the target.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rate_models.support import lookup

Notify = Callable[[str], None]


class Predictions(NamedTuple):
    """Predictions in the order of arrival.

    labels (n,): labels, None before any is known, or numbers (n, n_L) of a regression. time (n,):
    seconds of the source's clock, NaN without one. keys: of the samples, None without any.
    """

    labels: Sequence[Any] | NDArray[Any]
    time: NDArray[np.float64]
    keys: Sequence[Any] | None

    def records(self) -> list[dict[str, Any]]:
        """One JSON object per prediction, with ``time`` and ``key`` where there are any."""
        labels = self.labels.tolist() if isinstance(self.labels, np.ndarray) else self.labels
        records = [
            {"prediction": label[0] if isinstance(label, list) and len(label) == 1 else label}
            for label in labels
        ]
        for i, at in enumerate(self.time.tolist()):
            if at == at:
                records[i]["time"] = at
            if self.keys is not None and self.keys[i] is not None:
                records[i]["key"] = self.keys[i]
        return records


class Sink(ABC):
    """Where predictions go. A sink that cannot deliver reports it once; the run goes on."""

    @abstractmethod
    def send(self, predictions: Predictions) -> None:
        """Send predictions; does not wait for receivers."""

    @abstractmethod
    def close(self) -> None:
        """Send what remains, and end."""


@dataclass(frozen=True)
class SinkFile:
    """The entry point of a sink's file: ``SINK = SinkFile(__name__, open=open)``.

    open(target, classes, n_outputs, notify): returns the sink. target: the whole text of
    ``--publish``. classes: the labels known so far, None for numbers. notify: gets a line when
    something goes wrong. Raises BadOption, MissingData or MissingExtra.
    """

    module: str
    open: Callable[[str, tuple[Any, ...] | None, int, Notify], Sink]


SINKS = lookup.Kind(
    "sink", "streaming.sinks", "SINK", SinkFile, "SINK = SinkFile(__name__, open=...) at its end"
)


def open_sink(target: str, classes: tuple[Any, ...] | None, n_outputs: int, notify: Notify) -> Sink:
    """Open the sink ``target``; see `SinkFile`. A target without a known kind is a file."""
    kind, colon, _ = target.partition(":")
    name = kind if colon and kind in lookup.names(SINKS) else "lines"
    return lookup.get(SINKS, name).open(target, classes, n_outputs, notify)
