"""A dendritic microcircuit: interneurons predict top-down input, and the residual is the error.

    basal        b_k = W_k r_{k−1}
    apical       a_k = B_{k+1}ᵀ r_{k+1} + V_k q_k             top-down input, lateral inhibition
    soma         τ u_k' = −g_L u_k + g_B (b_k − u_k) + g_A (a_k − u_k)
    output soma  τ u_L' = −g_L u_L + g_B (b_L − u_L) + g_S (y − u_L)     g_S in the taught phase
    interneuron  τ i_k' = −g_L i_k + g_D (P_k r_k − i_k) + g_S (u_{k+1} − i_k)
    rates        r_k = s_k(u_k),  q_k = s_{k+1}(i_k),  r_0 = x
    synapses     ΔW_k = η (s_k(u_k) − s_k(û_k)) r_{k−1}ᵀ,  û_k = g_B b_k / (g_L + g_B + g_A)
                 ΔP_k = η_P (s(i_k) − s(î_k)) r_kᵀ,        î_k = g_D P_k r_k / (g_L + g_D)
                 ΔV_k = −η_V a_k q_kᵀ                     P, V in the free phase, W in the taught

x (n_0,) and y (n_L,) are input and target, clamped. k = 1..L−1 are the hidden layers, with
potentials u, b, a (n_k,) relative to rest. i_k (n_{k+1},) are interneurons, one for every neuron of
the layer above. At the output, û has no g_A. W_k (n_k, n_{k−1}) are forward weights, B_{k+1}
(n_{k+1}, n_k) fixed random top-down weights, P_k (n_{k+1}, n_k) and V_k (n_k, n_{k+1}) lateral
weights. g are conductances, relative to each other.

In the self-predicting state, V_k = −B_{k+1}ᵀ, and P_k is W_{k+1} times a ratio of conductances. An
interneuron then has the rate of the neuron above, and the apical compartment is at rest for every
input. The target changes the rates above but not their prediction, so the apical potential is the
error. The circuit starts in this state (``asymmetry`` perturbs it), and P and V maintain and
restore it.

Source: Sacramento, Costa, Bengio & Senn, NeurIPS 2018, in its simplest form.
Deviations: in the paper all synapses learn at all times. Here they learn in two phases, of which
the first has no target, so that a prediction can be read before the target arrives, and inhibition
does not learn to cancel the error. Conductances are of the order of those in the paper, but may
differ, and no number of the paper is reproduced. There are no biases, and the output is linear.

With large learning rates the loop gain grows until a phase has no steady state, and learning raises
Diverged. On digits (64-32-10) a rate of 0.07 was stable, and 0.1 was not.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

from biocircuits.description.circuit import Circuit, Phase
from biocircuits.description.circuit_file import CircuitFile
from biocircuits.description.populations import Compartment, Coupling, Formula, Population
from biocircuits.description.projections import Plasticity, Projection
from biocircuits.description.signals import Local, activation
from rate_models.errors import BadOption
from rate_models.model import activations
from rate_models.model.hyperparameters import Milliseconds, NotNegative, Positive
from rate_models.network import NetworkSpec, Parameters
from rate_models.rules import (
    FIXED,
    Defaults,
    Description,
    Own,
    Properties,
    Start,
    uniform_feedback,
)

FREE, TAUGHT = "free", "taught"


class Hyperparameters(NamedTuple):
    """Conductances, relative learning rates and initial values.

    g_leak, g_basal, g_apical, g_dendrite, g_soma: g_L, g_B, g_A, g_D, g_S. eta_predict,
    eta_inhibit: η_P and η_V, relative to η. feedback_scale: factor of B; with 0, hidden weights do
    not learn (the control). init: distribution of W.
    """

    g_leak: Annotated[Positive, FIXED] = 0.1
    g_basal: Annotated[Positive, FIXED] = 1.0
    g_apical: Annotated[Positive, FIXED] = 0.8
    g_dendrite: Annotated[Positive, FIXED] = 1.0
    g_soma: Annotated[Positive, FIXED] = 0.8
    eta_predict: NotNegative = 1.0
    eta_inhibit: NotNegative = 1.0
    feedback_scale: Annotated[NotNegative, FIXED] = 1.0
    init: Annotated[Literal["he_uniform", "he_normal"], FIXED] = "he_uniform"


class Settings(NamedTuple):
    """Time constant, duration and noise.

    tau: time constant of all somata in ms. phase: duration of each phase in ms. membrane_noise:
    standard deviation of the somata at rest. synaptic_noise: relative, per √ms.
    """

    tau: Milliseconds = 10.0
    phase: Milliseconds = 200.0
    membrane_noise: NotNegative = 0.0
    synaptic_noise: NotNegative = 0.0


def check(spec: NetworkSpec) -> None:
    """Raise BadOption for biases, and for an output that is not linear."""
    if spec.bias:
        raise BadOption("bias of dendritic_microcircuit", got=True, expected="False")
    if spec.output != "identity":
        at = "output of dendritic_microcircuit"
        raise BadOption(at, got=spec.output, expected="identity")


def top_down(start: Start) -> Any:
    """B as feedback alignment draws it."""
    return uniform_feedback(start._replace(shape=start.shape[::-1])).T.copy()


def predicting(start: Start) -> Any:
    """P_k, with which interneurons reproduce the rates of the layer above."""
    hyper, above = start.hyper, start.layers[0]
    total = _total(hyper) if above < start.spec.layers else hyper.g_leak + hyper.g_basal
    ratio = (hyper.g_basal / total) * (hyper.g_leak + hyper.g_dendrite) / hyper.g_dendrite
    return ratio * start.params["W"][above - 1]


def cancelling(start: Start) -> Any:
    """V_k = −B_{k+1}ᵀ, with which interneurons cancel the top-down current."""
    return -start.params["B"][start.layers[0] - 1].T.copy()


def _upwards(spec: NetworkSpec, hyper: Hyperparameters) -> list[tuple[int, int]]:
    """(n_{k+1}, n_k), k = 1..L−1."""
    return [(k + 1, k) for k in range(1, spec.layers)]


def _downwards(spec: NetworkSpec, hyper: Hyperparameters) -> list[tuple[int, int]]:
    """(n_k, n_{k+1}), k = 1..L−1."""
    return [(k, k + 1) for k in range(1, spec.layers)]


def forward_pass(
    spec: NetworkSpec, params: Parameters, hyper: Hyperparameters, x: Any, masks: Any = None
) -> tuple[list[Any], list[Any]]:
    """Potentials and rates of all layers in the self-predicting state, without a target."""
    a, h = [x], [x]
    for layer, kind in enumerate(spec.names, start=1):
        total = _total(hyper) if layer < spec.layers else hyper.g_leak + hyper.g_basal
        a.append(hyper.g_basal / total * (h[-1] @ params["W"][layer - 1].T))
        h.append(activations.apply(kind, a[-1]))
    return a, h


def _total(hyper: Hyperparameters) -> float:
    return hyper.g_leak + hyper.g_basal + hyper.g_apical


def build(spec: NetworkSpec, hyper: Hyperparameters, settings: Settings) -> Circuit:
    """The circuit of the network ``spec``."""
    last = spec.layers
    names = ["input", *(f"hidden_{k}" for k in range(1, last)), "output"]
    clamped: dict[str, Formula] = {"rate": lambda n: n.soma}
    populations = [
        Population(
            "input", spec.sizes[0], (Compartment("soma", clamp="x"),), clamped, kind="input"
        ),
        *(_pyramidal(spec, hyper, settings, k) for k in range(1, last + 1)),
        *(_interneurons(spec, hyper, settings, k) for k in range(1, last)),
        Population(
            "target", spec.sizes[-1], (Compartment("soma", clamp="y"),), clamped, kind="input"
        ),
    ]
    noise = settings.synaptic_noise
    projections = [
        Projection(f"W_{k}", names[k - 1], f"{names[k]}.basal", parameter=("W", k - 1), noise=noise,
                   plasticity=(_forward(spec, hyper, k),))
        for k in range(1, last + 1)
    ]  # fmt: skip
    projections.append(Projection("teacher", "target", "output.teacher", one_to_one=True))
    for k in range(1, last):
        me, between, above = names[k], f"interneuron_{k}", names[k + 1]
        projections += [
            Projection(f"B_{k + 1}", above, f"{me}.apical", parameter=("B", k - 1),
                       transposed=True, noise=noise),
            Projection(f"P_{k}", me, f"{between}.dendrite", parameter=("P", k - 1), noise=noise,
                       plasticity=(_predict(spec, hyper, k),)),
            Projection(f"V_{k}", between, f"{me}.apical", parameter=("V", k - 1), noise=noise,
                       plasticity=(_inhibit(hyper),)),
            Projection(f"teacher_{k}", f"{above}.potential", f"{between}.teacher", one_to_one=True),
        ]  # fmt: skip
    phases = (Phase(FREE, settings.phase), Phase(TAUGHT, settings.phase))
    name = "dendritic_microcircuit"
    return Circuit(name, tuple(populations), tuple(projections), phases, ("output", "soma", FREE))


def _pyramidal(
    spec: NetworkSpec, hyper: Hyperparameters, settings: Settings, layer: int
) -> Population:
    kind, top = spec.names[layer - 1], layer == spec.layers
    soma = Compartment("soma", settings.tau, hyper.g_leak, noise=settings.membrane_noise)
    basal = Coupling(lambda n: n.basal, "soma", hyper.g_basal)
    other = Coupling(lambda n: n.apical, "soma", hyper.g_apical)
    if top:
        other = Coupling(lambda n: n.teacher, "soma", hyper.g_soma, (TAUGHT,))
    outputs: dict[str, Formula] = {
        "rate": lambda n: activation(kind, n.soma), "potential": lambda n: n.soma,
    }  # fmt: skip
    parts = (Compartment("basal", tau=0.0), Compartment("teacher" if top else "apical", tau=0.0))
    name = "output" if top else f"hidden_{layer}"
    return Population(name, spec.sizes[layer], (*parts, soma), outputs, (basal, other), "pyramidal")


def _interneurons(
    spec: NetworkSpec, hyper: Hyperparameters, settings: Settings, layer: int
) -> Population:
    kind = spec.names[layer]
    return Population(
        f"interneuron_{layer}", spec.sizes[layer + 1],
        (Compartment("dendrite", tau=0.0), Compartment("teacher", tau=0.0),
         Compartment("soma", settings.tau, hyper.g_leak, noise=settings.membrane_noise)),
        {"rate": lambda n: activation(kind, n.soma)},
        (Coupling(lambda n: n.dendrite, "soma", hyper.g_dendrite),
         Coupling(lambda n: n.teacher, "soma", hyper.g_soma)), "interneuron",
    )  # fmt: skip


def _forward(spec: NetworkSpec, hyper: Hyperparameters, layer: int) -> Plasticity:
    top, kind = layer == spec.layers, spec.names[layer - 1]
    share = hyper.g_basal / (hyper.g_leak + hyper.g_basal if top else _total(hyper))

    def change(s: Local) -> Any:
        return (activation(kind, s.soma) - activation(kind, share * s.basal)) * s.pre

    return Plasticity(change, (TAUGHT,))


def _predict(spec: NetworkSpec, hyper: Hyperparameters, layer: int) -> Plasticity:
    kind, share = spec.names[layer], hyper.g_dendrite / (hyper.g_leak + hyper.g_dendrite)

    def change(s: Local) -> Any:
        return (activation(kind, s.soma) - activation(kind, share * s.dendrite)) * s.pre

    return Plasticity(change, (FREE,), hyper.eta_predict)


def _inhibit(hyper: Hyperparameters) -> Plasticity:
    return Plasticity(lambda s: -s.apical * s.pre, (FREE,), hyper.eta_inhibit)


RULE = Description(
    __name__,
    hyperparameters=Hyperparameters,
    losses=("mse",),
    properties=Properties(
        passes=2,
        weight_transport=False,
        nonlocal_signals=False,
        frozen_activity=False,
        update_locking="full",
    ),
    own=(
        Own("B", each=_upwards, drawn=top_down, feedback=True),
        Own("P", each=_upwards, drawn=predicting, changes="learned"),
        Own("V", each=_downwards, drawn=cancelling, changes="learned"),
    ),
    forward_pass=forward_pass,
    check=check,
    defaults=Defaults(rate=1.6, squared=0.3),
)

CIRCUIT = CircuitFile(__name__, rule=RULE, settings=Settings, build=build)
