"""States of circuits as releases up to 0.1 stored them.

Those stored all memory of the simulation: of each compartment its state, the sum of its currents
and its fixed point, then the outputs of the population; after all populations, the results of
formulas and the delay buffers. No vector and no matrix began on a cache line.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from biocircuits.simulation.layout import Layout
from rate_models.errors import BadOption


def upgraded(arrays: dict[str, Any], layout: Layout, reset: bool) -> dict[str, Any]:
    """The same state as it is stored now; ``arrays`` itself where it is of no earlier release.

    layout: of the circuit that takes over the state. reset: whether it begins each sample at rest.
    Raises BadOption for a circuit that needs the outputs in its delay buffers: their offsets
    depended on all formulas, so that only the release that wrote them can read them.
    """
    offsets, formulas = _offsets(layout)
    if not _is_former(arrays, layout, formulas):
        return arrays
    delayed = [name for kind, name, *_ in layout.offsets if kind == "delayed"]
    if delayed and layout.dt is not None and not reset:
        raise BadOption(
            f"state of circuit {layout.circuit.name}",
            got=f"one of an earlier release, with delays of {', '.join(delayed)}",
            expected="one of this release",
            remedy="continue with the release that wrote it, or load its parameters() by "
            "load_parameters() of a new learner",
        )
    state, weights, begin = np.zeros(layout.lasting), np.zeros(layout.n_weights), 0
    for key in offsets.keys() & layout.offsets.keys():
        n, old, new = layout.sizes[key[1]], offsets[key], layout.offsets[key]
        state[new : new + n] = arrays["state"][old : old + n]
    for at in layout.weights.values():
        n = at.stop - at.start
        weights[at] = arrays["weights"][begin : begin + n]
        begin += n
    return {**arrays, "state": state[layout.given_width :], "weights": weights}


def _is_former(arrays: dict[str, Any], layout: Layout, formulas: int) -> bool:
    """Whether arrays have the lengths of an earlier release, and not those of this one.

    formulas: the former offset of the results of formulas, of which the length is not known.
    """
    given = [np.asarray(arrays.get(name)) for name in ("state", "weights")]
    if any(array.ndim != 1 or array.dtype.kind != "f" for array in given):
        return False
    state, weights = (len(array) for array in given)
    if (state, weights) == (layout.lasting - layout.given_width, layout.n_weights):
        return False
    return state >= formulas and weights == sum(s.stop - s.start for s in layout.weights.values())


def _offsets(layout: Layout) -> tuple[dict[tuple[str, ...], int], int]:
    """The former offsets, by the names in ``Layout.offsets``, and that of the first formula."""
    offsets: dict[tuple[str, ...], int] = {}
    end = 0
    for p in layout.circuit.populations:
        parts = [(kind, c.name) for c in p.compartments for kind in ("state", "current", "ahead")]
        for kind, name in [*parts, *(("out", name) for name in p.outputs)]:
            offsets[kind, p.name, name] = end
            end += p.size
    return offsets, end
