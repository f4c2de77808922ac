"""``dendrostream spiking``: a network trained on digits, shown them as spikes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer

from rate_models.errors import BadOption
from streaming.sources import ArraySource, Source

HELD_OUT = 0.2  # of a table's rows, to be shown
MOST_LEARNED = 20_000  # samples of a stream that is not held in memory
TIMES = (25, 50, 100, 150, 200, 300, 500, 700, 1000, 1500, 2000)  # ms


def spiking(
    checkpoint: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Convert this checkpoint of a run  [default: train a "
                     "network first: 64-HIDDEN-10, PEPITA, eight epochs]"),
    ] = None,
    source: Annotated[
        str, typer.Option(help="Whose held-out samples are shown; see `dendrostream sources`.")
    ] = "digits",
    samples: Annotated[
        int, typer.Option(help="Held-out samples to show, one after another.")
    ] = 200,
    hidden: Annotated[int, typer.Option(help="Hidden units of the network to train.")] = 128,
    presentation: Annotated[
        int, typer.Option(help="Milliseconds that each sample is shown.")
    ] = 1000,
    peak: Annotated[float, typer.Option(help="Rate in Hz that stands for a high value.")] = 200.0,
    inputs: Annotated[
        Literal["poisson", "regular", "current"],
        typer.Option(help="Input as Poisson trains, regular trains or injected current."),
    ] = "regular",
    readout: Annotated[
        Literal["spikes", "membrane"], typer.Option(help="What of the output neurons is read.")
    ] = "spikes",
    floor: Annotated[
        float | None,
        typer.Option(help="Percentile of the output's values at which it is silent. Given, the "
                     "first spike is read too; 50 suits it  [default: the lowest]"),
    ] = None,
    cells: Annotated[int, typer.Option(help="Neurons that stand for one unit.")] = 1,
    dt: Annotated[float, typer.Option(help="Step of the simulation in ms.")] = 0.25,
    mode: Annotated[
        Literal["auto", "runtime", "cpp_standalone"],
        typer.Option(help="runtime: step by step from Python; cpp_standalone: as one C++ program; "
                     "auto: the program, where there is a compiler."),
    ] = "auto",
    seed: Annotated[int, typer.Option(help="Of the network, its samples and all spikes.")] = 0,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of data sets  [default: DENDROSTREAM_DATA, else user's cache]"),
    ] = None,
    nwb: Annotated[bool, typer.Option("--nwb", help="Write spikes and traces as NWB.")] = False,
    nir: Annotated[bool, typer.Option("--nir", help="Write the network as NIR.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for pictures and files.")] = Path(
        "runs/spiking"
    ),
    json_: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else.")
    ] = False,
) -> None:  # fmt: skip
    """Convert a trained network to spiking neurons in Brian 2 and show it held-out samples."""
    from biocircuits.spiking import backend, pictures, to_brian2
    from biocircuits.spiking.conversion import export
    from rate_models.drawing.style import plain
    from streaming import terminal
    from streaming.files.folder import json_line
    from streaming.pictures.drawn import attempt

    if samples < 1 or presentation < 1:
        raise BadOption("--samples and --presentation", got=f"{samples}, {presentation}",
                        expected="1 or more")  # fmt: skip
    backend.load()
    how = backend.fastest() if mode == "auto" else mode

    def say(message: str) -> None:
        if not json_:
            terminal.say(message)

    learner, shown, truth, calibration = _learned(
        checkpoint, source, hidden, seed, data, samples, say
    )
    right = float(np.mean(learner.predict_many(shown) == truth))
    neuron = _liveliest(learner, shown)
    traces = [f"{neuron[0]}.{v}[{neuron[1]}]" for v in ("v", "v_dendrite")] if neuron else []
    say(f"measuring activities and the f-I curve; {samples} samples of {presentation} ms, {how}")
    net = to_brian2(
        learner, shown, calibration, presentation=f"{presentation} ms", peak=f"{peak} Hz",
        floor=floor, inputs=inputs, readout=readout, cells=cells, dt=f"{dt} ms",
        traces=traces, seed=seed, mode=how,
    )  # fmt: skip
    begin = time.perf_counter()
    recording = net.run(progress=not json_)
    seconds = time.perf_counter() - begin
    times = [t for t in (*TIMES, presentation) if t <= presentation]
    by: list[Any] = ["membrane"] if readout == "membrane" else ["rate"]
    by += ["first_spike"] if floor is not None and readout == "spikes" else []
    labels = np.asarray(learner.classes)
    curves = {way: {float(t): _accuracy(recording.decode(way, t / 1000), labels, truth)
                    for t in sorted(set(times))} for way in by}  # fmt: skip
    model = net.target_rates()
    ranks = {name: _rank(model[name], recording.rates(name)) for name in recording.spikes}
    out.mkdir(parents=True, exist_ok=True)
    sizes = "-".join(map(str, learner.sizes))
    files: list[Path] = []
    with attempt(str(out / "spiking.png"), "the same command draws it again"):
        title = f"{sizes} in spikes, {plain(source)}"
        files += [
            pictures.overview(recording, model, curves, right, out / "spiking.png", title, truth)
        ]
    files += [export.to_nwb(recording, out / "spiking.nwb")] if nwb else []
    if nir:
        export.to_nir(net, out / "network.nir")
        files.append(out / "network.nir")
    result = {
        "sizes": learner.sizes, "source": source, "samples": len(truth), "mode": how,
        "presentation_ms": presentation, "seed": seed, "rate_accuracy": right,
        "accuracy": {way: curve[float(presentation)] for way, curve in curves.items()},
        "accuracy_against_ms": curves, "rank_correlation": ranks, "seconds": seconds,
        "seconds_per_sample": seconds / len(truth), "files": [str(file) for file in files],
    }  # fmt: skip
    print(json_line(result) if json_ else _report(result))


def _learned(
    checkpoint: Path | None, source: str, hidden: int, seed: int, data: Path | None, samples: int,
    say: Any,
) -> tuple[Any, Any, Any, Any]:  # fmt: skip
    """(learner, held-out samples, their labels, samples that it learned from)."""
    from streaming import OnlineLearner
    from streaming.sources import Options, get, open_source

    held_out = HELD_OUT if get(source).table else 0.0  # other sources hold some out by themselves
    opened = open_source(source, Options(data=data, seed=seed, held_out=held_out))
    if not opened.classes:
        raise BadOption("--source", got=source, expected="samples with labels")
    X, y, x, truth = _samples(opened, samples)
    if checkpoint is not None:
        inside = checkpoint / "checkpoint"
        learner = OnlineLearner.load(inside if inside.is_dir() else checkpoint)
        if learner.sizes[0] != X.shape[1] or set(learner.classes or ()) < set(truth.tolist()):
            classes = None if learner.classes is None else len(learner.classes)
            raise BadOption(
                "--source",
                got=f"{source}, {X.shape[1]} features in {len(opened.classes)} classes",
                expected=f"{learner.sizes[0]} features in {classes} classes, as --checkpoint has",
            )
        return learner, x[:samples], truth[:samples], X
    learner = OnlineLearner(
        "pepita", (X.shape[1], hidden, len(opened.classes)), lr=0.1, seed=seed,
        scale="range" if opened.scale == "range" else "running",
        maximum=opened.maximum, classes=opened.classes,
    )  # fmt: skip
    for epoch in range(8):
        order = np.random.default_rng([seed, epoch]).permutation(len(X))
        learner.learn_many(X[order], y[order])
        say(f"epoch {epoch + 1}: {np.mean(learner.predict_many(x) == truth):.4f} of held-out right")
    return learner, x[:samples], truth[:samples], X


def _samples(opened: Source, samples: int) -> tuple[Any, Any, Any, Any]:
    """X, y to learn and x, truth held out: all that arrays have, of other sources a beginning."""
    if isinstance(opened, ArraySource):
        (X, y), (x, truth) = opened.train_arrays(), opened.test_arrays()
    else:
        X, y = _first(opened.chunks(0), MOST_LEARNED)
        x, truth = _first(opened.test(), samples)
    if not len(truth):
        raise BadOption("--source", got=f"{opened.name}, which holds nothing out",
                        expected="a source with held-out samples to show")  # fmt: skip
    return X, np.asarray(y), x, np.asarray(truth)


def _first(chunks: Any, n: int) -> tuple[Any, Any]:
    """The first n samples of a stream as arrays; none of no stream."""
    X, y = list[Any](), list[Any]()
    for some, labels in chunks or ():
        X, y = [*X, some], [*y, labels]
        if sum(map(len, y)) >= n:
            break
    return (np.concatenate(X)[:n], np.concatenate(y)[:n]) if y else (np.zeros((0, 0)), np.zeros(0))


def _liveliest(learner: Any, x: Any) -> tuple[str, int] | None:
    """(population, unit) of the first layer whose value changes most over the first samples."""
    from biocircuits.spiking.conversion.trained import measure

    layers = measure(learner, x[:3]).layers
    if len(layers) < 2:
        return None
    return layers[0].name, int(layers[0].value.std(axis=0).argmax())


def _accuracy(index: Any, labels: Any, truth: Any) -> float:
    return float(np.mean((index >= 0) & (labels[index] == truth)))


def _rank(model: Any, found: Any) -> float:
    from biocircuits.spiking.recording import rank_correlation

    return rank_correlation(model, found)


def _report(result: dict[str, Any]) -> str:
    lines = [f"rate network      {result['rate_accuracy']:.4f} of {result['samples']} samples"]
    for how, accuracy in result["accuracy"].items():
        lines.append(f"by {how.replace('_', ' '):<14} {accuracy:.4f} "
                     f"after {result['presentation_ms']} ms")  # fmt: skip
    curve = next(iter(result["accuracy_against_ms"].values()))
    lines.append("  ms              " + "  ".join(f"{t:>5g}" for t in curve))
    lines.append("  accuracy        " + "  ".join(f"{a:5.3f}" for a in curve.values()))
    ranks = (f"{name} {r:.3f}" for name, r in result["rank_correlation"].items())
    lines.append(f"rank correlation  {', '.join(ranks)}")
    lines.append(f"{result['mode']}: {result['seconds']:.1f} s, compiling included, "
                 f"{result['seconds_per_sample']:.3f} s per sample")  # fmt: skip
    return "\n".join([*lines, *(f"file: {file}" for file in result["files"])])
