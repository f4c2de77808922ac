"""One learner in several threads and in a forked process: every result belongs to a state between
two samples.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from learners import bits

from streaming import OnlineLearner

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(600, 20)), RNG.integers(0, 3, 600)
ASKED = RNG.normal(size=(2, 20))
KINDS: dict[str, dict[str, Any]] = {
    "online": {},
    "momentum": {"momentum": 0.9, "lr": 0.003},
    "pipelined": {"schedule": "pipelined", "workers": 2},
    "delayed": {"schedule": "delayed:2"},
    "batches": {"batch": 3},
    "circuit": {"circuit": "pepita"},
}


def made(kind: str = "online", **more: Any) -> OnlineLearner:
    options = {"sizes": (20, 16, 8, 3), "scale": "running", "lr": 0.01, **KINDS[kind], **more}
    return OnlineLearner(**options)


def together(*works: Callable[[], None]) -> None:
    """Run all functions at the same time, one per thread, and raise the first error."""
    raised: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    several = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in several:
        thread.start()
    for thread in several:
        thread.join()
    if raised:
        raise raised[0]


@pytest.mark.filterwarnings("ignore:.*(worker|thread)")
@pytest.mark.parametrize("kind", KINDS)
def test_predictions_of_two_threads_are_those_of_one(kind: str) -> None:
    learner = made(kind)
    learner.learn_many(X[:100], Y[:100])
    parts = X[:40], X[40:80]
    wanted = [learner.predict_proba_many(part) for part in parts]
    wrong: list[int] = []

    def predict(k: int) -> None:
        for _ in range(60):
            if not np.array_equal(learner.predict_proba_many(parts[k]), wanted[k]):
                wrong.append(k)

    together(lambda: predict(0), lambda: predict(1))
    assert not wrong


def readers_and_a_writer(kind: str, seconds: float, rows: int) -> tuple[int, int]:
    """Four threads predict, one learns. Returns the numbers of predictions and of their states."""
    learner, twin = made(kind), made(kind)
    end, states, seen = time.monotonic() + seconds, [0], [set[bytes]() for _ in range(4)]
    counts = [0] * 4
    learned = threading.Event()

    def answer(of: OnlineLearner) -> bytes:
        return of.predict_proba_many(ASKED).tobytes()

    def read(k: int) -> None:
        while not learned.is_set():
            seen[k].add(answer(learner))
            counts[k] += 1

    def write() -> None:
        try:
            while time.monotonic() < end and states[0] < 60_000:
                for at in range(0, len(X), rows):
                    learner.learn_many(X[at : at + rows], Y[at : at + rows])
                states[0] += len(X)
        finally:
            learned.set()

    together(write, *(lambda k=k: read(k) for k in range(4)))
    possible = {answer(twin)}
    for t in range(states[0]):
        twin.learn_one(X[t % len(X)], Y[t % len(X)])
        possible.add(answer(twin))
    assert answer(learner) == answer(twin)
    mixed = [len(found - possible) for found in seen]
    assert mixed == [0] * 4, f"{mixed} predictions are of no state between two samples"
    return sum(counts), len(set.union(*seen))


@pytest.mark.parametrize("kind", ["online", "momentum"])
def test_readers_find_the_state_between_two_samples(kind: str) -> None:
    predictions, states = readers_and_a_writer(kind, 0.7, rows=7)
    assert predictions > 20 and states > 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*(worker|thread)")
@pytest.mark.parametrize("kind", KINDS)
def test_readers_and_a_writer_for_long(kind: str) -> None:
    """Half a minute; less for variants that differ only in the learning rule."""
    readers_and_a_writer(kind, 30 if kind == "online" else 5, rows=7)


@pytest.mark.filterwarnings("ignore:.*(worker|thread)")
@pytest.mark.parametrize("kind", KINDS)
def test_learning_in_several_threads_is_one_sample_after_another(kind: str) -> None:
    """With equal samples the order does not matter, so the state shows whether one was lost."""
    learner, alone = made(kind, scale="none"), made(kind, scale="none")

    def learn() -> None:
        for _ in range(60):
            learner.learn_one(X[0], Y[0])

    together(learn, learn, learn)
    alone.learn_many(np.tile(X[0], (180, 1)), np.tile(Y[0], 180))
    assert bits(learner) == bits(alone)


def test_first_samples_of_several_threads_agree_on_the_features() -> None:
    for _ in range(20):
        learner = made(sizes=(20, 4, 3), scale="none")
        names = [f"f{i}" for i in range(20)]
        sample = dict(zip(names, X[0], strict=True))
        orders = [dict(sorted(sample.items(), reverse=down)) for down in (False, True)]
        start = threading.Barrier(2)
        answers: list[bytes] = []

        def ask(k: int, of: OnlineLearner = learner, go: threading.Barrier = start,
                orders: Any = orders, answers: Any = answers) -> None:  # fmt: skip
            go.wait()
            answers.append(repr(of.predict_proba_one(orders[k])).encode())

        together(lambda: ask(0), lambda: ask(1))
        assert len(set(answers)) == 1


@pytest.mark.filterwarnings("ignore:.*(worker|thread)")
@pytest.mark.parametrize("kind", KINDS)
def test_a_learner_is_pickled_while_it_learns(kind: str) -> None:
    learner = made(kind)
    done = threading.Event()

    def learn() -> None:
        for _ in range(5):
            learner.learn_many(X[:200], Y[:200])
        done.set()

    def copy() -> None:
        while not done.is_set():
            again = pickle.loads(pickle.dumps(learner))
            again.learn_one(X[0], Y[0])

    together(learn, copy)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning", "ignore:.*(worker|thread)")
@pytest.mark.parametrize("kind", KINDS)
def test_a_learner_goes_on_in_a_forked_process(kind: str) -> None:
    """Even if another thread is learning during the fork, or if the learner has workers."""
    learner = made(kind)
    learner.learn_many(X, Y)
    stop = threading.Event()

    def learn() -> None:
        while not stop.is_set():
            learner.learn_many(X[:50], Y[:50])

    def fork() -> None:
        try:
            for _ in range(3):
                child = os.fork()
                if child == 0:
                    signal.alarm(20)  # kills a child that is blocked
                    try:
                        learner.learn_many(X[:300], Y[:300])
                        fine = np.isfinite(learner.predict_proba_many(ASKED)).all()
                        twin = pickle.loads(pickle.dumps(learner))
                        twin.learn_one(X[0], Y[0])
                        os._exit(0 if fine else 1)
                    except BaseException:
                        os._exit(2)
                assert os.waitpid(child, 0)[1] == 0
        finally:
            stop.set()

    together(learn, fork)
