"""Projections: from the output of one population to a compartment of another; their plasticity.

    I_i = s Σ_j w_ij r_j(t − d)

w (n_target, n_source) are the weights, r the output of the source, s a fixed sign or factor, d a
delay in steps. A plasticity is a function of the local signals of a synapse: ``pre`` (the output of
the source), the compartments and outputs of the target neuron by their names, ``broadcast`` (that
of the target population) and ``weight``. It returns the weight change per unit of learning rate.
The module `signals` defines which formulas are allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from biocircuits.description import checks, closures
from biocircuits.description.populations import Population
from biocircuits.description.signals import PRE, WEIGHT, Change, Local, Signal
from rate_models.errors import BadOption

Synapse = Callable[[Local], Any]  # returns a Change, a Signal or a number


@dataclass(frozen=True)
class Plasticity:
    """The learning rule of a projection.

    change: a function of the signals of a synapse (`Local`): pre, weight, broadcast, compartments
    and outputs of the postsynaptic neuron. phases: the phases in which it is active. rate: relative
    to the learning rate; if not ``scaled``, the rate itself. immediately: whether weights change at
    the end of the phase instead of the end of the sample.

    >>> def hebbian(synapse):
    ...     return synapse.pre * synapse.rate - synapse.weight
    >>> Plasticity(hebbian, ("standard",)).rate
    1.0
    """

    change: Synapse
    phases: tuple[str, ...]
    rate: float = 1.0
    scaled: bool = True
    immediately: bool = False

    def __post_init__(self) -> None:
        phases = checks.several("phases of a plasticity", self.phases, str)
        rate = checks.number("rate of a plasticity", self.rate)
        checks.put(self, phases=phases, rate=rate)


@dataclass(frozen=True)
class Projection:
    """A connection from one population to a compartment of another.

    name; source: population or population.output; target: population.compartment. sign: s.
    one_to_one: neuron i projects to neuron i, without weights. parameter: (name, index in its list,
    or None) of the network parameter that holds the weights, or their transpose if ``transposed``.
    weights: a fixed matrix in place of a parameter. phases: those in which it conducts (None: all).
    delay: d in steps. noise: relative release noise of every synapse, per √ms. plasticity: empty
    for fixed weights. observer: whether it only computes scores, with the weights that another
    projection learns. changes: the formula of each plasticity, once it is part of a circuit.
    """

    name: str
    source: str
    target: str
    sign: float = 1.0
    one_to_one: bool = False
    parameter: tuple[str, int | None] | None = None
    transposed: bool = False
    weights: Any = None
    phases: tuple[str, ...] | None = None
    delay: int = 0
    noise: float = 0.0
    plasticity: tuple[Plasticity, ...] = ()
    observer: bool = False
    changes: tuple[Change, ...] = field(init=False, default=(), compare=False)

    def __post_init__(self) -> None:
        where = f"projection {checks.name('name of a projection', self.name)}"
        for what, count, expected in (("source", (0, 1), "population or population.output"),
                                      ("target", (1,), "population.compartment")):  # fmt: skip
            path = getattr(self, what)
            if not isinstance(path, str) or path.count(".") not in count:
                raise BadOption(f"{what} of {where}", got=repr(path), expected=expected)
        steps = "a whole number of steps"
        checks.put(self, delay=checks.whole(f"delay of {where}", self.delay, 0, steps),
                    sign=checks.number(f"sign of {where}", self.sign),
                    noise=checks.number(f"noise of {where}", self.noise, 0),
                    phases=checks.phases(where, self.phases),
                    plasticity=checks.several(f"plasticity of {where}", self.plasticity,
                                               Plasticity))  # fmt: skip
        if self.one_to_one and (self.plasticity or self.parameter):
            at = f"projection {self.name}"
            raise BadOption(at, got="one_to_one with weights", expected="one or the other")

    @property
    def source_population(self) -> str:
        """The name of the source population."""
        return self.source.partition(".")[0]

    @property
    def output(self) -> str:
        """The name of the output that is transmitted."""
        return self.source.partition(".")[2] or "rate"

    def changes_at(self, post: Population) -> tuple[Change, ...]:
        """The formula of each plasticity, from the signals that exist at the synapse."""
        signals = {c.name: Signal.read(c.name) for c in post.compartments}
        signals |= {name: Signal.read(f"out:{name}") for name in post.outputs}
        if post.broadcast is not None:
            signals["broadcast"] = Signal.read("broadcast")
        signals |= {"pre": Signal.read("pre", PRE), "weight": WEIGHT}
        where = f"plasticity of projection {self.name}"
        local = Local(where, signals)
        return tuple(closures.synapse(where, plastic.change, local) for plastic in self.plasticity)
