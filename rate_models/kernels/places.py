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


@stage
def work_at(net: Layers, ring: Work, place: int) -> Work:
    """The activities and the scratch of the sample in a place."""
    last = net.sizes.size - 1
    units, outputs = net.unit[last] + net.sizes[last], net.sizes[last]
    return Work(
        a=ring.a[place][:units],
        h=ring.h[place][:units],
        p=ring.p[place][:units],
        q=ring.q[place][:units],
        delta=ring.delta[place][:units],
        post=ring.post[place][:units],
        c=ring.c[place][:outputs],
        e=ring.e[place][:outputs],
        y=ring.y[place][:outputs],
        a0=ring.a0[place][:units],
        h0=ring.h0[place][:units],
    )


@stage
def synapses_at(s: InputSynapses, ring: Inputs, place: int) -> InputSynapses:
    """The input synapses, with the sample in a place as their input."""
    n, k, wks = s.x.size, s.Kx.size, s.WK
    if ring.WKS.shape[1] > 0:
        wks = ring.WKS[place][: s.WK.size].reshape(s.WK.shape)
    return InputSynapses(
        S=s.S,
        V=s.V,
        K=s.K,
        G=s.G,
        U=s.U,
        VU=s.VU,
        WK=s.WK,
        VWK=s.VWK,
        WKS=wks,
        upto=s.upto,
        map=s.map,
        pending_post=s.pending_post,
        pending_x=s.pending_x,
        pending_at=s.pending_at,
        rows=ring.rows[place][:n],
        active=ring.active[place][:1],
        x=ring.x[place][:n],
        Kx=ring.Kx[place][:k],
        shift=ring.shift[place][: s.shift.size],
        counts=s.counts,
    )
