"""Saving a learner to a checkpoint and restoring it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from rate_models.errors import BadOption, Diverged
from streaming.files import checkpoint
from streaming.learner import arguments, implementation
from streaming.learner.facts import Facts
from streaming.learner.following import Following
from streaming.learner.restoring import beyond, check_count

Array = NDArray[Any]


class Stored(Facts):
    """The methods of `OnlineLearner` that save and restore its state."""

    _rates: Following
    skipped: int

    def save(
        self,
        folder: str | os.PathLike[str],
        extra_arrays: Mapping[str, Array] | None = None,
        extra_meta: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a checkpoint. A learner loaded from it continues bit for bit.

        extra_arrays, extra_meta: stored beside the learner; `checkpoint.read` returns them.
        Raises Diverged if a number of the state is not finite or too large to be used. An existing
        checkpoint then stays unchanged.
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
        """Arrays and meta of a checkpoint: copies of the current state.

        ``meta["learner"]`` has the arguments of the constructor.
        """
        measured, follows = self._rates.state()
        parts = {
            "network": self._network.state(),
            "scaler": self._scaler.state(),
            "targets": self._targets.state(),
            "rate": measured,
        }
        arrays = {f"{p}.{name}": a for p, state in parts.items() for name, a in state.items()}
        built_with = {name: getattr(self, name) for name in arguments.names(type(self))}
        network = self._network
        built_with |= implementation.references(
            network.definition, implementation.circuit_of(network)
        )
        meta = {
            "learner": {**built_with, **self._network.options},
            "features": self._entry.features,
            "skipped": self.skipped,
            "samples_seen": self.samples_seen,
            "follows": follows,
        }
        return arrays, meta

    def _take(self, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> None:
        """Restore what `_stored` returned. Raises if the state does not fit this learner."""
        self._network.load_state(checkpoint.part("network.", arrays))
        self._scaler.load_state(checkpoint.part("scaler.", arrays))
        self._targets.load_state(checkpoint.part("targets.", arrays))
        follows = meta.get("follows", ())  # older checkpoints have none
        self._rates.load_state(checkpoint.part("rate.", arrays), follows)
        self._entry.take_features(meta["features"])
        self.skipped = check_count("skipped", meta["skipped"])
        if odd := beyond(self._stored()[0], self.dtype):
            raise BadOption(odd, got="infinite, NaN or huge numbers", expected="finite numbers")
