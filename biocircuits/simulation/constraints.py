"""Constraints on synaptic weights: bounds, discrete levels and Dale's law.

Constraints apply to synapses. A projection from a neuron of constant rate represents the
excitability of its target (a bias, the running mean of a rate), which may take any value. The
projection to an observer is no synapse either. Bounds and levels apply to plastic synapses, to the
matrix w as `parameters` returns it. Dale's law applies to all synapses: the effective weights s w
of a neuron, with s the sign of the projection, have one sign for all its targets. Interneurons
inhibit. Of the other neurons, the fraction ``excitatory`` excites, drawn by the seed. The signed
rate of a modulator represents a pair of cells, so its weights have no common sign.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from biocircuits.description.circuit import Circuit
from biocircuits.description.projections import Projection
from rate_models import network
from rate_models.compiler.kernel import Array
from rate_models.errors import BadOption

if TYPE_CHECKING:
    from biocircuits.simulation.settings import Settings

Signs = Array | float  # of each presynaptic neuron (m,); 0: Dale's law does not apply


def check(settings: Settings) -> None:
    """Raise BadOption where no weight can satisfy bounds, levels and signs together."""
    low, high = bounds(settings)
    if not low < high:
        raise BadOption("low and high", got=f"{low:g} and {high:g}", expected="low below high")
    if settings.bits and not np.isfinite([low, high]).all():
        raise BadOption("bits", got=settings.bits, remedy="set the range, low and high, too")
    if settings.dale and not low <= 0 <= high:
        got = f"low {low:g}, high {high:g}"
        raise BadOption("bounds with dale", got=got, expected="0 between them")


def bounds(settings: Settings) -> tuple[float, float]:
    """low and high as numbers, infinite where they are not set."""
    low, high = settings.low, settings.high
    return -np.inf if low is None else low, np.inf if high is None else high


def is_synapse(circuit: Circuit, p: Projection) -> bool:
    """Whether constraints apply to the projection."""
    source = circuit.population(p.source_population)
    tonic = source.size == 1 and all(isinstance(c.clamp, float) for c in source.compartments)
    return not (p.one_to_one or p.observer or tonic)


def signs(circuit: Circuit, seed: int, excitatory: float) -> dict[str, Signs]:
    """{projection: the sign of w by Dale's law, (m,) for its presynaptic neurons}.

    >>> from biocircuits import example
    >>> signs(example(), seed=0, excitatory=1.0)
    {'forward': array([1., 1.]), 'feedback': array([1., 1.])}
    """
    rng = np.random.default_rng([seed, network.SIGNS])
    by_population: dict[str, Signs] = {}
    for population in circuit.populations:
        drawn = np.where(rng.random(population.size) < excitatory, 1.0, -1.0)
        fixed: dict[str, Signs] = {"interneuron": -np.ones(population.size), "modulator": 0.0}
        by_population[population.name] = fixed.get(population.kind, drawn)
    synapses = [p for p in circuit.projections if is_synapse(circuit, p)]
    return {p.name: np.sign(p.sign) * by_population[p.source_population] for p in synapses}


def begin(w: Array, plastic: bool, settings: Settings, sign: Signs) -> None:
    """Constrain initial weights (n, m) in place.

    Dale's law: |w| with the required sign. Plastic weights are then put within the bounds and on a
    level. Weights that satisfy the constraints do not change.
    """
    if settings.dale:
        w[...] = np.where(sign == 0, w, np.abs(w) * sign)
    if plastic:
        apply(w, settings, sign, None)


def apply(w: Array, settings: Settings, sign: Signs, rng: np.random.Generator | None) -> None:
    """Constrain weights (n, m) in place after an update.

    By Dale's law, a weight of the wrong sign becomes 0. Bounds then clip the weight. Levels are
    reached by stochastic rounding, upwards with a probability equal to the fraction of a level, so
    that changes smaller than a level count on average; without ``rng``, to the nearest level.

    >>> from biocircuits.simulation.settings import Settings
    >>> w = np.array([[0.5, -2.0]])
    >>> apply(w, Settings(low=-1.0, high=1.0), 0.0, None)
    >>> w
    array([[ 0.5, -1. ]])
    """
    low, high = bounds(settings)
    if settings.dale:
        w[w * sign < 0] = 0
    if low > -np.inf or high < np.inf:
        np.clip(w, low, high, out=w)
    if settings.bits:
        top = 2**settings.bits - 1
        step = (high - low) / top
        up = 0.5 if rng is None else rng.random(w.shape)
        level = np.floor((w - low) / step + up)
        if settings.dale:  # rounded across 0: take the next level
            level += np.where((low + step * level) * sign < 0, sign, 0)
        w[...] = low + step * np.clip(level, 0, top)
