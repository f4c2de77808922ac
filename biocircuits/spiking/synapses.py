"""Spiking synapses: a presynaptic spike adds its weight to a receptor after a delay."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from biocircuits.spiking.backend import load
from biocircuits.spiking.neurons import Neuron
from biocircuits.spiking.units import quantity
from rate_models.errors import BadOption


def connect(
    source: Any,
    target: Any,
    neuron: Neuron,
    receptor: str,
    weights: ArrayLike,
    name: str,
    delay: Any = "0 ms",
    model: str = "",
    on_pre: str = "",
    on_post: str = "",
    **options: Any,
) -> Any:
    """Synapses from the group ``source`` to ``target``, whose neurons are ``neuron``.

    weights (n_target, n_source): a Quantity in amp or siemens, which a spike adds to the receptor.
    They are stored in the variable ``w``, and weights of 0 have synapses too. delay: one for all,
    or a Quantity of the shape of weights. model, on_pre, on_post: further equations and statements,
    for plasticity. options: of `brian2.Synapses`.

    Raises BadOption for an unknown receptor, and for another shape or unit.
    """
    b = load()
    if receptor not in neuron.receptors:
        expected = f"one of {', '.join(neuron.receptors) or '(the neuron has none)'}"
        raise BadOption(f"receptor of {name}", got=repr(receptor), expected=expected)
    r = neuron.receptors[receptor]
    weights = quantity(f"weights of {name}", weights, r.unit)
    shape = (len(target), len(source))
    if np.shape(weights) != shape:
        at = f"weights of {name}"
        raise BadOption(at, got=f"shape {np.shape(weights)}", expected=f"shape {shape}")
    lines = [f"w : {r.unit}", model] if model else [f"w : {r.unit}"]
    spike = "\n".join([f"{r.variable}_post += w", *([on_pre] if on_pre else [])])
    synapses = b.Synapses(
        source, target, "\n".join(lines), on_pre=spike, on_post=on_post or None, name=name,
        **options,
    )  # fmt: skip
    pre, post = np.indices(shape[::-1]).reshape(2, -1)
    synapses.connect(i=pre, j=post)  # i is the source in Brian 2
    synapses.w = np.asarray(weights).T.ravel() * getattr(b, r.unit)
    delay = quantity(f"delay of {name}", delay, "second")
    if np.any(np.asarray(delay) < 0):
        raise BadOption(f"delay of {name}", got=delay, expected="0 ms or more")
    if np.shape(delay) == shape:
        synapses.pre.delay = np.asarray(delay).T.ravel() * b.second
    else:
        synapses.pre.delay = delay
    return synapses
