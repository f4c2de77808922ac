"""Calls from Python: `OnlineLearner` sample by sample and in chunks, and whole runs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from rate_models.network import NetworkSpec
from streaming.benchmarks import networks
from streaming.benchmarks.scenario import (
    Array,
    Peer,
    Runner,
    Scenario,
    dense,
    digits,
    images,
)
from streaming.learner.learner import OnlineLearner
from streaming.runs.loop import Hooks
from streaming.runs.run import RunConfig, run
from streaming.sources import open_source

RULE, LR = "pepita", 0.02
ONE = ((12, 32, 10), (64, 32, 10), (64, 256, 10))
MANY = {(64, 256, 10): digits, (784, 1024, 10): images}


def scenarios() -> Iterator[Scenario]:
    """learn_one and predict_one, learn_many, and a run."""
    for sizes in ONE:
        samples = digits if sizes[0] == 64 else partial(dense, sizes[0], 20_000)
        yield Scenario(_name("learn_one", sizes), _one(sizes), samples, 200, ours=3)
    for sizes, samples in MANY.items():
        many: dict[str, Peer] = {"learn_many": partial(_chunks, sizes), **_kernel(sizes)}
        yield Scenario(_name("learn_many", sizes), many, samples, 500, ours=2)
    sizes = (64, 256, 10)
    whole: dict[str, Peer] = {"run, scored and recorded": lambda: _run, **_kernel(sizes)}
    yield Scenario(_name("run", sizes), whole, digits, 1437, ours=2)


def _name(what: str, sizes: tuple[int, ...]) -> str:
    return f"{what}-{'-'.join(map(str, sizes))}"


def _learner(sizes: tuple[int, ...]) -> OnlineLearner:
    return OnlineLearner(RULE, sizes, lr=LR, dtype="float32")


def _one(sizes: tuple[int, ...]) -> dict[str, Peer]:
    spec, torch = NetworkSpec(sizes), find_spec("torch") is not None
    return {
        "learn_one": lambda: _vectors(_learner(sizes)),
        "learn_one of dicts": lambda: _dicts(_learner(sizes)),
        "predict_one": lambda: _predictions(_learner(sizes)),
        networks.TORCH: (lambda: networks.torch_loop(spec, RULE, LR))
        if torch
        else "torch is not installed",
    }


def _kernel(sizes: tuple[int, ...]) -> dict[str, Peer]:
    """The kernel in one call, with nothing around it."""
    spec = NetworkSpec(sizes)
    return {networks.OURS: lambda: networks.Online(spec, RULE, LR, chunk=networks.CHUNK * 100)}


def _vectors(learner: OnlineLearner) -> Runner:
    def learn(X: Array, labels: Array) -> None:
        for x, y in zip(X, labels.tolist(), strict=True):
            learner.learn_one(x, y)

    return learn


def _dicts(learner: OnlineLearner) -> Runner:
    names = [f"feature {n}" for n in range(learner.sizes[0])]

    def learn(X: Array, labels: Array) -> float:
        rows = np.asarray(X, np.float64).tolist()
        return _timed(
            learner.learn_one, [dict(zip(names, x, strict=True)) for x in rows], labels.tolist()
        )

    return learn


def _timed(learn: Callable[[Any, Any], None], X: list[Any], y: list[Any]) -> float:
    """Seconds of the calls alone."""
    start = perf_counter()
    for one, label in zip(X, y, strict=True):
        learn(one, label)
    return perf_counter() - start


def _predictions(learner: OnlineLearner) -> Runner:
    def predict(X: Array, labels: Array) -> None:
        for x in X:
            learner.predict_one(x)

    return predict


def _chunks(sizes: tuple[int, ...]) -> Runner:
    learner = _learner(sizes)

    def learn(X: Array, labels: Array) -> None:
        for at in range(0, len(X), networks.CHUNK):
            part = slice(at, at + networks.CHUNK)
            learner.learn_many(X[part], labels[part])

    return learn


def _run(X: Array, labels: Array) -> float:
    """A run over the bundled digits, of at least as many samples; its own streaming time."""
    config = RunConfig.checked(
        source="digits", rule=RULE, hidden=(256,), dtype="float32", lr=LR,
        epochs=-(-len(X) // _digits_of_an_epoch()),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        summary = run(config, Path(folder, "run"), Hooks(draw=False))
    return len(X) / float(summary["samples_per_second"])


@cache
def _digits_of_an_epoch() -> int:
    return open_source("digits").length or 1
