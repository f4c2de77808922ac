"""A spiking network that learns from a stream of samples in one run."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from biocircuits.spiking import backend
from biocircuits.spiking.cells import Builder, Floats, averaged, spread
from biocircuits.spiking.conversion.network import Bar
from biocircuits.spiking.spiking_file import SpikingFile
from rate_models.errors import BadOption
from rate_models.model.hyperparameters import checked, unknown
from rate_models.network import check_seed
from rate_models.support import lookup

RULES = lookup.Kind(
    "spiking_rule", "biocircuits.spiking.learning", "CIRCUIT", SpikingFile,
    "CIRCUIT = SpikingFile(__name__, ...) at its end",
)  # fmt: skip


class Stream(NamedTuple):
    """The result of a run.

    answers (N, n_L): the output for each sample before it was learned. weights: {projection: (n,
    m)} at the end, as means over cells. history: {projection: (snapshots, n, m)} of plastic
    projections, the first before any sample. seconds: duration of the run without compilation.
    """

    answers: Floats
    weights: dict[str, Floats]
    history: dict[str, Floats]
    seconds: float


class SpikingLearner:
    """A network that learns in Brian 2 by a rule of `biocircuits.spiking.learning`.

    sizes: n_0..n_L units. mode, target: see `backend`. snapshots: the number of samples between two
    recordings of the weights; 0: none. progress: whether to show a bar, or the output of the
    program, on stderr. options: by name, of the `Settings` of the rule and of `Firing`. In
    cpp_standalone the first `run` builds the program. Later runs with the same number of samples
    reuse it with other samples, weights and rates. `close`, or the end of a with-statement, returns
    to the mode runtime.

    Raises UnknownName and BadOption for invalid options.

    weights: {projection: initial weights}. rates: {plastic projection: learning rate}. network,
    groups, synapses: the Brian 2 network of the last run, and its objects by name.
    """

    def __init__(
        self,
        rule: str,
        sizes: tuple[int, ...],
        seed: int = 0,
        mode: str = "runtime",
        target: str = "auto",
        snapshots: int = 0,
        progress: bool = False,
        **options: Any,
    ) -> None:
        check_seed(seed)
        if snapshots < 0:
            raise BadOption("snapshots", got=snapshots, expected="a number of samples, 0 for none")
        self.circuit = lookup.get(RULES, rule)
        own, common = self.circuit.settings(), self.circuit.firing
        for name in options:
            if name not in own._fields + common._fields:
                raise unknown(name, [*own._fields, *common._fields])
        self.settings = checked(own, **{k: v for k, v in options.items() if k in own._fields})
        self.firing = checked(common, **{k: v for k, v in options.items() if k in common._fields})
        self.sizes, self.seed, self.mode, self.target = tuple(sizes), seed, mode, target
        self.snapshots, self.progress = snapshots, progress
        self.weights = dict(self.circuit.parameters(self.sizes, self.settings, seed))
        self.rates = dict(self.circuit.rates(self.sizes, self.settings))
        self._built, self._prepared = 0, 0
        self._folder: Any = None

    def run(
        self,
        X: ArrayLike,
        Y: ArrayLike,
        learns: ArrayLike = True,
        weights: Mapping[str, ArrayLike] | None = None,
        rates: Mapping[str, float] | None = None,
    ) -> Stream:
        """Present the rows of X (N, n_0) with targets Y (N, n_L), one after another.

        learns: whether a sample is learned, for all samples or for each (N,). weights: {projection:
        initial weights (n, m)}; projections that are not named start from the seed. rates:
        {projection: learning rate}, in place of the settings. Raises BadOption for other shapes,
        values that are not finite, and unknown names.
        """
        X, Y = self._samples("X", X, self.sizes[0]), self._samples("Y", Y, self.sizes[-1])
        if len(X) != len(Y):
            raise BadOption("Y", got=f"{len(Y)} rows", expected=f"{len(X)}, as X has")
        if np.shape(learns) not in ((), (len(X),)):
            expected = f"one for all, or {len(X)} as X has"
            raise BadOption("learns", got=f"shape {np.shape(learns)}", expected=expected)
        streams = {"x": X, "y": Y, "learns": np.full(len(X), np.asarray(learns, float))}
        start = {**self.weights, **{k: np.asarray(v, float) for k, v in (weights or {}).items()}}
        for name, W in start.items():
            if name not in self.weights:
                raise BadOption("weights", got=name, expected=", ".join(self.weights))
            if W.shape != self.weights[name].shape:
                expected = f"shape {self.weights[name].shape}"
                raise BadOption(f"weights {name}", got=f"shape {W.shape}", expected=expected)
        etas = {**self.rates, **(rates or {})}
        for name in etas:
            if name not in self.rates:
                raise BadOption("rates", got=name, expected=", ".join(self.rates))
        built = self._is_built(len(X))
        if not built:
            self._build(streams, start)
        if self.mode == "cpp_standalone":
            seconds = self._run_program(streams, start, etas, build=not built)
        else:
            for name, eta in etas.items():
                self.synapses[name].eta = eta
            seconds = self._run_network(len(X))
        return self._read(len(X), seconds)

    def close(self) -> None:
        """Return to the mode runtime, and delete the program."""
        if self._prepared and self._prepared == backend.prepared():  # else another owns the device
            backend.runtime()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder, self._built = None, 0

    def __enter__(self) -> SpikingLearner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def _is_built(self, samples: int) -> bool:
        """Whether the program for this number of samples exists and still owns the device."""
        if self._folder is None or self._built != samples or not backend.standalone():
            return False
        return self._prepared == backend.prepared()

    def _samples(self, name: str, values: ArrayLike, n: int) -> Floats:
        array = np.array(values, float)
        if array.ndim != 2 or array.shape[1] != n or not len(array):
            raise BadOption(name, got=f"shape {array.shape}", expected=f"rows of {n}")
        if not np.isfinite(array).all():
            raise BadOption(name, got="NaN or infinite values", expected="finite numbers")
        return array

    def _build(self, streams: dict[str, Floats], weights: dict[str, Floats]) -> None:
        self.close()
        b = backend.prepare(f"{self.firing.dt!r} ms", self.mode, self.target, self.seed)
        self._prepared = backend.prepared()
        make = Builder(b, self.circuit.phases, self.firing, streams)
        self.answer = self.circuit.build(make, self.sizes, self.settings, weights)
        self.groups = {o.name: o for o in make.objects if isinstance(o, b.NeuronGroup)}
        self.synapses, self._builder = make.synapses, make
        self._answers = b.StateMonitor(self.answer.group, self.answer.trace, record=True,
                                       dt=make.sample, name="answers")  # fmt: skip
        self._history = {
            name: b.StateMonitor(make.synapses[name], "w", order=2,
                                 record=np.arange(spread(weights[name], self.firing.cells).size),
                                 dt=self.snapshots * make.sample, name=f"history_{name}")
            for name in (self.rates if self.snapshots else ())
        }  # fmt: skip
        self.network = b.Network(*make.objects, self._answers, *self._history.values())

    def _run_network(self, samples: int) -> float:
        b, times = backend.load(), []

        def report(*at: Any) -> None:  # called first after compilation, and last at the end
            times.append(time.perf_counter())
            bar(*at)

        with Bar(samples, self.progress) as bar:
            self.network.run(samples * self._builder.sample + b.defaultclock.dt, namespace={},
                             report=report, report_period=0.2 * b.second)  # fmt: skip
        return times[-1] - times[0]

    def _run_program(
        self, streams: dict[str, Floats], weights: dict[str, Floats], etas: dict[str, float],
        build: bool,
    ) -> float:  # fmt: skip
        b = backend.load()
        if build:
            self._folder = tempfile.TemporaryDirectory(prefix="dendrostream-")
            samples = len(streams["x"])
            self.network.run(samples * self._builder.sample + b.defaultclock.dt, namespace={},
                             report="stderr" if self.progress else None)  # fmt: skip
            b.device.build(directory=self._folder.name, compile=True, run=False)
            self._built = samples
        values: dict[Any, Any] = {self._builder.streams[k]: v for k, v in streams.items()}
        values |= {self.synapses[k].w: spread(W, self.firing.cells) for k, W in weights.items()}
        values |= {self.synapses[k].eta: eta for k, eta in etas.items()}
        b.device.run(with_output=False, run_args=values)
        return float(b.device.timers["run_binary"])

    def _read(self, samples: int, seconds: float) -> Stream:
        cells, (_, trace, units) = self.firing.cells, self.answer
        answers = np.asarray(getattr(self._answers, trace))[:, 1 : samples + 1]
        answers = answers.reshape(units, cells, samples).mean(axis=1).T
        shapes = {name: W.shape for name, W in self.weights.items()}
        weights = {k: averaged(np.asarray(s.w[:]), shapes[k], cells)
                   for k, s in self.synapses.items()}  # fmt: skip
        history = {
            k: np.stack([averaged(w, shapes[k], cells) for w in np.asarray(m.w).T])
            for k, m in self._history.items()
        }
        return Stream(np.array(answers), weights, history, seconds)
