"""The layers of a trained network and their activity, as needed for a conversion to spikes.

Layer l has the current a_l = W_l (v_{l-1} − m_{l-1}) + b_l and the value v_l = s_l(a_l), which
spikes represent. m is a constant that a rule subtracts before the next layer (the running mean of
BMVR), else 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rate_models import network
from rate_models.errors import BadOption
from rate_models.model import activations
from rate_models.network import NetworkSpec
from rate_models.rules import forward

Floats = NDArray[np.float64]
CODED = ("identity", "relu")


class Layer(NamedTuple):
    """One layer and its activity in N samples.

    name: of the population. projection: the name of its weights. weights (n, m) and bias (n,):
    those of a_l = weights v_{l-1} + bias. current (N, n): a_l. value (N, n): v_l, or a_L for the
    output layer. kind: the activation from a_l to v_l, relu or identity.
    """

    name: str
    projection: str
    weights: Floats
    bias: Floats
    current: Floats
    value: Floats
    kind: str


class Trained(NamedTuple):
    """The activity of a network in N samples.

    inputs (N, n_0): v_0. layers: 1..L. outputs (N, n_L): h_L, the output of the rate network.
    """

    inputs: Floats
    layers: tuple[Layer, ...]
    outputs: Floats

    def values(self) -> list[Floats]:
        """[v_0, v_1, ..., v_L]."""
        return [self.inputs, *(layer.value for layer in self.layers)]


def measure(trained: Any, X: ArrayLike, spec: NetworkSpec | None = None) -> Trained:
    """The layers of a network, and their activity for the rows of X (N, n_0).

    trained: `OnlineLearner` (its input scaling is applied to X), `OnlineNetwork`, `CircuitNetwork`
    (the path from input to answer), or parameters {"W": [...], "b": [...]} with their ``spec``.
    Raises BadOption for a hidden layer whose activation is not threshold-linear.
    """
    if hasattr(trained, "scaled"):
        X = trained.scaled(X)
    net = getattr(trained, "network", trained)
    if isinstance(net, Mapping):
        if spec is None:
            raise BadOption("spec", got=None, expected="the NetworkSpec of these parameters")
        params = {"b": [], **net}
    elif not hasattr(net, "parameters"):
        expected = "a learner, a network, a CircuitNetwork, or parameters with their spec"
        raise BadOption("network to convert", got=type(net).__name__, expected=expected)
    else:
        spec, params = net.spec, net.parameters()
    network.check_dense("to_brian2", spec)
    inputs = np.asarray(X, float)
    if inputs.ndim != 2 or inputs.shape[1] != spec.sizes[0] or not len(inputs):
        expected = f"samples as rows of {spec.sizes[0]}"
        raise BadOption("X", got=f"shape {inputs.shape}", expected=expected)
    if not np.isfinite(inputs).all():
        raise BadOption("X", got="NaN or infinite values", expected="finite numbers")
    if isinstance(net, Mapping):
        a, h = network.forward(spec, params, inputs)
    else:
        a, h = forward(net.definition, spec, params, net.hyper, inputs)
    return Trained(inputs, tuple(_layers(spec, params, a, h, _names(net, spec))), np.asarray(h[-1]))


def _layers(
    spec: NetworkSpec, params: Mapping[str, Any], a: list[Any], h: list[Any],
    names: list[tuple[str, str]],
) -> list[Layer]:  # fmt: skip
    layers, shift = [], np.zeros(spec.sizes[0])
    for n in range(1, spec.layers + 1):
        kind, last = spec.names[n - 1], n == spec.layers
        if not last and kind not in CODED:
            remedy = "train with activation='relu', because firing rates are threshold-linear"
            expected = " or ".join(CODED)
            raise BadOption(f"activation of layer {n}", got=kind, expected=expected, remedy=remedy)
        current, W = np.asarray(a[n], float), np.asarray(params["W"][n - 1], float)
        bias = np.asarray(params["b"][n - 1], float) if len(params["b"]) else np.zeros(len(W))
        gain = _gain(n, np.asarray(h[n - 1], float) @ W.T + bias, current)
        value = current if last else np.asarray(activations.apply(kind, current))
        layers.append(
            Layer(*names[n - 1], gain * W, gain * (bias - W @ shift), current, value,
                  "identity" if last else kind)
        )  # fmt: skip
        if not last:
            shift = _shift(n, value, np.asarray(h[n], float))
    return layers


def _gain(n: int, drive: Floats, current: Floats) -> float:
    """The factor from W_l h_{l-1} + b_l to a_l, which conductances determine; 1 without them."""
    power = float((drive * drive).sum())
    gain = float((drive * current).sum()) / power if power else 1.0
    if np.abs(gain * drive - current).max() > 1e-6 * max(np.abs(current).max(), 1e-12):
        expected = "currents that are a multiple of W h + b"
        raise BadOption(f"layer {n}", got="a forward pass of another form", expected=expected)
    return gain


def _shift(n: int, value: Floats, h: Floats) -> Floats:
    """The constant that is subtracted from the value before the next layer."""
    shift: Floats = (value - h).mean(axis=0)
    if np.abs(value - h - shift).max() > 1e-6 * max(np.abs(value).max(), 1e-12):
        expected = "s(a) minus a constant"
        raise BadOption(f"activity of layer {n}", got="another function of a", expected=expected)
    return shift


def _names(net: Any, spec: NetworkSpec) -> list[tuple[str, str]]:
    """(population, projection) of each layer; for a circuit, the names in its description."""
    plain = [(f"hidden_{n}", f"W_{n}") for n in range(1, spec.layers)]
    plain.append(("output", f"W_{spec.layers}"))
    if not hasattr(net, "simulator"):
        return plain
    names = {p.parameter[1]: (p.target.partition(".")[0], p.name)
             for p in net.simulator.circuit.projections
             if p.parameter and p.parameter[0] == "W" and not p.transposed}  # fmt: skip
    return [names.get(n, plain[n]) for n in range(spec.layers)]
