"""Projections: from the output of one population to a compartment of another; their plasticity.

    I_i = s Σ_j w_ij r_j(t − d)

w (n_target, n_source), r the output of the source, s a fixed sign or factor, d a delay in steps.
A plasticity is a function of the synapse's place: ``pre`` (the source's output), the target
neuron's compartments and outputs by their names, ``broadcast`` (what the target population hears)
and ``weight``. It returns what the weight gains per unit of learning rate; `signals` says what that
may be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from biocircuits.description import checks, sight
from biocircuits.description.populations import Population
from biocircuits.description.signals import PRE, WEIGHT, Change, Local, Signal
from rate_models.errors import BadOption

Synapse = Callable[[Local], Any]  # of a Change


@dataclass(frozen=True)
class Plasticity:
    """change: function of a synapse's `Local`: pre, weight, broadcast, and its neuron's own names.

    phases: in which it is at work. rate: relative to the learning rate, or, where not ``scaled``,
    the rate itself. immediately: applied at the end of its phase, in place of the sample's.

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
    """name; source: population or population.output; target: population.compartment.

    sign: s. one_to_one: neuron i to neuron i, no weights. parameter: (name, place in its list or
    None) of the network's parameters that the weights are, transposed where so said; a fixed
    matrix as ``weights`` otherwise. phases: in which it conducts (None: all). delay: d in steps.
    noise: relative release noise of every synapse, per √ms. plasticity: none for fixed weights.
    observer: only looks on, with the weights that another projection learns.
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
    traced: tuple[Change, ...] = field(init=False, default=(), compare=False)

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
        """The name of the population that projects."""
        return self.source.partition(".")[0]

    @property
    def output(self) -> str:
        """The output of the source that is carried."""
        return self.source.partition(".")[2] or "rate"

    def trace(self, post: Population) -> tuple[Change, ...]:
        """What each plasticity computes, from the signals that exist at the synapse."""
        signals = {c.name: Signal.read(c.name) for c in post.compartments}
        signals |= {name: Signal.read(f"out:{name}") for name in post.outputs}
        if post.hears is not None:
            signals["broadcast"] = Signal.read("broadcast")
        signals |= {"pre": Signal.read("pre", PRE), "weight": WEIGHT}
        where = f"plasticity of projection {self.name}"
        local = Local(where, signals)
        return tuple(sight.synapse(where, plastic.change, local) for plastic in self.plasticity)
