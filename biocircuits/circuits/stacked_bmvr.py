"""BMVR in several layers: each learns the target from the output of the layer below.

    layer l    the circuit `bmvr` with r_{l−1} for x:  z_l = m_l ∘ s_l(W_l z_{l−1}) − z̄_l,  z_0 = x
               p_l = V_lᵀ y − Q_l R_l z_l
               ΔW_l = η (m_l ∘ s_l' ∘ p_l) z_{l−1}ᵀ,  ΔV_l = η_2 (y z_lᵀ − V_l)
               ΔQ_l = η_q (z_l n_lᵀ − Q_l),  ΔR_l = η_q (n_l z_lᵀ − R_l),  n_l = R_l z_l
    answer     ŷ = V_L z_L                         read by an observer of the last layer

x (m,) is the input, y (n,) the target, which arrives at the apical tufts of all layers; z_l, p_l
(k_l,). Sizes are m, k_1, ..., k_L, n. No layer receives or waits for the error of another layer:
the output of a layer is the input of the next one, and all learn at the same time. The paper leaves
stacking open, and this choice keeps the rule of every synapse unchanged. A linear second layer
cannot improve on a first layer that is as wide as the target. docs/circuits.md has results of a
nonlinear one on digits.

Source: Golkar, Lipshutz, Bahroun, Sengupta & Chklovskii, NeurIPS workshop 2020, for one layer; the
stack is ours.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field

from biocircuits.circuits.bmvr import Parameter, Settings, assembled
from biocircuits.description.circuit import Circuit
from biocircuits.description.circuit_file import CircuitFile
from rate_models.errors import BadOption
from rate_models.model import activations
from rate_models.model.hyperparameters import NotNegative, Positive
from rate_models.network import NetworkSpec, Parameters
from rate_models.rules import FIXED, Defaults, Description, Own, Properties, Start


class Hyperparameters(NamedTuple):
    """Relative learning rates and initial values.

    eta_apical: η_2 / η. eta_q: η_q / η. mean_rate: ρ of z̄, per sample. init_w, init_v: initial
    standard deviation of W and V. init_q: initially Q = R = init_q I.
    """

    eta_apical: Positive = 0.25
    eta_q: Positive = 0.25
    mean_rate: Annotated[float, Field(ge=0, le=1)] = 1e-3
    init_w: Annotated[NotNegative, FIXED] = 0.01
    init_v: Annotated[NotNegative, FIXED] = 0.1
    init_q: Annotated[NotNegative, FIXED] = 1 / 3


def check(spec: NetworkSpec) -> None:
    """Raise BadOption for no hidden layer, biases, other activations or a nonlinear output."""
    if spec.layers < 2:
        at, expected = "sizes of stacked_bmvr", "input, one or more hidden layers, output"
        raise BadOption(at, got=spec.sizes, expected=expected)
    for kind in spec.activation:
        if kind not in ("identity", "relu"):
            raise BadOption("activation of stacked_bmvr", got=kind, expected="identity or relu")
    if spec.output != "identity":
        raise BadOption("output of stacked_bmvr", got=spec.output, expected="identity")
    if spec.bias:
        raise BadOption("bias of stacked_bmvr", got=True, expected="False")


def init(spec: NetworkSpec, hyper: Hyperparameters, rng: np.random.Generator) -> Parameters:
    """Normal W_l and V_l; the V of the last hidden layer is stored as the last matrix of W."""
    hidden, outputs = spec.sizes[1:-1], spec.sizes[-1]
    weights = [hyper.init_w * rng.normal(size=shape) for shape in spec.shapes[:-1]]
    tufts = [hyper.init_v * rng.normal(size=(outputs, k)) for k in hidden]
    return {"W": [*weights, tufts[-1]], "V": tufts[:-1]}


def inhibition(start: Start) -> Any:
    """Q_l = R_l = init_q I"""
    return start.hyper.init_q * np.eye(start.shape[0])


def _tufts(spec: NetworkSpec, hyper: Hyperparameters) -> list[tuple[int, int]]:
    """V_l (n_L, n_l) of the hidden layers below the last."""
    return [(spec.layers, layer) for layer in range(1, spec.layers - 1)]


def _squares(spec: NetworkSpec, hyper: Hyperparameters) -> list[tuple[int, int]]:
    return [(layer, layer) for layer in range(1, spec.layers)]


def _means(spec: NetworkSpec, hyper: Hyperparameters) -> list[tuple[int]]:
    return [(layer,) for layer in range(1, spec.layers)]


def forward_pass(
    spec: NetworkSpec, params: Parameters, hyper: Hyperparameters, x: Any, masks: Any = None
) -> tuple[list[Any], list[Any]]:
    """(a, h) with h_l = z_l, the activity minus its running mean."""
    a, h = [x], [x]
    for layer, kind in enumerate(spec.names, start=1):
        a.append(h[-1] @ params["W"][layer - 1].T)
        z = activations.apply(kind, a[-1])
        if layer < spec.layers:
            z = z if masks is None else z * masks[layer - 1]
            z = z - params["mean"][layer - 1]
        h.append(z)
    return a, h


def build(spec: NetworkSpec, hyper: Hyperparameters, settings: Settings) -> Circuit:
    """The circuit, with one BMVR circuit for every hidden layer."""
    layers: list[tuple[str, dict[str, Parameter], dict[str, str]]] = []
    for layer in range(1, spec.layers):
        top = layer == spec.layers - 1
        names: dict[str, Parameter] = {
            "W": ("W", layer - 1), "V": ("W", layer) if top else ("V", layer - 1),
            "Q": ("Q", layer - 1), "R": ("R", layer - 1), "mean": ("mean", layer - 1),
        }  # fmt: skip
        labels = {key: f"{key}_{layer}" for key in names}
        layers.append((f"_{layer}", names, labels))
    return assembled("stacked_bmvr", spec, layers, hyper, settings)


RULE = Description(
    __name__,
    hyperparameters=Hyperparameters,
    losses=("mse",),
    properties=Properties(
        passes=1,
        weight_transport=False,
        nonlocal_signals=False,
        frozen_activity=False,
        update_locking="none",
    ),
    own=(
        Own("V", each=_tufts, changes="learned"),
        Own("Q", each=_squares, drawn=inhibition, changes="learned"),
        Own("R", each=_squares, drawn=inhibition, changes="learned"),
        Own("mean", each=_means, changes="learned"),  # z̄
    ),
    init=init,
    forward_pass=forward_pass,
    check=check,
    defaults=Defaults(rate=2, squared=0.2, scale="global"),
)

CIRCUIT = CircuitFile(__name__, rule=RULE, settings=Settings, build=build)
