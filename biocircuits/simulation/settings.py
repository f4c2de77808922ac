"""How a circuit is simulated: in steady state or in time, and what binds its synapses."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import BeforeValidator, Field

from rate_models.model.hyperparameters import Milliseconds, NotNegative

Names = Annotated[str, BeforeValidator(lambda v: ",".join(v) if isinstance(v, list | tuple) else v)]


class Settings(NamedTuple):
    """mode: "steady", every phase solved for its fixed point, or "continuous", in time.
    dt: step in ms. window: the last part of a phase in which plasticity is at work, in ms; 0: once
    at its end. commit: weights take over what was learned at the end of the "sample" or at every
    "step". reset: whether the state goes back to rest before each sample.
    cut, silence: projections that are not there, populations that say nothing; with commas, or a
    list.
    low, high: bounds of plastic weights. bits: quantised to 2^bits levels between the bounds, by
    stochastic rounding; 0 for not. dale: all that a neuron sends has one sign; excitatory: share of
    neurons for which it is plus. See `constraints`. asymmetry: see `symmetry`.
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
