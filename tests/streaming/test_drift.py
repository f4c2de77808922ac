"""Sources with drift and with classes in groups, and runs on them."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import called
from command_runs import assert_same as assert_same_runs
from data_sets import assert_same, joined

from rate_models.errors import BadOption, UnknownName
from streaming.continual import comparing
from streaming.continual.comparing import Plan
from streaming.continual.streams import Stream
from streaming.runs.run import Hooks, RunConfig, resume, run
from streaming.samples.task_sequence import TaskSequence
from streaming.scores.adapting import Adapting
from streaming.scores.metrics import Metrics
from streaming.sources import Options, open_source
from streaming.sources.class_incremental import ClassIncremental
from streaming.sources.drift import Drift

BASE = "synthetic:samples=1000,features=6,seed=2"


def opened(name: str, **options: Any) -> TaskSequence:
    source = open_source(name, Options(**options))
    assert isinstance(source, TaskSequence)
    return source


def drift(keys: str, base: str = BASE, **options: Any) -> Drift:
    source = opened(f"drift:{keys}:{base}", **options)
    assert isinstance(source, Drift)
    return source


def incremental(keys: str, base: str, **options: Any) -> ClassIncremental:
    source = opened(f"class_incremental:{keys}:{base}", **options)
    assert isinstance(source, ClassIncremental)
    return source


def two_epochs(source: Any) -> tuple[Any, Any]:
    return joined(itertools.chain(source.chunks(0), source.chunks(1)))


# --- which concept a sample has


def test_abrupt_and_recurring_concepts_by_hand() -> None:
    once = drift("at=3,period=2,concepts=3").concepts(0, 10)
    assert once.tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 2, 2]
    again = drift("kind=recurring,at=3,period=2,concepts=3").concepts(0, 10)
    assert again.tolist() == [0, 0, 0, 1, 1, 2, 2, 0, 0, 1]
    assert [*drift("at=3,period=2,concepts=3").drifts(100)] == [3, 5]
    assert [*drift("kind=recurring,at=3,period=2").drifts(8)] == [3, 5, 7]
    assert [*drift("at=300").drifts(300)] == []


def test_concepts_that_follow_at_once() -> None:
    """Those of ``also`` come in addition to those by schedule."""
    source = drift("at=4,concepts=2,also=2+7")
    assert source.concepts(0, 9).tolist() == [0, 0, 1, 1, 2, 2, 2, 3, 3] and source.n_tasks == 4
    assert [*source.drifts(100)] == [2, 4, 7] and [*source.drifts(7)] == [2, 4]
    again = drift("kind=recurring,at=4,concepts=3,also=2+7")
    assert again.concepts(0, 9).tolist() == [0, 0, 1, 1, 2, 2, 2, 0, 1] and again.n_tasks == 3


def test_a_stream_that_is_told_to_drift_is_the_one_with_that_name() -> None:
    """From the next sample that is not drawn; also again, also in a later epoch."""
    for name in (f"drift:at=900,change=scale:{BASE}", BASE, "drift:kind=gradual,at=50:digits"):
        source, drawn = open_source(name, Options(seed=3)), list[Any]()
        assert source.can_drift
        for epoch in (0, 1):
            for i, (X, y) in enumerate(source.chunks(epoch, size=100)):
                drawn.append((X, y))
                if i in (2, 5 - epoch) and not (epoch and name == BASE):
                    source.drift_now(sum(len(labels) for _, labels in drawn))
        other = open_source(source.name, Options(seed=3))
        assert other.name == source.name and source.name.count("also") == 1
        if name != BASE:  # its epochs are equal: a drift holds for those before too
            assert_same(two_epochs(other), joined(iter(drawn)))
        assert_same(two_epochs(other), two_epochs(source))
        plain = two_epochs(open_source(name, Options(seed=3)))
        assert np.array_equal(plain[0][:300], drawn[0][0].tolist() + drawn[1][0].tolist() +
                              drawn[2][0].tolist())  # fmt: skip
        assert not np.array_equal(plain[0], two_epochs(source)[0])
        with pytest.raises(BadOption, match=r"a second one|drawn to its end"):
            for _ in range(2):
                source.drift_now(7000)


def test_what_cannot_be_told_to_drift() -> None:
    for name in ("digits", "class_incremental:digits", f"class_incremental:drift:at=9:{BASE}"):
        source = open_source(name)
        assert not source.can_drift
        with pytest.raises(BadOption, match="expected a source that can drift"):
            source.drift_now(5)
    stepped = open_source("synthetic", Options(signal=("window:2",)))
    stepped.drift_now(30)
    assert stepped.can_drift and stepped.name == "synthetic:also=30"
    all_drawn = open_source(BASE)
    joined(all_drawn.chunks(0))
    with pytest.raises(BadOption, match="drawn to its end"):
        all_drawn.drift_now(5)


def test_a_gradual_drift_rises_linearly_from_0_to_1() -> None:
    source = drift("kind=gradual,at=20000,width=40000,period=50000,concepts=3")
    concepts = source.concepts(0, 130_000)
    assert not concepts[:20_000].any() and (concepts[60_000:70_000] == 1).all()
    for first in range(20_000, 60_000, 4000):  # 5 standard deviations of a share of 4,000
        share = concepts[first : first + 4000].mean()
        assert abs(share - (first + 2000 - 20_000) / 40_000) < 5 * 0.5 / np.sqrt(4000)
    assert {*concepts[70_000:110_000].tolist()} == {1, 2} and (concepts[110_000:] == 2).all()
    parts = [source.concepts(first, 7777) for first in range(0, 130_000, 7777)]
    assert np.array_equal(np.concatenate(parts)[:130_000], concepts)
    other = drift("kind=gradual,at=20000,width=40000,period=50000,concepts=3", seed=1)
    assert not np.array_equal(other.concepts(0, 130_000), concepts)


# --- what a concept changes. Samples are counted over all epochs: 1,500 is in the second one


def test_permuted_features() -> None:
    source, (X, y) = drift("at=1500"), two_epochs(open_source(BASE))
    ours, labels = two_epochs(source)
    assert np.array_equal(ours[:1500], X[:1500]) and np.array_equal(labels, y)
    same = [[np.array_equal(ours[1500:, i], X[1500:, j]) for j in range(6)] for i in range(6)]
    assert np.array_equal(np.sum(same, axis=0), np.ones(6)) and not np.diag(same).all()


def test_scaled_features() -> None:
    ours, _ = two_epochs(drift("at=1500,change=scale,factor=4"))
    X, _ = two_epochs(open_source(BASE))
    assert np.array_equal(ours[:1500], X[:1500])
    factor = ours[1500:] / X[1500:]
    assert np.ptp(factor, axis=0).max() < 1e-12
    assert (factor[0] >= 1 / 4).all() and (factor[0] <= 1).all() and np.ptp(factor[0]) > 0.05
    assert drift("change=scale,at=1", "digits").maximum == 16


@pytest.mark.parametrize("base", [BASE, "csv"])
def test_rotated_and_swapped_labels(base: str, tmp_path: Path) -> None:
    if base == "csv":
        rows = [f"{i},{['a', 'bb', 'c', 'dddd', 'e'][i % 5]}" for i in range(1000)]
        (tmp_path / "t.csv").write_text("\n".join(["x,label", *rows]) + "\n")
        base = f"csv:{tmp_path / 't.csv'}"
    inside = open_source(base)
    X, y = two_epochs(inside)
    classes = list(inside.classes or ())
    keys = "kind=recurring,at=500,concepts=3"
    rotated = two_epochs(drift(f"{keys},change=rotate", base))
    assert np.array_equal(rotated[0], X)
    for first, concept in ((0, 0), (500, 1), (1000, 2), (1500, 0)):
        expected = [classes[(classes.index(c) + concept) % len(classes)] for c in y[first:][:500]]
        assert rotated[1][first : first + 500].tolist() == expected
    swapped = two_epochs(drift("at=1000,change=swap", base))[1][1000:]
    pairs = {*zip(y[1000:].tolist(), swapped.tolist(), strict=True)}
    assert len(pairs) == len(classes) and pairs == {(b, a) for a, b in pairs}
    assert sum(a == b for a, b in pairs) == len(classes) % 2


def test_held_out_samples_of_a_concept() -> None:
    source, inside = drift("at=10,concepts=3,change=rotate"), open_source(BASE)
    X, y = joined(inside.test() or ())
    assert source.test() is None and source.n_tasks == 3
    for task in range(3):
        assert_same(joined(source.held_out(task, 7) or ()), (X, (y + task) % 4))
    assert drift("at=10", "synthetic").held_out(0) is None


def test_a_drift_of_a_drift_and_its_name() -> None:
    name = f"drift:kind=recurring,at=40:drift:change=rotate,at=100:{BASE}"
    source = opened(name)
    assert source.name == name
    X, y = joined(source.chunks(0))
    plain = joined(open_source(BASE).chunks(0))
    assert_same((X[:40], y[:40]), (plain[0][:40], plain[1][:40]))
    assert np.array_equal(y[100:], (plain[1][100:] + 1) % 4)
    own = Path(__file__).parents[2] / "streaming" / "sources" / "digits.py"
    reference = opened(f"drift:at=9:{own}").name
    assert reference.startswith(f"drift:at=9:{own}#") and opened(reference).name == reference


def test_signal_steps_come_once_and_after_the_drift() -> None:
    source = open_source(f"drift:at=500:{BASE}", Options(signal=("window:2",)))
    assert source.n_features == 12 and not source.drifts(1000)
    X, _ = joined(source.chunks(0))
    raw, _ = joined(opened(f"drift:at=500:{BASE}").chunks(0))
    assert np.array_equal(X[:, 6:], raw[1:])


def test_the_content_of_the_file_inside_counts(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,label\n" + "1,a\n2,b\n" * 50)
    name = f"drift:at=5:csv:{path}"
    before = opened(name, held_out=0.2)
    content = before.content()
    assert content and before.length == 80
    path.write_text("x,label\n" + "1,a\n3,b\n" * 50)
    assert opened(name).content() not in ("", content)


def test_a_rate_that_falls_is_no_default_of_a_stream_that_drifts() -> None:
    assert {**open_source("digits").defaults} == {"epochs": 12, "decay_after": (2 / 3,)}
    assert {**opened("drift:digits").defaults} == {"epochs": 12}
    assert {**opened("class_incremental:digits").defaults} == {"epochs": 1}


# --- classes in groups


def test_every_group_has_all_its_samples_in_each_pass() -> None:
    source = incremental("groups=3,passes=2", "digits", seed=4)
    assert source.groups == ((0, 1, 2, 3), (4, 5, 6), (7, 8, 9))
    X, y = joined(source.chunks(0, size=100))
    inside = [joined(open_source("digits", Options(seed=4)).chunks(epoch)) for epoch in (0, 1)]
    expected = [
        (X[np.isin(y, group)], y[np.isin(y, group)])
        for group in source.groups for X, y in inside
    ]  # fmt: skip
    assert_same((X, y), joined(iter(expected)))
    assert source.length == len(y) == 2 * 1437
    starts = [int(np.argmax(np.isin(y, group))) for group in source.groups[1:]]
    assert [*source.drifts(2874)] == starts and [*source.drifts(2875)] == [*starts, 2874]


def test_held_out_samples_of_the_groups_are_all_of_them() -> None:
    source = incremental("groups=5", "digits")
    parts = [joined(source.held_out(task) or ()) for task in range(5)]
    assert [sorted({*y.tolist()}) for _, y in parts] == [[2 * i, 2 * i + 1] for i in range(5)]
    assert sum(len(y) for _, y in parts) == len(joined(source.test() or ())[1]) == 360


def test_groups_of_a_stream_without_end_in_a_random_order() -> None:
    source = incremental("samples=130,groups=2,order=random", "synthetic:classes=7", seed=3)
    X, y = joined(source.chunks(0, size=64))
    assert sorted(map(len, source.groups)) == [3, 4] and len(y) == source.length == 260
    assert sorted(sum(source.groups, ())) == [*range(7)] != [*sum(source.groups, ())]
    assert {*y[:130].tolist()} == {*source.groups[0]} and {*y[130:].tolist()} == {*source.groups[1]}
    assert [*source.drifts(300)] == [130, 260]
    again = incremental("samples=130,groups=2,order=random,seed=3", "synthetic:classes=7,seed=3")
    assert_same(joined(again.chunks(0)), (X, y))


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("drift", BadOption, "got no source; expected drift:KEY=VALUE,...:SOURCE"),
        ("drift:at=5", BadOption, "expected drift:KEY=VALUE,...:SOURCE"),
        ("drift:nothing", UnknownName, "got 'nothing'"),
        ("drift:speed=5:digits", UnknownName, "kind, change, concepts, at"),
        ("drift:at=5,at=6:digits", BadOption, "twice"),
        ("drift:at=0:digits", BadOption, "from 1 to"),
        ("drift:at=nan:digits", BadOption, "from 1 to"),
        ("drift:at=2.5:digits", BadOption, "whole number"),
        ("drift:kind=sudden:digits", BadOption, "abrupt, gradual, recurring"),
        ("drift:width=5:digits", BadOption, "kind=gradual"),
        ("drift:kind=gradual,period=10,width=11:digits", BadOption, "from 1 to 10"),
        ("drift:factor=5:digits", BadOption, "change=scale"),
        ("drift:concepts=1:digits", BadOption, "from 2"),
        ("drift:concepts=9007199254740992:digits", BadOption, "GB of memory"),
        ("drift:also=5+5:digits", BadOption, "ascend"),
        ("drift:also=-5:digits", BadOption, "ascend"),
        ("synthetic:also=7+x", BadOption, "ascend"),
        ("drift:stdin", BadOption, "live source stdin"),
        ("class_incremental:groups=11:digits", BadOption, "from 2 to 10"),
        ("class_incremental:samples=5:digits", BadOption, "without end"),
        ("class_incremental:synthetic", BadOption, "synthetic has no end"),
        ("class_incremental:samples=5,passes=2:synthetic", BadOption, "has an end"),
    ],
)
def test_bad_arguments(name: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        open_source(name)


def test_numbers_to_predict_have_no_labels_to_swap_or_group(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y\n" + "1,0.5\n2,1.5\n" * 9)
    for name in ("drift:change=swap", "class_incremental:groups=2"):
        with pytest.raises(BadOption, match="numbers to predict"):
            open_source(f"{name}:csv:{tmp_path / 't.csv'}")
    assert open_source(f"drift:csv:{tmp_path / 't.csv'}").classes is None
    with pytest.raises(BadOption, match=r"--sep.*beside the source digits"):
        open_source("drift:digits", Options(sep=";"))


# --- runs

STREAMS = {
    f"drift:kind=gradual,at=600,width=300:{BASE}": {"epochs": 2},
    f"class_incremental:groups=2,passes=2:{BASE}": {"classes": "grow"},
}


@pytest.mark.parametrize("source", STREAMS)
def test_an_interrupted_run_resumes_bit_for_bit(source: str, tmp_path: Path) -> None:
    pytest.importorskip("river")
    config = RunConfig.checked(
        source=source, hidden="8", interval=300, save_every=450, drift_detector="adwin",
        **STREAMS[source],
    )  # fmt: skip
    run(config, tmp_path / "whole", Hooks(draw=False))
    asked = itertools.count(1)
    stopping = Hooks(draw=False, stop=lambda: next(asked) == 5)
    assert run(config, tmp_path / "parts", stopping)["stopped"] == "interrupted"
    resume(tmp_path / "parts", Hooks(draw=False))
    assert_same_runs(tmp_path / "parts", tmp_path / "whole")


def test_a_run_reports_known_and_detected_drifts(tmp_path: Path) -> None:
    pytest.importorskip("river")
    name = "drift:at=3000,change=rotate:synthetic:samples=4000,features=6,clusters=1"
    config = RunConfig.checked(source=name, hidden="8", drift_detector="adwin", lr=0.05)
    summary = run(config, tmp_path / "r")
    assert summary["known_drifts"] == [3000]
    (at,) = summary["detected_drifts"]
    assert 3000 < at < 3200 and (summary["drifts"], summary["last_drift"]) == (1, at)
    text = (tmp_path / "r" / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["drifts"] for line in lines] == [int(line["samples"] >= at) for line in lines]
    assert {line["last_drift"] for line in lines} == {None, at}
    assert (tmp_path / "r" / "learning_curve.png").stat().st_size > 10_000


@pytest.mark.parametrize("name", [
    f"drift:at=700,period=500,concepts=3,change=rotate:{BASE}",
    f"drift:kind=recurring,change=rotate,at=400,period=600:{BASE}",
    "class_incremental:groups=5,passes=2:digits",
])  # fmt: skip
def test_recovery_and_forgetting_are_those_of_the_comparison(name: str, tmp_path: Path) -> None:
    """Stopped and resumed at a drift, beside the whole series of hits."""
    epochs = None if name.startswith("class") else 2
    config = RunConfig.checked(source=name, hidden="8", rule="backprop", epochs=epochs, lr=0.02,
                               save_every=350)  # fmt: skip
    at = [0]
    hooks = Hooks(lambda: at[0] >= 700, watch=lambda this: at.__setitem__(0, this.position),
                  draw=False)  # fmt: skip
    assert run(config, tmp_path / "r", hooks)["stopped"] == "interrupted"
    summary = resume(tmp_path / "r", Hooks(draw=False))
    source = opened(name)
    n = (source.length or 0) * (epochs or 1)
    stream = Stream("", "", name, n)
    plan = Plan(hidden=(8,))

    def config_of(*_: Any) -> RunConfig:
        return config

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparing, "_config", config_of)
        one = comparing.learned(plan, stream, "backprop", 0)
    assert summary["progressive_accuracy"] == one.hits.mean()
    if source.recovers:
        found = [(r["drift"], r["samples"]) for r in summary["recovery"]]
        assert found == [*zip(one.drifts, comparing.recoveries(one), strict=True)]
        assert any(times for _, times in found)
    else:
        assert "recovery" not in summary
    if source.one_after_another:
        expected = comparing.transfer(one)
        assert np.allclose(summary["tasks"]["held_out"], one.R, atol=1e-6)
        assert summary["tasks"]["forgetting"] == pytest.approx(expected["forgetting"], abs=1e-4)
        assert summary["tasks"]["accuracy"] == pytest.approx(expected["accuracy"], abs=1e-4)
        assert expected["forgetting"] > 0.1
    else:
        assert "tasks" not in summary


def test_a_run_reports_recovery_and_forgetting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"drift:at=600,change=rotate:{BASE}"
    words = ("run", "--source", name, "--hidden", 8, "--epochs", 2, "--out", tmp_path / "r")
    said = called(capsys, *words)
    assert re.search(r"recovered in +([\d,]+|never) samples", said.out)
    assert re.search(r"forgetting +-?[\d.]+, held-out accuracy of all tasks", said.out)
    plain = run(RunConfig.checked(source=BASE, hidden="8"), tmp_path / "s", Hooks(draw=False))
    assert not {"recovery", "tasks"} & {*plain}


@pytest.mark.parametrize(
    "crafted",
    [
        {"numbers": np.array([5, 1, 3], np.int64)},
        {"numbers": np.array([5, 1, 3, 2**62], np.int64)},
        {"recovery": np.zeros((2, 3), np.int64)},
        {"recovery": np.zeros((0, 2), np.int64)},
        {"R": np.full((1, 2), np.nan)},
        {"R": np.zeros(3)},
    ],
)
def test_a_crafted_state_of_recoveries_is_refused(crafted: dict[str, Any]) -> None:
    good = {"numbers": np.array([5, 1, 3, 9], np.int64), "R": np.ones((1, 2)),
            "recovery": np.array([[5, -1]], np.int64)}  # fmt: skip
    one = Adapting(drift("at=5"), Metrics(4))
    one.load_state(good)
    assert {k: v.tolist() for k, v in one.state().items()} == {
        k: v.tolist() for k, v in good.items()
    }
    with pytest.raises(BadOption):
        Adapting(drift("at=5"), Metrics(4)).load_state(good | crafted)


def test_many_drifts_and_tasks_cost_little(tmp_path: Path) -> None:
    """Only the first thousand are followed, and tasks are not tested if there are many."""
    name = f"drift:kind=recurring,change=rotate,at=300,period=1:{BASE}"
    config = RunConfig.checked(source=name, hidden="8", epochs=2)
    assert len(run(config, tmp_path / "r", Hooks(draw=False))["recovery"]) == 1000
    name = f"drift:at=300,period=50,concepts=25,change=permute:{BASE}"
    summary = run(RunConfig.checked(source=name, hidden="8", epochs=2), tmp_path / "s", Hooks())
    assert "tasks" not in summary and len(summary["recovery"]) == 24


def test_going_on_counts_drifts_from_the_new_beginning(tmp_path: Path) -> None:
    from streaming.runs.going_on import go_on

    name = f"drift:at=1500,concepts=4,period=1000:{BASE}"
    first = run(RunConfig.checked(source=name, hidden="4"), tmp_path / "a", Hooks(draw=False))
    more = go_on(tmp_path / "a", {"epochs": 2}, tmp_path / "b", Hooks(draw=False))
    assert (first["known_drifts"], more["known_drifts"]) == ([], [500, 1500])


def test_a_detector_of_a_regression_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    pytest.importorskip("river")
    config = RunConfig.checked(source=BASE, task="regression", drift_detector="adwin")
    with pytest.raises(BadOption, match=r"--drift-detector.*expected labels"):
        run(config, tmp_path / "r")
    assert not (tmp_path / "r").exists()
