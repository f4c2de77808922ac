"""What a real synapse cannot do: bounds, levels, signs.

They bind synapses. What comes from a neuron that always says the same is its target's own
excitability (a bias, the running mean of a rate), which may take any value, and an observer's
reading is no synapse. Bounds and levels are for plastic synapses, of the matrix w as `parameters`
shows it. Dale's law is for all synapses: what a neuron sends, s w with s of the projection, has one
sign for all its targets. Interneurons inhibit; of other neurons the share ``excitatory``, drawn by
the seed, excites. A modulator's signed rate stands for a pair of cells, which has no one sign.
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

Signs = Array | float  # of each presynaptic neuron (m,); 0 for a synapse without a law


def check(settings: Settings) -> None:
    """BadOption where bounds, levels and signs leave no weight that obeys them all."""
    low, high = bounds(settings)
    if not low < high:
        raise BadOption("low and high", got=f"{low:g} and {high:g}", expected="low below high")
    if settings.bits and not np.isfinite([low, high]).all():
        raise BadOption("bits", got=settings.bits, remedy="set low and high, its range, too")
    if settings.dale and not low <= 0 <= high:
        got = f"low {low:g}, high {high:g}"
        raise BadOption("bounds beside dale", got=got, expected="0 between them")


def bounds(settings: Settings) -> tuple[float, float]:
    """low and high as numbers; infinite where they are not set."""
    low, high = settings.low, settings.high
    return -np.inf if low is None else low, np.inf if high is None else high


def is_synapse(circuit: Circuit, p: Projection) -> bool:
    """Whether what is said here binds the projection."""
    source = circuit.population(p.source_population)
    tonic = source.size == 1 and all(isinstance(c.clamp, float) for c in source.compartments)
    return not (p.one_to_one or p.observer or tonic)


def signs(circuit: Circuit, seed: int, excitatory: float) -> dict[str, Signs]:
    """By projection, the sign of w that Dale's law asks for, (m,) one per presynaptic neuron.

    >>> from biocircuits import example
    >>> signs(example(), seed=0, excitatory=1.0)
    {'forward': array([1., 1.]), 'feedback': array([1., 1.])}
    """
    rng = np.random.default_rng([seed, network.SIGNS])
    of: dict[str, Signs] = {}
    for population in circuit.populations:
        drawn = np.where(rng.random(population.size) < excitatory, 1.0, -1.0)
        fixed: dict[str, Signs] = {"interneuron": -np.ones(population.size), "modulator": 0.0}
        of[population.name] = fixed.get(population.kind, drawn)
    found = [p for p in circuit.projections if is_synapse(circuit, p)]
    return {p.name: np.sign(p.sign) * of[p.source_population] for p in found}


def begin(w: Array, plastic: bool, settings: Settings, sign: Signs) -> None:
    """Weights (n, m) at the start: |w| with the sign of the law, within bounds, on levels.

    Weights that obey already stay as they are.
    """
    if settings.dale:
        w[...] = np.where(sign == 0, w, np.abs(w) * sign)
    if plastic:
        apply(w, settings, sign, None)


def apply(w: Array, settings: Settings, sign: Signs, rng: np.random.Generator | None) -> None:
    """Put weights (n, m) that have learned back to where they may be.

    Dale's law: a weight of the other sign becomes 0. Then the bounds. Then levels, by stochastic
    rounding: up with the probability of the way already gone, so that changes smaller than a level
    count on average; to the nearest without ``rng``.

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
        if settings.dale:  # rounded across 0: the neighbour on the right side
            level += np.where((low + step * level) * sign < 0, sign, 0)
        w[...] = low + step * np.clip(level, 0, top)
