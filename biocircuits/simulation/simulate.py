"""Simulation of a circuit: each sample runs through the phases, in steady state or in time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from biocircuits.description import checks
from biocircuits.description.circuit import Circuit, Phase, circuit_of, weights_of
from biocircuits.description.projections import Projection
from biocircuits.simulation import clamps, constraints, machine
from biocircuits.simulation.operations import Program
from biocircuits.simulation.program import Compiled
from biocircuits.simulation.recording import Probe, Recorder, Trace
from biocircuits.simulation.settings import Settings, check_durations, names_in, valid
from rate_models.compiler.kernel import Array, aligned
from rate_models.compiler.records import Record, Records
from rate_models.errors import BadOption, Diverged
from rate_models.network import Parameters

__all__ = ["Settings", "Simulator"]
_NO_PROBES = np.zeros(0, np.int64)


class Simulator:
    """A circuit with its weights and its state.

    params: the parameters that the projections name. seed: of the signs of neurons under Dale's
    law. dtype: float64 or float32, of all numbers. Raises BadOption where settings and circuit do
    not fit together. `present` raises Diverged where a phase has no steady state.

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
        dtype: str = "float64",
    ) -> None:
        settings = valid(settings)
        constraints.check(settings)
        circuit = circuit_of("Simulator", circuit)
        circuit = circuit.without(names_in(settings.cut), names_in(settings.silence))
        self.circuit, self.settings = circuit, settings
        check_durations(circuit, settings)
        direct = settings.commit == "step"
        timed = settings.mode == "continuous"
        self.compiled = Compiled(circuit, settings.dt if timed else None, direct)
        try:
            self._rest = self.compiled.rest(dtype)
            self.v = aligned(self._rest, dtype)
            self.W = aligned(np.zeros(self.compiled.n_weights), dtype)
            self.E = self.W
            if not direct:
                self.E = aligned(np.zeros(self.compiled.n_eligibilities), dtype)
        except MemoryError:
            numbers = self.compiled.memory.size + self.compiled.n_weights
            numbers += self.compiled.n_eligibilities
            got = f"{1e-9 * np.dtype(dtype).itemsize * numbers:,.0f} GB of states and weights"
            raise BadOption(f"circuit {circuit.name}", got=got, expected="less") from None
        self.clock = np.zeros(1, np.int64)
        self._signs = constraints.signs(circuit, seed, settings.excitatory)
        self._open(dtype)
        self.load(params)

    def _open(self, dtype: str) -> None:
        """The kernels, and all that they are called with at every sample."""
        c, s, old = self.compiled, self.settings, np.zeros_like(self.v)
        self._kernels = machine.kernels(dtype)
        self._quiet = np.zeros((1, c.noise_width), dtype)
        self._no_trace = np.zeros((0, 0), dtype)
        self._clamps = {p.name: clamps.needed(self.circuit, p) for p in self.circuit.phases}
        plans = []
        for phase in self.circuit.phases:
            of = c.phases[phase.name]
            programs = [Program(p.table, p.numbers.astype(dtype)) for p in of.programs]
            plans.append(machine.Plan(
                machine.Programs(*programs), self.v, self.W, self.E, self.clock,
                round(phase.duration / s.dt) if c.dt else 0, round(s.window / s.dt),
                int(of.loops), old, c.lasting,
            ))  # fmt: skip
        self._steps = [plan.steps for plan in plans]
        self._plans = Records(plans)
        self._at = {phase.name: k for k, phase in enumerate(self.circuit.phases)}

    def __getstate__(self) -> dict[str, Any]:
        """Without the addresses of its arrays, which a copy has elsewhere."""
        return {k: v for k, v in vars(self).items() if k not in ("_kernels", "_plans")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._open(str(self.v.dtype))

    @property
    def work(self) -> int:
        """The number of synapses times that of the steps of a sample."""
        steps = sum(steps or 1 for steps in self._steps)
        return max(self.compiled.n_weights, 1) * steps

    @property
    def constrained(self) -> bool:
        """Whether constraints apply to the weights."""
        s = self.settings
        return s.dale or s.bits > 0 or s.low is not None or s.high is not None

    @property
    def random(self) -> bool:
        """Whether a sample takes random numbers."""
        return self.compiled.noise_width > 0 or self.settings.bits > 0

    @property
    def lasting(self) -> Array:
        """The part of the state that the next sample needs, as a view."""
        return self.v[self.compiled.given_width : self.compiled.lasting]

    def is_finite(self) -> bool:
        """Whether all weights and states are finite."""
        return bool(self._kernels.finite(self.W) and self._kernels.finite(self.lasting))

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
        values = clamps.checked(given)
        lr = checks.number("lr", lr, 0)
        if until is not None and until not in (names := [p.name for p in self.circuit.phases]):
            raise BadOption("until", got=repr(until), expected=f"one of {', '.join(names)}")
        if self.settings.reset:
            self.v[:] = self._rest
        if self.E is not self.W:
            self.E[:] = 0
        recorder = None if probe is None else Recorder(self, probe)
        spans, dt = [], self.settings.dt
        for phase in self.circuit.phases:
            clamps.set_values(self.v, self._clamps[phase.name], self.compiled.given, values)
            begin = float(self.clock[0] * dt)
            learning = 0.0 if until is not None else lr
            self._phase(phase, learning, rng, recorder)
            spans.append((phase.name, begin, float(self.clock[0] * dt)))
            after(phase.name)
            if learning:
                self._commit(phase, learning, rng)
            if phase.name == until:
                break
        return recorder.trace(spans) if recorder else None

    def present_many(
        self, given: Mapping[str, ArrayLike], rates: Array, outputs: Array, currents: Array
    ) -> tuple[int, Diverged | None]:
        """Run N samples through all phases, in one compiled call.

        given: values (N, n) of the clamped compartments, or (n,) for all samples alike. rates (N,):
        learning rates. outputs, currents (N, n_L): receive the circuit's answer for each sample.
        Returns N; or how many samples came before one after which a weight or state is not finite,
        or that has no steady state, with an error in the latter case. Raises BadOption. Only for
        circuits that take no random numbers, and without constraints.
        """
        values, n = clamps.checked(given), len(rates)
        rows = np.zeros((n, self.compiled.given_width), self.v.dtype)
        for needed in self._clamps.values():
            clamps.set_values(rows, needed, self.compiled.given, values)
        if self.E is not self.W:
            self.E[:] = 0
        population, compartment, phase = self.circuit.answer
        samples = Record(machine.Samples(
            rows, self._rest if self.settings.reset else self._rest[:0], rates, self._at[phase],
            self.at(f"{population}.rate").start, self.at(f"{population}.{compartment}").start,
            outputs, currents,
        ))  # fmt: skip
        failed = np.full(1, -1)
        done = self._kernels.samples(
            self._plans.addresses, samples.address, self._quiet, _NO_PROBES, self._no_trace, failed
        )
        if failed[0] < 0:
            return done, None
        return done, self._no_steady_state(self.circuit.phases[failed[0]])

    def _phase(
        self,
        phase: Phase,
        lr: float,
        rng: np.random.Generator | None,
        recorder: Recorder | None,
    ) -> None:
        """Run one phase and record it."""
        k, dt, width = self._at[phase.name], self.settings.dt, self.compiled.noise_width
        steps = self._steps[k]
        probes = recorder.offsets(phase.name) if recorder else _NO_PROBES
        every = max(1, round(recorder.probe.interval / dt)) if recorder else 0
        trace, noise = self._no_trace, self._quiet
        if recorder:
            trace = np.zeros((steps // every + 1, len(probes)), self.v.dtype)
        if rng is not None and width:
            noise = rng.standard_normal((steps, width)).astype(self.v.dtype, copy=False)
        begin = int(self.clock[0])
        count = self._kernels.phase(self._plans.addresses[k], noise, lr, probes, every, trace)
        if not steps and not count:
            raise self._no_steady_state(phase)
        if recorder and steps:
            times = -(-begin // every) * every + every * np.arange(count)
            recorder.add(phase.name, times * dt, trace[:count], lr)
        elif recorder:  # the end of the phase
            row = np.concatenate([self.v, self.E])[probes]
            recorder.add(phase.name, self.clock * dt, row[None], lr)

    def _no_steady_state(self, phase: Phase) -> Diverged:
        at_phase = f"phase {phase.name} of circuit {self.circuit.name}"
        remedy = "lower the learning rate, weaken its loops, or use mode=continuous"
        return Diverged(at_phase, got="no steady state", remedy=remedy)

    def _commit(self, phase: Phase, lr: float, rng: np.random.Generator | None) -> None:
        """Change the weights at the end of a phase, and apply the constraints."""
        self._kernels.commit(self._plans.addresses[self._at[phase.name]], self._quiet, lr)
        if not self.constrained:
            return
        for p in self.compiled.phases[phase.name].changed:
            if p.name in self._signs:
                constraints.apply(self.weights(p.name), self.settings, self._signs[p.name], rng)
                self._synchronise(p)

    def _synchronise(self, changed: Projection) -> None:
        """Copy weights to the other projections with the same parameter."""
        for name, same in self.compiled.copies[changed.name]:
            w = self.weights(changed.name)
            self.weights(name)[...] = w if same else w.T
