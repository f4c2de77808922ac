"""Export of traces to labelled arrays (xarray) and to NWB files. Needs the extra ``record``.

A variable or time series has the name that the probe gave: ``population.compartment``,
``population.output`` or ``projection[i,j]``. The norm of weights has the name of the projection.
All values are without unit; τ is in ms. xarray and pynwb are imported when they are first used.
"""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from biocircuits.description.circuit import Circuit, circuit_of
from biocircuits.simulation.recording import SYNAPSE, Trace
from rate_models.errors import BadOption
from rate_models.support.extras import import_extra

if TYPE_CHECKING:
    import xarray

    from biocircuits.network import CircuitNetwork


def to_xarray(trace: Trace, circuit: Circuit | CircuitNetwork) -> xarray.Dataset:
    """A Dataset with dimensions ``time`` (ms), ``<population>_neuron`` and ``sample_end`` (ms).

    Coordinates along time: ``phase``, the name of the phase, and ``sample``, counted from 0. Each
    variable has the attributes units and long_name, and those of its population and compartment.
    circuit: the circuit, or the network, learner or simulator that ran it.
    Raises MissingExtra without xarray, BadOption where the trace is not of this circuit.
    """
    xr, circuit = import_extra("xarray", "record", __name__), circuit_of("to_xarray", circuit)
    names = np.array([name for name, _, _ in trace.phases])
    variables: dict[str, Any] = {}
    coords: dict[str, Any] = {
        "time": ("time", trace.time, {"units": "ms", "long_name": "time since the start"}),
        "phase": ("time", names[trace.span]),
        "sample": ("time", trace.sample),
        "sample_end": ("sample_end", trace.ends, {"units": "ms"}),
    }
    for name, values in trace.values.items():
        about = describe(circuit, name, values.shape[1])
        if SYNAPSE.fullmatch(name):
            variables[name] = ("time", values[:, 0], about)
        else:
            neuron = f"{about['population']}_neuron"
            coords[neuron] = (neuron, np.arange(values.shape[1]))
            variables[name] = (("time", neuron), values, about)
    for name, norms in trace.weights.items():
        circuit.projection(name)
        about = {"units": "1", "long_name": f"norm of the weights of projection {name}"}
        variables[name] = ("sample_end", norms, about)
    phases = [f"{phase.name} {phase.duration:g} ms" for phase in circuit.phases]
    data: xarray.Dataset = xr.Dataset(
        variables, coords, {"circuit": circuit.name, "phases": ", ".join(phases)}
    )
    return data


def to_nwb(
    trace: Trace,
    circuit: Circuit | CircuitNetwork,
    path: str | Path,
    description: str = "",
    start: datetime | None = None,
    **metadata: Any,
) -> Path:
    """An NWB file: a time series per recorded name, samples as trials, phases as intervals.

    Values are in ``acquisition`` (time, neurons), with timestamps in seconds. The table ``phases``
    of ``intervals`` has columns phase and sample. The identifier is a digest of the values.
    circuit: as for `to_xarray`. description: of the session. start: start time of the session,
    with a time zone; None: now. metadata: fields of `pynwb.NWBFile`, for example experimenter,
    lab, keywords, or another identifier.
    Raises MissingExtra without pynwb, BadOption where the trace is not of this circuit.
    """
    pynwb, circuit = import_extra("pynwb", "record", __name__), circuit_of("to_nwb", circuit)
    start = datetime.now(UTC) if start is None else start
    if start.tzinfo is None:
        raise BadOption("start", got=start, expected="a time zone", remedy="tzinfo=datetime.UTC")
    series: list[Any] = []
    for name, values in trace.values.items():
        about = describe(circuit, name, values.shape[1])
        data = values[:, 0] if SYNAPSE.fullmatch(name) else values
        times = series[0] if series else trace.time / 1000  # stored once, others link to it
        series.append(
            pynwb.TimeSeries(name=name, data=data, unit="n.a.", description=about["long_name"],
                             timestamps=times)
        )  # fmt: skip
    for name, norms in trace.weights.items():
        text = f"norm of the weights of projection {circuit.projection(name).name}"
        at = trace.ends / 1000
        series.append(
            pynwb.TimeSeries(name=name, data=norms, unit="n.a.", description=text, timestamps=at)
        )
    digest = hashlib.sha256()
    for one in series:
        digest.update(one.name.encode() + np.ascontiguousarray(one.data).tobytes())
    named = {"identifier": digest.hexdigest(), "session_start_time": start}
    named["session_description"] = description or f"simulation of the circuit {circuit.name}"
    file = pynwb.NWBFile(**{"notes": _notes(circuit), **named, **metadata})
    for one in series:
        file.add_acquisition(one)
    _intervals(pynwb, file, trace)
    path = Path(path)
    part = path.with_name(f".{path.stem}.part.nwb")  # a partial file never has the final name
    if not path.parent.is_dir():
        raise BadOption("to_nwb", got=f"no folder {path.parent}", expected="a folder that exists")
    try:
        with pynwb.NWBHDF5IO(str(part), "w") as io:
            io.write(file)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _intervals(pynwb: Any, file: Any, trace: Trace) -> None:
    per_sample = len(trace.phases) // len(trace.ends)
    table = pynwb.epoch.TimeIntervals(name="phases", description="the phases of every sample")
    table.add_column(name="phase", description="name of the phase")
    table.add_column(name="sample", description="number of the sample, from 0")
    for n, (name, begin, end) in enumerate(trace.phases):
        table.add_row(
            start_time=begin / 1000, stop_time=end / 1000, phase=name, sample=n // per_sample
        )
    file.add_time_intervals(table)
    for n in range(len(trace.ends)):
        begin = trace.phases[n * per_sample][1]
        file.add_trial(start_time=begin / 1000, stop_time=trace.ends[n] / 1000)


def describe(circuit: Circuit, name: str, size: int) -> dict[str, Any]:
    """Attributes of the signal ``name``, recorded from ``size`` neurons, as numbers and texts.

    >>> from biocircuits import example
    >>> describe(example(), "hidden.soma", 2)["long_name"]
    'compartment soma of population hidden (point)'
    """
    match = SYNAPSE.fullmatch(name)
    if match:
        synapse = circuit.projection(match[1])
        text = f"weight of projection {match[1]} onto neuron {match[2]} from neuron {match[3]}"
        return {"units": "1", "long_name": text, "source": synapse.source,
                "target": synapse.target}  # fmt: skip
    population, _, part = name.partition(".")
    p = circuit.population(population)
    if p.size != size:
        raise BadOption(f"trace of {name}", got=f"{size} neurons", expected=str(p.size))
    about = {"units": "1", "population": p.name, "kind": p.kind}
    if part in p.outputs:
        return about | {"long_name": f"output {part} of population {p.name} ({p.kind})"}
    c = p.compartment(part)
    text = f"compartment {part} of population {p.name} ({p.kind})"
    return about | {"long_name": text, "tau": c.tau, "leak": c.leak}


def _notes(circuit: Circuit) -> str:
    """A text that describes the circuit, with a line per phase, population and projection."""
    lines = [f"phase {p.name}: {p.duration:g} ms" for p in circuit.phases]
    for p in circuit.populations:
        parts = [f"{c.name} (tau {c.tau:g} ms, leak {c.leak:g})" for c in p.compartments]
        lines.append(f"population {p.name}: {p.size} neurons, {p.kind}; {', '.join(parts)}")
    for q in circuit.projections:
        how = "plastic" if q.plasticity else "one to one" if q.one_to_one else "fixed"
        lines.append(f"projection {q.name}: {q.source} to {q.target}, sign {q.sign:g}, {how}")
    return "\n".join(lines)
