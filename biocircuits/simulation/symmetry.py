"""Breaking the symmetry of a circuit: weights that start as each other's mirror image.

Some circuits work best where one matrix is another's transpose, or a multiple of it: interneurons
that hear and inhibit by Q, or that predict what comes from above. No cell can copy a synapse, so
the question is what is left when the two start apart.
"""

from __future__ import annotations

import numpy as np

from biocircuits.description.circuit import Circuit, weights_of
from biocircuits.simulation import constraints
from rate_models.compiler.kernel import Array
from rate_models.errors import BadOption
from rate_models.network import Parameters


def pairs(circuit: Circuit, params: Parameters) -> list[tuple[str, str]]:
    """Pairs of projections, of different parameters, that are multiples or transposes of another.

    >>> from biocircuits import example
    >>> pairs(example(), {"W": [np.eye(2)], "F": 2 * np.eye(2)})
    [('forward', 'feedback')]
    """
    found = [p for p in circuit.projections if p.parameter and constraints.is_synapse(circuit, p)]
    pairs = []
    for i, second in enumerate(found):
        for first in found[:i]:
            a, b = weights_of(first, params), weights_of(second, params)
            if first.parameter != second.parameter and (_mirrored(a, b) or _mirrored(a.T, b)):
                pairs.append((first.name, second.name))
                break
    return pairs


def broken(circuit: Circuit, params: Parameters, size: float, rng: np.random.Generator) -> None:
    """Add noise to the second of every mirrored pair, in place.

    size: standard deviation of the noise, relative to the root mean square of the weights.
    Raises BadOption where nothing is mirrored.
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
