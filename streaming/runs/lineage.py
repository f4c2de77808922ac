"""Where a run goes on from: the learner of another run, and a source as that learner sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from rate_models.errors import BadOption
from streaming.learner.labels import listed
from streaming.samples.source import Chunk, Source, Wrapped


class Lineage(BaseModel):
    """What a run goes on from, as its ``config.json`` has it.

    parent: the folder of the run before. samples_seen: what its learner had learned from, in all
    runs. sha256: of ``checkpoint/arrays.safetensors`` there. classes: of the learner; None for
    regression. epoch: passes over the same source before this run, whose orders are not repeated.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    parent: str
    samples_seen: Annotated[int, Field(ge=0)]
    sha256: str
    classes: tuple[str | int | bool, ...] | None
    epoch: Annotated[int, Field(ge=0)] = 0


class Continued(Wrapped):
    """``source`` for a learner that knows ``lineage.classes``, of which it may have some only.

    Its first epoch is number ``lineage.epoch`` of the source. All else is the source's.
    Raises BadOption where the learner cannot learn its labels.
    """

    def __init__(self, source: Source, lineage: Lineage) -> None:
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
        if unknown := [label for label in source.classes or () if label not in known]:
            raise BadOption(
                f"--source {source.name}",
                got=f"labels that the learner does not know: {listed(unknown)}",
                expected=f"labels among {listed(lineage.classes or ())}",
                remedy="start a new run, whose output has a unit for each",
            )

    def chunks(self, epoch: int, start: int = 0, size: int = 256) -> Iterator[Chunk]:
        """As the source's, whose earlier epochs were other runs'."""
        return self._source.chunks(epoch + self._epoch, start, size)
