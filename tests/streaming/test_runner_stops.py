"""Threads that stop: at divergence, at a failure, at Ctrl-C, and as runs that are resumed."""

from __future__ import annotations

import time
from concurrent import futures
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import Case
from threads import PIPELINED, SEGMENT, UNEVEN, contents, divergence, scheduled, tried

from rate_models.errors import BadOption
from rate_models.model.optimizers import Optimizer
from streaming import OnlineLearner
from streaming.runs.run import Hooks, RunConfig, resume, run
from streaming.schedule.items import Schedule
from streaming.threads import kernels, runner
from streaming.threads.network import ScheduledNetwork
from streaming.threads.runner import WorkerFailed

pytestmark = [
    pytest.mark.filterwarnings("ignore:workers. "),
    pytest.mark.usefixtures("short_segments"),
]


@pytest.mark.parametrize("spec", [{}, {"loss": "mse"}], ids=str)
@pytest.mark.parametrize("schedule", [PIPELINED, Schedule("delayed", 3)], ids=str)
def test_divergence_is_reported_as_by_one_worker(schedule: Schedule, spec: dict[str, Any]) -> None:
    case = Case("pepita", (30, 16, 12, 5), Optimizer(lr=1e60), spec)
    samples = case.samples(200)
    plain, net = scheduled(case, 1, schedule=schedule), scheduled(case, 3, schedule=schedule)
    with divergence() as expected:
        case.learn(plain, *samples)
    with divergence() as raised:
        case.learn(net, *samples)
    assert str(raised.value) == str(expected.value)
    assert 0 < net.samples_seen == plain.samples_seen < 200
    for got, wanted in zip(raised.value.outcome, expected.value.outcome, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_a_worker_that_fails_stops_all(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case("pepita", UNEVEN)
    net = scheduled(case, 3)
    walk = kernels.walker(net.definition, net._parts, net._options)

    def failing(worker: int, *shared: Any) -> None:
        if worker == 1:
            raise MemoryError("no room")
        walk(worker, *shared)

    monkeypatch.setattr(kernels, "walker", lambda *_: failing)
    with pytest.raises(WorkerFailed, match=r"worker 1: sample 0, layer \d \(S\)") as raised:
        case.learn(net, *case.samples(50))
    assert isinstance(raised.value.__cause__, MemoryError)


@pytest.mark.parametrize("schedule", [PIPELINED, Schedule("delayed", 3)], ids=str)
def test_interruption_between_two_samples(
    schedule: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After Ctrl-C the samples that have begun are finished; learning can go on from there."""
    case = Case("pepita", (100, 128, 128, 128, 10))
    samples = case.samples(4 * SEGMENT)
    first, rest = ([part[at] for part in samples] for at in (slice(SEGMENT), slice(SEGMENT, None)))
    plain = scheduled(case, 1, schedule=schedule)
    case.learn(plain, *samples)
    late, finished = 0, futures.wait
    for attempt in range(24):  # from half a millisecond to a quarter of a second
        pressed: list[int] = []

        def wait(running: Any, after: float = 5e-4 * 1.3**attempt, pressed: Any = pressed) -> None:
            if not pressed:
                time.sleep(after)
                pressed.append(1)
                raise KeyboardInterrupt
            finished(running)

        net = tried(scheduled(case, 2, schedule=schedule))
        part = scheduled(case, 1, schedule=schedule)
        case.learn(net, *first)
        monkeypatch.setattr(runner, "wait", wait)
        with pytest.raises(KeyboardInterrupt):
            case.learn(net, *rest)
        monkeypatch.setattr(runner, "wait", finished)
        seen = net.samples_seen
        late += 2 * SEGMENT < seen < len(samples[0])  # in a later round
        case.learn(part, *(one[:seen] for one in samples))
        assert contents(net) == contents(part)
        case.learn(net, *(one[seen:] for one in samples))
        assert contents(net) == contents(plain)
        if late == 2:
            break
    assert late


def test_measured_times() -> None:
    case = Case("pepita", (30, 16, 12, 5))
    net = scheduled(case, 2, timed=True)
    case.learn(net, *case.samples(SEGMENT))
    segment = net.measured
    assert segment is not None
    assert (segment.start >= 0).all() and (segment.finish >= segment.start).all()
    for i in range(len(segment.plan.items)):  # all waits were obeyed
        for j in segment.plan.waits[segment.plan.first[i] : segment.plan.first[i + 1]]:
            assert segment.finish[j] <= segment.start[i] + 1e-9
    times = segment.times
    assert times is not None and min(times.standard) > 0 and len(times.modulated) == 3
    tried = [segment.plan.assignment]
    for seed in range(2, 8):
        case.learn(net, *case.samples(SEGMENT, seed=seed))
        assert net.measured is not None
        tried.append(net.measured.plan.assignment)
    assert tried[:6] == ["layers"] * 3 + ["waves"] * 3
    assert tried[6] == min(net.trials.paces, key=lambda mode: min(net.trials.paces[mode]))
    assert net.measured.plan.times.max() < 1  # seconds, measured


@pytest.mark.parametrize(
    ("rule", "schedule", "workers", "words"),
    [
        ("pepita", PIPELINED, 0, ["workers: got 0", "1 or more"]),
        ("backprop", PIPELINED, 2, ["schedule of backprop", "S(t+1,1) waits for M(t,1) (W_1)"]),
        ("pepita", Schedule("delayed", 2, weights="copies"), 2, ["copies", "planned only"]),
        ("node_perturbation", Schedule("delayed", 2), 2, ["node_perturbation", "as they are"]),
        ("pepita", Schedule("delayed", 2, 4), 2, ["batches of 4", "planned only"]),
        ("forward_forward", Schedule(batch=4), 2, ["forward_forward", "one sample per update"]),
    ],
)
def test_errors(rule: str, schedule: Schedule, workers: int, words: list[str]) -> None:
    with pytest.raises(BadOption) as raised:
        scheduled(Case(rule), workers, schedule=schedule)
    for word in words:
        assert word in str(raised.value)


@pytest.mark.parametrize(
    ("schedule", "batch"),
    [("pipelined", 1), ("delayed:3", 1), ("delayed:1:current", 1), ("pipelined", 7)],
)
def test_a_run_in_threads_is_the_run(schedule: str, batch: int, tmp_path: Path) -> None:
    """Scores, recording, checkpoint and parameters agree, also after a stop and a resume."""
    source = "synthetic:samples=900,features=12"
    options: dict[str, Any] = {
        "source": source, "hidden": (16, 12, 9), "epochs": 2, "save_every": 300,
        "settings": {"dropout": 0.1}, "lr": 0.01, "batch": batch,
        "record": ("alignment_angle", "weight_norms"), "interval": 200,
    }  # fmt: skip
    alone = "sequential" if schedule == "pipelined" else schedule
    wanted = run(RunConfig.checked(**options, schedule=alone), tmp_path / "one")
    threads = RunConfig.checked(**options, schedule=schedule, workers=3)
    left = [4]

    def stop() -> bool:
        left[0] -= 1
        return left[0] < 0

    assert run(threads, tmp_path / "three", Hooks(stop=stop))["stopped"] == "interrupted"
    got = resume(tmp_path / "three")
    names = ("samples_seen", "test_accuracy", "test_loss", "progressive_accuracy", "epochs")
    assert [got[name] for name in names] == [wanted[name] for name in names]
    ones, threes = ((tmp_path / name / "record.jsonl").read_text() for name in ("one", "three"))
    assert len(ones.splitlines()) > 8 and threes == ones
    first, other = (OnlineLearner.load(tmp_path / name / "checkpoint") for name in ("one", "three"))
    assert isinstance(other.network, ScheduledNetwork) and other.network.workers == 3
    assert contents(other.network) == contents(first.network)  # type: ignore[arg-type]
