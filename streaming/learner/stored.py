"""What a checkpoint holds of a learner, written and taken over again."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from rate_models.errors import BadOption, Diverged
from streaming.files import checkpoint
from streaming.learner import realisation
from streaming.learner.facts import Facts
from streaming.learner.following import Following
from streaming.learner.restoring import beyond, check_count

Array = NDArray[Any]


def arguments(kind: type[Stored]) -> tuple[str, ...]:
    """The names of the arguments of ``kind``, without the options of its network."""
    parameters = inspect.signature(kind).parameters.values()
    return tuple(p.name for p in parameters if p.kind is not p.VAR_KEYWORD)


class Stored(Facts):
    """The side of `OnlineLearner` that is saved."""

    _rates: Following
    skipped: int

    def save(
        self,
        folder: str | os.PathLike[str],
        extra_arrays: Mapping[str, Array] | None = None,
        extra_meta: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a checkpoint; what is loaded from it goes on bit for bit.

        extra_arrays, extra_meta: kept beside the learner, read by `checkpoint.read`.
        Raises Diverged, with what is there left as it is, where a number of the state is not finite
        or beyond all use.
        """
        with self._network.lock:
            arrays, meta = self._stored()
        if odd := beyond(arrays, self.dtype):
            raise Diverged(
                f"{odd} after {meta['samples_seen']} samples", got="infinite, NaN or huge numbers",
                remedy=f"it is not saved; lower the learning rate (lr={self.lr:g})",
            )  # fmt: skip
        checkpoint.write(folder, arrays | dict(extra_arrays or {}), meta | dict(extra_meta or {}))

    def _stored(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays and meta of a checkpoint: copies, as things stand now.

        ``meta["learner"]`` has the arguments that a learner is built with.
        """
        measured, follows = self._rates.state()
        parts = {
            "network": self._network.state(),
            "scaler": self._scaler.state(),
            "targets": self._targets.state(),
            "rate": measured,
        }
        arrays = {f"{p}.{name}": a for p, state in parts.items() for name, a in state.items()}
        built_with = {name: getattr(self, name) for name in arguments(type(self))}
        network = self._network
        built_with |= realisation.named(network.definition, realisation.circuit_of(network))
        meta = {
            "learner": {**built_with, **self._network.options},
            "features": self._door.features,
            "skipped": self.skipped,
            "samples_seen": self.samples_seen,
            "follows": follows,
        }
        return arrays, meta

    def _take(self, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> None:
        """Take over what `_stored` gave; raises where it cannot be that of this learner."""
        self._network.load_state(checkpoint.part("network.", arrays))
        self._scaler.load_state(checkpoint.part("scaler.", arrays))
        self._targets.load_state(checkpoint.part("targets.", arrays))
        follows = meta.get("follows", ())  # checkpoints of before have none
        self._rates.load_state(checkpoint.part("rate.", arrays), follows)
        self._door.take_features(meta["features"])
        self.skipped = check_count("skipped", meta["skipped"])
        if odd := beyond(self._stored()[0], self.dtype):
            raise BadOption(odd, got="infinite, NaN or huge numbers", expected="finite numbers")
