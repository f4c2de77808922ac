"""`TaskSequence`: a stream whose samples are of one task after another."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence

from streaming.samples.source import Chunk, Source, Wrapped

# Defaults of a source that do not suit a stream that changes: a rate that falls stops following it.
UNFIT = ("decay_after",)


class TaskSequence(Wrapped):
    """A source over ``source`` whose samples are of one task after another, of ``n_tasks`` in all.

    A task is a concept (an assignment of labels to inputs) or a group of classes. Subclasses define
    the tasks, so that what was learned of each of them can be tested at any time.

    one_after_another: whether each period learns the next task, and from one sample on.
    """

    n_tasks: int
    one_after_another: bool = True

    def __init__(self, source: Source, name: str) -> None:
        super().__init__(source)
        self.name = name
        self.defaults = {k: v for k, v in source.defaults.items() if k not in UNFIT}

    @property
    def can_drift(self) -> bool:
        """See `Source.can_drift`. That the source inside drifts would not be in ``name``."""
        return False

    def drift_now(self, position: int) -> None:
        """See `Source.drift_now`."""
        Source.drift_now(self, position)

    @abstractmethod
    def held_out(self, task: int, size: int = 1024) -> Iterator[Chunk] | None:
        """The held-out samples of a task, counted from 0; None if the source holds out nothing."""

    @abstractmethod
    def drifts(self, samples: int) -> Sequence[int]:
        """See `Source.drifts`: where a task follows another."""
