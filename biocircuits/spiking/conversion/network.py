"""A spiking network from a trained one: its Brian 2 objects by name, and its run."""

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
    """The Brian 2 network that `to_brian2` returns.

    trained: the layers of the trained network, with their activity for the samples to present.
    codes: of the input and of each layer. lines: of each layer, see `coding`. neuron: the model of
    the layers that fire. presentation: duration of each sample. cells: neurons for each unit.

    network: a `brian2.Network` of all objects below; others may be added to it before `run`.
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

    def add(self, kind: str, item: Any, name: str = "") -> None:
        """Add a Brian 2 object to the network, and to the dictionary ``kind`` under its name."""
        self.network.add(item)
        getattr(self, kind)[name or item.name] = item

    def run(self, progress: bool = False) -> Recording:
        """Present all samples in one run.

        progress: whether to show a bar, or the output of the program, on stderr. In cpp_standalone
        the program is compiled and run, and the mode returns to runtime. Raises BadOption for a
        second run, and where another network was built or run since, so that a network in
        cpp_standalone no longer owns the device.
        """
        if self._ran:
            remedy = "build a new network by to_brian2"
            raise BadOption("run", got="a network that has run", remedy=remedy)
        mine = self._prepared == backend.prepared() and backend.standalone()
        if self.mode != "runtime" and not mine:
            remedy = "run a network in cpp_standalone before another network is built or run"
            raise BadOption(
                "run", got="a network that no longer owns the device of Brian 2", remedy=remedy
            )
        self._ran = True
        return self._step_by_step(progress) if self.mode == "runtime" else self._program(progress)

    def _step_by_step(self, progress: bool) -> Recording:
        b, samples = backend.load(), len(self.trained.inputs)
        backend.runtime()
        b.defaultclock.dt = self.dt  # all networks share this clock
        b.seed(backend.seed_of(self.seed))
        if progress and b.prefs.codegen.target == "cython":
            _report("compiling the network by Cython, which takes a minute the first time")
        with Bar(samples, progress) as bar:
            self.network.run(samples * self.presentation, report=bar if progress else None,
                             report_period=0.2 * b.second, namespace={})  # fmt: skip
        return self._recorded()

    def _program(self, progress: bool) -> Recording:
        b, time = backend.load(), len(self.trained.inputs) * self.presentation
        b.seed(backend.seed_of(self.seed))
        if progress:
            _report("compiling the network as a C++ program, which takes a few minutes")
        with tempfile.TemporaryDirectory(prefix="dendrostream-") as folder:
            try:
                self.network.run(time, report="stderr" if progress else None, namespace={})
                backend.finish(folder)
                return self._recorded()
            finally:
                backend.runtime()

    def target_rates(self) -> dict[str, NDArray[np.float64]]:
        """{population: rates (samples, n) in Hz} that code the values of the trained network."""
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


def _report(message: str) -> None:
    with contextlib.suppress(OSError):  # a closed stderr does not stop the run
        print(message, file=sys.stderr, flush=True)


def _unit(values: Any) -> str:
    """The unit of values as text, "1" if it has none of V, A and S."""
    b = backend.load()
    for name, unit in (("V", b.volt), ("A", b.amp), ("S", b.siemens)):
        if b.get_dimensions(values) == unit.dim:
            return name
    return "1"


class Bar:
    """A progress bar that Brian 2 updates."""

    def __init__(self, samples: int, shown: bool) -> None:
        from tqdm import tqdm

        hidden = None if shown else True  # None: tqdm hides the bar where stderr is a file
        self._bar = tqdm(total=samples, unit=" samples", desc="spiking", disable=hidden,
                         dynamic_ncols=True, leave=False)  # fmt: skip
        self._samples = samples

    def __call__(self, elapsed: Any, completed: float, start: Any, duration: Any) -> None:
        self._bar.update(int(completed * self._samples) - self._bar.n)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: Any) -> None:
        self._bar.close()
