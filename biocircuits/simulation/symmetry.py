"""Perturbation of weights that start as mirror images of each other.

Some circuits work best where one matrix is the transpose or a multiple of another, as those of
interneurons that inhibit their own inputs by Q, or that predict top-down input. No cell can copy a
synapse, so the question is how well the circuit works when the two matrices start different.
"""

from __future__ import annotations

import numpy as np

from biocircuits.description.circuit import Circuit, weights_of
from biocircuits.simulation import constraints
from rate_models.compiler.kernel import Array
from rate_models.errors import BadOption
from rate_models.network import Parameters


def pairs(circuit: Circuit, params: Parameters) -> list[tuple[str, str]]:
    """Pairs of projections with different parameters of which one is a multiple of the other.

    A multiple of the transpose counts too.

    >>> from biocircuits import example
    >>> pairs(example(), {"W": [np.eye(2)], "F": 2 * np.eye(2)})
    [('forward', 'feedback')]
    """
    synapses = [p for p in circuit.projections if p.parameter]
    synapses = [p for p in synapses if constraints.is_synapse(circuit, p)]
    pairs = []
    for i, second in enumerate(synapses):
        for first in synapses[:i]:
            a, b = weights_of(first, params), weights_of(second, params)
            if first.parameter != second.parameter and (_mirrored(a, b) or _mirrored(a.T, b)):
                pairs.append((first.name, second.name))
                break
    return pairs


def broken(circuit: Circuit, params: Parameters, size: float, rng: np.random.Generator) -> None:
    """Add noise to the second of every mirrored pair, in place.

    size: standard deviation of the noise, relative to the root mean square of the weights.
    Raises BadOption where no weights are mirrored.
    """
    mirrored = pairs(circuit, params)
    if not mirrored:
        expected = "0: no two of its projections start as mirror images"
        raise BadOption(f"asymmetry of circuit {circuit.name}", got=size, expected=expected)
    for _, name in mirrored:
        parameter = circuit.projection(name).parameter
        assert parameter is not None
        w = params[parameter[0]] if parameter[1] is None else params[parameter[0]][parameter[1]]
        w += size * np.sqrt(np.mean(w**2)) * rng.standard_normal(w.shape)


def _mirrored(a: Array, b: Array) -> bool:
    if a.shape != b.shape or a.size < 2:
        return False
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    return bool(lengths > 0 and abs(np.vdot(a, b)) > (1 - 1e-9) * lengths)
