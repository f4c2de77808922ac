"""Single messages collected to batches, with their sequence numbers."""

from __future__ import annotations

import numpy as np

from streaming.live.batch import Batch, Key
from streaming.live.messages import Message
from streaming.live.schema import Malformed
from streaming.live.source import LiveSource

MOST = 256  # samples of a batch


class Collector:
    """Collects messages for the queue of ``source``; `flush` puts what there is.

    sequence: the last sequence number of an earlier run, -1 if there is none.
    With ``on_bad="raise"`` a malformed message raises BadSample, after all samples before it.
    """

    def __init__(self, source: LiveSource, sequence: int = -1) -> None:
        self._source = source
        self._sequence, self._first = sequence, sequence >= 0
        self._good = list[tuple[Message, int, int]]()
        self._malformed = self._missed = 0
        self._refused = 0  # malformed messages since the last sequence number
        self._upto, self._origin = sequence, 0

    def add(self, content: Message, arrived: int, mark: int | None = None) -> None:
        """Add a message. mark: the position after it; None for its sequence number."""
        if content.x is None:
            self.flush()  # a label must not overtake samples
            self._source.queue.label(content.late(arrived))
            return
        self._follow(content.seq)
        upto = max(content.seq, self._upto) if mark is None else mark
        self._upto = upto
        self._good.append((content, arrived, upto))
        if len(self._good) >= MOST:
            self.flush()

    def malformed(self, where: str, reason: str, mark: int | None = None) -> None:
        """Count a malformed message, or raise BadSample."""
        if self._good or self._source.options.on_bad == "raise":
            self.flush()
        if self._source.options.on_bad == "raise":
            raise self._source.bad(where, reason)
        self._malformed += 1
        self._refused += 1
        self._upto = self._upto if mark is None else mark

    def malformed_label(self, where: str, reason: str) -> None:
        """Count a late label that is malformed, or raise BadSample."""
        if self._source.options.on_bad == "raise":
            self.flush()
            raise self._source.bad(where, reason)
        self._source.labels_malformed += 1

    def upto(self, mark: int, origin: int) -> None:
        """Set the position, where messages have none of their own."""
        if origin != self._origin:
            self.flush()
        self._upto, self._origin = mark, origin

    def flush(self) -> None:
        """Put the collected messages into the queue."""
        good = self._good
        if not (good or self._malformed or self._missed):
            return
        schema = self._source.schema
        X = np.array([m.x for m, _, _ in good], np.float64).reshape(len(good), schema.n_features)
        keys: tuple[Key | None, ...] | None = tuple(m.key for m, _, _ in good)
        if not any(key is not None for key in keys or ()):
            keys = None
        counts = self._malformed, 0, self._missed
        self._good, self._malformed, self._missed = [], 0, 0
        self._source.queue.put(
            Batch(
                X,
                np.array([m.label for m, _, _ in good], schema.y_type),
                np.array([arrived for _, arrived, _ in good], np.int64),
                np.array([m.time for m, _, _ in good], np.float64),
                np.array([mark for _, _, mark in good], np.int64),
                self._upto,
                self._origin,
                keys,
                *counts,
            )
        )

    def _follow(self, seq: int) -> None:
        """Count the gap before a sequence number. Raises Malformed for a repeated one."""
        if seq < 0:
            return
        if seq == self._sequence:
            raise Malformed(f"got sequence number {seq} a second time")
        gap = seq - self._sequence - 1 - self._refused  # they were received
        if self._sequence >= 0 and gap > 0:
            self.flush()
            self._missed += gap
            if self._first:
                self._source.missed_at_start(gap)
        self._sequence, self._first, self._refused = seq, False, 0
