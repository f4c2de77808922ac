"""Simulation of a circuit: each sample runs through the phases, in steady state or in time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from biocircuits.description import checks
from biocircuits.description.circuit import Circuit, Phase, circuit_of, weights_of
from biocircuits.description.projections import Projection
from biocircuits.simulation import constraints, machine
from biocircuits.simulation.program import Compiled, Phased
from biocircuits.simulation.recording import Probe, Recorder, Trace
from biocircuits.simulation.settings import Settings
from rate_models.compiler.kernel import Array
from rate_models.compiler.records import Record
from rate_models.errors import BadOption, Diverged
from rate_models.model.hyperparameters import checked
from rate_models.network import Parameters

__all__ = ["Settings", "Simulator"]
SWEEPS, SETTLED = 10_000, 1e-14
LONGEST = 10_000_000  # steps of a phase
_NO_PROBES, _NO_TRACE = np.zeros(0, np.int64), np.zeros((0, 0))


class Simulator:
    """A circuit with its weights and its state.

    params: the parameters that the projections name. seed: of the signs of neurons under Dale's
    law. Raises BadOption where settings and circuit do not fit together. `present` raises Diverged
    where a phase has no steady state.

    >>> from biocircuits import example
    >>> simulator = Simulator(example(), {"W": [np.eye(2)], "F": np.eye(2)}, Settings())
    >>> simulator.present({"x": np.array([1.0, 2.0])})
    >>> simulator.read("hidden.rate")
    array([1., 2.])
    """

    def __init__(
        self,
        circuit: Circuit,
        params: Parameters,
        settings: Settings = Settings(),  # noqa: B008  a tuple, which does not change
        seed: int = 0,
    ) -> None:
        if not isinstance(settings, Settings):
            got = f"a {type(settings).__name__}"
            raise BadOption("settings", got=got, expected="a biocircuits.Settings")
        settings = checked(Settings(), **settings._asdict())
        constraints.check(settings)
        circuit = circuit_of("Simulator", circuit)
        circuit = circuit.without(_names(settings.cut), _names(settings.silence))
        self.circuit, self.settings = circuit, settings
        for phase in circuit.phases:
            if settings.mode == "continuous" and phase.duration / settings.dt > LONGEST:
                expected = f"at least {phase.duration / LONGEST:g} ms, for phase {phase.name}"
                raise BadOption("dt", got=f"{settings.dt:g} ms", expected=expected)
            if settings.mode == "continuous" and settings.dt > phase.duration:
                expected = f"at most {phase.duration:g} ms, the duration of phase {phase.name}"
                raise BadOption("dt", got=f"{settings.dt:g} ms", expected=expected)
            if settings.window > phase.duration:
                expected = f"at most {phase.duration:g} ms, the duration of phase {phase.name}"
                raise BadOption("window", got=f"{settings.window:g} ms", expected=expected)
        direct = settings.commit == "step"
        if direct and settings.mode == "steady":
            raise BadOption("commit", got="step", expected="sample where mode is steady")
        dt = settings.dt if settings.mode == "continuous" else None
        self.compiled = Compiled(circuit, dt, direct)
        try:
            self.v = self.compiled.rest()
            self.W = np.zeros(self.compiled.n_weights)
            self.E = self.W if direct else np.zeros(self.compiled.n_eligibilities)
        except MemoryError:
            numbers = self.compiled.memory.size + self.compiled.n_weights
            numbers += self.compiled.n_eligibilities
            got = f"{8e-9 * numbers:,.0f} GB of states and weights"
            raise BadOption(f"circuit {circuit.name}", got=got, expected="less") from None
        self.clock = np.zeros(1, np.int64)
        self._copies = _copies(circuit)
        self._signs = constraints.signs(circuit, seed, settings.excitatory)
        self._plans = {name: self._plan(phase) for name, phase in self.compiled.phases.items()}
        self._clamps = {phase.name: self._clamped(phase) for phase in circuit.phases}
        self._quiet = np.zeros((1, self.compiled.noise_width))
        self._old = np.zeros_like(self.v) if settings.mode == "steady" else self.v
        self.load(params)

    @property
    def random(self) -> bool:
        """Whether a sample takes random numbers."""
        return self.compiled.noise_width > 0 or self.settings.bits > 0

    @property
    def lasting(self) -> Array:
        """The part of the state that the next sample needs, as a view."""
        return self.v[: self.compiled.lasting]

    def _plan(self, phase: Phased) -> Record:
        programs = phase.begin, phase.step, phase.move, phase.learn, phase.end
        return Record(machine.Plan(*programs, self.v, self.W, self.E, self.clock))

    def load(self, params: Parameters) -> None:
        """Set all weights from the parameters of a network, and apply the constraints.

        Raises BadOption for a missing array and for another shape.
        """
        for p in self.circuit.projections:
            if not p.one_to_one:
                weights = weights_of(p, params)
                if weights.shape != (want := self.circuit.shape(p)):
                    where = f"weights of projection {p.name}"
                    raise BadOption(where, got=f"shape {weights.shape}", expected=f"shape {want}")
                self.weights(p.name)[...] = weights
        for p in self.circuit.projections:
            if p.name in self._signs:
                plastic, sign = bool(p.plasticity), self._signs[p.name]
                constraints.begin(self.weights(p.name), plastic, self.settings, sign)
                self._synchronise(p)

    def take_over(self, before: Simulator) -> None:
        """Copy time and state from another simulation of these populations."""
        self.clock[:] = before.clock
        for p in self.circuit.populations:
            for name in [c.name for c in p.compartments]:
                old = before.compiled.offsets.get(("state", p.name, name))
                if old is not None:
                    self.v[self.compiled.at("state", p.name, name)] = before.v[old : old + p.size]

    def weights(self, projection: str) -> Array:
        """The weights (n_target, n_source) of a projection, as a view that must not be changed."""
        shape = self.circuit.shape(self.circuit.projection(projection))
        return self.W[self.compiled.weights[projection]].reshape(shape)

    def read(self, name: str) -> Array:
        """A copy of the present value of ``population.compartment`` or ``population.output``."""
        return self.v[self.at(name)].copy()

    def at(self, name: str) -> slice:
        """The slice of ``population.compartment`` or ``population.output`` in the state."""
        population, _, part = name.partition(".")
        p = self.circuit.population(population)
        if part in p.outputs:
            return self.compiled.at("out", population, part)
        parts = [c.name for c in p.compartments]
        if part not in parts:
            where = f"compartment of {p.name}"
            expected, full = f"one of {', '.join([*parts, *p.outputs])}", f"{p.name}.{parts[0]}"
            raise BadOption(where, got=repr(part), expected=expected, remedy=f"for example {full}")
        return self.compiled.at("state", population, part)

    def present(
        self,
        given: Mapping[str, ArrayLike],
        lr: float = 0.0,
        rng: np.random.Generator | None = None,
        probe: Probe | None = None,
        until: str | None = None,
        after: Callable[[str], None] = lambda phase: None,
    ) -> Trace | None:
        """Run one sample through all phases. Returns its trace where ``probe`` is given.

        given: values of the clamped compartments, by the names of their clamps. lr: learning rate;
        0: no plasticity. rng: of noise and of stochastic rounding. until: the phase after which to
        stop, without plasticity. after: a function that is called with the name of every phase at
        its end, before weights change. Raises BadOption, and Diverged without a steady state.
        """
        given = _numbers(given)
        lr = checks.number("lr", lr, 0)
        if until is not None and until not in (names := [p.name for p in self.circuit.phases]):
            raise BadOption("until", got=repr(until), expected=f"one of {', '.join(names)}")
        if self.settings.reset:
            self.v[:] = self.compiled.rest()
        if self.E is not self.W:
            self.E[:] = 0
        recorder = None if probe is None else Recorder(self, probe)
        spans, dt = [], self.settings.dt
        for phase in self.circuit.phases:
            self._clamp(phase, given)
            begin = float(self.clock[0] * dt)
            learning = 0.0 if until is not None else lr
            self._phase(phase, learning, rng, recorder)
            spans.append((phase.name, begin, float(self.clock[0] * dt)))
            after(phase.name)
            self._commit(learning, rng, phase.name)
            if phase.name == until:
                break
        if until is None:
            self._commit(lr, rng, None)
        return recorder.trace(spans) if recorder else None

    def _clamped(self, phase: Phase) -> list[tuple[str, slice, int, str | float]]:
        """Name, place, size and value of every clamped compartment in a phase."""
        return [
            (f"clamp of {p.name}.{c.name}", self.compiled.at("state", p.name, c.name), p.size,
             c.clamp if c.phases is None or phase.name in c.phases else 0.0)
            for p in self.circuit.populations for c in p.compartments if c.clamp is not None
        ]  # fmt: skip

    def _clamp(self, phase: Phase, given: Mapping[str, Array]) -> None:
        for where, at, size, clamp in self._clamps[phase.name]:
            value: Any = clamp
            if isinstance(clamp, str):
                if clamp not in given:
                    raise BadOption(where, got=sorted(given), expected=repr(clamp))
                value = given[clamp]
                if value.shape not in ((), (size,)):
                    raise BadOption(where, got=f"shape {value.shape}", expected=f"shape {(size,)}")
            self.v[at] = value

    def _phase(
        self,
        phase: Phase,
        lr: float,
        rng: np.random.Generator | None,
        recorder: Recorder | None,
    ) -> None:
        """Run one phase and record it."""
        s, plan = self.settings, self._plans[phase.name].address
        probes = recorder.offsets(phase.name) if recorder else _NO_PROBES
        if s.mode == "steady":
            loops = self.compiled.phases[phase.name].loops
            sweeps = SWEEPS if loops else 1
            count = machine.settle(plan, self._quiet[0], sweeps, SETTLED, lr > 0, self._old)
            if not count or (loops and not machine.finite(self.v)):
                at_phase = f"phase {phase.name} of circuit {self.circuit.name}"
                remedy = "lower the learning rate, weaken its loops, or use mode=continuous"
                raise Diverged(at_phase, got="no steady state", remedy=remedy)
            self.clock[0] += 1
            if recorder:
                row = np.concatenate([self.v, self.E])[probes]
                recorder.add(phase.name, self.clock * s.dt, row[None], lr)
            return
        steps, noise = round(phase.duration / s.dt), self._quiet
        every = max(1, round(recorder.probe.interval / s.dt)) if recorder else 0
        trace = np.zeros((steps // every + 1, len(probes))) if every else _NO_TRACE
        if rng is not None and self.compiled.noise_width:
            noise = rng.standard_normal((steps, self.compiled.noise_width))
        begin = int(self.clock[0])
        rows = machine.run_phase(
            plan, noise, steps, round(s.window / s.dt), lr > 0,
            lr if s.commit == "step" else 1.0, probes, every, trace,
        )  # fmt: skip
        if recorder:
            first = -(-begin // every) * every
            times = (first + every * np.arange(rows)) * s.dt
            recorder.add(phase.name, times, trace[:rows], lr)

    def _commit(self, lr: float, rng: np.random.Generator | None, phase: str | None) -> None:
        """Add eligibilities to the weights: at the end of ``phase``, or of the sample if None."""
        if lr == 0:
            return
        for p in self.circuit.projections:
            changed = False
            for i, plasticity in enumerate(p.plasticity):
                due = phase is None
                if plasticity.immediately:
                    due = phase is not None and phase in plasticity.phases
                if not due:
                    continue
                changed = True
                if self.E is not self.W:
                    at = self.compiled.eligibilities[p.name, i]
                    rate = lr if plasticity.scaled else 1.0
                    machine.commit(self.W[self.compiled.weights[p.name]], rate, self.E[at])
                    self.E[at] = 0
            if changed and p.name in self._signs:
                constraints.apply(self.weights(p.name), self.settings, self._signs[p.name], rng)
            if changed:
                self._synchronise(p)

    def _synchronise(self, changed: Projection) -> None:
        """Copy weights to the other projections with the same parameter."""
        for name, same in self._copies[changed.name]:
            w = self.weights(changed.name)
            self.weights(name)[...] = w if same else w.T


def _numbers(given: Mapping[str, ArrayLike]) -> dict[str, Array]:
    """The values of clamps as arrays; BadOption where a value is no finite number."""
    if not isinstance(given, Mapping):
        got, expected = f"a {type(given).__name__}", "{'x': numbers, ...} by the names of clamps"
        raise BadOption("present", got=got, expected=expected)
    arrays = {}
    for name, value in given.items():
        try:
            arrays[name] = np.asarray(value, float)
        except (TypeError, ValueError):
            raise BadOption(f"clamp {name}", got=repr(value), expected="numbers") from None
        if not np.isfinite(arrays[name]).all():
            raise BadOption(f"clamp {name}", got="a number that is not finite", expected="finite")
    return arrays


def _copies(circuit: Circuit) -> dict[str, list[tuple[str, bool]]]:
    """For each projection the others with its parameter, and whether they have its orientation."""
    return {
        one.name: [
            (other.name, other.transposed == one.transposed)
            for other in circuit.projections
            if other is not one and other.parameter and other.parameter == one.parameter
        ]
        for one in circuit.projections
    }


def _names(text: str) -> list[str]:
    """The names in a text with commas between them."""
    return [name.strip() for name in text.split(",") if name.strip()]
