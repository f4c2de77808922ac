"""Room for several samples on their way through the layers at once: a ring of places.

Sample t lies in place t mod R of every array: what is kept of it, and scratch. A row begins on a
cache line, so that two samples share none.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rate_models.compiler.kernel import CACHE_LINE, Array, aligned, stage
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
    kept = syn._replace(WKS=syn.WKS if stash else syn.WKS[:0])
    return (
        Work(*(_rows(array, places) for array in work)),
        Inputs(*(_rows(getattr(kept, name), places) for name in Inputs._fields)),
    )


def bounds(syn: InputSynapses, prefix: str) -> dict[str, tuple[int, int]]:
    """The smallest and largest whole numbers in `Inputs`, by their names after ``prefix``."""
    return {f"{prefix}rows": (0, len(syn.x) - 1), f"{prefix}active": (0, len(syn.x))}


def _rows(like: NDArray[Any], places: int) -> NDArray[Any]:
    line = CACHE_LINE // like.itemsize
    return aligned(np.zeros((places, -(-like.size // line) * line)), like.dtype)


@stage
def work_at(net: Layers, ring: Work, place: int) -> Work:
    """The activities and the scratch of the sample in a place."""
    last = net.sizes.size - 1
    units, outputs = net.unit[last] + net.sizes[last], net.sizes[last]
    return Work(
        ring.a[place][:units],
        ring.h[place][:units],
        ring.p[place][:units],
        ring.q[place][:units],
        ring.delta[place][:units],
        ring.post[place][:units],
        ring.c[place][:outputs],
        ring.e[place][:outputs],
        ring.y[place][:outputs],
        ring.a0[place][:units],
        ring.h0[place][:units],
    )


@stage
def synapses_at(s: InputSynapses, ring: Inputs, place: int) -> InputSynapses:
    """The input synapses, with the sample in a place as their input."""
    n, k, wks = s.x.size, s.Kx.size, s.WK
    if ring.WKS.shape[1] > 0:
        wks = ring.WKS[place][: s.WK.size].reshape(s.WK.shape)
    return InputSynapses(
        s.S,
        s.V,
        s.K,
        s.G,
        s.U,
        s.VU,
        s.WK,
        s.VWK,
        wks,
        s.upto,
        s.map,
        s.pending_post,
        s.pending_x,
        s.pending_at,
        ring.rows[place][:n],
        ring.active[place][:1],
        ring.x[place][:n],
        ring.Kx[place][:k],
        ring.shift[place][: s.shift.size],
        s.counts,
    )
