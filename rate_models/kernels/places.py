"""Room for several samples on their way through the layers at once: a ring of places.

Sample t lies in place t mod R of every array: what is kept of it, and scratch. A row begins on a
cache line, so that two samples share none.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rate_models.compiler.kernel import CACHE_LINE, Array, aligned
from rate_models.kernels.input_synapses import InputSynapses
from rate_models.kernels.layers import Layers, Work


class Inputs(NamedTuple):
    """What `InputSynapses` keeps of a sample, by the same names, a row for each place."""

    rows: NDArray[np.int64]
    active: NDArray[np.int64]
    x: Array
    Kx: Array
    shift: Array
    WKS: Array  # (places, k n_1), or without columns where none is kept


def allocate(
    work: Work, syn: InputSynapses, places: int, *, stash: bool = False
) -> tuple[Work, Inputs]:
    """``places`` rows of zeros for each array of ``work``, and for the input.

    stash: whether the WK of each sample's standard pass is kept.
    """
    kept = syn._replace(WKS=syn.WKS if stash else syn.WKS[:0])._asdict()
    return (
        Work(**{name: _rows(array, places) for name, array in work._asdict().items()}),
        Inputs(**{name: _rows(kept[name], places) for name in Inputs._fields}),
    )


def bounds(syn: InputSynapses, prefix: str) -> dict[str, tuple[int, int]]:
    """The smallest and largest whole numbers in `Inputs`, by their names after ``prefix``."""
    return {f"{prefix}rows": (0, len(syn.x) - 1), f"{prefix}active": (0, len(syn.x))}


def _rows(like: NDArray[Any], places: int) -> NDArray[Any]:
    line = CACHE_LINE // like.itemsize
    return aligned(np.zeros((places, -(-like.size // line) * line)), like.dtype)


def work_at(net: Layers, ring: Work, place: int) -> Work:
    """The activities and the scratch of the sample in a place."""
    units, outputs = int(net.unit[-1] + net.sizes[-1]), int(net.sizes[-1])
    widths = [outputs if name in ("c", "e", "y") else units for name in Work._fields]
    return Work(*(rows[place][:width] for rows, width in zip(ring, widths, strict=True)))


def synapses_at(s: InputSynapses, ring: Inputs, place: int) -> InputSynapses:
    """The input synapses, with the sample in a place as their input."""
    mine = {name: getattr(ring, name)[place][: getattr(s, name).size] for name in Inputs._fields}
    mine["WKS"] = mine["WKS"].reshape(s.WK.shape) if ring.WKS.shape[1] else s.WK
    return s._replace(**mine)
