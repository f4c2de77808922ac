"""A spiking network made of a trained one: ordinary Brian 2 objects by name, and how to run it."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biocircuits.spiking import backend
from biocircuits.spiking.conversion.coding import Code, Line
from biocircuits.spiking.conversion.trained import Trained
from biocircuits.spiking.neurons import Neuron
from biocircuits.spiking.recording import Recording, Spikes, Traces
from rate_models.errors import BadOption


@dataclass
class SpikingNetwork:
    """trained: what it was made of, with the rates of the samples to be shown. codes: of the input
    and each layer. lines: currents of each layer, see `coding`. neuron: of the layers that fire.

    network: a `brian2.Network` of everything below; more objects may be added to it before `run`.
    groups, synapses: {name: object}. monitors: {population: SpikeMonitor} and
    {"population.variable": StateMonitor}.
    """

    trained: Trained
    codes: list[Code]
    lines: list[Line]
    neuron: Neuron
    presentation: Any
    cells: int
    seed: int
    dt: Any
    mode: str
    network: Any
    groups: dict[str, Any] = field(default_factory=dict)
    synapses: dict[str, Any] = field(default_factory=dict)
    monitors: dict[str, Any] = field(default_factory=dict)
    _ran: bool = False
    _prepared: int = field(default_factory=backend.prepared)

    @property
    def units(self) -> tuple[int, ...]:
        """n_0, ..., n_L."""
        return (self.trained.inputs.shape[1], *(len(y.bias) for y in self.trained.layers))

    def add(self, kind: str, thing: Any, name: str = "") -> None:
        """Put a Brian 2 object into the network, and into groups, synapses or monitors."""
        self.network.add(thing)
        getattr(self, kind)[name or thing.name] = thing

    def run(self, progress: bool = False) -> Recording:
        """All samples in one run; progress: a bar, or lines of the program, on stderr.

        In cpp_standalone this compiles and runs the program, and then goes back to the mode
        runtime. Raises BadOption the second time, and where a network in cpp_standalone is no
        longer the device's because another was made or run since.
        """
        if self._ran:
            remedy = "make a new one by to_brian2"
            raise BadOption("run", got="a network that has run", remedy=remedy)
        mine = self._prepared == backend.prepared() and backend.standalone()
        if self.mode != "runtime" and not mine:
            remedy = "run a network in cpp_standalone before anything else is made or run"
            raise BadOption("run", got="a network that Brian 2's device has let go", remedy=remedy)
        self._ran = True
        return self._step_by_step(progress) if self.mode == "runtime" else self._program(progress)

    def _step_by_step(self, progress: bool) -> Recording:
        b, samples = backend.load(), len(self.trained.inputs)
        backend.runtime()
        b.defaultclock.dt = self.dt  # which is one for all networks
        b.seed(backend.seed_of(self.seed))
        if progress and b.prefs.codegen.target == "cython":
            _say("compiling the network by Cython: a minute where it is new, then it is kept")
        with Bar(samples, progress) as bar:
            self.network.run(samples * self.presentation, report=bar if progress else None,
                             report_period=0.2 * b.second, namespace={})  # fmt: skip
        return self._recorded()

    def _program(self, progress: bool) -> Recording:
        b, time = backend.load(), len(self.trained.inputs) * self.presentation
        b.seed(backend.seed_of(self.seed))
        if progress:
            _say("compiling the network as a C++ program: a minute, or several the first time")
        with tempfile.TemporaryDirectory(prefix="dendrostream-") as folder:
            try:
                self.network.run(time, report="stderr" if progress else None, namespace={})
                backend.finish(folder)
                return self._recorded()
            finally:
                backend.runtime()

    def target_rates(self) -> dict[str, NDArray[np.float64]]:
        """{population: rates (samples, n) in Hz} at which neurons would say exactly what the
        trained network does."""
        names = ["input", *(layer.name for layer in self.trained.layers)]
        values = zip(names, self.codes, self.trained.values(), strict=True)
        return {name: code.rate(value) for name, code, value in values}

    def _recorded(self) -> Recording:
        spikes: dict[str, Spikes] = {}
        traces: dict[str, Traces] = {}
        for name, monitor in self.monitors.items():
            if "." not in name:
                neuron, time = np.asarray(monitor.i, np.int64), np.asarray(monitor.t, float)
                spikes[name] = Spikes(len(self.groups[name]), neuron.copy(), time.copy())
            else:
                values = getattr(monitor, name.partition(".")[2])
                unit = _unit(values)
                traces[name] = Traces(np.array(monitor.t, float), np.array(values, float).T, unit,
                                      np.array(monitor.record, np.int64))  # fmt: skip
        last = self.trained.layers[-1].name
        samples = len(self.trained.inputs)
        return Recording(float(self.presentation), samples, spikes, traces, last, self.cells)


def _say(message: str) -> None:
    with contextlib.suppress(OSError):  # nobody reads it: no reason to stop
        print(message, file=sys.stderr, flush=True)


def _unit(values: Any) -> str:
    b = backend.load()
    for name, unit in (("V", b.volt), ("A", b.amp), ("S", b.siemens)):
        if b.get_dimensions(values) == unit.dim:
            return name
    return "1"


class Bar:
    """A progress bar that Brian 2 tells how far it is."""

    def __init__(self, samples: int, shown: bool) -> None:
        from tqdm import tqdm

        hidden = None if shown else True  # None: where stderr is a file
        self._bar = tqdm(total=samples, unit=" samples", desc="spiking", disable=hidden,
                         dynamic_ncols=True, leave=False)  # fmt: skip
        self._samples = samples

    def __call__(self, elapsed: Any, completed: float, start: Any, duration: Any) -> None:
        self._bar.update(int(completed * self._samples) - self._bar.n)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: Any) -> None:
        self._bar.close()
