"""BMVR in spikes: apical current, inhibition by interneurons, and what is left, the plateau.

    input, target   x, y
    pyramidal       z = proximal      τ_d proximal' = −proximal + Σ_j (W_1)_ij said_j
                    apical, inhibition: the same, of W_2ᵀ from the target and Q from interneurons
    interneurons    n                 of R from the pyramidal cells
    synapses        ΔW_1 = η plateau xᵀ,   plateau: the mean of apical − inhibition while it is read
                    ΔW_2ᵀ = η_2 (z yᵀ − W_2ᵀ),  ΔQ = η_q (z nᵀ − Q),  ΔR = η_q (n zᵀ − R)

x, y, z, n: traces of spikes (see `_cells`); all are signed, deviations from spontaneous firing. In
the mean over spikes it is `rate_models.rules.bmvr` with activation identity. Spikes make z larger
by the variance of their noise, and the constraint ⟨z zᵀ⟩ ≼ I holds that too. The prediction W_2 z
is an observer's; what the network answers is z.

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
    """lr, lr_apical, lr_q: η, η_2, η_q. background: of all cells, in units of activity."""

    lr: NotNegative = 0.02
    lr_apical: NotNegative = 0.005
    lr_q: NotNegative = 0.005
    background: Positive = 3.0


def parameters(sizes: tuple[int, ...], settings: Settings, seed: int) -> dict[str, Floats]:
    """W_1 (k, m), apical W_2ᵀ (k, n), Q, R (k, k) as the rule's rate network has them."""
    spec = NetworkSpec(sizes, "identity", "mse")
    found = initial_parameters(spec, "bmvr", seed)
    return {"W_1": found["W"][0], "apical": found["W"][1].T, "Q": found["Q"], "R": found["R"]}


def rates(sizes: tuple[int, ...], settings: Settings) -> dict[str, float]:
    """η, η_2, and η_q of Q and R."""
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
    make.project("W_1", source, pyramidal, "heard_proximal", weights["W_1"],
                 learn="w += eta * plateau_post * trace_pre")  # fmt: skip
    make.project("apical", target, pyramidal, "heard_apical", weights["apical"], learn=correlate)
    make.project("R", pyramidal, inter, "heard_dendrite", weights["R"], learn=correlate)
    make.project("Q", inter, pyramidal, "heard_inhibition", weights["Q"], learn=correlate)
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
