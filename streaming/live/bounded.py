"""The bounded queue between the thread that reads a live source and the one that learns.

It holds at most ``size`` samples. If learning is slower than the source and the queue is full,

- "block" lets the reader wait. A pipe or a broker then slows the sender down, or loses samples
  itself; a source that numbers its samples reports these as missed.
- "drop_oldest" drops the samples that have waited longest, so that learning follows the present.
- "drop_newest" drops the samples that arrive, so that learning continues with consecutive ones.

Every dropped sample is counted.
"""

from __future__ import annotations

import threading
import time
from collections import deque

import numpy as np

from streaming.live.batch import Batch, LateLabel, joined

POLICIES = ("block", "drop_oldest", "drop_newest")


class Closed(Exception):
    """The consumer has closed the queue; the reader has to end."""


class BoundedQueue:
    """A queue of batches and late labels, in the order of their arrival.

    size: the largest number of samples in it, and of late labels.
    waiting: samples in the queue. largest: the most that there were at a time.
    labels_dropped: late labels that were dropped as too many waited.
    """

    def __init__(self, size: int, policy: str) -> None:
        self.size, self.policy = size, policy
        self.waiting = self.largest = self.labels_dropped = 0
        self._items: deque[Batch | LateLabel] = deque()
        self._labels = 0  # late labels in the queue
        self._changed = threading.Condition()
        self._closed = self._ended = False
        self._error: BaseException | None = None

    def put(self, batch: Batch) -> None:
        """Add a batch. Raises Closed once the consumer has closed the queue."""
        with self._changed:
            if self.policy == "block":
                self._put_all(batch)
            elif self.policy == "drop_oldest":
                self._append(batch)
                self._drop_oldest()
            else:
                room = max(self.size - self.waiting, 0)
                if batch.n > room:
                    kept, rest = batch.cut(room)
                    batch = rest.rows(slice(0))._replace(dropped=rest.n)
                    if room or kept.malformed or kept.dropped or kept.missed:
                        self._append(kept)
                self._append(batch)

    def label(self, late: LateLabel) -> None:
        """Add a late label. If there are too many, wait if the policy is "block", else drop it.

        Raises Closed once the consumer has closed the queue.
        """
        with self._changed:
            while self._labels >= self.size and not self._closed and self.policy == "block":
                self._changed.wait()
            if self._closed:
                raise Closed
            if self._labels >= self.size:
                self.labels_dropped += 1
                return
            self._items.append(late)
            self._labels += 1
            self._changed.notify_all()

    def end(self, error: BaseException | None = None) -> None:
        """Mark the end of the stream; ``error`` is raised by `take` after all samples before it."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def close(self) -> None:
        """Refuse everything that the reader adds from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether the consumer has closed the queue."""
        return self._closed

    def left(self) -> Batch | None:
        """The samples in the queue, which stay there; None if it is empty."""
        with self._changed:
            parts = [item for item in self._items if isinstance(item, Batch)]
        return joined(parts) if parts else None

    def take(self, most: int, timeout: float) -> tuple[Batch | None, list[LateLabel]] | None:
        """The next samples, ``most`` of them at most, and the late labels that came after them.

        They either all have a label or all have none. It waits up to ``timeout`` seconds for any.
        The batch is None if there is none. The result is None at the end of the stream.
        """
        due = time.monotonic() + timeout
        with self._changed:
            while not (self._items or self._ended):
                left = due - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            parts = self._take_batches(most)
            labels = list[LateLabel]()
            while self._items and isinstance(late := self._items[0], LateLabel):
                labels.append(late)
                self._items.popleft()
            self._labels -= len(labels)
            if labels or parts:
                self.waiting -= sum(part.n for part in parts)
                self._changed.notify_all()
            if not parts and not labels and self._ended:
                if self._error is not None:
                    error, self._error = self._error, None
                    raise error
                return None
        return (joined(parts) if parts else None), labels

    def _take_batches(self, most: int) -> list[Batch]:
        """The next batches; the last one is cut where samples with and without labels meet."""
        parts, n, known = list[Batch](), 0, None
        while self._items and n < most and isinstance(batch := self._items[0], Batch):
            if parts and batch.origin != parts[0].origin:
                break
            if batch.n and known not in (None, bool(batch.known[0])):
                break
            self._items.popleft()
            same = batch.n
            if batch.n:
                known = bool(batch.known[0])
                if not (equal := batch.known == known).all():
                    same = int(np.argmin(equal))
            if (some := min(same, most - n)) < batch.n:
                batch, rest = batch.cut(some)
                self._items.appendleft(rest)
            n += batch.n
            parts.append(batch)
            if some < same or same < batch.n:
                break
        return parts

    def _put_all(self, batch: Batch) -> None:
        """Add a batch, in parts as there is room."""
        while True:
            while self.waiting >= self.size and batch.n and not self._closed:
                self._changed.wait()
            part, rest = batch.cut(min(self.size - self.waiting, batch.n)) if batch.n else (
                batch, None
            )  # fmt: skip
            self._append(part)
            if rest is None or not rest.n:
                return
            batch = rest

    def _append(self, batch: Batch) -> None:
        if self._closed:
            raise Closed
        last = self._items[-1] if self._items else None
        counts_alone = isinstance(last, Batch) and not last.n and not batch.n
        if isinstance(last, Batch) and counts_alone and last.origin == batch.origin:
            self._items[-1] = joined([last, batch])  # so that they fill no memory
        else:
            self._items.append(batch)
        self.waiting += batch.n
        self.largest = max(self.largest, min(self.waiting, self.size))
        self._changed.notify_all()

    def _drop_oldest(self) -> None:
        first, gone = list[LateLabel](), list[Batch]()
        while self.waiting > self.size:
            oldest = self._items.popleft()
            if isinstance(oldest, LateLabel):
                first.append(oldest)
                continue
            n = min(self.waiting - self.size, oldest.n)
            head, rest = oldest.cut(n)
            gone.append(head.rows(slice(0))._replace(dropped=head.dropped + n))
            self.waiting -= n
            if rest.n or self.waiting <= self.size:
                before = joined([*gone, rest])  # its samples, with the counts of all
                self._items.appendleft(before)
        self._items.extendleft(reversed(first))
