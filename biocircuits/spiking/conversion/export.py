"""Export of spikes and traces to NWB (extra ``record``), and of networks to NIR (extra ``nir``)."""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from biocircuits.spiking import fi
from biocircuits.spiking.backend import load
from biocircuits.spiking.conversion import coding
from biocircuits.spiking.conversion.network import SpikingNetwork
from biocircuits.spiking.neurons import SOMA, point_lif
from biocircuits.spiking.recording import Recording
from biocircuits.spiking.units import quantity
from rate_models.errors import BadOption, MissingExtra


def to_nwb(
    recording: Recording,
    path: str | Path,
    description: str = "spiking network in Brian 2",
    start: datetime | None = None,
    **metadata: Any,
) -> Path:
    """An NWB file: neurons in ``units`` with their spike times, samples as trials.

    units has the columns population and neuron. A trace is a time series in ``acquisition``, in
    volts, amperes or siemens. All times are in seconds. start: start time of the session, with a
    time zone; None: now. metadata: fields of `pynwb.NWBFile`. Raises MissingExtra without pynwb.
    """
    pynwb = _module("pynwb", "record")
    start = datetime.now(UTC) if start is None else start
    if start.tzinfo is None:
        raise BadOption("start", got=start, expected="a time zone", remedy="tzinfo=datetime.UTC")
    digest = hashlib.sha256()
    for spikes in recording.spikes.values():
        digest.update(spikes.neuron.tobytes() + spikes.time.tobytes())
    named = {"identifier": digest.hexdigest(), "session_start_time": start}
    file = pynwb.NWBFile(**{"session_description": description, **named, **metadata})
    total = recording.samples * recording.presentation
    file.add_unit_column(name="population", description="name of the population")
    file.add_unit_column(name="neuron", description="number in the population, from 0")
    for population, (size, neuron, time) in recording.spikes.items():
        order = np.argsort(neuron, kind="stable")
        ends = np.searchsorted(neuron[order], np.arange(1, size))
        for number, times in enumerate(np.split(time[order], ends)):
            file.add_unit(spike_times=times, obs_intervals=[[0.0, total]], population=population,
                          neuron=number)  # fmt: skip
    for name, traces in recording.traces.items():
        unit = {"V": "volts", "A": "amperes", "S": "siemens"}.get(traces.unit, "n.a.")
        file.add_acquisition(
            pynwb.TimeSeries(name=name, data=traces.values, unit=unit, timestamps=traces.time,
                             description=f"{name} of all neurons of the population")
        )  # fmt: skip
    for n in range(recording.samples):
        begin = n * recording.presentation
        file.add_trial(start_time=begin, stop_time=begin + recording.presentation)

    def write(part: Path) -> None:
        with pynwb.NWBHDF5IO(str(part), "w") as io:
            io.write(file)

    return _whole(Path(path), write)


def to_nir(
    spiking: SpikingNetwork, path: str | Path | None = None, step: Any = "1 ms", **metadata: Any
) -> Any:
    """The network as a NIR graph; it is also written to ``path`` where one is given.

    The graph is input → Affine → LIF → Affine → LIF → ... → output. The LIF of NIR has no dendrite,
    refractory period or synaptic current, so weights are computed again, by the method of `coding`,
    for this neuron: a spike adds its weight to the membrane, and firing subtracts the threshold of
    1. τ is that of the soma. All times are in units of ``step``, the step of the target simulator
    (Sinabs has no other unit; "1 s" gives seconds). r = τ, so that a spike adds its weight whether
    or not a simulator uses r. Input spikes must have the rates of ``codes[0]``. The metadata of the
    graph has offsets, scales and peak rate.

    Raises MissingExtra without nir, BadOption where a step is too long for τ or the peak rate.
    """
    nir = _module("nir", "nir")
    b, steps = load(), float(quantity("step", step, "second"))
    p = {name: spiking.neuron.parameters[name] for name in SOMA}
    cell = point_lif(**{**p, "t_refractory": "0 ms", "v_reset": p["E_leak"]})
    tau = float(p["C"] / p["g_leak"])
    height = float(p["v_threshold"] - p["E_leak"])
    peak = spiking.codes[0].peak
    if steps < 1 and steps > 0.2 * min(tau, 1 / peak):
        expected = f"at most a fifth of {min(tau, 1 / peak):g} s"
        raise BadOption("step", got=f"{steps:g} s", expected=expected)
    currents = fi.rheobase(cell) * np.geomspace(1.000001, 1e3, 2000)
    rates = fi.closed_form(cell, currents)
    nodes: dict[str, Any] = {"input": nir.Input({"input": np.array([spiking.units[0]])})}
    edges, last = [], "input"
    for n, layer in enumerate(spiking.trained.layers):
        code, before = spiking.codes[n + 1], spiking.codes[n]
        fit = coding.line(layer, code, currents, rates)
        # charge of a spike and current, in units of the threshold: q / C, and I / C for each step
        scale = 1 / (float(p["C"]) * height)
        w = np.asarray(coding.weights(layer, code, before, fit, 1.0 * b.second)) * scale
        bias = np.asarray(coding.constant(layer, code, before, fit)) * scale * steps
        ones = np.ones(len(bias))
        nodes[layer.projection] = nir.Affine(weight=w, bias=bias)
        nodes[layer.name] = nir.LIF(
            tau=ones * tau / steps, r=ones * tau / steps, v_leak=0 * ones, v_threshold=ones
        )
        edges += [(last, layer.projection), (layer.projection, layer.name)]
        last = layer.name
    nodes["out"] = nir.Output({"output": np.array([spiking.units[-1]])})
    about = {"step_seconds": steps, "peak_hertz": peak,
             "offsets": np.array([code.offset for code in spiking.codes]),
             "scales": np.array([code.scale for code in spiking.codes])}  # fmt: skip
    graph = nir.NIRGraph(nodes, [*edges, (last, "out")], metadata={**about, **metadata})
    if path is not None:
        _whole(Path(path), lambda part: nir.write(part, graph))
    return graph


def _whole(path: Path, write: Callable[[Path], None]) -> Path:
    """Write a file under a temporary name, then rename it."""
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        write(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _module(name: str, extra: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        remedy = f'pip install "dendrostream[{extra}]"'
        raise MissingExtra("biocircuits.spiking", got=f"no {name}", remedy=remedy) from error
