"""Populations of neurons: compartments, what couples them, and what the axon says.

A compartment's state v, one number per neuron, follows

    τ v' = −g_L v + I + Σ_k g_k (u_k − v)

τ (ms) its time constant at g_L = 1, g_L its leak, I the sum of its currents (projections, and an
intrinsic one), g_k the conductance of a coupling whose source u_k is computed in the same neuron.
All are relative to a leak of 1 and have no unit. With neither leak nor coupling it holds what it
has: a memory. τ = 0 follows at once. A clamped compartment is set from outside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from biocircuits import _sight
from biocircuits.signals import Local, Signal
from rate_models.errors import BadOption

Formula = Callable[[Local], Any]  # of a Signal
KINDS = ("point", "pyramidal", "interneuron", "input", "modulator")


@dataclass(frozen=True)
class Compartment:
    """name; tau: τ in ms; leak: g_L; current: I of the neuron's own making, or None.

    clamp: what sets it from outside: "x", "y", "noise.0", "mask.0", ... or a number; in
    ``phases`` (None: all), 0 in the others. noise: standard deviation of membrane noise at rest.
    rest: the state at the start.
    """

    name: str
    tau: float = 10.0
    leak: float = 1.0
    current: Formula | None = None
    clamp: str | float | None = None
    phases: tuple[str, ...] | None = None
    noise: float = 0.0
    rest: float = 0.0


@dataclass(frozen=True)
class Coupling:
    """A conductance inside a neuron: ``source`` pulls compartment ``into`` towards itself."""

    source: Formula
    into: str
    conductance: float = 1.0
    phases: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Population:
    """``size`` neurons of one kind.

    outputs: what the axon carries, {name: formula over the compartments and ``broadcast``};
    ``rate`` is what a projection takes when it names no other. hears: the ``population.output``
    of size 1 or ``size`` that reaches all synapses and compartments as ``broadcast``.
    observer: only looks on, for scores; no part of the biology.

    Raises BadOption, naming the population, for what cannot be.

    >>> Population("hidden", 8, (Compartment("soma"),), {"rate": lambda n: n.soma}).size
    8
    """

    name: str
    size: int
    compartments: tuple[Compartment, ...]
    outputs: dict[str, Formula]
    couplings: tuple[Coupling, ...] = ()
    kind: str = "point"
    hears: str | None = None
    observer: bool = False
    traced: dict[str, Signal] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        where, names = f"population {self.name}", [c.name for c in self.compartments]
        if self.size < 1:
            raise BadOption(f"size of {where}", got=self.size, expected="1 or more")
        if self.kind not in KINDS:
            raise BadOption(f"kind of {where}", got=self.kind, expected=f"one of {KINDS}")
        if len(set(names)) != len(names):
            raise BadOption(where, got=f"compartments {names}", expected="different names")
        for c in self.compartments:
            for what in ("tau", "leak", "noise"):
                if not 0 <= getattr(c, what) < float("inf"):
                    at, got = f"{what} of {self.name}.{c.name}", getattr(c, what)
                    raise BadOption(at, got=got, expected="a finite number, 0 or more")
        for coupling in self.couplings:
            if coupling.into not in names:
                at = f"coupling of {where}"
                raise BadOption(at, got=repr(coupling.into), expected=f"one of {', '.join(names)}")
            if not 0 <= coupling.conductance < float("inf"):
                at = f"conductance into {self.name}.{coupling.into}"
                raise BadOption(at, got=coupling.conductance, expected="a finite number, 0 or more")
        held = {f"current of {self.name}.{c.name}": c.current for c in self.compartments}
        held |= {f"coupling into {self.name}.{c.into}": c.source for c in self.couplings}
        held |= {f"output {name} of {where}": formula for name, formula in self.outputs.items()}
        for what, function in held.items():
            _sight.check(what, function)
        for name, formula in self.outputs.items():
            self.traced[name] = formula(self.local())

    def local(self, where: str = "") -> Local:
        """What every part of a neuron can see of it.

        NAME_ahead: what compartment NAME is on its way to, v + (τ / g) v', its currents over its
        conductances. Membranes with sodium channels respond to it (prospective coding).
        """
        signals = {c.name: Signal.read(c.name) for c in self.compartments}
        for c in self.compartments:
            if c.clamp is None:
                signals[f"{c.name}_ahead"] = Signal.read(f"ahead:{c.name}")
        if self.hears is not None:
            signals["broadcast"] = Signal.read("broadcast")
        return Local(where or f"population {self.name}", signals)

    def compartment(self, name: str) -> Compartment:
        """The compartment of that name; BadOption lists them."""
        for c in self.compartments:
            if c.name == name:
                return c
        names = ", ".join(c.name for c in self.compartments)
        raise BadOption(f"compartment of {self.name}", got=repr(name), expected=f"one of {names}")
