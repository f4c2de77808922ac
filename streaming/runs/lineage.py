"""The origin of a run that goes on from another run, and its source with the same classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from rate_models.errors import BadOption
from streaming.learner.labels import listed
from streaming.samples.source import Chunk, Source, Wrapped


class Lineage(BaseModel):
    """The origin of a run, as stored in its ``config.json``.

    parent: the folder of the earlier run. samples_seen: how many samples its learner had learned,
    in all runs. sha256: the hash of ``checkpoint/arrays.safetensors`` there. classes: the classes
    of the learner; None for regression. epoch: the number of passes over the same source before
    this run; the sample order continues with the next one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    parent: str
    samples_seen: Annotated[int, Field(ge=0)]
    sha256: str
    classes: tuple[str | int | bool, ...] | None
    epoch: Annotated[int, Field(ge=0)] = 0


class Continued(Wrapped):
    """``source`` for a learner with the classes ``lineage.classes``.

    The source may have only some of these classes; if the learner ``grows``, also others.
    The first epoch is number ``lineage.epoch`` of
    the source. Everything else is that of the source.
    Raises BadOption if the learner cannot learn the labels of the source.
    """

    def __init__(self, source: Source, lineage: Lineage, grows: bool = False) -> None:
        super().__init__(source)
        self._epoch, self.classes = lineage.epoch, lineage.classes
        if (source.classes is None) is not (lineage.classes is None):
            kinds = {True: "numbers to predict", False: "labels of classes"}
            raise BadOption(
                f"--source {source.name}",
                got=kinds[source.classes is None],
                expected=f"{kinds[lineage.classes is None]}, as {lineage.parent} has",
            )
        known = set(lineage.classes or ())
        unknown = [label for label in source.classes or () if label not in known]
        if grows and unknown:
            self.classes = (*(lineage.classes or ()), *unknown)
        elif unknown:
            raise BadOption(
                f"--source {source.name}",
                got=f"labels that the learner does not know: {listed(unknown)}",
                expected=f"labels among {listed(lineage.classes or ())}",
                remedy="start a new run, whose output has a unit for each, or --classes grow",
            )

    def chunks(self, epoch: int, start: int = 0, size: int = 256) -> Iterator[Chunk]:
        """As `Source.chunks`; earlier epochs of the source belong to earlier runs."""
        return self._source.chunks(epoch + self._epoch, start, size)

    def drift_now(self, position: int) -> None:
        """As `Source.drift_now`, counted from the beginning of this run."""
        super().drift_now(position + self._epoch * (self.length or 0))

    def drifts(self, samples: int) -> Sequence[int]:
        """As `Source.drifts`, counted from the beginning of this run."""
        before = self._epoch * (self.length or 0)
        return tuple(at - before for at in self._source.drifts(before + samples) if at >= before)
