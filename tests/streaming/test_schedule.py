"""Schedules: literal tables, closed forms, and results that no order of the workers changes."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rate_models import rules
from rate_models.errors import BadOption
from streaming.cli import main
from streaming.schedule import closed_form
from streaming.schedule.dependencies import dependencies
from streaming.schedule.items import Schedule, items
from streaming.schedule.plan import Plan, Times, equal_times
from streaming.schedule.planner import network, plan

EVERY = rules.names()

pytestmark = pytest.mark.filterwarnings("ignore:workers. ")


def planned(
    rule: str, layers: int, schedule: str = "pipelined", workers: int = 2, samples: int = 60,
    **more: Any,
) -> Plan:  # fmt: skip
    """A plan with equal item times unless ``times`` is given."""
    batch, weights = more.pop("batch", 1), more.pop("weights", "stash")
    more.setdefault("times", equal_times(layers))
    parsed = Schedule.parse(schedule, batch, weights)
    return plan(rule, (3,) * (layers + 1), parsed, workers, samples, **more)


def chart(result: Plan) -> list[str]:
    """A line per worker, a column per unit of time; ' and " mark the second and third sample."""
    lines = [["   "] * round(result.makespan) for _ in range(result.workers)]
    for (task, t), worker, start in zip(result.items, result.worker, result.start, strict=True):
        if task.kind != "E":
            assert lines[worker][round(start)] == "   ", "two items at once"
            lines[worker][round(start)] = f"{task.kind}{task.layer}" + " '\""[t]
    return ["".join(line).rstrip() for line in lines]


TABLES = {
    ("pepita", "sequential", 3, 1, 2): ["S1 S2 S3 M1 M2 M3 S1'S2'S3'M1'M2'M3'"],
    ("pepita", "pipelined", 3, 2, 3): [
        "S1 S2 S3 M1 M2 M3 S3'M1'M2'M3'S3\"M1\"M2\"M3\"",
        "            S1'S2'      S1\"S2\"",
    ],
    ("direct_feedback_alignment", "pipelined", 2, 2, 2): [
        "S1    M1 S1'   M1'",
        "   S2 M2    S2'M2'",
    ],
    ("drtp", "pipelined", 2, 2, 2): [
        "S1 M1 S1'M1'",
        "   S2 M2 S2'M2'",
    ],
    ("backprop", "delayed:1", 2, 1, 3): ["S1 S2 S1'S2'M2 M1 S1\"S2\"M2'M1'M2\"M1\""],
    ("pepita", "delayed:1", 2, 2, 3): [
        "S1 S1'M1 S1\"M1'M1\"",
        "   S2 S2'M2 S2\"M2'M2\"",
    ],
}


@pytest.mark.parametrize("case", TABLES, ids=str)
def test_small_schedules(case: tuple[str, str, int, int, int]) -> None:
    rule, schedule, layers, workers, samples = case
    assert chart(planned(rule, layers, schedule, workers, samples)) == TABLES[case]


def test_batches_through_the_layers() -> None:
    assert chart(planned("pepita", 3, batch=3, workers=3, samples=3)) == [
        "S1 S1'S1\"M1 M1'M1\"",
        "   S2 S2'S2\"M2 M2'M2\"",
        "      S3 S3'S3\"M3 M3'M3\"",
    ]


@pytest.mark.parametrize("layers", [2, 3, 5, 8])
@pytest.mark.parametrize("samples", [1, 2, 60])
def test_makespans_of_one_sample_per_update(layers: int, samples: int) -> None:
    """The table of formulas, units of one item."""
    L, N = layers, samples
    for workers in (2, 3, L):
        assert planned("pepita", L, workers=workers, samples=N).makespan == 2 * L + (N - 1) * (
            L + 1
        )
    assert planned("direct_feedback_alignment", L, workers=L, samples=N).makespan == N * (L + 1)
    assert planned("drtp", L, workers=L, samples=N).makespan == L + 1 + 2 * (N - 1)
    for rule in ("backprop", "pepita"):
        assert planned(rule, L, "sequential", workers=L, samples=N).makespan == 2 * L * N


def test_the_example_of_the_text() -> None:
    rules = ("pepita", "direct_feedback_alignment", "drtp")
    assert [planned(rule, 3, workers=3).makespan for rule in rules] == [242, 240, 122]
    assert planned("backprop", 3, "sequential").makespan == 360


@pytest.mark.parametrize(("layers", "batch"), [(3, 4), (4, 4), (4, 2), (5, 16), (2, 1)])
def test_makespans_of_batches(layers: int, batch: int) -> None:
    """A worker per layer, as the formulas suppose."""
    L, B, n = layers, batch, 6
    batches: dict[str, Any] = {"workers": L, "samples": n * B, "batch": B, "assignment": "layers"}
    assert planned("pepita", L, **batches).makespan == n * (B + max(B, L)) + L - 1
    assert planned("drtp", L, **batches).makespan <= 2 * B * n + L - 1
    if B > 1:
        assert planned("backprop", L, **batches).makespan == n * 2 * (B + L - 1)
    if B >= L:  # no bubble: a worker per layer is busy but for filling and emptying
        assert planned("pepita", L, **batches).speedup == 2 * L * n * B / (2 * n * B + L - 1)


@pytest.mark.parametrize(("layers", "delay"), [(4, 1), (4, 2), (4, 4), (6, 3)])
def test_periods_of_delays(layers: int, delay: int) -> None:
    """max(2L/P, (L+1)/(d+1)); 2L in place of L+1 if errors pass backwards; P = 2 or 2L workers."""
    L, d = layers, delay
    free: dict[str, Any] = {"schedule": f"delayed:{d}", "samples": 400, "weights": "copies"}
    for rule, cycle in (
        ("pepita", L + 1),
        ("direct_feedback_alignment", L + 1),
        ("backprop", 2 * L),
    ):
        for workers in (2, 2 * L):
            period = max(2 * L / workers, cycle / (d + 1))
            result = planned(rule, L, workers=workers, **free).period
            assert result == pytest.approx(period, rel=0.02), (rule, workers)
    # in place, S and M of a layer alternate: at least two units; a worker per layer is enough
    in_place = planned("pepita", L, f"delayed:{d}", L, 400)
    assert in_place.period == pytest.approx(max(2, (L + 1) / (d + 1)), rel=0.02)


@given(st.data(), st.integers(2, 7))
@settings(max_examples=40)
def test_the_period_with_any_item_times(data: Any, layers: int) -> None:
    """The longest cycle: M up to a layer l, S of the next sample from there on, and E."""
    time = st.integers(1, 9).map(float)
    s, m = (data.draw(st.lists(time, min_size=layers, max_size=layers)) for _ in range(2))
    e = data.draw(st.integers(0, 5).map(float))
    result = planned("pepita", layers, workers=2 * layers, times=Times(tuple(s), tuple(m), e))
    longest = max(sum(m[: k + 1]) + sum(s[k:]) for k in range(layers)) + e
    assert result.period == longest
    assert result.makespan == pytest.approx(sum(s) + e + sum(m) + 59 * longest)


def test_a_hand_over_costs() -> None:
    """Two workers with two layers each hand over twice per sample; if that is slow, one is best."""
    cheap, expensive = (planned("pepita", 4, handover=cost) for cost in (0.1, 100.0))
    assert planned("pepita", 4).makespan < cheap.makespan < 480
    assert expensive.makespan == 480 and set(expensive.worker.tolist()) == {0}
    for result in (cheap, expensive):
        for i, _ in enumerate(result.items):
            for j in result.waits[result.first[i] : result.first[i + 1]]:
                far = result.handover if result.worker[i] != result.worker[j] else 0
                assert result.start[i] >= result.finish[j] + far


@given(
    st.sampled_from(["pepita", "drtp"]), st.integers(2, 6), st.integers(1, 9),
    st.floats(0, 9), st.integers(0, 3),
)  # fmt: skip
@settings(max_examples=40)
def test_workers_are_never_worse_than_one(
    rule: str, layers: int, workers: int, handover: float, delay: int
) -> None:
    result = planned(rule, layers, f"delayed:{delay}", workers, 25, handover=handover)
    work = 2 * layers * 25
    assert max(work / min(workers, 2 * layers), result.critical) <= result.makespan <= work
    assert (result.utilisation <= 1).all() and result.utilisation.sum() == pytest.approx(
        result.speedup
    )


@pytest.mark.parametrize("rule", EVERY)
@given(data=st.data())
@settings(max_examples=15)
def test_closed_form(rule: str, data: Any) -> None:
    """It equals the simulation for every rule whose layers all wait for the error."""
    layers = 2 if rule == "bmvr" else data.draw(st.integers(2, 6))
    unit = st.integers(1, 9).map(float)
    s, m = (data.draw(st.lists(unit, min_size=layers, max_size=layers)) for _ in range(2))
    times = Times(tuple(s), tuple(m), data.draw(st.integers(0, 5).map(float)))
    definition, spec, hyper = network(rule, (3,) * (layers + 1), "relu", {})
    result = closed_form.pipelined(definition.tasks(spec, hyper, 0), times, 30)
    if rule in ("drtp", "bmvr", "forward_forward"):  # whose hidden layers do not wait for E
        assert result is None
        return
    assert result is not None
    how = Schedule()
    todo = list(items(definition, spec, hyper, how, 30))
    ends: list[float] = []  # every item starts as early as its waits allow
    for item, waits in zip(todo, dependencies(todo, how), strict=True):
        ends.append(max((ends[j] for j in waits), default=0.0) + times.of(item.task))
    assert result[0] == max(ends)


def test_errors() -> None:
    for match, wrong in (
        ("workers: got 0", {"workers": 0}),
        ("samples: got 0", {"samples": 0}),
        ("delay: got -1", {"schedule": "delayed:-1"}),
        ("schedule: got 'wave'", {"schedule": "wave"}),
        ("batch: got 0", {"batch": 0}),
        ("handover: got -1", {"handover": -1}),
        ("standard times", {"times": Times((1.0,), (1.0, 1.0))}),
        ("modulated times", {"times": Times((1.0, 1.0), (1.0, 0.0))}),
        ("weights", {"weights": "old"}),
    ):
        with pytest.raises(BadOption, match=match):
            planned("pepita", 2, **wrong)


def test_idle_workers_are_warned_of() -> None:
    with pytest.warns(UserWarning, match="workers: 2 of 7 ever get an item"):
        plan("pepita", (4, 3, 2), Schedule(), 7)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plan("pepita", (4, 3, 2), Schedule(), 2)


def test_every_layer_has_an_owner_whatever_the_rounding() -> None:
    """Sums of times differ in the last bit by the order of their terms."""
    rng = np.random.default_rng(0)
    for _ in range(100):
        layers, workers = int(rng.integers(9, 20)), int(rng.integers(1, 4))
        times = Times(*(tuple(rng.uniform(0.1, 1, layers).tolist()) for _ in "SM"))
        result = planned("pepita", layers, workers=workers, times=times, assignment="layers")
        assert set(result.worker) <= set(range(workers))


def test_a_thousand_layers_and_workers_take_seconds() -> None:
    began = time.perf_counter()
    result = planned("pepita", 1000, workers=1000, samples=20)
    assert result.makespan == 2000 + 19 * 1001
    assert result.held > 0 and time.perf_counter() - began < 30


@pytest.mark.parametrize("name", ["x.zz", "x", "x.pgf", "folder.png", "nowhere/x.png", ".png"])
def test_a_picture_that_cannot_be_written_is_refused_first(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(SystemExit) as ended:
        main(["schedule", "--samples", "20", "--out", str(tmp_path / name)])
    out, err = capsys.readouterr()
    assert ended.value.code == 2 and out == "" and err.startswith("error: --out: got ")


@pytest.mark.parametrize("ending", [".PNG", ".svg", ".pdf", ".jpg", ".webp", ".tiff", ".eps"])
def test_pictures_have_the_format_of_their_name(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"p{ending}"
    with pytest.raises(SystemExit) as ended:
        main(["schedule", "--samples", "20", "--layers", "8,6,3", "--out", str(path)])
    assert not ended.value.code and path.stat().st_size > 1000
