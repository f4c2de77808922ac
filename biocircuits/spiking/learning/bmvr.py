"""BMVR in spikes: the plateau is the apical current minus inhibition by interneurons.

    input, target   x, y
    pyramidal       z = proximal      τ_d proximal' = −proximal + Σ_j (W_1)_ij s_j
                    apical, inhibition: the same with W_2ᵀ and the target, with Q and n
    interneurons    n                 the same with R and the pyramidal cells
    synapses        ΔW_1 = η plateau xᵀ,   plateau: the mean of apical − inhibition over T_r
                    ΔW_2ᵀ = η_2 (z yᵀ − W_2ᵀ),  ΔQ = η_q (z nᵀ − Q),  ΔR = η_q (n zᵀ − R)

x, y, z, n are traces of spikes (see `cells`). All are signed deviations from spontaneous firing,
and s is filtered spikes. In the mean over spikes this is `rate_models.rules.bmvr` with activation
identity. The variance of spike noise adds to ⟨z zᵀ⟩, which the constraint ⟨z zᵀ⟩ ≼ I includes. The
output of the network is z; an observer computes the prediction W_2 z.

Source: Golkar, Lipshutz, Bahroun, Sengupta & Chklovskii, NeurIPS workshop 2020, figures 2 and 4,
equations 5-7, 21-23; the spiking form is ours.
"""

from __future__ import annotations

from typing import NamedTuple

from biocircuits.spiking.cells import Builder, Firing, Floats
from biocircuits.spiking.spiking_file import Answer, SpikingFile
from rate_models.model.hyperparameters import NotNegative, Positive
from rate_models.network import NetworkSpec
from rate_models.textbook import initial_parameters

PHASES = ("presentation",)


class Settings(NamedTuple):
    """Learning rates and spontaneous activity.

    lr, lr_apical, lr_q: η, η_2, η_q. background: of all cells, in units of activity.
    """

    lr: NotNegative = 0.02
    lr_apical: NotNegative = 0.005
    lr_q: NotNegative = 0.005
    background: Positive = 3.0


def parameters(sizes: tuple[int, ...], settings: Settings, seed: int) -> dict[str, Floats]:
    """W_1 (k, m), apical W_2ᵀ (k, n), Q, R (k, k), with the initial values of the rule."""
    spec = NetworkSpec(sizes, "identity", "mse")
    params = initial_parameters(spec, "bmvr", seed)
    W = params["W"]
    return {"W_1": W[0], "apical": W[1].T, "Q": params["Q"], "R": params["R"]}


def rates(sizes: tuple[int, ...], settings: Settings) -> dict[str, float]:
    """η of W_1, η_2 of the apical weights, and η_q of Q and R."""
    q = {"Q": settings.lr_q, "R": settings.lr_q}
    return {"W_1": settings.lr, "apical": settings.lr_apical, **q}


def build(
    make: Builder, sizes: tuple[int, ...], settings: Settings, weights: dict[str, Floats]
) -> Answer:
    """Groups input, target, pyramidal, interneuron; projections W_1, apical, Q, R."""
    base, read = settings.background, {"trace": PHASES[0]}
    m, k, n = sizes
    source = make.cells("input", m, "x(t, unit)", base, traces=read)
    target = make.cells("target", n, "y(t, unit)", base, traces=read)
    plateau = "dplateau/dt = read_presentation * (apical - inhibition) / window : 1"
    pyramidal = make.cells(
        "pyramidal", k, "proximal", base, compartments=["proximal", "apical", "inhibition"],
        traces=read, lines=[plateau], kept=["plateau"],
    )  # fmt: skip
    inter = make.cells("interneuron", k, "dendrite", base, compartments=["dendrite"], traces=read)
    correlate = "w += eta * (trace_post * trace_pre - w)"
    make.project("W_1", source, pyramidal, "input_proximal", weights["W_1"],
                 learn="w += eta * plateau_post * trace_pre")  # fmt: skip
    make.project("apical", target, pyramidal, "input_apical", weights["apical"], learn=correlate)
    make.project("R", pyramidal, inter, "input_dendrite", weights["R"], learn=correlate)
    make.project("Q", inter, pyramidal, "input_inhibition", weights["Q"], learn=correlate)
    return Answer(pyramidal, "trace", k)


CIRCUIT = SpikingFile(
    __name__,
    phases=PHASES,
    settings=Settings,
    parameters=parameters,
    rates=rates,
    build=build,
    firing=Firing(peak=60.0),
)
