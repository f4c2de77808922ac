"""Memory for several samples in flight at once: a ring of R slots.

Sample t lies in slot t mod R of every array: what is kept of it, and scratch. A row begins on a
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
    """What `InputSynapses` keeps of a sample, by the same names, a row for each slot."""

    x: Array
    Kx: Array
    WKS: Array  # (R, k n_1), or without columns where none is kept


def allocate(
    work: Work, syn: InputSynapses, slots: int, *, stash: bool = False
) -> tuple[Work, Inputs]:
    """``slots`` rows of zeros for each array of ``work``, and for the input.

    stash: whether the WK of each sample's standard pass is kept.
    """
    kept = syn._replace(WKS=syn.WK if stash else syn.WKS)._asdict()
    work = work._replace(next_h=work.h[:0], next_a=work.a[:0])  # S and M are items of their own
    return (
        Work(**{name: _rows(array, slots) for name, array in work._asdict().items()}),
        Inputs(**{name: _rows(kept[name], slots) for name in Inputs._fields}),
    )


def _rows(like: NDArray[Any], slots: int) -> NDArray[Any]:
    line = CACHE_LINE // like.itemsize
    return aligned(np.zeros((slots, -(-like.size // line) * line)), like.dtype)


def work_at(net: Layers, ring: Work, slot: int) -> Work:
    """The activities and the scratch of the sample in a slot."""
    units, outputs = int(net.unit[-1] + net.sizes[-1]), int(net.sizes[-1])
    widths = dict.fromkeys(("c", "e", "y"), outputs)
    mine = {name: rows[slot][: widths.get(name, units)] for name, rows in ring._asdict().items()}
    return Work(**mine)


def synapses_at(s: InputSynapses, ring: Inputs, slot: int) -> InputSynapses:
    """The input synapses, with the sample in a slot as their input."""
    stashed = ring.WKS[slot][: s.WK.size].reshape(s.WK.shape) if ring.WKS.shape[1] else s.WKS
    return s._replace(x=ring.x[slot][: s.x.size], Kx=ring.Kx[slot][: s.Kx.size], WKS=stashed)
