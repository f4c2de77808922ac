"""Saving a learner to a checkpoint and restoring it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Self

from numpy.typing import NDArray

from rate_models.errors import (
    BadOption,
    DamagedCheckpoint,
    Diverged,
    MissingData,
    OtherFile,
    UserError,
)
from streaming.files import checkpoint
from streaming.learner import arguments, implementation
from streaming.learner.facts import Facts
from streaming.learner.following import Following
from streaming.learner.labels import as_array
from streaming.learner.restoring import beyond, check_count, check_room

Array = NDArray[Any]


class Stored(Facts):
    """The methods of `OnlineLearner` that save and restore its state."""

    _rates: Following
    _labels: Array | None
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

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """The learner of a checkpoint; DamagedCheckpoint when there is none that is whole."""
        return cls.restored(*checkpoint.read(folder), folder)

    @classmethod
    def restored(
        cls, arrays: Mapping[str, Array], meta: Mapping[str, Any], folder: str | os.PathLike[str]
    ) -> Self:
        """The learner of what `checkpoint.read` gave; DamagedCheckpoint where it cannot be one."""
        try:
            options = meta["learner"]
            check_room(options, arrays)
            learner = cls(**options)
            learner._take(arrays, meta)
        except (OtherFile, MissingData):  # the checkpoint is whole
            raise
        except Exception as problem:  # a crafted file can raise anything
            clear = isinstance(problem, UserError | LookupError | TypeError)
            raise DamagedCheckpoint(
                f"checkpoint {folder}",
                got=problem if clear else f"{type(problem).__name__} ({problem})",
                expected="the learner of this version of dendrostream",
            ) from problem
        return learner

    def _stored(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays and meta of a checkpoint: copies of the current state.

        ``meta["learner"]`` has the arguments of the constructor.
        """
        measured, by_formula = self._rates.state()
        parts = {
            "network": self._network.state(),
            "scaler": self._scaler.state(),
            "targets": self._targets.state(),
            "rate": measured,
            "filler": {} if self._filler is None else self._filler.state(),
        }
        arrays = {f"{p}.{name}": a for p, state in parts.items() for name, a in state.items()}
        built_with = {name: getattr(self, name) for name in arguments.names(type(self))}
        network = self._network
        built_with |= implementation.references(
            network.definition, implementation.circuit_of(network)
        )
        grows = {"classes": self._entry.new_classes, "features": self._entry.new_features}
        built_with |= {name: "grow" for name, one in grows.items() if one}
        if not grows["features"]:
            built_with["features"] = None
        meta = {
            "learner": {**built_with, **self._network.options},
            "features": self._entry.features,
            "labels": self.classes if grows["classes"] else None,
            "skipped": self.skipped,
            "filled": self.filled,
            "samples_seen": self.samples_seen,
            **by_formula,
        }
        return arrays, meta

    def _take(self, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> None:
        """Restore what `_stored` returned. Raises if the state does not fit this learner."""
        self._network.load_state(checkpoint.part("network.", arrays))
        self._scaler.load_state(checkpoint.part("scaler.", arrays))
        self._targets.load_state(checkpoint.part("targets.", arrays))
        self._rates.load_state(checkpoint.part("rate.", arrays), meta)
        self._entry.take(meta["features"], meta.get("labels"))  # older checkpoints have no labels
        if self._labels is not None and self.classes is not None:
            self._labels = as_array(self.classes)
        self.skipped = check_count("skipped", meta["skipped"])
        if self._filler is not None:
            self._filler.load_state(checkpoint.part("filler.", arrays))
            self._filler.filled = check_count("filled", meta["filled"])
        if odd := beyond(self._stored()[0], self.dtype):
            raise BadOption(odd, got="infinite, NaN or huge numbers", expected="finite numbers")
