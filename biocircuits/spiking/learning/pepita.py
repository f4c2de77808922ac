"""PEPITA in spikes: two phases a sample, and plasticity from the mismatch of the soma's traces.

    input      x + s F ε             F conducts in the modulated phase alone; spontaneously active
    hidden     [a_l]_+               the dendrite's potential, τ_d a_l' = −a_l + Σ_j w_lj said_j
    output     1 / (1 + exp(−a_L))
    error      ε = soma_L − target   fires in the modulated phase; held since the standard one
    synapses   ΔW_l = −η (soma_l − axon_l) axon_{l−1}ᵀ,   ΔW_L = −η_L ε axon_{L−1}ᵀ

soma_l is the trace of the spikes of the standard phase, kept through the modulated one, axon_l that
of the modulated phase (see `_cells`). The target is a teaching current, which the output's error
takes off. A synapse reads the axon trace of its presynaptic cell and the traces of its postsynaptic
one. In the mean over spikes, with phases long against τ_s and τ_d, this is
`rate_models.rules.pepita` with loss binary_cross_entropy, as long as no input falls below
−background and no cell would have to fire beyond 400 Hz.

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
FULL = 1.0  # errors are at most 1: their cells' spontaneous activity


class Settings(NamedTuple):
    """lr, lr_output: η of hidden layers and of the last. feedback_scale: κ of F, as in the rule.
    sign: s. background: of input and error cells, in units of activity.
    """

    lr: NotNegative = 0.06
    lr_output: NotNegative = 0.05
    feedback_scale: NotNegative = 0.3
    sign: Literal[1, -1] = 1
    background: Positive = 0.5


def parameters(sizes: tuple[int, ...], settings: Settings, seed: int) -> dict[str, Floats]:
    """W_1.. and F as the rule's rate network has them for the seed."""
    spec = NetworkSpec(sizes, "relu", "binary_cross_entropy")
    found = initial_parameters(spec, "pepita", seed, feedback_scale=settings.feedback_scale)
    return {**{f"W_{n}": W for n, W in enumerate(found["W"], start=1)}, "F": found["F"]}


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
    taught = ["dtaught/dt = read_standard * y(t, unit) / window : 1", "error = soma - taught : 1"]
    output = make.cells("output", sizes[-1], "1 / (1 + exp(-dendrite))", compartments=["dendrite"],
                        traces={"soma": "standard"}, lines=taught, kept=["taught"])  # fmt: skip
    error = make.cells("error", sizes[-1], "modulated * held", FULL, lines=["held : 1"])
    make.tell("tell", output, error, "error", "held")
    for n, (source, target) in enumerate(zip(layers, [*layers[1:], output], strict=True), start=1):
        post = "error_post" if n == last else "(soma_post - axon_post)"
        make.project(f"W_{n}", source, target, "heard_dendrite", weights[f"W_{n}"],
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
