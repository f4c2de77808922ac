"""Pictures of spiking networks: rasters, membranes, spiking against model rates, accuracy.

Each function draws on axes of matplotlib; `overview` draws four pictures into one file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biocircuits.spiking import fi
from biocircuits.spiking.neurons import Neuron
from biocircuits.spiking.recording import Recording, rank_correlation
from rate_models.drawing.figures import new_figure
from rate_models.drawing.style import BLUE, COLOURS, GREY, ORANGE, drawing
from rate_models.errors import BadOption

Floats = NDArray[np.float64]
NAMES = {"v": "soma", "v_dendrite": "dendrite"}
MOST_DOTS = 4000  # of a layer in `draw_rates`


def draw_raster(
    recording: Recording, axes: Any, first: int = 0, samples: int = 3,
    labels: Sequence[object] | None = None,
) -> None:  # fmt: skip
    """Draw the spikes of ``samples`` samples from number ``first`` on, population above population.

    labels: a text for each sample of the recording.
    """
    T, base, ticks = 1e3 * recording.presentation, 0, []
    begin, end = first * T, (first + samples) * T
    for k, (name, (size, neuron, time)) in enumerate(recording.spikes.items()):
        inside = (1e3 * time >= begin) & (1e3 * time < end)
        axes.scatter(1e3 * time[inside] - begin, base + neuron[inside], s=1.2, marker="|",
                     linewidths=0.6, color=COLOURS[k % len(COLOURS)], rasterized=True)  # fmt: skip
        ticks.append((base + size / 2, name.replace("_", " ")))
        base += size + 4
    for n in range(samples):
        axes.axvline(n * T, color=GREY, lw=0.8)
        if labels is not None:
            axes.text((n + 0.5) * T, base + 2, str(labels[first + n]), ha="center")
    axes.set(xlim=(0, end - begin), ylim=(-2, base), xlabel="time (ms)",
             yticks=[y for y, _ in ticks], yticklabels=[name for _, name in ticks])  # fmt: skip
    axes.grid(visible=False)


def draw_membranes(
    recording: Recording,
    axes: Any,
    population: str,
    sample: int = 0,
    margin: float = 0.1,
    until: float | None = None,
) -> None:
    """Draw the recorded potentials of one neuron in a sample, with ``margin`` (s) around it.

    until: end of the picture, in s from the start of the sample; None: the whole sample and the
    margin. Spikes are lines at the top. Raises BadOption where no potential was recorded.
    """
    names = [f"{population}.{v}" for v in NAMES if f"{population}.{v}" in recording.traces]
    if not names:
        remedy = f"traces=['{population}.v[0]', '{population}.v_dendrite[0]']"
        raise BadOption("draw_membranes", got=f"no trace of {population}", remedy=remedy)
    T = recording.presentation
    start, end = sample * T, sample * T + (T + margin if until is None else until)
    index = int(recording.traces[names[0]].neurons[0])
    for name, colour in zip(names, (ORANGE, BLUE), strict=False):
        time, values, _, _ = recording.traces[name]
        shown = (time >= start - margin) & (time <= end)
        axes.plot(1e3 * (time[shown] - start), 1e3 * values[shown, 0], color=colour, lw=0.9,
                  label=NAMES[name.partition(".")[2]])  # fmt: skip
    _, neuron, times = recording.spikes[population]
    fired = times[(neuron == index) & (times >= start - margin) & (times <= end)]
    axes.vlines(1e3 * (fired - start), 0.93, 1.0, transform=axes.get_xaxis_transform(),
                color="black", lw=0.7)  # fmt: skip
    for border in (0.0, T):
        axes.axvline(1e3 * border, color=GREY, lw=0.8)
    axes.set(xlabel="time since the sample began (ms)", ylabel="potential (mV)",
             xlim=(-1e3 * margin, 1e3 * (end - start)))  # fmt: skip
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, fontsize="small", borderpad=0)


def draw_rates(model: Mapping[str, Floats], recording: Recording, axes: Any) -> None:
    """Draw spiking rates against the target rates, with a dot for each unit and sample.

    model: {population: target rates (samples, n)} of the populations to draw. Rank correlations are
    over all dots, of which at most MOST_DOTS are drawn for each population.
    """
    top = 0.0
    for k, (name, expected) in enumerate(model.items()):
        rates = recording.rates(name)
        r = rank_correlation(expected, rates)
        some = np.random.default_rng(0).permutation(expected.size)[:MOST_DOTS]
        top = max(top, float(expected.max()), float(rates.max()))
        axes.scatter(expected.ravel()[some], rates.ravel()[some], s=2, lw=0, alpha=0.35,
                     color=COLOURS[(k + 1) % len(COLOURS)], rasterized=True,
                     label=f"{name.replace('_', ' ')}: rank correlation {r:.3f}")  # fmt: skip
    axes.plot([0, top], [0, top], color=GREY, lw=0.8)
    axes.set(xlabel="rate of the model (Hz)", ylabel="rate of the spiking neuron (Hz)")
    for handle in axes.legend(loc="upper left", fontsize="small").legend_handles:
        handle.set(sizes=[14], alpha=1)


def draw_accuracy(curves: Mapping[str, Mapping[float, float]], reference: float, axes: Any) -> None:
    """Draw accuracy against presentation time.

    curves: {decoder: {time in ms: accuracy, 0 to 1}}. reference: accuracy of the rate network.
    """
    for k, (name, curve) in enumerate(curves.items()):
        axes.plot(list(curve), [100 * a for a in curve.values()], marker="o", ms=3.5,
                  color=COLOURS[k % len(COLOURS)], label=name.replace("_", " "))  # fmt: skip
    axes.axhline(100 * reference, color=GREY, ls="--", lw=1, label="rate network")
    times = sorted({t for curve in curves.values() for t in curve})
    axes.set(xscale="log", xlabel="presentation time (ms)", ylabel="accuracy (%)")
    axes.set_xticks(times, [f"{t:g}" for t in times], minor=False, rotation=45)
    axes.minorticks_off()
    axes.legend(loc="best", fontsize="small")


def draw_fi(neurons: Mapping[str, tuple[Neuron, str]], axes: Any, dt: Any = "0.02 ms") -> float:
    """Draw rates against current: closed forms as lines, measurements as dots.

    neurons: {label: (neuron, compartment that receives the current)}. Returns the largest relative
    deviation of a measurement above the rheobase.
    """
    worst = 0.0
    for k, (label, (neuron, onto)) in enumerate(neurons.items()):
        colour, least = COLOURS[k % len(COLOURS)], fi.rheobase(neuron, onto)
        fine, few = least * np.linspace(0.7, 4, 200), least * np.linspace(0.8, 4, 14)
        expected = np.asarray(fi.closed_form(neuron, few, onto))
        measured = np.asarray(fi.measured(neuron, few, onto, dt=dt, duration="500 ms"))
        worst = max(
            worst, float(np.abs(measured / np.where(expected, expected, 1) - 1)[expected > 0].max())
        )
        curve = np.asarray(fi.closed_form(neuron, fine, onto))
        axes.plot(np.asarray(fine) * 1e12, curve, color=colour, lw=1.1)
        axes.plot(np.asarray(few) * 1e12, measured, "o", ms=3.5, color=colour, label=label)
    axes.set(xlabel="injected current (pA)", ylabel="firing rate (Hz)")
    axes.legend(loc="upper left", fontsize="small")
    return worst


def overview(
    recording: Recording,
    model: Mapping[str, Floats],
    curves: Mapping[str, Mapping[float, float]],
    reference: float,
    path: Path,
    title: str = "",
    labels: Sequence[object] | None = None,
) -> Path:
    """Draw raster, membranes, rates and accuracy into one file, and return its path.

    model: see `draw_rates`; the input is not drawn. The membranes are those of one neuron in the
    second sample, from the first population with recorded potentials.
    """

    traced = [name.partition(".")[0] for name in recording.traces if name.endswith(".v")]
    with drawing():
        figure = new_figure((10.5, 7.2))
        figure.suptitle(title, x=0.01, ha="left", fontsize=11.5, fontweight="bold")
        (raster, membranes), (rates, accuracy) = figure.subplots(2, 2)
        draw_raster(recording, raster, samples=min(3, recording.samples), labels=labels)
        if traced and traced[0] in recording.spikes:
            sample = min(1, recording.samples - 1)
            until = min(recording.presentation, 0.5)
            draw_membranes(recording, membranes, traced[0], sample, until=until)
            index = int(recording.traces[f"{traced[0]}.v"].neurons[0])
            membranes.set_title(
                f"{traced[0].replace('_', ' ')}, neuron {index}, sample {sample + 1}"
            )
        else:
            membranes.set_axis_off()
        spiking = {name: r for name, r in model.items()
                   if name != "input" and name in recording.spikes}  # fmt: skip
        draw_rates(spiking, recording, rates)
        draw_accuracy(curves, reference, accuracy)
        figure.savefig(path)
    return path
