"""Work items common to several rules: the standard pass, the error, the output layer's update.

Rules declare which arrays a work item reads and writes. `streaming.schedule` derives from that
which item must wait for which other.
"""

from __future__ import annotations

from collections.abc import Sequence

from rate_models.network import NetworkSpec
from rate_models.rules._records import Ref, Task

E, X, Y = ("e", -1), ("h", 0), ("y", -1)


def synapses(spec: NetworkSpec, layer: int) -> int:
    """n_l n_{l-1}: multiply-adds of one sweep over W_l."""
    return spec.sizes[layer] * spec.sizes[layer - 1]


def standard(spec: NetworkSpec) -> list[Task]:
    """S of layers 1..L, and E. The first S stores x and y as well."""
    passes = []
    for layer in range(1, spec.layers + 1):
        reads: tuple[Ref, ...] = (("W", layer),)
        writes: tuple[Ref, ...] = (("h", layer),)
        if layer == 1:
            writes = (X, Y, *writes)
        else:
            reads = (*reads, ("h", layer - 1))
        passes.append(Task("S", layer, synapses(spec, layer), reads, writes))
    return [*passes, Task("E", 0, 0, (("h", spec.layers), Y), (E,))]


def modulated(
    spec: NetworkSpec,
    layer: int,
    reads: Sequence[Ref],
    writes: Sequence[Ref] = (),
    *,
    updates: Sequence[Ref] | None = None,
    sweeps: int = 1,
    more: int = 0,
) -> Task:
    """M of a layer.

    updates: the arrays that it updates; None: W_l. sweeps: how many times it goes through W_l, or
    through a matrix of that size; more: further multiply-adds.
    """
    updated = (("W", layer),) if updates is None else tuple(updates)
    cost = sweeps * synapses(spec, layer) + more
    return Task("M", layer, cost, tuple(reads), tuple(writes), updated)


def output(spec: NetworkSpec) -> Task:
    """M of an output layer that learns from e and h_{L-1}: ΔW_L = δ_L h_{L-1}ᵀ."""
    return modulated(spec, spec.layers, [E, ("h", spec.layers - 1)])


def passed_down(spec: NetworkSpec, through: str = "W") -> list[Task]:
    """All items of a rule in which layer l sends δ_{l-1} down before it learns, as backpropagation.

    through: the array through which layer l sends δ_{l-1}. The first layer learns last.
    """
    learning = []
    for n in range(spec.layers, 0, -1):
        delta = E if n == spec.layers else ("delta", n)
        if n > 1:
            reads, writes = [delta, ("h", n - 1), (through, n)], [("delta", n - 1)]
            learning.append(modulated(spec, n, reads, writes, sweeps=2))
        else:
            learning.append(modulated(spec, 1, [delta, X]))
    return [*standard(spec), *learning]
