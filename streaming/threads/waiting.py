"""The samples in flight between two calls of a network with a schedule, and their state.

With a delay, M of a sample comes after S of the samples that follow it. At the end of a call the
last samples wait in the slots of a ring buffer. With mini-batches, accumulated updates wait for the
end of the batch.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rate_models.compiler import kernel
from rate_models.errors import BadOption
from rate_models.kernels import slots
from rate_models.kernels.layers import Work
from rate_models.online import former_states
from rate_models.online.network import OnlineNetwork
from rate_models.support import bounds
from streaming.schedule.items import Schedule

Array = NDArray[Any]
REMEMBERED = ("layers.change", "layers.pre", "layers.c", "layers.changes")


class Waiting(OnlineNetwork):
    """An `OnlineNetwork` with a ``schedule``, whose samples can be in flight between two calls."""

    schedule: Schedule
    _slots: int  # of the ring buffer
    _ring: Work
    _inputs: slots.Inputs
    _accumulated: slots.Inputs
    _waiting: list[Array]  # masks and noise of the samples that wait for M, a row each

    @property
    def _stashing(self) -> bool:
        return self.schedule.delay > 0 and self.schedule.weights == "stash"

    @property
    def _remembered(self) -> int:
        return self.schedule.batch if self._accumulating else self.schedule.delay * self._stashing

    @property
    def _accumulating(self) -> bool:
        return self.schedule.batch > 1

    def _clear_waiting(self) -> None:
        """Allocate the slots, with no sample in flight."""
        self._waiting = []
        self._resize(self._slots)

    @abstractmethod
    def _resize(self, count: int) -> None:
        """Change the number of slots; samples that wait are moved to the new ones."""

    def _slot_arrays(self) -> dict[str, Array]:
        """The arrays that S and E leave for M, by name; one row per slot."""
        names = ("a", "h", "delta", "e", "y")
        return {name: getattr(self._ring, name) for name in names} | self._inputs._asdict()

    @property
    def waiting(self) -> int:
        """How many samples have been seen but not learned from yet."""
        return len(self._waiting[0]) if self._waiting else 0

    def state(self) -> dict[str, Array]:
        with self.lock:
            return self._state_with_waiting()

    def _state_with_waiting(self) -> dict[str, Array]:
        arrays = super().state()
        if self.schedule.delay:
            at = self._slot_of(np.arange(self.waiting))
            kept = {name: array[at] for name, array in self._slot_arrays().items()}
            kept["delta"][:, : self._net.unit[-1]] = 0  # scratch
            arrays |= {f"waiting.{name}": array for name, array in kept.items()}
            masks, noise = self._waiting or self._no_draws()
            arrays |= {"waiting.masks": masks.copy(), "waiting.noise": noise.copy()}
        return arrays

    def load_state(self, arrays: dict[str, Array]) -> None:
        arrays = former_states.upgraded(arrays)
        stored = {name: array for name, array in arrays.items() if name.startswith("waiting.")}
        rest = {name: a for name, a in arrays.items() if name not in stored}
        slot_arrays = self._slot_arrays() if self.schedule.delay else {}
        draws = ("masks", "noise") if slot_arrays else ()
        if stored.keys() != {f"waiting.{name}" for name in (*slot_arrays, *draws)}:
            raise BadOption("state", got="other arrays", expected=f"those of {self.schedule}")
        with self.lock:
            if not slot_arrays:
                super().load_state(rest)
                self._clear_waiting()
                return
            waiting, values = self._draws_of(stored), self._waiting_of(stored)
            super().load_state(rest)
            self._clear_waiting()
            if len(waiting[0]) > self.samples_seen:
                raise BadOption("waiting", got=len(waiting[0]), expected=f"{self.samples_seen}")
            self._waiting = waiting
            at = self._slot_of(np.arange(self.waiting))
            for name, array in self._slot_arrays().items():
                array[at] = values[name]

    def _draws_of(self, stored: dict[str, Array]) -> list[Array]:
        """Masks and noise of the waiting samples in a state; BadOption if they do not fit."""
        masks, noise = (np.asarray(stored[f"waiting.{name}"]) for name in ("masks", "noise"))
        n, delay = len(masks) if masks.ndim else 0, self.schedule.delay
        if n > delay:
            raise BadOption("waiting", got=f"{n} samples", expected=f"{delay} at most")
        width = sum(self.definition.noise.widths(self.spec, self.hyper)) if n else noise.shape[-1]
        hidden = sum(self.spec.sizes[1:-1]) if masks.shape[-1:] != (0,) else 0
        wanted = (("masks", masks, hidden if n else masks.shape[-1]), ("noise", noise, width))
        return [kernel.coerce(name, a.copy(), self.dtype, (n, width)) for name, a, width in wanted]

    def _waiting_of(self, stored: dict[str, Array]) -> dict[str, Array]:
        """The arrays that S and E left for the waiting samples in a state, checked."""
        n = len(stored["waiting.masks"])
        like = {name: np.zeros((n, a.shape[1]), a.dtype) for name, a in self._slot_arrays().items()}
        return bounds.fitting({name: stored[f"waiting.{name}"] for name in like}, like)

    def _bounds(self, arrays: dict[str, Array]) -> bounds.Bounds:
        limits = {**super()._bounds(arrays)}
        if self._accumulating:  # at most the samples of the mini-batch that has begun
            most = int(arrays["clock"][0]) % self.schedule.batch
            return limits | {"layers.changes": (0, [0, *[most] * self.spec.layers])}
        return limits | {"layers.changes": (0, bounds.MOST)}

    def _arrays(self) -> dict[str, Array]:
        names = REMEMBERED if self._remembered else ()
        own = {name: getattr(self._net, name.removeprefix("layers.")) for name in names}
        if self._accumulating:
            sums = self._accumulated._asdict()
            own |= {f"gathered.{name}": array for name, array in sums.items()}
        return super()._arrays() | own

    def _slot_of(self, t: NDArray[np.int64]) -> NDArray[np.int64]:
        """The slots of samples t, counted from the first waiting sample."""
        return (self.samples_seen - self.waiting + t) % self._slots

    def _no_draws(self) -> list[Array]:
        none = np.zeros((0, 0), self.dtype)
        return [none, none]
