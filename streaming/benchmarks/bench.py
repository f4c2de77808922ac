"""Samples per second of the online kernels, batches, circuits and tables, compared with peers.

All peers run in one thread of the same process, in float32 (circuits in float64), at batch 1, on
the same samples. The repeats of all peers alternate, so that a busy machine slows all of them
alike. A repeat lasts equally long for every peer, and the median is reported. ``ratio`` is our rate
over the peer's. Scenario names never change, so that numbers can be compared across versions. The
peers of batches, circuits and tables are in files of their own in this folder.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from rate_models.compiler.kernel import Array
from rate_models.errors import BadOption, MissingData
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec, one_hot
from rate_models.online.network import OnlineNetwork
from rate_models.support.estimates import check_time
from rate_models.textbook import Textbook, initial_parameters, mapped
from streaming.benchmarks import batches as bench_batches
from streaming.benchmarks import calls as bench_calls
from streaming.benchmarks import circuits as bench_circuits
from streaming.benchmarks import scans as bench_scans
from streaming.benchmarks import tables as bench_tables
from streaming.machine import machine
from streaming.sources import ArraySource, open_source

SPEC = NetworkSpec((784, 1024, 10))
LR = 0.03
SMALL_LR = 0.01  # of networks with 64 inputs
SMALL_SAMPLES = 200_000
CHUNK = 256
SAMPLES = 20_000
MANY = 10**12  # repeats: more are as good as these
Runner = Callable[[Array, Array], None]
Peers = dict[str, Callable[[], Runner] | None]
# name, peers, samples and labels, and how many of them at least
Scenario = tuple[str, Peers, Array, Array, int]


def run(seconds: float = 0.5, repeats: int = 5) -> dict[str, Any]:
    """Time every peer of every scenario, ``repeats`` times for about ``seconds`` each.

    Returns {machine, data, repeats, rows: [{scenario, peer, samples_per_second, ratio}]}, with None
    for peers that are not installed. Raises BadOption for seconds or repeats that are not positive,
    and if it would take hours.
    """
    if not seconds > 0 or repeats < 1:
        got = f"seconds={seconds:g}, repeats={repeats}"
        raise BadOption("bench", got=got, expected="seconds above 0, repeats from 1")
    X, labels, data = _data()
    scenarios = _scenarios(X, labels)
    _check_length(seconds, repeats, [peers for _, peers, *_ in scenarios])
    rows: list[dict[str, Any]] = []
    total = (len(scenarios) + 1) * (repeats + 1)
    with (
        _one_thread(),
        tempfile.TemporaryDirectory() as folder,
        tqdm(total=total, desc="bench", disable=None) as progress,
    ):
        table = Path(folder, "table.csv")
        scenarios.append(
            (bench_tables.SCENARIO, bench_tables.peers(table), *bench_tables.data(table), 2000)
        )
        for scenario, peers, X, labels, least in scenarios:
            ours = next(iter(peers))
            samples = {
                name: int(np.clip(seconds * _speed(make, X[:least], labels[:least]), least, len(X)))
                for name, make in peers.items()
                if make is not None
            }
            progress.update()
            speeds: dict[str, list[float]] = {name: [] for name in samples}
            for _ in range(repeats):
                for name, n in samples.items():
                    speeds[name].append(_speed(peers[name], X[:n], labels[:n]))
                progress.update()
            medians = {name: statistics.median(values) for name, values in speeds.items()}
            rows += [
                {
                    "scenario": scenario,
                    "peer": name,
                    "samples_per_second": medians.get(name),
                    "ratio": medians[ours] / medians[name] if name in medians else None,
                }
                for name in peers
            ]
    return {"machine": machine(), "data": data, "repeats": repeats, "rows": rows}


def _scenarios(X: Array, labels: Array) -> list[Scenario]:
    """All but that of tables, which needs a file. X, labels: images of 784 pixels."""
    scenarios: list[Scenario] = [
        (f"{rule}-784-1024-10", _peers(rule), X, labels, 200) for rule in ("pepita", "backprop")
    ]
    scenarios += [
        (f"{rule}-64-{n}-10", _small_peers(rule, NetworkSpec((64, n, 10))), *_digits(), 1000)
        for rule in bench_scans.RULES for n in (256, 32)
    ]  # fmt: skip
    for name, sizes in bench_calls.SIZES.items():
        spec, torch = NetworkSpec(sizes), "torch, eager loop, in place"
        peers: Peers = {**bench_calls.peers(spec, SMALL_LR), torch: None}
        if find_spec("torch") is not None:
            peers[torch] = partial(_torch_pepita, spec, SMALL_LR, in_place=True)
        scenarios.append((name, peers, *_digits(), 200))
    scenarios.append((bench_batches.SCENARIO, bench_batches.peers(), X, labels, 640))
    scenarios += [
        (bench_circuits.scenario(sizes), dict(bench_circuits.peers(sizes)),
         *bench_circuits.data(), 5) for sizes in bench_circuits.SIZES
    ]  # fmt: skip
    return scenarios


def _digits() -> tuple[Array, Array]:
    """The bundled digits, again and again."""
    source = open_source("digits")
    assert isinstance(source, ArraySource)
    X, y = source.train_arrays()
    times = -(-SMALL_SAMPLES // len(X))
    X = np.tile(X / X.max(), (times, 1))[:SMALL_SAMPLES]
    return X.astype(np.float32), np.tile(y, times)[:SMALL_SAMPLES]


def _small_peers(rule: str, spec: NetworkSpec) -> Peers:
    """Functions that make a fresh learner of a small network."""
    return {
        "online kernel": lambda: _online(rule, spec, SMALL_LR, structured=True),
        "JAX, lax.scan": bench_scans.peer(rule, spec, SMALL_LR),
    }


def _check_length(seconds: float, repeats: int, of: list[Peers]) -> None:
    """BadOption for hours of measurements, of these scenarios and of tables."""
    peers = [peer for some in [*of, bench_tables.peers(Path())] for peer in some.values()]
    n = sum(peer is not None for peer in peers)
    whole = n * seconds * min(repeats, MANY)
    got = f"{n} measurements of {seconds:g} s, {repeats:,} times"
    check_time("bench", got, whole, "choose fewer --repeats or --seconds")


def _speed(make: Callable[[], Runner] | None, X: Array, labels: Array) -> float:
    """Samples per second of a fresh learner, after a first chunk that compiles it and touches its
    memory."""
    assert make is not None
    learn = make()
    learn(X[:50], labels[:50])
    start = time.perf_counter()
    learn(X, labels)
    return len(X) / (time.perf_counter() - start)


def _data() -> tuple[Array, Array, str]:
    """MNIST's first training samples, or random ones with its share of zero pixels (81 %)."""
    with contextlib.suppress(MissingData):
        source = open_source("mnist")
        assert isinstance(source, ArraySource)
        X, y = source.train_arrays()
        return (X[:SAMPLES] / 255).astype(np.float32), y[:SAMPLES], "mnist"
    rng = np.random.default_rng(0)
    X = rng.random((SAMPLES, 784), np.float32)
    X *= rng.random((SAMPLES, 784), np.float32) < 0.19
    return X, rng.integers(0, 10, SAMPLES), "random, 19 % not zero"


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        if find_spec("torch") is None:
            yield
            return
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def _peers(rule: str) -> Peers:
    """Functions that make a fresh learner, so that every repeat has the same work."""
    installed = find_spec("torch") is not None
    peers: Peers = {
        "online kernel": lambda: _online(rule, SPEC, LR, structured=True),
        "online kernel, plain first layer": lambda: _online(rule, SPEC, LR, structured=False),
        "textbook NumPy": lambda: _textbook(rule),
    }
    if rule == "pepita":
        for name, in_place in (("torch, eager loop", False), ("torch, eager loop, in place", True)):
            peers[name] = partial(_torch_pepita, SPEC, LR, in_place=in_place) if installed else None
        peers["torch, autograd backprop"] = _torch_autograd if installed else None
    else:
        peers["torch, autograd"] = _torch_autograd if installed else None
    return peers


def _online(rule: str, spec: NetworkSpec, lr: float, *, structured: bool) -> Runner:
    net = OnlineNetwork(spec, rule, dtype="float32", optimizer=Optimizer(lr), structured=structured)

    def learn(X: Array, labels: Array) -> None:
        for at in range(0, len(X), CHUNK):
            net.learn(X[at : at + CHUNK], labels=labels[at : at + CHUNK])

    return learn


def _textbook(rule: str) -> Runner:
    params = initial_parameters(SPEC, rule, seed=0, dtype="float32")
    book = Textbook(SPEC, rule, params, Optimizer(LR))

    def learn(X: Array, labels: Array) -> None:
        Y = one_hot(labels, 10, np.float32)
        for t in range(len(X)):
            book.learn(X[t : t + 1], Y[t : t + 1])

    return learn


def _torch_pepita(spec: NetworkSpec, lr: float, *, in_place: bool) -> Runner:
    """The rule as it is written down; in_place: the fastest eager loop known to us."""
    import torch

    p = mapped(initial_parameters(spec, "pepita", seed=0, dtype="float32"), torch.tensor)
    W1, W2, F = p["W"][0], p["W"][1], p["F"]

    def update(w: Any, post: Any, pre: Any) -> None:
        if in_place:
            w.addr_(post, pre, alpha=-lr)
        else:
            w -= lr * torch.outer(post, pre)

    def learn(X: Array, labels: Array) -> None:
        xs, ys = torch.from_numpy(X), torch.from_numpy(one_hot(labels, 10, np.float32))
        with torch.no_grad():
            for x, y in zip(xs, ys, strict=True):
                h = torch.relu(W1 @ x)
                e = torch.softmax(W2 @ h, 0) - y
                x_e = x + F @ e
                h_e = torch.relu(W1 @ x_e)
                update(W1, h - h_e, x_e)
                update(W2, e, h_e)

    return learn


def _torch_autograd() -> Runner:
    import torch

    hidden = torch.nn.Linear(784, 1024, bias=False)
    net = torch.nn.Sequential(hidden, torch.nn.ReLU(), torch.nn.Linear(1024, 10, bias=False))
    optimizer = torch.optim.SGD(net.parameters(), lr=LR)

    def learn(X: Array, labels: Array) -> None:
        xs, ys = torch.from_numpy(X), torch.from_numpy(np.asarray(labels, np.int64))
        for x, y in zip(xs[:, None], ys[:, None], strict=True):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(x), y).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return learn
