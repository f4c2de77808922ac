"""PEPITA in spikes: two phases for each sample, and plasticity from the mismatch of traces.

    input      x + s F ε             F conducts only in the modulated phase; spontaneous firing
    hidden     [a_l]_+               the dendrite's potential, τ_d a_l' = −a_l + Σ_j w_lj s_j
    output     1 / (1 + exp(−a_L))
    error      ε = soma_L − target   fires in the modulated phase; stored in the standard phase
    synapses   ΔW_l = −η (soma_l − axon_l) axon_{l−1}ᵀ,   ΔW_L = −η_L ε axon_{L−1}ᵀ

soma_l is the trace of the spikes in the standard phase, which is kept in the modulated phase, and
axon_l the trace of the modulated phase (see `cells`); s is filtered spikes. The target is a current
that is subtracted from the output to get the error. A synapse reads the axon trace of its
presynaptic cell and the traces of its postsynaptic cell. In the mean over spikes, and for phases
that are long compared with τ_s and τ_d, this is `rate_models.rules.pepita` with loss
binary_cross_entropy, as long as no input is below −background and no rate exceeds 400 Hz.

Source: Dellaferrera & Kreiman, ICML 2022, section 5; the spiking form is ours.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from biocircuits.spiking.cells import Builder, Firing, Floats
from biocircuits.spiking.spiking_file import Answer, SpikingFile
from rate_models.model.hyperparameters import NotNegative, Positive
from rate_models.network import NetworkSpec
from rate_models.textbook import initial_parameters

PHASES = ("standard", "modulated")
FULL = 1.0  # spontaneous activity of error cells: the largest absolute error


class Settings(NamedTuple):
    """Learning rates, feedback and spontaneous activity.

    lr: η of hidden layers. lr_output: η_L. feedback_scale: κ of F, as in the rule. sign: s.
    background: of input cells, in units of activity.
    """

    lr: NotNegative = 0.06
    lr_output: NotNegative = 0.05
    feedback_scale: NotNegative = 0.3
    sign: Literal[1, -1] = 1
    background: Positive = 0.5


def parameters(sizes: tuple[int, ...], settings: Settings, seed: int) -> dict[str, Floats]:
    """W_1.. and F, with the initial values of the rule for the seed."""
    spec = NetworkSpec(sizes, "relu", "binary_cross_entropy")
    params = initial_parameters(spec, "pepita", seed, feedback_scale=settings.feedback_scale)
    return {**{f"W_{n}": W for n, W in enumerate(params["W"], start=1)}, "F": params["F"]}


def rates(sizes: tuple[int, ...], settings: Settings) -> dict[str, float]:
    """η of W_1..W_L."""
    hidden = {f"W_{n}": settings.lr for n in range(1, len(sizes) - 1)}
    return hidden | {f"W_{len(sizes) - 1}": settings.lr_output}


def build(
    make: Builder, sizes: tuple[int, ...], settings: Settings, weights: dict[str, Floats]
) -> Answer:
    """Groups input, hidden_1.., output, error; projections W_1.., F."""
    last, base = len(sizes) - 1, settings.background
    layers = [
        make.cells("input", sizes[0], f"x(t, unit) + {settings.sign} * modulated * thalamic", base,
                   traces={"axon": "modulated"}, lines=["thalamic : 1"])
    ]  # fmt: skip
    for n in range(1, last):
        layers.append(
            make.cells(f"hidden_{n}", sizes[n], "dendrite", compartments=["dendrite"],
                       traces={"soma": "standard", "axon": "modulated"})
        )  # fmt: skip
    goal = ["dgoal/dt = read_standard * y(t, unit) / window : 1", "error = soma - goal : 1"]
    output = make.cells("output", sizes[-1], "1 / (1 + exp(-dendrite))", compartments=["dendrite"],
                        traces={"soma": "standard"}, lines=goal, kept=["goal"])  # fmt: skip
    error = make.cells("error", sizes[-1], "modulated * held", FULL, lines=["held : 1"])
    make.relay("relay", output, error, "error", "held")
    for n, (source, target) in enumerate(zip(layers, [*layers[1:], output], strict=True), start=1):
        post = "error_post" if n == last else "(soma_post - axon_post)"
        make.project(f"W_{n}", source, target, "input_dendrite", weights[f"W_{n}"],
                     learn=f"w -= eta * {post} * axon_pre")  # fmt: skip
    make.project("F", error, layers[0], "thalamic", weights["F"])
    return Answer(output, "soma", sizes[-1])


CIRCUIT = SpikingFile(
    __name__,
    phases=PHASES,
    settings=Settings,
    parameters=parameters,
    rates=rates,
    build=build,
    firing=Firing(),
)
