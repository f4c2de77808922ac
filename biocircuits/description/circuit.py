"""A circuit: populations, projections, and the phases of every sample."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from biocircuits.description import checks
from biocircuits.description.populations import Population
from biocircuits.description.projections import Projection
from biocircuits.description.signals import Local, Signal
from rate_models.errors import BadOption
from rate_models.network import Parameters


@dataclass(frozen=True)
class Phase:
    """A part of the presentation of a sample.

    name; duration in ms. Inputs are constant during a phase. Compartments, couplings, projections
    and plasticity name the phases in which they are active.
    """

    name: str
    duration: float = 100.0

    def __post_init__(self) -> None:
        checks.name("name of a phase", self.name)


@dataclass(frozen=True)
class Circuit:
    """A network of populations and projections, and the phases in which it runs.

    name; phases in their order. answer: (population, compartment, phase). The ``rate`` of the
    population is the output h_L, its compartment is a_L, and both are read at the end of the phase.

    Raises BadOption, which names the part, where parts do not fit together: a projection to a
    compartment that does not exist, an unknown phase, a matrix of another shape.
    """

    name: str
    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    phases: tuple[Phase, ...]
    answer: tuple[str, str, str]

    def __post_init__(self) -> None:
        where = f"circuit {checks.name('name of a circuit', self.name)}"
        checks.put(
            self,
            populations=checks.several(f"populations of {where}", self.populations, Population),
            projections=checks.several(f"projections of {where}", self.projections, Projection),
            phases=checks.several(f"phases of {where}", self.phases, Phase),
            answer=checks.several(f"answer of {where}", self.answer, str),
        )
        if not self.phases or len(self.answer) != 3:
            expected = "a phase, and an answer (population, compartment, phase)"
            got = f"{len(self.phases)} phases, an answer of {len(self.answer)}"
            raise BadOption(where, got=got, expected=expected)
        _different("population", [p.name for p in self.populations])
        _different("projection", [p.name for p in self.projections])
        _different("phase", [p.name for p in self.phases])
        names = {phase.name for phase in self.phases}
        for phase in self.phases:
            at, expected = f"duration of phase {phase.name}", "a finite number of ms above 0"
            if checks.number(at, phase.duration) <= 0:
                raise BadOption(at, got=phase.duration, expected=expected)
        for population in self.populations:
            used = [c.phases for c in population.compartments]
            used += [c.phases for c in population.couplings]
            self._phases(f"population {population.name}", used, names)
            if population.broadcast is not None:
                where = f"broadcast of population {population.name}"
                source = self.output(where, population.broadcast)[0]
                if source.size not in (1, population.size):
                    got, expected = f"{source.size} neurons", f"1 or {population.size}"
                    raise BadOption(where, got=got, expected=expected)
        projections = []
        for projection in self.projections:
            where = f"projection {projection.name}"
            self._phases(where, [projection.phases, *(p.phases for p in projection.plasticity)],
                         names)  # fmt: skip
            self.output(f"source of {where}", projection.source)
            post = self.population(projection.target.partition(".")[0], f"target of {where}")
            post.compartment(projection.target.partition(".")[2])
            self._shape(projection, post)
            new = replace(projection)
            object.__setattr__(new, "changes", projection.changes_at(post))
            projections.append(new)
        object.__setattr__(self, "projections", tuple(projections))
        self.output("answer", self.answer[0])[0].compartment(self.answer[1])
        self._phases("answer", [self.answer[2:]], names)

    def population(self, name: str, where: str = "population") -> Population:
        """The population of that name; BadOption lists the names."""
        for population in self.populations:
            if population.name == name:
                return population
        expected = f"one of {', '.join(p.name for p in self.populations)}"
        raise BadOption(f"{where} in circuit {self.name}", got=repr(name), expected=expected)

    def projection(self, name: str) -> Projection:
        """The projection of that name; BadOption lists the names."""
        for projection in self.projections:
            if projection.name == name:
                return projection
        expected = f"one of {', '.join(p.name for p in self.projections)}"
        raise BadOption(f"projection in circuit {self.name}", got=repr(name), expected=expected)

    def output(self, where: str, source: str) -> tuple[Population, str]:
        """The population and the output that ``population`` or ``population.output`` names."""
        name, _, output = source.partition(".")
        population = self.population(name, where)
        output = output or "rate"
        if output not in population.outputs:
            expected = f"one of {', '.join(population.outputs)}"
            raise BadOption(f"{where}: output of {name}", got=repr(output), expected=expected)
        return population, output

    def without(self, cut: Iterable[str] = (), silent: Iterable[str] = ()) -> Circuit:
        """The circuit without the projections ``cut``, and with populations ``silent``.

        Outputs of a silent population are 0, and its projections are removed.

        >>> from biocircuits import example
        >>> [p.name for p in example().without(cut=["feedback"]).projections]
        ['forward']
        """
        removed = {self.projection(name).name for name in checks.several("cut", cut, str)}
        silenced = {self.population(name).name for name in checks.several("silent", silent, str)}
        remaining = tuple(
            p for p in self.projections
            if p.name not in removed and p.source_population not in silenced
        )  # fmt: skip
        broadcast = [self.output("broadcast", p.broadcast) for p in self.populations if p.broadcast]
        populations = tuple(
            replace(p, outputs=p.outputs | {o: _zero for q, o in broadcast if q is p})
            if p.name in silenced else p
            for p in self.populations
        )  # fmt: skip
        return replace(self, populations=populations, projections=remaining)

    def shape(self, projection: Projection) -> tuple[int, int]:
        """(n_target, n_source) of a projection's weights."""
        target = self.population(projection.target.partition(".")[0])
        return target.size, self.population(projection.source_population).size

    def _shape(self, projection: Projection, post: Population) -> None:
        n, m = self.shape(projection)
        where = f"projection {projection.name}"
        if projection.one_to_one and n != m:
            raise BadOption(where, got=f"one_to_one from {m} to {n} neurons", expected="as many")
        if projection.weights is not None and np.shape(projection.weights) != (n, m):
            got = f"shape {np.shape(projection.weights)}"
            raise BadOption(f"weights of {where}", got=got, expected=f"shape {(n, m)}")
        if not projection.one_to_one and projection.weights is None and not projection.parameter:
            raise BadOption(where, expected="one_to_one, weights or a parameter")

    def _phases(self, where: str, used: Sequence[Sequence[str] | None], names: set[str]) -> None:
        for phases in used:
            for phase in phases or ():
                if phase not in names:
                    expected = f"one of {', '.join(sorted(names))}"
                    raise BadOption(f"phase of {where}", got=repr(phase), expected=expected)


def weights_of(projection: Projection, params: Parameters) -> np.ndarray:
    """A copy of the matrix (n_target, n_source) of a projection, taken from the parameters."""
    if projection.parameter is None:
        return np.array(projection.weights, float)
    name, index = projection.parameter
    where = f"weights of projection {projection.name}"
    try:
        array = np.asarray(params[name] if index is None else params[name][index], float)
    except (KeyError, IndexError, TypeError, ValueError):
        got = f"parameters {', '.join(map(str, params))}" if isinstance(params, Mapping) else None
        entry = "" if index is None else f", entry {index} of list"
        got, expected = got or f"a {type(params).__name__}", f"an array{entry} {name!r}"
        raise BadOption(where, got=got, expected=expected) from None
    array = array.reshape(-1, 1) if array.ndim == 1 else array  # a bias: from one neuron
    return np.array(array.T if projection.transposed else array, float)


def _zero(n: Local) -> Signal:
    return Signal("number", side="")


def circuit_of(where: str, source: object) -> Circuit:
    """The circuit that a simulator, a network or its learner runs; a `Circuit` is returned itself.

    >>> from biocircuits import example
    >>> circuit_of("drawing", example()).name
    'example'
    """
    circuit = source
    for name in ("network", "circuit"):
        if not isinstance(circuit, Circuit):
            circuit = getattr(circuit, name, circuit)
    if not isinstance(circuit, Circuit):
        expected = "a Circuit, or a network, learner or simulator that runs one"
        raise BadOption(where, got=f"a {type(source).__name__}", expected=expected)
    return circuit


def _different(what: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadOption(f"{what} {twice[0]}", got="the name twice", expected="different names")
