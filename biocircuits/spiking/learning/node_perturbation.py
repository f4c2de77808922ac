"""Node perturbation in spikes: a noise current, and a broadcast of its effect on the loss.

    hidden     [a_1 + noise]_+      noise ~ N(0, c²) for each cell, only in the noisy phase
    output     a_2, signed
    loss       change = ½ Σ (noisy − target)² − ½ Σ (clean − target)²     a broadcast
    synapses   ΔW_1 = −η change noise / c² · xᵀ,    ΔW_2 = −η_2 (clean − target) soma_1ᵀ

clean, noisy, soma_1, x are traces of spikes (see `cells`). change noise / c² estimates ∂L/∂a_1 as
c → 0. The noise of the spikes adds to the estimate, so c must not be small. W_1 learns directly
from this estimate λ̂. The rule `rate_models.rules.node_perturbation` uses the estimate to learn
feedback weights instead, which do not exist here: no error is sent back to the hidden layer. There
is one hidden layer.

Source: Lansdell, Prakash & Kording, ICLR 2020, section 2.3, for the estimate; spikes are ours.
"""

from __future__ import annotations

from typing import NamedTuple

from biocircuits.spiking.cells import Builder, Firing, Floats
from biocircuits.spiking.spiking_file import Answer, SpikingFile
from rate_models.errors import BadOption
from rate_models.model.hyperparameters import NotNegative, Positive
from rate_models.network import NetworkSpec, initial_weights

PHASES = ("clean", "noisy")


class Settings(NamedTuple):
    """Learning rates, noise and spontaneous activity.

    lr, lr_output: η, η_2. perturbation: c. background: of input and output cells, in units of
    activity.
    """

    lr: NotNegative = 0.01
    lr_output: NotNegative = 0.01
    perturbation: Positive = 0.5
    background: Positive = 2.0


def parameters(sizes: tuple[int, ...], settings: Settings, seed: int) -> dict[str, Floats]:
    """W_1 and W_2, He uniform. Raises BadOption unless there is one hidden layer."""
    if len(sizes) != 3:
        raise BadOption(
            "sizes of node_perturbation", got=sizes, expected="input, one hidden layer, output"
        )
    params = initial_weights(NetworkSpec(sizes, "relu", "mse"), seed)
    return {f"W_{n}": W for n, W in enumerate(params["W"], start=1)}


def rates(sizes: tuple[int, ...], settings: Settings) -> dict[str, float]:
    """η of W_1 and η_2 of W_2."""
    return {"W_1": settings.lr, "W_2": settings.lr_output}


def build(
    make: Builder, sizes: tuple[int, ...], settings: Settings, weights: dict[str, Floats]
) -> Answer:
    """Groups input, hidden, output, loss; projections W_1, W_2."""
    base, c = settings.background, settings.perturbation
    source = make.cells("input", sizes[0], "x(t, unit)", base, traces={"soma": "clean"})
    hidden = make.cells(
        "hidden", sizes[1], "dendrite + noisy * noise", compartments=["dendrite"],
        traces={"soma": "clean"}, lines=["noise : 1", "change : 1"],
    )  # fmt: skip
    hidden.noise = f"{c!r} * randn()"
    hidden.run_regularly(f"noise = {c!r} * randn()", dt=make.sample, order=1, name="draw_noise")
    output = make.cells(
        "output", sizes[2], "dendrite", base, compartments=["dendrite"],
        traces={"soma": "clean", "axon": "noisy"}, kept=["goal"],
        lines=["dgoal/dt = read_clean * y(t, unit) / window : 1", "error = soma - goal : 1",
               "change = ((axon - goal)**2 - error**2) / 2 : 1"],
    )  # fmt: skip
    make.broadcast("loss", output, hidden, "change")
    make.project("W_1", source, hidden, "input_dendrite", weights["W_1"],
                 learn=f"w -= eta * change_post * noise_post / {c * c!r} * soma_pre")  # fmt: skip
    make.project("W_2", hidden, output, "input_dendrite", weights["W_2"],
                 learn="w -= eta * error_post * soma_pre")  # fmt: skip
    return Answer(output, "soma", sizes[2])


CIRCUIT = SpikingFile(
    __name__,
    phases=PHASES,
    settings=Settings,
    parameters=parameters,
    rates=rates,
    build=build,
    firing=Firing(peak=100.0),
)
