"""The work of ``dendrostream spiking``: train or load, convert, simulate, measure, draw."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from biocircuits.spiking import backend, pictures, to_brian2
from biocircuits.spiking.conversion import export
from biocircuits.spiking.conversion.trained import measure
from biocircuits.spiking.recording import rank_correlation
from rate_models.drawing.style import plain
from rate_models.errors import BadOption
from rate_models.support.estimates import check_learning, check_memory, check_time
from streaming.learner.learner import OnlineLearner
from streaming.pictures.drawn import attempt
from streaming.sources import ArraySource, Options, Source, get, open_source
from streaming.spikes.options import SpikingOptions

EPOCHS = 8  # of training, if no checkpoint is given
PACE = 1e8  # neuron updates per second: an upper limit for one core
TRACED = 3 * 8  # bytes per millisecond of traces: time, soma and dendrite of one neuron
MANY = 10**12  # ms: longer times are cut to this, which is refused anyway
HELD_OUT = 0.2  # fraction of the rows of a table
MOST_LEARNED = 20_000  # samples of a source without arrays in memory
TIMES = (25, 50, 100, 150, 200, 300, 500, 700, 1000, 1500, 2000)  # ms

Array = NDArray[Any]
Notify = Callable[[str], None]


class Trained(NamedTuple):
    """A learner, the samples to present with their labels, and the samples of its training."""

    learner: OnlineLearner
    shown: Array
    truth: Array
    calibration: Array


def convert_and_simulate(
    options: SpikingOptions, notify: Notify, *, progress: bool
) -> dict[str, Any]:
    """Convert the network and simulate it on the samples; returns the results as JSON values."""
    backend.load()
    how = backend.fastest() if options.mode == "auto" else options.mode
    trained = trained_network(options, notify)
    learner, truth = trained.learner, trained.truth
    _check_length(options, sum(learner.sizes), len(truth))
    right = float(np.mean(learner.predict_many(trained.shown) == truth))
    net = _converted(options, trained, how, notify)
    begin = time.perf_counter()
    recording = net.run(progress=progress)
    seconds = time.perf_counter() - begin
    curves = _curves(options, recording, np.asarray(learner.classes), truth)
    model = net.target_rates()
    ranks = {name: rank_correlation(model[name], recording.rates(name))
             for name in recording.spikes}  # fmt: skip
    files = _files(options, net, recording, curves, right, trained)
    return {
        "sizes": learner.sizes, "source": options.source, "samples": len(truth), "mode": how,
        "presentation_ms": options.presentation, "seed": options.seed, "rate_accuracy": right,
        "accuracy": {name: curve[float(options.presentation)] for name, curve in curves.items()},
        "accuracy_against_ms": curves, "rank_correlation": ranks, "seconds": seconds,
        "seconds_per_sample": seconds / len(truth), "files": [str(file) for file in files],
    }  # fmt: skip


def _check_length(options: SpikingOptions, units: int, samples: int) -> None:
    """Raise BadOption if the simulation would take hours or its traces would fill the memory."""
    milliseconds = samples * min(options.presentation, MANY)
    got = f"{samples:,} samples of {options.presentation:,} ms"
    check_memory("--presentation", got, TRACED * milliseconds)
    if options.dt > 0:
        neurons = options.cells * units
        got = f"{got} in steps of {options.dt:g} ms, {neurons:,} neurons"
        seconds = milliseconds / options.dt * neurons / PACE
        remedy = "choose fewer --samples, a shorter --presentation or a longer --dt"
        check_time("--presentation", got, seconds, remedy)


def _converted(options: SpikingOptions, trained: Trained, how: str, notify: Notify) -> Any:
    neuron = _most_variable_unit(trained.learner, trained.shown)
    traces = [f"{neuron[0]}.{v}[{neuron[1]}]" for v in ("v", "v_dendrite")] if neuron else []
    notify(f"measuring activities and the f-I curve; {options.samples} samples of "
        f"{options.presentation} ms, {how}")  # fmt: skip
    return to_brian2(
        trained.learner, trained.shown, trained.calibration,
        presentation=f"{options.presentation} ms", peak=f"{options.peak} Hz", floor=options.floor,
        inputs=options.inputs, readout=options.readout, cells=options.cells, dt=f"{options.dt} ms",
        traces=traces, seed=options.seed, mode=how,
    )  # fmt: skip


def _curves(
    options: SpikingOptions, recording: Any, labels: Array, truth: Array
) -> dict[str, dict[float, float]]:
    """{readout: {ms: accuracy}}."""
    times = {t for t in (*TIMES, options.presentation) if t <= options.presentation}
    by: list[Any] = ["membrane"] if options.readout == "membrane" else ["rate"]
    by += ["first_spike"] if options.floor is not None and options.readout == "spikes" else []
    return {
        name: {
            float(t): _accuracy(recording.decode(name, t / 1000), labels, truth)
            for t in sorted(times)
        }
        for name in by
    }


def _files(
    options: SpikingOptions, net: Any, recording: Any, curves: dict[str, dict[float, float]],
    right: float, trained: Trained,
) -> list[Path]:  # fmt: skip
    """Write figures and exports; returns their paths."""
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    truth: Any = trained.truth
    files: list[Path] = []
    with attempt(str(out / "spiking.png"), "the same command draws it again"):
        sizes = "-".join(map(str, trained.learner.sizes))
        title = f"{sizes} in spikes, {plain(options.source)}"
        drawn = pictures.overview(
            recording, net.target_rates(), curves, right, out / "spiking.png", title, truth
        )
        files.append(drawn)
    files += [export.to_nwb(recording, out / "spiking.nwb")] if options.nwb else []
    if options.nir:
        export.to_nir(net, out / "network.nir")
        files.append(out / "network.nir")
    return files


def trained_network(options: SpikingOptions, notify: Notify) -> Trained:
    """The network of the checkpoint or a newly trained one, with samples to present."""
    # tables hold nothing out by default; other sources do
    held_out = HELD_OUT if get(options.source).table else 0.0
    opened = open_source(
        options.source, Options(data=options.data, seed=options.seed, held_out=held_out)
    )
    if not opened.classes:
        raise BadOption("--source", got=options.source, expected="samples with labels")
    X, y, x, truth = _samples(opened, options.samples)
    if options.checkpoint is not None:
        learner = _loaded(options, X, truth, len(opened.classes))
    else:
        sizes = (X.shape[1], options.hidden, len(opened.classes))
        check_learning(EPOCHS * len(X), sizes)
        learner = OnlineLearner(
            "pepita", sizes, lr=0.1, seed=options.seed,
            scale="range" if opened.scale == "range" else "running",
            maximum=opened.maximum, classes=opened.classes,
        )  # fmt: skip
        for epoch in range(EPOCHS):
            order = np.random.default_rng([options.seed, epoch]).permutation(len(X))
            learner.learn_many(X[order], y[order])
            right = np.mean(learner.predict_many(x) == truth)
            notify(f"epoch {epoch + 1}: {right:.4f} of held-out right")
    return Trained(learner, x[: options.samples], truth[: options.samples], X)


def _loaded(options: SpikingOptions, X: Array, truth: Array, classes: int) -> OnlineLearner:
    """The learner of a checkpoint. Raises BadOption if the samples do not fit it."""
    assert options.checkpoint is not None
    inside = options.checkpoint / "checkpoint"
    learner = OnlineLearner.load(inside if inside.is_dir() else options.checkpoint)
    if learner.sizes[0] != X.shape[1] or set(learner.classes or ()) < set(truth.tolist()):
        known = None if learner.classes is None else len(learner.classes)
        raise BadOption(
            "--source",
            got=f"{options.source}, {X.shape[1]} features in {classes} classes",
            expected=f"{learner.sizes[0]} features in {known} classes, as --checkpoint has",
        )
    return learner


def _samples(opened: Source, samples: int) -> tuple[Array, Array, Array, Array]:
    """Samples X, y to learn and x, truth held out: all of an array source, the first of others."""
    if isinstance(opened, ArraySource):
        (X, y), (x, truth) = opened.train_arrays(), opened.test_arrays()
    else:
        X, y = _first(opened.chunks(0), MOST_LEARNED)
        x, truth = _first(opened.test(), samples)
    if not len(truth):
        raise BadOption("--source", got=f"{opened.name}, which holds nothing out",
                        expected="a source with held-out samples to show")  # fmt: skip
    return X, np.asarray(y), x, np.asarray(truth)


def _first(chunks: Any, n: int) -> tuple[Array, Array]:
    """The first n samples of a stream as arrays; empty arrays if there is no stream."""
    X, y = list[Any](), list[Any]()
    for some, labels in chunks or ():
        X, y = [*X, some], [*y, labels]
        if sum(map(len, y)) >= n:
            break
    return (np.concatenate(X)[:n], np.concatenate(y)[:n]) if y else (np.zeros((0, 0)), np.zeros(0))


def _most_variable_unit(learner: OnlineLearner, x: Array) -> tuple[str, int] | None:
    """(population, unit) of the unit in the first layer that varies most over three samples.

    None if there is no hidden layer.
    """
    layers = measure(learner, x[:3]).layers
    if len(layers) < 2:
        return None
    return layers[0].name, int(layers[0].value.std(axis=0).argmax())


def _accuracy(index: Array, labels: Array, truth: Array) -> float:
    return float(np.mean((index >= 0) & (labels[index] == truth)))
