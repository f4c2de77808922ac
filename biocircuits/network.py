"""A circuit with the methods of `OnlineNetwork`, so that it learns from streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from biocircuits.catalogue import CIRCUITS
from biocircuits.configured import ConfiguredCircuit
from biocircuits.simulation import clamps, divergence
from biocircuits.simulation.recording import Probe, Trace, joined
from biocircuits.simulation.simulate import Simulator
from rate_models import network, rules
from rate_models.compiler.kernel import Array, coerce
from rate_models.errors import BadOption, Diverged
from rate_models.model import losses
from rate_models.network import one_hot
from rate_models.online.network import Outcome
from rate_models.online.parameters import class_indices

__all__ = ["CIRCUITS", "CircuitNetwork"]
WORK = 10**9  # synapses × steps after which others may read the state; about 10 ms
MOST = 256  # samples


class CircuitNetwork(ConfiguredCircuit):
    """A circuit with its weights and its state, which learns one sample at a time.

    ``net.circuit`` is the circuit and ``net.circuit.name`` its name.

    spec: sizes, activations, loss, biases. circuit: a name in `biocircuits.circuits`, or the path
    of a file. seed: of the weights, of masks, and of the noise of the rule and of the
    simulation. dtype: float64 or float32. options: by name, fields of the optimiser (lr and its
    schedules; a synapse has no momentum), of the hyperparameters of the rule, of the `Settings` of
    the circuit and of `biocircuits.Settings`.

    Raises UnknownName and BadOption for invalid options. Learning raises Diverged.

    >>> from rate_models.network import NetworkSpec
    >>> net = CircuitNetwork(NetworkSpec((4, 8, 3)), "pepita", seed=0, lr=0.1)
    >>> net.learn(np.eye(4), labels=[0, 1, 2, 0]).outputs.shape
    (4, 3)
    """

    def learn(
        self,
        X: ArrayLike,
        labels: ArrayLike | None = None,
        targets: ArrayLike | None = None,
        *,
        masks: Sequence[ArrayLike] | None = None,
        noise: Sequence[ArrayLike] | None = None,
    ) -> Outcome:
        """Learn from rows of X (N, n_0) with labels (N,) or targets (N, n_L).

        As `OnlineNetwork.learn`. Raises BadOption for other shapes, and Diverged.
        """
        X = coerce("X", X, self.dtype, (None, self.spec.sizes[0]))
        y = self._targets(len(X), labels, targets)
        outputs, currents = np.zeros_like(y), np.zeros_like(y)
        at = 0
        while at < len(X):
            with self.lock:
                alone = self._alone
                size = 1 if alone else max(1, min(WORK // self.simulator.work, MOST))
                rows = slice(at, min(at + size, len(X)))
                given = {"x": X[rows], "y": y[rows], **self._drawn(rows, masks, noise)}
                before = self.samples_seen
                try:
                    learn = self._learn_one if alone else self._learn_chunk
                    learn(given, outputs[rows], currents[rows])
                except Diverged as error:
                    done = slice(at + self.samples_seen - before)
                    raise self._diverged(error, outputs[done], currents[done], y[done]) from None
            at = rows.stop
        return self._outcome(outputs, currents, y)

    @property
    def _alone(self) -> bool:
        """Whether every sample needs something that is not compiled."""
        s = self.simulator
        return s.random or s.constrained or rules.dropout(self.hyper) > 0

    def _learn_chunk(self, given: dict[str, Any], outputs: Array, currents: Array) -> None:
        n = len(outputs)
        done, error = self.simulator.present_many(given, self._rates(n), outputs, currents)
        self._clock[0] += done
        if done < n:
            raise error or self._not_finite()

    def _rates(self, n: int) -> Array:
        """η of the next n samples."""
        rate, first = self.optimizer.rate, self.samples_seen
        if rate(first) == rate(first + n - 1):  # it never returns to an earlier value
            return np.full(n, rate(first))
        return np.array([rate(first + t) for t in range(n)])

    def _learn_one(self, given: dict[str, Any], outputs: Array, currents: Array) -> None:
        given = {name: value[0] for name, value in given.items()}
        phase = self.circuit.answer[2]
        if rules.dropout(self.hyper):  # predictions use no dropout
            outputs[...], currents[...] = self._steady(given["x"][None])
            self._present(given, phase)
        else:
            outputs[0], currents[0] = self._present(given, phase)
        self._check_finite()
        self._clock[0] += 1

    def _present(self, given: dict[str, Any], phase: str, probe: Probe | None = None) -> Any:
        lr = self.optimizer.rate(self.samples_seen)
        rng = None
        if self.simulator.random:
            rng = np.random.default_rng([self.seed, network.SIMULATION, self.samples_seen])
        population, compartment, _ = self.circuit.answer
        answer: list[Array] = []

        def read_answer(name: str) -> None:
            if name == phase:
                read = self.simulator.read
                answer[:] = [read(f"{population}.rate"), read(f"{population}.{compartment}")]

        trace = self.simulator.present(given, lr, rng, probe, after=read_answer)
        return answer if probe is None else (answer, trace)

    def watch(self, x: ArrayLike, y: ArrayLike, probe: Probe, learn: bool = True) -> Trace:
        """Learn one sample, x (n_0,) with the target vector y (n_L,), and record it.

        learn: False restores state, weights and clock afterwards.
        """
        x, y = np.asarray(x, float)[None], np.asarray(y, float)[None]
        return self.watch_many(x, None, y, probe=probe, learn=learn)

    def watch_many(
        self,
        X: ArrayLike,
        labels: ArrayLike | None = None,
        targets: ArrayLike | None = None,
        *,
        probe: Probe,
        learn: bool = True,
    ) -> Trace:
        """Learn one or more samples, given as to `learn`, and record them in one trace.

        learn: False restores state, weights and clock afterwards.
        """
        X = coerce("X", X, self.dtype, (None, self.spec.sizes[0]))
        if not len(X):
            raise BadOption("watch_many", got="no samples", expected="one or more")
        with self.lock:
            before = self.state()
            trace = self._recorded(X, self._targets(len(X), labels, targets), probe)
            if not learn:
                self.load_state(before)
        return trace

    def _recorded(self, X: Array, targets: Array, probe: Probe) -> Trace:
        phase, traces = self.circuit.answer[2], []
        for t, (x, y) in enumerate(zip(X, targets, strict=True)):
            try:
                traces.append(self._present(self._given(x, y, t, None, None), phase, probe)[1])
                self._check_finite()
            except Diverged as error:
                raise self._diverged(error, *np.zeros((3, 0, self.spec.sizes[-1]))) from None
            self._clock[0] += 1
        return joined(traces)

    def _targets(self, n: int, labels: ArrayLike | None, targets: ArrayLike | None) -> Array:
        last = self.spec.sizes[-1]
        if (labels is None) == (targets is None):
            raise BadOption("learn", expected="either labels or targets")
        if targets is not None:
            return coerce("targets", targets, self.dtype, (n, last))
        assert labels is not None
        return one_hot(class_indices(labels, n, last), last, self.dtype)

    def _given(self, x: Array, y: Array, t: int, masks: Any, noise: Any) -> dict[str, Any]:
        """The values of all clamps for row t of a call."""
        drawn = self._drawn(slice(t, t + 1), masks, noise)
        return {"x": x, "y": y} | {name: value[0] for name, value in drawn.items()}

    def _drawn(self, rows: slice, masks: Any, noise: Any) -> dict[str, Array]:
        """Masks and noise of the next samples, which are these rows of a call."""
        net = self.spec, self.definition, self.hyper, self.seed
        return clamps.of_samples(*net, self.samples_seen, rows, masks, noise)

    def _outcome(self, outputs: Array, currents: Array, y: Array) -> Outcome:
        loss = losses.loss_of(self.spec.loss, currents, outputs, y)
        return Outcome(outputs.argmax(axis=1), loss, outputs)

    def _check_finite(self) -> None:
        if not self.simulator.is_finite():
            raise self._not_finite()

    def _not_finite(self) -> Diverged:
        return Diverged(f"{divergence.not_finite(self.simulator)} not finite", remedy=self.remedy)

    def _diverged(self, why: Diverged, outputs: Array, currents: Array, y: Array) -> Diverged:
        error = Diverged(f"sample {self.samples_seen}: {why}")
        error.outcome = self._outcome(outputs, currents, y)
        return error

    def activities(self) -> dict[str, dict[str, Array]]:
        """{population: {compartment: (size,)}} now, copies; without inputs and observers.

        >>> from rate_models.network import NetworkSpec
        >>> net = CircuitNetwork(NetworkSpec((4, 8, 3)), "pepita", seed=0)
        >>> [*net.activities()["hidden_1"]]
        ['dendrite', 'soma', 'rate']
        """
        shown: dict[str, dict[str, Array]] = {}
        with self.lock:
            for p in self.circuit.populations:
                if p.kind == "input" or p.observer or p.size == 1:
                    continue
                names = [c.name for c in p.compartments if c.clamp is None]
                read = self.simulator.read
                shown[p.name] = {n: read(f"{p.name}.{n}") for n in (*names, *p.outputs)}
        return shown

    def predict(self, X: ArrayLike) -> Array:
        """The output h_L (N, n_L) in the steady state without noise. Changes no state."""
        X = coerce("X", X, self.dtype, (None, self.spec.sizes[0]))
        with self.lock:
            return self._steady(X)[0]

    def _steady(self, X: Array) -> tuple[Array, Array]:
        """h_L and a_L (N, n_L), from a twin in steady state without noise or dropout."""
        circuit = self.circuit
        if self._twin is None:
            quiet = self.simulation._replace(mode="steady", commit="sample", reset=True, cut="",
                                             silence="")  # fmt: skip
            self._twin = Simulator(circuit, self._params, quiet, self.seed, self.dtype)
        twin = self._twin
        twin.load(self.parameters())
        answer, compartment, phase = circuit.answer
        y, out = np.zeros(self.spec.sizes[-1]), np.zeros((2, len(X), self.spec.sizes[-1]))
        widths = self.definition.noise.widths(self.spec, self.hyper)
        calm = [np.ones(n) for n in self.spec.sizes[1:-1]], [np.zeros(n) for n in widths]
        for t, x in enumerate(X):
            try:
                twin.present(self._given(x, y, t, *calm), until=phase)
            except Diverged as error:
                remedy = "predictions need a steady state"
                raise Diverged(f"prediction: {error}", remedy=remedy) from None
            out[:, t] = twin.read(f"{answer}.rate"), twin.read(f"{answer}.{compartment}")
        return out[0], out[1]
