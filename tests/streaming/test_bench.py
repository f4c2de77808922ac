"""The benchmark runs, its peers learn what we learn, and its result is complete and kept.

Its numbers are not tested.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import assert_one_error, called
from data_sets import joined
from project import ROOT

from biocircuits import CircuitNetwork
from rate_models import rules
from rate_models.errors import BadOption, MissingData, UserError
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec
from rate_models.online.network import OnlineNetwork
from streaming.benchmarks import batches, bench, measure, networks, scaling, tables
from streaming.benchmarks import circuits as bench_circuits
from streaming.benchmarks.peers import equations, loops, scans
from streaming.benchmarks.reports import kept, page, reasons
from streaming.benchmarks.scenario import Samples, Scenario, digits, sparse
from streaming.sources import open_source

RNG = np.random.default_rng(0)
TORCH, JAX = find_spec("torch") is not None, find_spec("jax") is not None
LR, RATES = 0.02, {"reinforce": 0.002}  # at a higher one rounding grows with its estimates
pytestmark = pytest.mark.filterwarnings("ignore:.*synchroniz")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Any:
    return lambda *arguments: called(capsys, *arguments)


def test_scenarios_are_those_that_are_promised(tmp_path: Path) -> None:
    names = [scenario.name for scenario in bench.parts(tmp_path)]
    assert len(set(names)) == len(names)
    six = {"pepita", "backprop", "direct_feedback_alignment", "node_perturbation", "bmvr",
           "forward_forward"}  # fmt: skip
    assert six < set(equations.RULES) == set(rules.names())
    for network in ("784-1024-10", "3072-1024-10-dense", "64-256-10-dense", "64-32-10-dense"):
        assert {f"{rule}-{network}" for rule in six} <= set(names)
    for network in ("64-256-10", "64-32-10"):
        assert {f"{rule}-{network}" for rule in rules.names()} <= set(names)
    assert {f"{rule}-784-512x5-10" for rule in six - {"bmvr"}} <= set(names)
    assert {"learn_one-12-32-10", "learn_many-784-1024-10", "run-64-256-10"} <= set(names)
    circuits = {bench_circuits.scenario(sizes) for sizes in bench_circuits.SIZES}
    assert circuits | {f"{name}-steady" for name in circuits} <= set(names)


def _check(result: dict[str, Any]) -> None:
    assert {"cpu", "python", "numba", "numpy", "vectors", "cores"} <= result["machine"].keys()
    for row in result["rows"]:
        assert {"scenario", "peer", "samples_per_second", "ratio"} <= row.keys()
        if row["skipped"]:
            assert row["samples_per_second"] is None and row["ratio"] is None
            assert not row["ours"] or not TORCH
        else:
            assert row["low"] <= row["samples_per_second"] <= row["high"] and row["ratio"] > 0
    for bound in result["roofline"]:
        assert bound["fraction"] > 0 and bound["fixed_share"] > 0 and bound["block"] >= 1
        shares = [bound[f"{part}_share"] for part in ("fixed", "above", "first")]
        assert min(shares) >= 0 and abs(sum(shares) - 1) < 1e-9
    assert [level["name"] for level in result["limits"]["levels"]][-1] == "memory"


def test_a_quick_run_of_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ROWS", 3000)
    result = bench.run(quick=True, only=["pepita-64-32-10-dense", "learn_one-12", "csv"])
    _check(result)
    found = {row["scenario"] for row in result["rows"]}
    assert found == {"pepita-64-32-10-dense", "learn_one-12-32-10", tables.SCENARIO}
    skipped = {row["peer"]: row["skipped"] for row in result["rows"] if row["skipped"]}
    missing = {networks.JAX: JAX, networks.TORCH: TORCH, "pandas": find_spec("pandas"),
               "pyarrow": find_spec("pyarrow")}  # fmt: skip
    assert set(skipped) == {name for name, there in missing.items() if not there}
    assert all("not installed" in reason for reason in skipped.values())
    assert [bound["scenario"] for bound in result["roofline"]] == ["pepita-64-32-10-dense"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
def test_a_quick_run_of_everything(tmp_path: Path) -> None:
    result = bench.run(quick=True, grows=True)
    _check(result)
    assert {cost["unit"] for cost in result["costs"]} >= {"s"}
    assert {series["axis"] for series in result["scaling"]} == {a.name for a in scaling.AXES}
    kept.write(tmp_path / "all.json", result)
    page.write(kept.read(tmp_path / "all.json"), tmp_path / "all.json", tmp_path / "all.md")
    for picture in ("all.png", "all_scaling.png"):
        assert (tmp_path / "img" / picture).stat().st_size > 10_000


# -- peers learn what our learner learns


SHALLOW, DEEP = (20, 16, 10), (20, 16, 12, 10)


def _cases() -> list[Any]:
    """Two depths; of JAX, which takes a second to compile each, the deepest that a rule allows."""
    cases = []
    for rule in equations.RULES:
        sizes = [n for n in (DEEP, SHALLOW) if networks.spec_of(rule, n) is not None]
        cases += [(library, rule, n) for library in ("numpy", "torch") for n in sizes]
        cases.append(("jax", rule, sizes[0]))
    return cases


def _steps(rule: str, spec: NetworkSpec, peer: Any) -> None:
    """Compare a peer's parameters with ours after 300 samples, relative to what was learned."""
    rng = np.random.default_rng(0)
    X, labels = rng.random((300, 20), np.float32), rng.integers(0, 10, 300)
    noise = equations.draw(rule, rng, 300, equations.noise_width(rule, spec))
    net = OnlineNetwork(spec, rule, dtype="float32", optimizer=Optimizer(RATES.get(rule, LR)))
    widths = net.definition.noise.widths(spec, net.hyper)
    before = net.parameters()
    ours = np.split(noise, np.cumsum(widths)[:-1], axis=1) if widths else None
    net.learn(X, labels=labels, noise=ours)
    peer(X, labels, noise)
    learned = 0
    for name, value in net.parameters().items():
        some = (value, before[name], peer.parameters.get(name, []))
        triples = zip(*some, strict=True) if isinstance(value, list) else [some]
        for new, old, theirs in triples:
            step = np.abs(new - old).max()
            learned += step > 0
            assert np.abs(new - np.asarray(theirs)).max() <= 2e-4 * step, name
    assert learned >= spec.layers


@pytest.mark.parametrize(("library", "rule", "sizes"), _cases())
def test_a_peer_is_the_rule(library: str, rule: str, sizes: tuple[int, ...]) -> None:
    pytest.importorskip(library)
    spec = networks.spec_of(rule, sizes)
    assert spec is not None
    if library == "jax":
        _steps(rule, spec, scans.Scan(spec, rule, RATES.get(rule, LR)))
    else:
        _steps(rule, spec, loops.Loop(spec, rule, RATES.get(rule, LR), library))


@pytest.mark.skipif(not TORCH, reason="torch is not installed")
def test_autograd_is_backpropagation() -> None:
    spec = NetworkSpec((20, 16, 12, 10))
    _steps("backprop", spec, loops.Autograd(spec, "backprop", LR))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
@pytest.mark.skipif(not TORCH, reason="torch is not installed")
def test_the_compiled_step_is_the_rule() -> None:
    spec = NetworkSpec((20, 16, 10))
    _steps("pepita", spec, loops.Loop(spec, "pepita", LR, "torch", compiled=True))


def test_the_textbook_is_the_rule() -> None:
    spec = NetworkSpec((20, 16, 10))
    _steps("drtp", spec, loops.Book(spec, "drtp", LR))


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


@pytest.mark.parametrize("rule", ["pepita", "backprop"])
def test_batches_by_hand_are_those_of_the_rule(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    from rate_models.batch import BatchNetwork, fit

    made: list[BatchNetwork] = []

    class Kept(BatchNetwork):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)  # type: ignore[arg-type]
            made.append(self)

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
    for ours, theirs, before in zip(net.W, made[0].W, start, strict=True):
        step = (ours - before).abs().max()
        assert step > 0 and (ours - theirs).abs().max() < 1e-3 * step


# -- measuring


def _scenario(**peers: Any) -> Scenario:
    samples = Samples(np.ones((1000, 3), np.float32), np.zeros(1000, np.int64), "ones")
    return Scenario("s", peers, lambda: samples, 10)


def test_peers_take_turns() -> None:
    turns: list[str] = []

    def peer(name: str, seconds: float) -> Any:
        def make() -> Any:
            turns.append(name)
            return lambda X, labels: seconds * len(X)

        return make

    told: list[str] = []
    found = measure.speeds(_scenario(a=peer("a", 0.25), b=peer("b", 0.125)), 10, 3, told.append)
    assert turns == told == ["a", "b"] * 4
    assert found["a"] == measure.Speed(4, 4, 4) and found["b"].median == 8


def test_a_peer_that_fails_is_skipped_with_its_reason() -> None:
    def broken() -> Any:
        raise RuntimeError("no compiler\nhere")

    found = measure.speeds(
        _scenario(a=lambda: lambda X, labels: 1.0, b=broken, c="not here"), 1, 2, lambda peer: None
    )
    assert found["b"] == measure.Speed(None, skipped="RuntimeError: no compiler")
    assert found["c"].skipped == "not here" and found["a"].median is not None
    alone = bench._rows(_scenario(a=broken), measure.speeds(_scenario(a=broken), 1, 2, str))
    assert alone[0]["skipped"] == "RuntimeError: no compiler" and alone[0]["ratio"] is None


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"seconds": 0}, "above 0"),
        ({"seconds": float("nan")}, "above 0"),
        ({"repeats": 0}, "above 0"),
        ({"only": ["pepitta"]}, "got 'pepitta'; expected part of one of .*pepita-784-1024-10"),
    ],
)
def test_invalid_options_are_refused(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(BadOption, match=message):
        bench.run(**bad)


def test_samples_have_the_density_that_they_say() -> None:
    X = sparse(200, 0.1, 500)
    assert abs(Samples(X, X[:, 0], "").density - 0.1) < 0.01
    assert abs(Samples(X, X[:, 0], "").power - 100) < 10
    assert 0.4 < digits().density < 0.6


# -- results


def _result(rate: float = 100.0, spread: float = 0.1) -> Any:
    def row(peer: str, rate: float, ours: bool) -> dict[str, Any]:
        return {"scenario": "pepita-64-32-10", "peer": peer, "samples_per_second": rate,
                "ratio": 1.0, "low": rate * (1 - spread), "high": rate * (1 + spread),
                "ours": ours, "skipped": None}  # fmt: skip

    bound = {"scenario": "pepita-64-32-10", "density": 0.5, "seconds": 0.001,
             "samples_per_second": 1000.0, "block": 4, "multiply_adds": 10.0, "bytes_read": 1.0,
             "bytes_changed": 1.0, "working_set": 5, "level": "L1", "limited_by": "memory",
             "fraction": 0.1, "fixed_share": 0.4, "above_share": 0.35, "first_share": 0.25,
             "first_fraction": 0.5}  # fmt: skip
    points = [{"value": n, "seconds": n * 1e-6, "bound": n * 1e-7} for n in (32.0, 64.0, 128.0)]
    return {
        "machine": {"cpu": "a processor"}, "date": "2026-11-30",
        "data": {"pepita-64-32-10": "digits"},
        "seconds": 0.1, "repeats": 5, "quick": False,
        "rows": [row(networks.OURS, rate, True), row(networks.JAX, 50.0, False)],
        "limits": {"levels": [{"name": "memory", "size": None, "read": 1e9, "update": 1e9}],
                   "multiply_adds": 1e9},
        "roofline": [bound], "costs": [{"what": "start", "value": 0.5, "unit": "s"}],
        "scaling": [{"axis": "width", "network": "n", "rule": "pepita", "points": points,
                     "exponent": 1.0, "theory": 1.0}],
    }  # fmt: skip


def test_results_are_kept(tmp_path: Path) -> None:
    kept.write(tmp_path / "r.json", _result())
    assert kept.read(tmp_path / "r.json") == _result()
    with pytest.raises(MissingData, match="no file"):
        kept.read(tmp_path / "other.json")
    for damage in ("{", "[]", "{}", json.dumps(_result() | {"rows": [{"scenario": 3}]})):
        (tmp_path / "r.json").write_text(damage)
        with pytest.raises(UserError, match="expected the result of a benchmark"):
            kept.read(tmp_path / "r.json")


def test_only_what_is_slower_by_more_than_the_spread_is_named() -> None:
    before = _result()
    assert kept.slower(_result(85.0), before) == []  # 93.5 is not below 90
    (row,) = kept.slower(_result(80.0), before)
    assert row["peer"] == networks.OURS and abs(row["change"] + 0.2) < 1e-9 and row["others"] == 0
    assert kept.compared(_result(120.0), before) == [
        "nothing became slower by more than the spread"
    ]
    other = _result(80.0)
    other["data"] = {"pepita-64-32-10": "random"}
    assert kept.compared(other, before) == [
        "not compared: pepita-64-32-10: digits before, random now",
        "nothing became slower by more than the spread",
    ]
    there = _result(80.0)
    there["machine"] = {"cpu": "another"}
    lines = kept.compared(there, before)
    assert lines[0] == "not the same cpu: a processor before, another now"
    assert (
        "pepita-64-32-10, online kernel: 100 -> 80 samples/s (-20%; its other peers +0%)"
        in lines[1]
    )


def test_the_page_and_the_readme_have_the_numbers_of_the_file(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    page.rewrite(readme, _result(123456.0))
    text = readme.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    assert page.around(readme)[1] == page.readme_table(_result(123456.0))
    assert "| 64-32-10, digits | 123,000 | 1 × |" in text
    page.write(_result(), tmp_path / "r.json", tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text()
    assert "| pepita | 100 (90-110) | 1 × |" in text and "[r.json](r.json)" in text
    assert "| 10% | fixed 40%, above 35%, first layer 25%" in text
    assert "busy" not in text
    crowded = _result() | {"machine": {"cpu": "a processor", "load": "5.0"}}
    assert "busy" in page.text(crowded, tmp_path / "r.json", tmp_path / "page.md")
    for picture in ("page.png", "page_scaling.png"):
        assert f"(img/{picture})" in text and (tmp_path / "img" / picture).stat().st_size > 5_000
    (tmp_path / "bare.md").write_text("nothing")
    with pytest.raises(UserError, match="no <!-- bench:begin -->"):
        page.rewrite(tmp_path / "bare.md", _result())


def test_a_reason_is_given_only_below_a_half() -> None:
    (bound,) = _result()["roofline"]
    assert reasons.reason(bound | {"fraction": 0.6}) == ""
    parts = "fixed 40%, above 35%, first layer 25% (at 50% of its own least time)"
    assert reasons.reason(bound).split("; perf")[0] == parts


def test_the_pages_of_this_project_are_those_of_its_file() -> None:
    data, where = ROOT / "docs" / "performance.json", ROOT / "docs" / "performance.md"
    result = kept.read(data)
    assert where.read_text(encoding="utf-8") == page.text(result, data, where)
    assert page.around(ROOT / "README.md")[1] == page.readme_table(result)


def test_the_command_refuses_before_it_measures(
    call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "run", None)
    bare, missing = tmp_path / "bare.md", tmp_path / "missing.json"
    bare.write_text("nothing")
    assert_one_error(call("bench", "--page", tmp_path / "p.md"), "--page: got no --out")
    assert_one_error(call("bench", "--readme", bare), "bench:begin")
    assert_one_error(call("bench", "--against", missing), "missing.json: got no file")
    assert_one_error(call("bench", "--read", missing), "missing.json: got no file")
    assert_one_error(call("bench", "--out", tmp_path / "no" / "r.json"), "a folder that exists")


def test_the_command_reads_a_result_and_compares_it(call: Any, tmp_path: Path) -> None:
    for name, rate in (("now", 80.0), ("before", 100.0)):
        kept.write(tmp_path / f"{name}.json", _result(rate))
    asked = ("bench", "--read", tmp_path / "now.json", "--against", tmp_path / "before.json")
    ended = call(*asked, "--page", tmp_path / "p.md")
    assert ended.code == 0 and "slower: pepita-64-32-10" in ended.out
    assert (tmp_path / "p.md").is_file()
    printed = json.loads(call(*asked, "--json").out)
    assert {"machine", "rows"} <= printed.keys() and len(printed["slower"]) == 1
