"""The benchmark runs, and its result is complete. Its numbers are not tested."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from data_sets import joined

from biocircuits import CircuitNetwork
from rate_models.errors import BadOption
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec
from rate_models.online.network import OnlineNetwork
from streaming.benchmarks import batches, bench, calls, scans, tables
from streaming.benchmarks import circuits as bench_circuits
from streaming.sources import open_source

RNG = np.random.default_rng(0)
pytestmark = pytest.mark.filterwarnings("ignore:.*synchroniz")


def test_every_peer_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ROWS", 3000)
    result = bench.run(seconds=1e-6, repeats=1)
    assert {"cpu", "python", "numba", "numpy"} <= result["machine"].keys()
    scenarios = {row["scenario"] for row in result["rows"]}
    circuits = {bench_circuits.scenario(sizes) for sizes in bench_circuits.SIZES}
    online = {f"{rule}-784-1024-10" for rule in ("pepita", "backprop")}
    online |= {f"{rule}-64-{n}-10" for rule in scans.RULES for n in (256, 32)}
    assert (
        scenarios == online | set(calls.SCENARIOS) | {batches.SCENARIO, tables.SCENARIO} | circuits
    )
    for row in result["rows"]:
        if row["peer"] in ("pandas", "pyarrow") and find_spec(row["peer"]) is None:
            assert row["samples_per_second"] is None and row["ratio"] is None
            continue
        if row["peer"].startswith("JAX") and find_spec("jax") is None:
            assert row["samples_per_second"] is None and row["ratio"] is None
            continue
        needs_torch = row["peer"].startswith("torch") or row["scenario"] == batches.SCENARIO
        if needs_torch and find_spec("torch") is None:
            assert row["samples_per_second"] is None and row["ratio"] is None
        else:
            assert row["samples_per_second"] > 0 and row["ratio"] > 0
        if row["peer"] == "online kernel":
            assert row["ratio"] == 1


def test_the_loop_by_hand_is_the_circuit() -> None:
    spec = NetworkSpec((64, 20, 12, 10))
    X, labels = bench_circuits.data(3)
    net = CircuitNetwork(
        spec, "pepita", lr=bench_circuits.LR, mode="continuous", window=bench_circuits.WINDOW
    )
    net.learn(X, labels=labels)
    by_hand = bench_circuits._by_hand(spec)
    by_hand(X, labels)
    for ours, theirs in zip(net.parameters()["W"], by_hand.weights, strict=True):  # type: ignore
        assert np.abs(ours - theirs).max() < 1e-12 * np.abs(theirs).max()


def test_every_reader_reads_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ROWS", 3000)
    X, labels = tables.data(tmp_path / "t.csv")
    readers = [tables._by_hand]
    readers += [tables._pandas] if find_spec("pandas") else []
    readers += [tables._pyarrow] if find_spec("pyarrow") else []
    read = [joined(reader(tmp_path / "t.csv")) for reader in readers]
    read.append(joined(open_source(f"csv:{tmp_path / 't.csv'}").chunks(0)))
    for got_X, got in read:
        assert np.array_equal(got_X, X) and np.array_equal(got, labels)


@pytest.mark.parametrize("bad", [{"seconds": 0}, {"seconds": float("nan")}, {"repeats": 0}])
def test_invalid_lengths_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(BadOption, match="above 0"):
        bench.run(**bad)


@pytest.mark.parametrize("rule", ["pepita", "backprop"])
def test_batches_by_hand_are_those_of_the_rule(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    from rate_models.batch import BatchNetwork, fit

    networks: list[BatchNetwork] = []

    class Kept(BatchNetwork):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)  # type: ignore[arg-type]
            networks.append(self)

    monkeypatch.setattr("rate_models.batch.BatchNetwork", Kept)
    monkeypatch.setattr(torch, "randperm", torch.arange)
    monkeypatch.setattr(
        "rate_models.batch.train.order", lambda seed, epoch, x: torch.arange(len(x))
    )
    X, labels = RNG.random((192, 784), np.float32), RNG.integers(0, 10, 192)
    batches._by_hand(rule == "pepita")(X, labels)
    net = BatchNetwork(batches.SPEC, rule)
    fit(net, X, labels, epochs=1, batch_size=64, optimizer=batches.NUMBERS)
    start = BatchNetwork(batches.SPEC, rule).W
    for ours, theirs, before in zip(net.W, networks[0].W, start, strict=True):
        step = (ours - before).abs().max()
        assert step > 0 and (ours - theirs).abs().max() < 1e-3 * step


@pytest.mark.parametrize("rule", scans.RULES)
def test_the_scan_is_the_rule(rule: str) -> None:
    pytest.importorskip("jax")
    spec = NetworkSpec((20, 16, 12, 10))
    X, labels = RNG.random((70, 20), np.float32), RNG.integers(0, 10, 70)
    net = OnlineNetwork(spec, rule, dtype="float32", optimizer=Optimizer(0.05))
    before = net.parameters()["W"]
    net.learn(X, labels=labels)
    scan = scans.Scan(spec, rule, 0.05)
    scan(X, labels)
    for ours, theirs, start in zip(net.parameters()["W"], scan.weights, before, strict=True):
        step = np.abs(ours - start).max()
        assert step > 0 and np.abs(ours - np.asarray(theirs)).max() < 1e-4 * step
