"""States of networks as releases up to 0.1 stored them.

Those kept no block of pending updates, but for each input the step up to which its weights were
current (``upto``, with momentum or weight decay), or one update of its own (``pending_x`` η x of a
sample whose teaching signal is in the row ``pending_at`` of ``pending_post``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rate_models.compiler.kernel import Array
from rate_models.kernels.input_synapses import ROOM

_OWN = ("upto", "map", "pending_post", "pending_x", "pending_at", "counts")
_OF_A_SAMPLE = ("rows", "active", "shift")


def upgraded(arrays: dict[str, Any]) -> dict[str, Any]:
    """The same state as it is stored now; ``arrays`` itself where it is of this kind already."""
    if not {f"input.{name}" for name in _OWN} <= arrays.keys():
        return arrays
    state = {name: np.array(array) for name, array in arrays.items()}
    old = {name: state.pop(f"input.{name}") for name in _OWN}
    S, V, K = state["input.S"], state["input.V"], state["input.K"]
    if V.size:
        _catch_up(S, V, old)
    due = np.flatnonzero(old["pending_x"])
    S[due] -= old["pending_x"][due, None] * old["pending_post"][old["pending_at"][due]]
    widths = {"post": S.shape[1], "pre": len(S)} | dict.fromkeys(
        ("c", "Kpre"), len(state["input.U"])
    )
    state |= {f"input.{name}": np.zeros((ROOM, n), S.dtype) for name, n in widths.items()}
    state |= {f"input.{name}": np.zeros(ROOM) for name in ("alpha", "beta")}
    state |= {"input.K": np.ascontiguousarray(K.T), "input.map": np.array([1.0, 0.0, 0.0, 1.0])}
    state["input.pending"] = np.zeros(2, np.int64)
    for x, rows, active in zip(
        *(state.get(f"gathered.{name}", ()) for name in ("x", "rows", "active")), strict=True
    ):  # in mini-batches x held numbers of earlier samples where this one was zero
        silent = np.ones(len(x), bool)
        silent[rows[: active[0]]] = False
        x[silent] = 0
    dropped = {f"{kind}.{name}" for kind in ("waiting", "gathered") for name in _OF_A_SAMPLE}
    return {name: array for name, array in state.items() if name not in dropped}


def _catch_up(S: Array, V: Array, old: dict[str, Array]) -> None:
    """Let momentum and weight decay act on each row as often as they have on the others."""
    (mu, decay), steps = old["map"].astype(float), int(old["counts"][0])
    for gap in np.unique(steps - old["upto"]):
        (a, b), (c, d) = np.linalg.matrix_power([[mu, decay], [-mu, 1 - decay]], int(gap))
        rows = steps - old["upto"] == gap
        S[rows], V[rows] = c * V[rows] + d * S[rows], a * V[rows] + b * S[rows]
