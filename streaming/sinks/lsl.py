"""lsl:NAME: predictions as a stream of the Lab Streaming Layer with irregular rate.

Labels are texts, empty ones before any is known; a regression gives numbers, a channel each. The
times are those of the samples, on the clock of this machine. Needs the extra ``lsl``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rate_models.errors import BadOption
from streaming.live.connections.lsl import pylsl
from streaming.sinks import Notify, Predictions, Sink, SinkFile


class Lsl(Sink):
    """An outlet of predictions; see the module."""

    def __init__(self, name: str, classes: tuple[Any, ...] | None, n_outputs: int) -> None:
        self._lsl, self._texts = pylsl(), classes is not None
        channels, kind = (1, "string") if self._texts else (n_outputs, "double64")
        info = self._lsl.StreamInfo(
            name, "Predictions", channels, self._lsl.IRREGULAR_RATE, kind, f"dendrostream {name}"
        )
        self._outlet = self._lsl.StreamOutlet(info)

    def send(self, predictions: Predictions) -> None:
        """See `Sink.send`."""
        now = self._lsl.local_clock()
        for label, at in zip(predictions.labels, predictions.time.tolist(), strict=True):
            sample = np.ravel(label).tolist()
            if self._texts:
                sample = ["" if label is None else str(label)]
            self._outlet.push_sample(sample, at if at == at else now)

    def close(self) -> None:
        """See `Sink.close`."""
        del self._outlet


def open(target: str, classes: tuple[Any, ...] | None, n_outputs: int, notify: Notify) -> Sink:
    name = target.partition(":")[2]
    if not name:
        raise BadOption("--publish", got=target, expected="lsl:NAME")
    return Lsl(name, classes, n_outputs)


SINK = SinkFile(__name__, open=open)
