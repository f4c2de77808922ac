"""Populations of neurons: compartments, couplings between them, and outputs of the axon.

A compartment's state v, one number per neuron, follows

    τ v' = −g_L v + I + Σ_k g_k (u_k − v)

τ (ms) is the time constant at g_L = 1, g_L the leak, I the sum of the currents (from projections,
and an intrinsic one), g_k the conductance of a coupling whose source u_k is computed in the same
neuron. All but τ are relative to a leak of 1 and have no unit. A compartment with neither leak nor
coupling keeps its state: it is a memory. With τ = 0 the state is at its fixed point at all times.
A clamped compartment is set from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from biocircuits.description import checks, closures
from biocircuits.description.signals import Local, Signal
from rate_models.errors import BadOption

Formula = Callable[[Local], Any]  # returns a Signal or a number
KINDS = ("point", "pyramidal", "interneuron", "input", "modulator")


@dataclass(frozen=True)
class Compartment:
    """One compartment of a neuron.

    name; tau: τ in ms; leak: g_L; current: the intrinsic part of I, or None. clamp: the external
    value that sets the state, "x", "y", "noise.0", "mask.0", ..., or a number; it holds in
    ``phases`` (None: all), and the state is 0 in the others. noise: standard deviation of the
    membrane noise at rest. rest: the initial state.
    """

    name: str
    tau: float = 10.0
    leak: float = 1.0
    current: Formula | None = None
    clamp: str | float | None = None
    phases: tuple[str, ...] | None = None
    noise: float = 0.0
    rest: float = 0.0

    def __post_init__(self) -> None:
        where = f"compartment {checks.part('name of a compartment', self.name)}"
        clamp = self.clamp
        if clamp is not None and not isinstance(clamp, str):
            clamp = checks.number(f"clamp of {where}", clamp)
        checks.put(self, clamp=clamp, phases=checks.phases(where, self.phases),
                    rest=checks.number(f"rest of {where}", self.rest))  # fmt: skip


@dataclass(frozen=True)
class Coupling:
    """A conductance inside a neuron: ``source`` pulls compartment ``into`` towards itself."""

    source: Formula
    into: str
    conductance: float = 1.0
    phases: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        checks.put(self, phases=checks.phases(f"coupling into {self.into}", self.phases))


@dataclass(frozen=True)
class Population:
    """``size`` neurons of one kind.

    outputs: {name: formula over the compartments and ``broadcast``}, the signals of the axon;
    ``rate`` is the one that a projection carries unless it names another. broadcast: the
    ``population.output`` of size 1 or ``size`` that all synapses and compartments can read as
    ``broadcast``. observer: whether the population only computes scores and is no part of the
    biology. formulas, currents, pulls: the formulas of outputs, intrinsic currents and couplings.

    Raises BadOption, which names the population, for invalid fields.

    >>> Population("hidden", 8, (Compartment("soma"),), {"rate": lambda n: n.soma}).size
    8
    """

    name: str
    size: int
    compartments: tuple[Compartment, ...]
    outputs: dict[str, Formula]
    couplings: tuple[Coupling, ...] = ()
    kind: str = "point"
    broadcast: str | None = None
    observer: bool = False
    formulas: dict[str, Signal] = field(init=False, default_factory=dict, compare=False)
    currents: dict[str, Signal] = field(init=False, default_factory=dict, compare=False)
    pulls: tuple[Signal, ...] = field(init=False, default=(), compare=False)

    def __post_init__(self) -> None:
        where = f"population {checks.name('name of a population', self.name)}"
        parts = checks.several(f"compartments of {where}", self.compartments, Compartment)
        pulled = checks.several(f"couplings of {where}", self.couplings, Coupling)
        checks.put(self, size=checks.whole(f"size of {where}", self.size, 1, "a whole number"),
                    compartments=parts, couplings=pulled)  # fmt: skip
        if not isinstance(self.outputs, Mapping):
            expected = "formulas by their names, {'rate': lambda n: n.soma}"
            got = f"a {type(self.outputs).__name__}"
            raise BadOption(f"outputs of {where}", got=got, expected=expected)
        if self.kind not in KINDS:
            raise BadOption(f"kind of {where}", got=self.kind, expected=f"one of {KINDS}")
        names = [c.name for c in parts]
        if len(set(names)) != len(names):
            raise BadOption(where, got=f"compartments {names}", expected="different names")
        for c in parts:
            for what in ("tau", "leak", "noise"):
                at = f"{what} of {self.name}.{c.name}"
                checks.put(c, **{what: checks.number(at, getattr(c, what), 0)})
        for coupling in pulled:
            if coupling.into not in names:
                at = f"coupling of {where}"
                raise BadOption(at, got=repr(coupling.into), expected=f"one of {', '.join(names)}")
            at = f"conductance into {self.name}.{coupling.into}"
            checks.put(coupling, conductance=checks.number(at, coupling.conductance, 0))
        self._read_formulas(where)

    def _read_formulas(self, where: str) -> None:
        """Evaluate all functions on the symbols of the neuron's signals."""
        for name, formula in self.outputs.items():
            at = f"output {checks.part(f'name of an output of {where}', name)} of {where}"
            self.formulas[name] = closures.neuron(at, formula, self.local())
        for c in self.compartments:
            if c.current is not None:
                at = f"current of {self.name}.{c.name}"
                self.currents[c.name] = closures.neuron(at, c.current, self.local())
        pulls = [
            closures.neuron(f"coupling into {self.name}.{c.into}", c.source, self.local())
            for c in self.couplings
        ]
        checks.put(self, pulls=tuple(pulls))

    def local(self, where: str = "") -> Local:
        """The signals that the formulas of a neuron can read, by name.

        NAME_ahead is the fixed point to which compartment NAME relaxes, v + (τ / g) v', which is
        the ratio of its currents to its conductances. Membranes with sodium channels respond to it
        (prospective coding).
        """
        signals = {c.name: Signal.read(c.name) for c in self.compartments}
        for c in self.compartments:
            if c.clamp is None:
                signals[f"{c.name}_ahead"] = Signal.read(f"ahead:{c.name}")
        if self.broadcast is not None:
            signals["broadcast"] = Signal.read("broadcast")
        return Local(where or f"population {self.name}", signals)

    def compartment(self, name: str) -> Compartment:
        """The compartment of that name; BadOption lists the names."""
        for c in self.compartments:
            if c.name == name:
                return c
        names = ", ".join(c.name for c in self.compartments)
        raise BadOption(f"compartment of {self.name}", got=repr(name), expected=f"one of {names}")
