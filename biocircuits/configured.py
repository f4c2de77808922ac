"""A circuit with its options, its weights and its state, before it learns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from biocircuits import catalogue, former_states
from biocircuits.description.circuit import Circuit
from biocircuits.simulation import divergence, symmetry
from biocircuits.simulation.simulate import Settings, Simulator
from rate_models import network, rules
from rate_models.compiler.kernel import DTYPES, Array
from rate_models.errors import BadOption, UserError
from rate_models.model.hyperparameters import checked, unknown
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec, Parameters
from rate_models.online.parameters import Trainable, restored
from rate_models.support import bounds, own_files
from rate_models.support.arguments import check_text
from rate_models.textbook import mapped

FIXED = ("dale", "excitatory", "asymmetry")


class ConfiguredCircuit(Trainable):
    """The part of `CircuitNetwork` that builds the circuit and changes its options.

    Its arguments are those of `CircuitNetwork`.
    """

    kind = "circuit"

    def __init__(
        self,
        /,
        spec: NetworkSpec,
        circuit: str = "pepita",
        *,
        seed: int = 0,
        dtype: str = "float64",
        optimizer: Optimizer | None = None,
        **options: Any,
    ) -> None:
        network.check_seed(seed)
        check_text("dtype", dtype, f"one of {', '.join(DTYPES)}")
        if dtype not in DTYPES:
            raise BadOption("dtype", got=repr(dtype), expected=f"one of {', '.join(DTYPES)}")
        self.dtype = dtype
        if not isinstance(spec, NetworkSpec):
            remedy = "for example NetworkSpec((64, 32, 10))"
            raise BadOption("spec", got=repr(spec), expected="a NetworkSpec", remedy=remedy)
        if not isinstance(circuit, str):
            remedy = "to run a Circuit object, use biocircuits.Simulator"
            got, expected = f"a {type(circuit).__name__}", "a name in biocircuits.circuits"
            raise BadOption("circuit", got=got, expected=expected, remedy=remedy)
        self.file = catalogue.load(circuit)
        self.reference = catalogue.reference(self.file)
        self._name = own_files.shown(circuit)
        self.definition = self.file.definition
        self.spec, self.seed = spec, int(seed)
        self.rule = self.definition.name
        self.optimizer = checked(Optimizer(), **(optimizer or Optimizer())._asdict())
        self.hyper = self.definition.hyperparameters()
        self.own, self.simulation = self.file.settings(), Settings()
        self._change(options)
        network.check_dense("CircuitNetwork", spec)
        rules.check(self.definition, spec, self.hyper)
        params = rules.start(self.definition, spec, self.hyper, seed)
        self._clock = np.zeros(1, np.int64)
        if size := self.simulation.asymmetry:
            rng = np.random.default_rng([seed, network.ASYMMETRY])
            symmetry.broken(self._described(), params, size, rng)
        self._build(params)

    @property
    def circuit(self) -> Circuit:
        """The simulated circuit, without cut projections; its ``name`` is that of its file."""
        return self.simulator.circuit

    @property
    def remedy(self) -> str:
        """The remedy after divergence; it names phases too short for their time constants."""
        continuous = self.simulation.mode == "continuous"
        return divergence.remedy(self.circuit, continuous, self.optimizer.lr, self.own._fields)

    @property
    def options(self) -> dict[str, Any]:
        """All options of `set` and of a new network, by name."""
        return {k: v for record in self._records().values() for k, v in record._asdict().items()}

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy is built from the same options and loads this state."""
        options = {
            "spec": self.spec, "circuit": self.reference, "seed": self.seed,
            "dtype": self.dtype, **self.options,
        }  # fmt: skip
        return restored, (type(self), options, self.state())

    def _records(self) -> dict[str, NamedTuple]:
        return {"optimizer": self.optimizer, "hyper": self.hyper, "own": self.own,
                "simulation": self.simulation}  # fmt: skip

    def _change(self, options: Mapping[str, Any]) -> None:
        records = self._records()
        valid = [name for record in records.values() for name in record._fields]
        for name in options:
            if name not in valid:
                raise unknown(name, valid)
        for attribute, record in records.items():
            mine = {k: v for k, v in options.items() if k in record._fields}
            setattr(self, attribute, checked(record, **mine))
        for name in ("momentum", "weight_decay"):
            if got := self.optimizer._asdict()[name]:
                raise BadOption(f"{name} of a circuit", got=got, expected="0")

    def _build(self, params: Parameters) -> None:
        circuit = self._described()
        self._params = mapped(params, lambda array: np.array(array, self.dtype))
        self.simulator = Simulator(circuit, params, self.simulation, self.seed, self.dtype)
        self._twin: Simulator | None = None

    def _described(self) -> Circuit:
        circuit = self.file.build(self.spec, self.hyper, self.own)
        return circuit if circuit.name == self._name else replace(circuit, name=self._name)

    def parameters(self) -> Parameters:
        """Copies of all parameters, with the names of `OnlineNetwork.parameters`."""
        with self.lock:
            return self._parameters()

    def _parameters(self) -> Parameters:
        params: Parameters = {
            name: [a.copy() for a in value] if isinstance(value, list) else value.copy()
            for name, value in self._params.items()
        }
        for p in self.circuit.projections:
            if p.parameter is None:
                continue
            name, index = p.parameter
            w = self.simulator.weights(p.name)
            target = params[name] if index is None else params[name][index]
            target[...] = (w.T if p.transposed else w).reshape(target.shape)
        return params

    def set(self, /, **changes: Any) -> None:
        """Change the learning rate, hyperparameters or settings from the next sample on.

        The state is kept, except the outputs in delay buffers. Raises BadOption, and then changes
        nothing.
        """
        for name in changes:
            if name in (*self.definition.fixed, *FIXED):
                raise BadOption(name, expected="to be set when the network is built")
        with self.lock:
            self._set(changes)

    def _set(self, changes: dict[str, Any]) -> None:
        before, old, params = self._records(), self.simulator, self.parameters()
        try:
            self._change(changes)
            rules.check(self.definition, self.spec, self.hyper)
            if self._records() | {"optimizer": None} != before | {"optimizer": None}:
                self._build(params)
                self.simulator.take_over(old)
        except UserError:
            for name, record in before.items():
                setattr(self, name, record)
            raise

    def load_state(self, arrays: dict[str, Array]) -> None:
        """Take over what `state` gave, in this or an earlier release.

        Raises BadOption when names or shapes do not fit, or a count is out of its bounds.
        """
        s = self.simulator
        super().load_state(former_states.upgraded(arrays, s.compiled, s.settings.reset))

    def _arrays(self) -> dict[str, Array]:
        s = self.simulator
        return {"state": s.lasting, "weights": s.W, "steps": s.clock, "clock": self._clock}

    def _bounds(self, arrays: dict[str, Array]) -> bounds.Bounds:
        return {name: (0, bounds.MOST) for name in ("steps", "clock")}
