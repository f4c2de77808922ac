"""Threads give what one gives: to the last bit, whatever the schedule lets run at the same time."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import EVERYTHING, MOMENTUM, PLAIN, Case, deviation

from rate_models import lookup, online_kernel
from rate_models.errors import BadOption, Diverged
from rate_models.online import OnlineNetwork
from rate_models.optimizers import Optimizer
from streaming import OnlineLearner, _runner_kernel, runner
from streaming import scheduled as module
from streaming.run import Hooks, RunConfig, resume, run
from streaming.runner import Block, WorkerFailed
from streaming.schedule.items import Schedule
from streaming.schedule.plan import Times
from streaming.schedule.program import program
from streaming.scheduled import ASSIGNMENTS, ScheduledNetwork

BLOCK = 128  # shorter than outside of tests
PIPELINED = Schedule("pipelined")
pytestmark = pytest.mark.filterwarnings("ignore:workers. ")
UNEVEN = (30, 21, 9, 33, 12, 40, 8, 17, 5)
CASES = [
    Case("pepita", (30, 16, 5)),
    Case("pepita", UNEVEN),
    Case("pepita", (*UNEVEN[:4], 5), MOMENTUM, density=1.0),
    Case("pepita", (*UNEVEN[:6], 5), EVERYTHING, {"bias": True}, {"dropout": 0.2}),
    Case("pepita", (*UNEVEN[:3], 5), hyper={"dropout": 0.5}, structured=False),
    Case("pepita", UNEVEN, hyper={"presynaptic": "standard", "sign": -1}),
    Case("pepita", UNEVEN, hyper={"form": "time_local", "feedback_scale": 0.1}),
    Case("pepita", UNEVEN, spec={"loss": "mse"}, hyper={"form": "hebbian", "dropout": 0.1},
         optimizer=Optimizer(lr=1e-3)),
    Case("pepita", UNEVEN, hyper={"inject": 2}),
    Case("pepita", UNEVEN, hyper={"modulation": "random", "perturbation": 0.1}),
    Case("pepita", (*UNEVEN[:4], 5), hyper={"init": "he_normal", "sign": -1, "mirror_before": 90}),
    Case("pepita", (*UNEVEN[:4], 5), hyper={"init": "he_normal", "sign": -1, "mirror_every": 50}),
]  # fmt: skip


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", BLOCK)


def scheduled(case: Case, workers: int, dtype: str = "float64", **more: Any) -> ScheduledNetwork:
    more = {"schedule": PIPELINED, **more}
    return ScheduledNetwork(
        case.network, case.rule, dtype=dtype, optimizer=case.optimizer, workers=workers,
        structured=case.structured, **more, **case.hyper,
    )  # fmt: skip


def delayed(delay: int, weights: Any = "stash") -> Schedule:
    return Schedule("delayed", delay, weights=weights)


def contents(net: OnlineNetwork, said: Any = ()) -> list[bytes]:
    return [array.tobytes() for array in (*net.state().values(), *said)]


def same(case: Case, workers: int, dtype: str = "float64", n: int = BLOCK + 60) -> None:
    """State and what was said, after learning at once and after learning in pieces."""
    samples = case.samples(n)
    plain, net, pieces = case.online(dtype), *(scheduled(case, workers, dtype) for _ in range(2))
    wanted = contents(plain, case.learn(plain, *samples))
    assert contents(net, case.learn(net, *samples)) == wanted
    assert net.measured is not None
    for at in (slice(0, 40), slice(40, 41), slice(41, n)):
        case.learn(pieces, *(part[at] for part in samples))
    assert contents(pieces) == contents(net)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("workers", [2, 3, 4])
def test_pipelined_is_sequential_to_the_last_bit(case: Case, workers: int) -> None:
    same(case, workers)


@pytest.mark.parametrize("depth", range(2, 9))
def test_any_depth_in_single_precision(depth: int) -> None:
    case = Case("pepita", (*UNEVEN[:depth], 5), EVERYTHING, hyper={"dropout": 0.2})
    for workers in (1, 2, 3, 4):
        plain, net = case.online("float32"), scheduled(case, workers, "float32")
        samples = case.samples(120)
        wanted = contents(plain, case.learn(plain, *samples))
        assert contents(net, case.learn(net, *samples)) == wanted


@pytest.mark.slow
@pytest.mark.parametrize("rule", lookup.names("rate_models.rules"))
def test_every_rule_that_can_be_pipelined(rule: str) -> None:
    hyper = lookup.get("rate_models.rules", rule).Hyperparameters._fields
    case = Case(rule, (30, 16, 5), hyper={"dropout": 0.2} if "dropout" in hyper else {})
    try:
        scheduled(case, 2)
    except BadOption as locked:
        assert "waits for" in str(locked)
        return
    same(case, 3)
    if rule != "bmvr":
        same(replace(case, sizes=(*UNEVEN[:4], 5), optimizer=EVERYTHING), 4)


def test_folding_happens_at_the_same_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every 8,192 samples the first layer is laid out anew, in the middle of a block."""
    case = Case("pepita", (12, 8, 5, 3))
    n = online_kernel.FOLD_EVERY
    samples = case.samples(n + 100)
    plain, net = case.online(), scheduled(case, 2)
    for one in (plain, net):
        case.learn(one, *(part[:70] for part in samples))
        case.learn(one, *(part[70:] for part in samples))
    assert contents(net) == contents(plain)


def repeated(workers: int, times: int) -> None:
    case = Case("pepita", UNEVEN, hyper={"dropout": 0.2})
    samples = case.samples(64)
    plain = case.online()
    wanted = contents(plain, case.learn(plain, *samples))
    for _ in range(times):
        net = scheduled(case, workers)
        assert contents(net, case.learn(net, *samples)) == wanted


def test_more_workers_than_cores() -> None:
    repeated(8, 10)


@pytest.mark.slow
def test_under_load_again_and_again() -> None:
    burn = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    try:
        repeated(4, 50)
    finally:
        for one in burn:
            one.kill()
            one.wait()


def hurried(block: Block) -> Block:
    """The rows of all workers as one could happen to see them: S as soon as its waits allow it."""
    rows = block.rows
    at, counters, order = rows.begin[:-1].copy(), np.zeros(len(rows.kind), int), list[int]()
    while (left := np.flatnonzero(at < rows.begin[1:])).size:
        free = [
            row for row in at[left]
            if all(counters[rows.on[k]] >= rows.value[k] for k in range(*rows.wait[row : row + 2]))
        ]  # fmt: skip
        order.append(min(free, key=lambda row: (rows.kind[rows.task[row]], row)))
        counters[rows.task[order[-1]]] = rows.sample[order[-1]] + 1
        at[rows.begin.searchsorted(order[-1], "right") - 1] += 1
    alone = {"begin": np.array([0, len(order)]), "wait": np.zeros(len(order) + 1, np.int64)}
    alone |= {name: getattr(rows, name)[order] for name in ("task", "sample", "turn")}
    return replace(block, rows=rows._replace(**alone), row_of=np.argsort(order)[block.row_of])


@pytest.mark.parametrize("hasty", [False, True])
def test_a_race_is_noticed(hasty: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where layers do not wait for their own learning, an order of events that the other waits
    allow gives another result; with these waits it does not.
    """
    case = Case("pepita", (64, 64, 64, 64, 64, 64, 5))
    samples = case.samples(100)
    plain = case.online()
    wanted = contents(plain, case.learn(plain, *samples))

    def without(*arguments: Any) -> Any:
        right = program(*arguments)
        rows = np.repeat(np.arange(len(right.task)), np.diff(right.wait))
        first = (right.kind[right.task[rows]] == 0) & (right.kind[right.on] == 2)
        return right._replace(value=np.where(first, 0, right.value))

    if hasty:
        monkeypatch.setattr(runner, "program", without)
    net = scheduled(case, 2)
    # only where items go anywhere do layers go from worker to worker
    net._paces = {"layers": [2.0, 2.0], "waves": [1.0, 1.0], "alone": [3.0, 3.0]}
    block = net._block(100)
    net._blocks = dict.fromkeys(net._blocks, hurried(block))
    assert (contents(net, case.learn(net, *samples)) != wanted) is hasty


@contextmanager
def divergence() -> Iterator[pytest.ExceptionInfo[Diverged]]:
    with pytest.raises(Diverged) as raised, np.errstate(all="ignore"):
        yield raised


@pytest.mark.parametrize("spec", [{}, {"loss": "mse"}], ids=str)
@pytest.mark.parametrize("schedule", [PIPELINED, Schedule("delayed", 3)], ids=str)
def test_divergence_is_told_as_by_one_worker(schedule: Schedule, spec: dict[str, Any]) -> None:
    case = Case("pepita", (30, 16, 12, 5), Optimizer(lr=1e60), spec)
    samples = case.samples(200)
    plain, net = scheduled(case, 1, schedule=schedule), scheduled(case, 3, schedule=schedule)
    with divergence() as told:
        case.learn(plain, *samples)
    with divergence() as ours:
        case.learn(net, *samples)
    assert str(ours.value) == str(told.value)
    assert 0 < net.samples_seen == plain.samples_seen < 200
    for mine, theirs in zip(ours.value.outcome, told.value.outcome, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_worker_that_fails_stops_all(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case("pepita", UNEVEN)
    walk = _runner_kernel.walker(lookup.get("rate_models.rules", "pepita"))

    def failing(me: int, *shared: Any) -> None:
        if me == 1:
            raise MemoryError("no room")
        walk(me, *shared)

    net = scheduled(case, 3)
    monkeypatch.setattr(_runner_kernel, "walker", lambda rule: failing)
    with pytest.raises(WorkerFailed, match=r"worker 1: sample 0, layer \d \(S\)") as raised:
        case.learn(net, *case.samples(50))
    assert isinstance(raised.value.__cause__, MemoryError)


@pytest.mark.parametrize("schedule", [PIPELINED, Schedule("delayed", 3)], ids=str)
def test_interrupted_at_the_border_of_a_sample(
    schedule: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C: what was begun is finished; the state is that of so many samples, and goes on."""
    case = Case("pepita", (100, 128, 128, 128, 10))
    samples = case.samples(BLOCK)
    plain = scheduled(case, 1, schedule=schedule)
    case.learn(plain, *samples)
    between, finished = 0, futures.wait
    for attempt in range(30):
        pressed: list[int] = []

        def wait(running: Any, after: float = 2e-4 * attempt, pressed: Any = pressed) -> None:
            if not pressed:
                time.sleep(after)
                pressed.append(1)
                raise KeyboardInterrupt
            finished(running)

        monkeypatch.setattr(runner, "wait", wait)
        net, part = scheduled(case, 2, schedule=schedule), scheduled(case, 1, schedule=schedule)
        with pytest.raises(KeyboardInterrupt):
            case.learn(net, *samples)
        monkeypatch.setattr(runner, "wait", finished)
        seen = net.samples_seen
        between += 0 < seen < BLOCK
        case.learn(part, *(one[:seen] for one in samples))
        assert contents(net) == contents(part)
        case.learn(net, *(one[seen:] for one in samples))
        assert contents(net) == contents(plain)
    assert between


def test_what_ran_is_noted() -> None:
    case = Case("pepita", (30, 16, 12, 5))
    net = scheduled(case, 2, timed=True)
    case.learn(net, *case.samples(BLOCK))
    told = net.measured
    assert told is not None
    assert (told.start >= 0).all() and (told.finish >= told.start).all()
    for i in range(len(told.plan.items)):  # nobody began before what it waits for was done
        for j in told.plan.waits[told.plan.first[i] : told.plan.first[i + 1]]:
            assert told.finish[j] <= told.start[i] + 1e-9
    times = told.times
    assert times is not None and min(times.standard) > 0 and len(times.modulated) == 3
    tried = [told.plan.assignment]
    for seed in range(2, 8):
        case.learn(net, *case.samples(BLOCK, seed=seed))
        assert net.measured is not None
        tried.append(net.measured.plan.assignment)
    assert tried[:6] == ["layers"] * 3 + ["waves"] * 3
    assert tried[6] == min(net._paces, key=lambda way: min(net._paces[way]))
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


def test_one_signature() -> None:
    """Depth, workers, dropout and optimiser are values: nothing is compiled for them again."""
    walk = _runner_kernel.walker(lookup.get("rate_models.rules", "pepita"))
    for case in (Case("pepita", UNEVEN, PLAIN), CASES[3]):
        case.learn(scheduled(case, 2), *case.samples(30))
    assert len(walk.signatures) <= 2


def test_threads_are_left_where_one_is_faster() -> None:
    """As for layers of a few units; with the same result."""
    case = Case("pepita", (4, 3, 3, 5))
    samples, plain, net = case.samples(10 * BLOCK), case.online(), scheduled(case, 2)
    wanted = contents(plain, case.learn(plain, *samples))
    with pytest.warns(UserWarning, match="workers: one is faster than 2 here"):
        assert contents(net, case.learn(net, *samples)) == wanted
    assert net._way == "alone"


def test_idle_workers_are_told_of() -> None:
    with pytest.warns(UserWarning, match="2 of 9 ever get an item"):
        scheduled(Case("pepita", (30, 16, 5)), 9)


@pytest.mark.parametrize(
    ("schedule", "batch"),
    [("pipelined", 1), ("delayed:3", 1), ("delayed:1:current", 1), ("pipelined", 7)],
)
def test_a_run_in_threads_is_the_run(schedule: str, batch: int, tmp_path: Path) -> None:
    """Scores, checkpoint and parameters; and the run goes on where it was stopped."""
    source = "synthetic:samples=900,features=12"
    options: dict[str, Any] = {
        "source": source, "hidden": (16, 12, 9), "epochs": 2, "save_every": 300,
        "settings": {"dropout": 0.1}, "lr": 0.01, "batch": batch,
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
    first, other = (OnlineLearner.load(tmp_path / name / "checkpoint") for name in ("one", "three"))
    assert isinstance(other.network, ScheduledNetwork) and other.network.workers == 3
    assert contents(other.network) == contents(first.network)  # type: ignore[arg-type]


BATCHES = [
    Case("pepita", UNEVEN, hyper={"dropout": 0.2}),
    Case("pepita", (*UNEVEN[:5], 5), EVERYTHING, {"bias": True}, {"dropout": 0.2}),
    Case("pepita", UNEVEN[:5], MOMENTUM, hyper={"inject": 2}),
    Case("pepita", (30, 16, 5), EVERYTHING, hyper={"presynaptic": "standard"}),
    *(
        Case(rule, (20, 16, 12, 5), optimizer, {"bias": True})
        for rule in ("backprop", "feedback_alignment", "direct_feedback_alignment", "drtp")
        for optimizer in (PLAIN, EVERYTHING)
    ),
    Case("adaptive_feedback_alignment", (20, 16, 12, 5)),
]


@pytest.mark.parametrize("case", BATCHES, ids=str)
def test_mini_batches_are_those_of_the_textbook(case: Case) -> None:
    x, labels, y = case.samples(60)
    for batch in (3, 16):
        net = scheduled(case, 2, schedule=Schedule("pipelined", batch=batch))
        book = case.textbook()
        for t in range(0, 60 - 60 % batch, batch):
            draws = zip(*(case.draws(i) for i in range(t, t + batch)), strict=True)
            masks, noise = (
                None
                if part[0] is None
                else [np.concatenate(some) for some in zip(*part, strict=True)]
                for part in draws
            )
            book.learn(x[t : t + batch], y[t : t + batch], masks, noise)
        case.learn(net, x, labels, y)
        assert deviation(net.parameters(), book.params) < 1e-10


@pytest.mark.parametrize("case", BATCHES, ids=str)
def test_mini_batches_streamed_are_mini_batches_layer_by_layer(case: Case) -> None:
    """However many threads, at once or in pieces that end inside a mini-batch."""
    samples = case.samples(BLOCK + 40)
    one = scheduled(case, 1, schedule=Schedule("sequential", batch=16))
    said = case.learn(one, *samples)
    wanted = contents(one, said)
    for workers in (2, 3):
        net = scheduled(case, workers, schedule=Schedule("pipelined", batch=16))
        assert contents(net, case.learn(net, *samples)) == wanted
    pieces = scheduled(case, 2, schedule=Schedule("pipelined", batch=16))
    for at in (slice(0, 1), slice(1, 20), slice(20, 31), slice(31, None)):
        case.learn(pieces, *(part[at] for part in samples))
        again = scheduled(case, 3, schedule=Schedule("pipelined", batch=16))
        again.load_state(pieces.state())
        pieces = again
    assert contents(pieces) == contents(one)


def pepita_late(
    net: OnlineNetwork, x: np.ndarray, y: np.ndarray, masks: list[Any] | None, d: int, stash: bool
) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """(W, b, outputs before learning) of PEPITA where M of sample t - d follows S of sample t."""
    params, eta, L = net.parameters(), net.optimizer.lr, net.spec.layers
    W, b, F = params["W"], params["b"] or [0.0] * L, params["F"]
    kept, said = [], []

    def up(below: Any, W: Any, b: Any, t: int | None) -> list[Any]:
        h = [below]
        for n in range(L - 1):
            m = 1.0 if masks is None or t is None else masks[n][t]
            h.append(m * np.maximum(W[n] @ h[-1] + b[n], 0))
        a = W[-1] @ h[-1] + b[-1]
        return [*h, np.exp(a - a.max()) / np.exp(a - a.max()).sum()]

    for t in range(len(x)):
        said.append(up(x[t], W, b, None)[-1])
        kept.append((up(x[t], W, b, t), W, b))
        if t >= d:
            h, W_then, b_then = kept[t - d]
            e = h[-1] - y[t - d]
            p = up(x[t - d] + F @ e, *((W_then, b_then) if stash else (W, b)), t - d)
            post = [*(h[n] - p[n] for n in range(1, L)), e]
            W = [w - eta * np.outer(post[n], p[n]) for n, w in enumerate(W)]
            b = [one - eta * post[n] for n, one in enumerate(b)] if params["b"] else b
    return W, b if params["b"] else [], np.array(said)


@pytest.mark.parametrize("weights", ["stash", "current"])
@pytest.mark.parametrize("delay", [1, 3, 7])
@pytest.mark.parametrize("bias", [False, True])
def test_a_delay_means_what_it_says(delay: int, weights: str, bias: bool) -> None:
    case = Case("pepita", (20, 14, 11, 9, 5), Optimizer(lr=0.03), {"bias": bias}, {"dropout": 0.2})
    x, labels, y = case.samples(160)
    net = scheduled(case, 2, schedule=delayed(delay, weights))
    masks = [np.concatenate(m) for m in zip(*(case.draws(t)[0] for t in range(160)), strict=True)]
    W, b, said = pepita_late(net, x, y, masks, delay, weights == "stash")
    outcome = net.learn(x, labels=labels)
    assert net.waiting == delay
    assert deviation({"W": net.parameters()["W"]}, {"W": W}) < 1e-10
    assert deviation({"b": net.parameters()["b"]}, {"b": b}) < 1e-10
    assert deviation({"h": outcome.outputs}, {"h": said}) < 1e-10


@pytest.mark.parametrize(("eta", "runs_away"), [(0.01, False), (0.1, True)])
def test_weights_of_the_moment_feed_on_themselves(eta: float, runs_away: bool) -> None:
    """Where η d |x|² is above one, here 0.3 and 3; through the weights of S nothing does."""
    x = np.random.default_rng(0).random((1500, 20))
    x *= np.sqrt(10 / np.sum(x**2, axis=1, keepdims=True))
    labels = np.argmax(x[:, :5], axis=1)
    for weights in ("stash", "current"):
        net = scheduled(
            Case("pepita", optimizer=Optimizer(lr=eta)), 1, schedule=delayed(3, weights)
        )
        if runs_away and weights == "current":
            with divergence():
                net.learn(x, labels=labels)
        else:
            assert np.max(net.learn(x, labels=labels).losses) < 30


LATE = [
    (Case("pepita", UNEVEN, hyper={"dropout": 0.2}), "stash"),
    (Case("pepita", (30, 16, 5), spec={"bias": True}), "stash"),
    (Case("pepita", UNEVEN[:5], hyper={"inject": 2}), "stash"),
    (Case("pepita", (*UNEVEN[:5], 5), EVERYTHING, {"bias": True}, {"dropout": 0.2}), "current"),
    (Case("pepita", (*UNEVEN[:5], 5), structured=False), "current"),
]


@pytest.mark.parametrize("delay", [1, 2, 5, 15])
@pytest.mark.parametrize(("case", "weights"), LATE, ids=str)
def test_delayed_in_threads_is_delayed_in_one(case: Case, weights: str, delay: int) -> None:
    """Also in pieces, with a checkpoint in between."""
    how, samples = delayed(delay, weights), case.samples(BLOCK + 40)
    one = scheduled(case, 1, schedule=how)
    said = case.learn(one, *samples)
    wanted = contents(one)
    for workers in (2, 4):
        net = scheduled(case, workers, schedule=how)
        outcome = case.learn(net, *samples)
        assert contents(net) == wanted
        assert all(map(np.array_equal, outcome, said))
    pieces = scheduled(case, 3, schedule=how)
    for at in (slice(0, 1), slice(1, 3), slice(3, 60), slice(60, 61), slice(61, None)):
        case.learn(pieces, *(part[at] for part in samples))
        again = scheduled(case, 3, schedule=how)
        again.load_state(pieces.state())
        pieces = again
    assert contents(pieces) == wanted


def test_no_delay_is_sequential() -> None:
    case = Case("pepita", UNEVEN, EVERYTHING, hyper={"dropout": 0.2})
    samples, plain = case.samples(200), case.online()
    wanted = contents(plain, case.learn(plain, *samples))
    net = scheduled(case, 3, schedule=delayed(0))
    assert contents(net, case.learn(net, *samples)) == wanted


def test_older_weights_are_kept_for_plain_descent_only() -> None:
    for case in (Case("pepita", optimizer=MOMENTUM), Case("pepita", structured=False)):
        with pytest.raises(BadOption, match="no momentum"):
            scheduled(case, 2, schedule=delayed(2))
    with pytest.raises(BadOption, match="as they are"):
        scheduled(Case("pepita", hyper={"form": "hebbian"}), 2, schedule=delayed(2))
    net = scheduled(Case("pepita"), 2, schedule=delayed(2))
    with pytest.raises(BadOption, match="no momentum"):
        net.set(momentum=0.5)


def stuck(rows: Any) -> bool:
    """Whether workers that obey their waits would wait for each other for ever."""
    at, counters = rows.begin[:-1].copy(), np.zeros(len(rows.kind), int)
    moved = True
    while moved:
        moved = False
        for me, end in enumerate(rows.begin[1:]):
            while at[me] < end:
                waits = slice(rows.wait[at[me]], rows.wait[at[me] + 1])
                if (counters[rows.on[waits]] < rows.value[waits]).any():
                    break
                counters[rows.task[at[me]]] = rows.sample[at[me]] + 1
                at[me], moved = at[me] + 1, True
    return bool((at < rows.begin[1:]).any())


@given(st.data(), st.integers(2, 5), st.integers(0, 4), st.integers(1, 4), st.integers(1, 30))
@settings(max_examples=60)
def test_nobody_waits_for_ever(data: Any, layers: int, delay: int, workers: int, n: int) -> None:
    """Whatever the times of the items are, and however many samples wait from before."""
    case = Case("pepita", (*UNEVEN[:layers], 5))
    net = scheduled(case, workers, schedule=delayed(delay))
    times = st.lists(st.floats(0.1, 9), min_size=layers, max_size=layers).map(tuple)
    drawn = Times(data.draw(times), data.draw(times), data.draw(st.floats(0.01, 1)))
    net._times = dict.fromkeys(ASSIGNMENTS, drawn)
    net._paces = {way: [1.0, 1.0] for way in data.draw(st.sampled_from([(), ASSIGNMENTS[:1]]))}
    waiting = data.draw(st.integers(0, delay))
    net._waiting = [np.zeros((waiting, 0)), np.zeros((waiting, 0))]
    net._clock[0] = waiting
    assert not stuck(net._block(n).rows)
