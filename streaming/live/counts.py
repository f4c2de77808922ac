"""What became of each message of a live stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from rate_models.errors import BadOption
from rate_models.support.bounds import MOST


@dataclass
class Counts:
    """Numbers of samples; received = learned + dropped + malformed + unlabelled + merged + waiting.

    received: messages that should be samples, as far as they have left the queue. learned: samples
    learned from. dropped: by the queue. malformed: refused. unlabelled: their label did not come in
    time. merged: samples that signal steps merged into windows or thinned out. waiting: for their
    label or for being learned.

    missed: samples that the source sent, by its own numbers, and that were never received.
    labels_unmatched: late labels without a sample. labels_malformed, labels_dropped: late labels
    that were refused, or dropped as too many waited. reconnects: how often the connection was
    established again.
    """

    received: int = 0
    learned: int = 0
    dropped: int = 0
    malformed: int = 0
    unlabelled: int = 0
    merged: int = 0
    missed: int = 0
    labels_unmatched: int = 0
    labels_malformed: int = 0
    labels_dropped: int = 0
    reconnects: int = 0

    @property
    def waiting(self) -> int:
        """Samples received that are not yet learned, dropped or refused."""
        done = self.learned + self.dropped + self.malformed + self.unlabelled + self.merged
        return self.received - done

    def get(self) -> dict[str, int]:
        """All counts by name, with ``waiting``."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**values, "waiting": self.waiting}

    @classmethod
    def restored(cls, values: Mapping[str, Any]) -> Counts:
        """The counts that `get` returned. Raises BadOption for anything else."""
        names = [field.name for field in fields(cls)]
        for name in names:
            value = values.get(name)
            if type(value) is not int or not 0 <= value <= MOST:
                raise BadOption(f"count {name}", got=repr(value), expected="a count")
        counts = cls(**{name: values[name] for name in names})
        if counts.waiting < 0:
            raise BadOption("counts", got=f"{counts.received} received", expected="their sum")
        return counts
