"""Settings of the simulation of a circuit, and of constraints on its synapses."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import BeforeValidator, Field

from biocircuits.description.circuit import Circuit
from rate_models.errors import BadOption
from rate_models.model.hyperparameters import Milliseconds, NotNegative, checked

LONGEST = 10_000_000  # steps of a phase
Names = Annotated[str, BeforeValidator(lambda v: ",".join(v) if isinstance(v, list | tuple) else v)]


class Settings(NamedTuple):
    """Options of the simulation.

    mode: "steady" solves every phase for its fixed point, "continuous" simulates it in time. dt:
    step in ms. window: plasticity is active in the last ``window`` ms of a phase; 0: once, at its
    end. commit: weights change at the end of the "sample" or at every "step". reset: whether the
    state is set to rest before each sample. cut: projections to remove. silence: populations whose
    outputs are 0. Both are names with commas between them, or a list of names.

    low, high: bounds of plastic weights. bits: weights have 2^bits levels between the bounds, by
    stochastic rounding; 0: no levels. dale: whether all weights from a neuron have one sign.
    excitatory: the fraction of neurons for which it is positive. See `constraints`. asymmetry: see
    `symmetry`.
    """

    mode: Literal["steady", "continuous"] = "steady"
    dt: Milliseconds = 1.0
    window: NotNegative = 0.0
    commit: Literal["sample", "step"] = "sample"
    reset: bool = False
    cut: Names = ""
    silence: Names = ""
    low: Annotated[float, Field(allow_inf_nan=False)] | None = None
    high: Annotated[float, Field(allow_inf_nan=False)] | None = None
    bits: Annotated[int, Field(ge=0, le=16)] = 0
    dale: bool = False
    excitatory: Annotated[float, Field(ge=0, le=1)] = 0.8
    asymmetry: NotNegative = 0.0


def valid(settings: Settings) -> Settings:
    """Settings with the types of their fields. Raises BadOption where one is out of its range."""
    if not isinstance(settings, Settings):
        got = f"a {type(settings).__name__}"
        raise BadOption("settings", got=got, expected="a biocircuits.Settings")
    return checked(Settings(), **settings._asdict())


def names_in(text: str) -> list[str]:
    """The names in a text with commas between them."""
    return [name.strip() for name in text.split(",") if name.strip()]


def check_durations(circuit: Circuit, settings: Settings) -> None:
    """BadOption where a phase is too short or too long for the settings."""
    for phase in circuit.phases:
        longest = f"at most {phase.duration:g} ms, the duration of phase {phase.name}"
        dt = f"{settings.dt:g} ms"
        if settings.mode == "continuous" and phase.duration / settings.dt > LONGEST:
            expected = f"at least {phase.duration / LONGEST:g} ms, for phase {phase.name}"
            raise BadOption("dt", got=dt, expected=expected)
        if settings.mode == "continuous" and settings.dt > phase.duration:
            raise BadOption("dt", got=dt, expected=longest)
        if settings.window > phase.duration:
            raise BadOption("window", got=f"{settings.window:g} ms", expected=longest)
    if settings.commit == "step" and settings.mode == "steady":
        raise BadOption("commit", got="step", expected="sample where mode is steady")
