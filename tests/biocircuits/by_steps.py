"""A circuit in time, step by step in NumPy: every formula and every current anew at every step.

Slow, and independent of the compiler: outputs and compartments with τ = 0 are evaluated again and
again until nothing changes, so that their order does not matter. Without noise and constraints.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from biocircuits import Circuit, Settings
from biocircuits.description.circuit import Phase, weights_of
from biocircuits.description.populations import Compartment, Population
from biocircuits.description.projections import Projection
from biocircuits.description.signals import Signal
from rate_models.model import activations

Key = tuple[str, str]
FUNCTIONS: dict[str, Any] = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide,
    "positive": lambda x: np.where(x > 0, 1.0, 0.0), "log": np.log, "absolute": np.abs,
    "exp": np.exp, "sqrt": np.sqrt,
}  # fmt: skip


class BySteps:
    """state, out: {(population, part): values}. W: {projection: weights (n, m)}."""

    def __init__(self, circuit: Circuit, params: Any, settings: Settings) -> None:
        self.circuit, self.settings = circuit, settings
        self.W = {q.name: weights_of(q, params) for q in circuit.projections if not q.one_to_one}
        self.state = {(p.name, c.name): np.full(p.size, c.rest)
                      for p in circuit.populations for c in p.compartments}  # fmt: skip
        self.out = {(p.name, o): np.zeros(p.size) for p in circuit.populations for o in p.outputs}
        self.ahead = {key: np.zeros_like(v) for key, v in self.state.items()}
        self.past: dict[str, list[np.ndarray]] = {}

    def present(self, given: dict[str, Any], lr: float) -> None:
        """Learn one sample."""
        self.E: dict[tuple[str, int], np.ndarray] = {
            (q.name, i): np.zeros_like(self.W[q.name])
            for q in self.circuit.projections for i in range(len(q.plasticity))
        }  # fmt: skip
        for phase in self.circuit.phases:
            for p, c in self._compartments():
                if c.clamp is not None:
                    value = given[c.clamp] if isinstance(c.clamp, str) else c.clamp
                    self.state[p.name, c.name][:] = value if _on(c.phases, phase) else 0.0
            self._phase(phase, lr)
            self._commit(phase, lr, immediately=True)
        self._commit(None, lr, immediately=False)

    def _compartments(self) -> list[tuple[Population, Compartment]]:
        return [(p, c) for p in self.circuit.populations for c in p.compartments]

    def _phase(self, phase: Phase, lr: float) -> None:
        steps = round(phase.duration / self.settings.dt)
        window = round(self.settings.window / self.settings.dt)
        for t in range(steps):
            self._evaluate(phase)
            if t >= steps - window:
                self._learn(phase, lr, 1 / window)
            self._move(phase)
        self._evaluate(phase)
        if window == 0:
            self._learn(phase, lr, 1.0)

    @np.errstate(all="ignore")  # of a logarithm of what is not there yet
    def _evaluate(self, phase: Phase) -> None:
        for _ in range(len(self.out) + len(self.state)):
            before = [v.copy() for v in (*self.out.values(), *self.state.values())]
            for p in self.circuit.populations:
                for name, formula in p.formulas.items():
                    self.out[p.name, name][:] = self._signal(formula, p)
            for p, c in self._active(phase):
                if c.tau == 0:
                    goal = self._goal(p, c, phase)
                    self.state[p.name, c.name][:] = self.ahead[p.name, c.name][:] = goal
            after = (*self.out.values(), *self.state.values())
            if all(np.array_equal(a, b) for a, b in zip(before, after, strict=True)):
                return
        raise AssertionError("an algebraic loop")

    def _move(self, phase: Phase) -> None:
        for q in self.circuit.projections:
            if q.delay and _on(q.phases, phase):
                past = self.past.setdefault(q.name, [])
                past.append(self.out[q.source_population, q.output].copy())
        moving = [(p, c) for p, c in self._active(phase) if c.tau > 0]
        for late in (False, True):
            for p, c in moving:
                reads = {r for f in self._pulls(p, c, phase) for r in f[0].reads()}
                if any(r.startswith("ahead:") for r in reads) is late:
                    self.ahead[p.name, c.name] = self._goal(p, c, phase)
        for p, c in moving:
            alpha = -math.expm1(-self.settings.dt * self._conductance(p, c, phase) / c.tau)
            v = self.state[p.name, c.name]
            v += alpha * (self.ahead[p.name, c.name] - v)

    def _active(self, phase: Phase) -> list[tuple[Population, Compartment]]:
        """The compartments that something drives in this phase."""
        return [
            (p, c) for p, c in self._compartments()
            if c.clamp is None and (self._conductance(p, c, phase) or self._into(p, c, phase))
        ]  # fmt: skip

    def _into(self, p: Population, c: Compartment, phase: Phase) -> list[Projection]:
        target = f"{p.name}.{c.name}"
        return [q for q in self.circuit.projections if q.target == target and _on(q.phases, phase)]

    def _conductance(self, p: Population, c: Compartment, phase: Phase) -> float:
        pulled = [g for g in p.couplings if g.into == c.name and _on(g.phases, phase)]
        return c.leak + sum(g.conductance for g in pulled)

    def _pulls(self, p: Population, c: Compartment, phase: Phase) -> list[tuple[Signal, float]]:
        pulls = [(pull, g.conductance) for g, pull in zip(p.couplings, p.pulls, strict=True)
                 if g.into == c.name and _on(g.phases, phase)]  # fmt: skip
        return pulls + ([(p.currents[c.name], 1.0)] if c.name in p.currents else [])

    def _goal(self, p: Population, c: Compartment, phase: Phase) -> np.ndarray:
        """The fixed point of a compartment: its currents over its conductance."""
        total = np.zeros(p.size)
        for q in self._into(p, c, phase):
            rate = self.out[q.source_population, q.output]
            if q.delay:  # with τ = 0, before the step's own rate is there
                past = self.past.get(q.name, [])
                at = len(past) - q.delay - (c.tau > 0)
                rate = past[at] if at >= 0 else np.zeros_like(rate)
            total += q.sign * (rate if q.one_to_one else self.W[q.name] @ rate)
        for formula, conductance in self._pulls(p, c, phase):
            total += conductance * self._signal(formula, p)
        return total / self._conductance(p, c, phase)

    def _signal(self, signal: Signal, p: Population, **extra: np.ndarray) -> Any:
        if signal.op == "number":
            return signal.value
        if signal.op == "read":
            if signal.name in extra:
                return extra[signal.name]
            if signal.name == "broadcast":
                assert p.broadcast is not None
                name, _, output = p.broadcast.partition(".")
                return self.out[name, output or "rate"]
            kind, _, name = signal.name.rpartition(":")
            return {"": self.state, "out": self.out, "ahead": self.ahead}[kind][p.name, name]
        x = [self._signal(part, p, **extra) for part in signal.args]
        if signal.op in FUNCTIONS:
            return FUNCTIONS[signal.op](*x)
        function = activations.apply if signal.op == "activation" else activations.slope
        return function(signal.name, np.atleast_2d(np.asarray(x[0], float)))[0]

    def _learn(self, phase: Phase, lr: float, share: float) -> None:
        direct = self.settings.commit == "step"
        for q in self.circuit.projections:
            post = self.circuit.population(q.target.partition(".")[0])
            for i, (plasticity, change) in enumerate(zip(q.plasticity, q.changes, strict=True)):
                if not _on(plasticity.phases, phase):
                    continue
                w, rate = self.W[q.name], self.out[q.source_population, q.output]
                E = w if direct else self.E[q.name, i]
                c = share * plasticity.rate * (lr if direct and plasticity.scaled else 1.0)
                products = []
                for f, g, h in change.terms:
                    factors = np.broadcast_to(self._signal(f, post), post.size)
                    of_pre = np.broadcast_to(self._signal(g, post, pre=rate), rate.size)
                    of_weight = 1.0 if h is None else self._signal(h, post, weight=w.ravel())
                    of_weight = np.reshape(of_weight, np.shape(w) if h is not None else ())
                    products.append(c * np.outer(factors, of_pre) * of_weight)
                for product in products:
                    E += product
                E -= c * change.decay * w

    def _commit(self, phase: Phase | None, lr: float, *, immediately: bool) -> None:
        for q in self.circuit.projections:
            for i, plasticity in enumerate(q.plasticity):
                due = phase is None or phase.name in plasticity.phases
                if plasticity.immediately is not immediately or not due:
                    continue
                if self.settings.commit != "step":
                    self.W[q.name] += (lr if plasticity.scaled else 1.0) * self.E[q.name, i]
                    self.E[q.name, i][:] = 0
                for other in self.circuit.projections:
                    if other is not q and other.parameter and other.parameter == q.parameter:
                        same = other.transposed == q.transposed
                        self.W[other.name][:] = self.W[q.name] if same else self.W[q.name].T


def _on(phases: tuple[str, ...] | None, phase: Phase) -> bool:
    return phases is None or phase.name in phases
