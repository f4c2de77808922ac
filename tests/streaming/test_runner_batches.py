"""Mini-batches and delays in threads, against the textbook and against one thread."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from networks import EVERYTHING, MOMENTUM, PLAIN, Case, deviation
from threads import SEGMENT, UNEVEN, contents, delayed, divergence, scheduled

from rate_models.errors import BadOption
from rate_models.model.optimizers import Optimizer
from rate_models.online.network import OnlineNetwork
from streaming.schedule.items import Schedule

pytestmark = [
    pytest.mark.filterwarnings("ignore:workers. "),
    pytest.mark.usefixtures("short_segments"),
]


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


EACH = [  # of rules that a kernel is compiled for here alone, in the slow tests
    pytest.param(case, marks=() if case.rule in ("pepita", "backprop") else pytest.mark.slow)
    for case in BATCHES
]


@pytest.mark.parametrize("case", EACH, ids=str)
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


@pytest.mark.parametrize("case", EACH, ids=str)
def test_streamed_mini_batches_are_mini_batches_layer_by_layer(case: Case) -> None:
    """However many threads, at once or in pieces that end inside a mini-batch."""
    samples = case.samples(SEGMENT + 40)
    one = scheduled(case, 1, schedule=Schedule("sequential", batch=16))
    wanted = contents(one, case.learn(one, *samples))
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
    kept, outputs = [], []

    def up(below: Any, W: Any, b: Any, t: int | None) -> list[Any]:
        h = [below]
        for n in range(L - 1):
            m = 1.0 if masks is None or t is None else masks[n][t]
            h.append(m * np.maximum(W[n] @ h[-1] + b[n], 0))
        a = W[-1] @ h[-1] + b[-1]
        return [*h, np.exp(a - a.max()) / np.exp(a - a.max()).sum()]

    for t in range(len(x)):
        outputs.append(up(x[t], W, b, None)[-1])
        kept.append((up(x[t], W, b, t), W, b))
        if t >= d:
            h, W_then, b_then = kept[t - d]
            e = h[-1] - y[t - d]
            p = up(x[t - d] + F @ e, *((W_then, b_then) if stash else (W, b)), t - d)
            post = [*(h[n] - p[n] for n in range(1, L)), e]
            W = [w - eta * np.outer(post[n], p[n]) for n, w in enumerate(W)]
            b = [one - eta * post[n] for n, one in enumerate(b)] if params["b"] else b
    return W, b if params["b"] else [], np.array(outputs)


@pytest.mark.parametrize("weights", ["stash", "current"])
@pytest.mark.parametrize("delay", [1, 3, 7])
@pytest.mark.parametrize("bias", [False, True])
def test_delayed_learning_is_that_of_its_definition(delay: int, weights: str, bias: bool) -> None:
    case = Case("pepita", (20, 14, 11, 9, 5), Optimizer(lr=0.03), {"bias": bias}, {"dropout": 0.2})
    x, labels, y = case.samples(160)
    net = scheduled(case, 2, schedule=delayed(delay, weights))
    masks = [np.concatenate(m) for m in zip(*(case.draws(t)[0] for t in range(160)), strict=True)]
    W, b, outputs = pepita_late(net, x, y, masks, delay, weights == "stash")
    outcome = net.learn(x, labels=labels)
    assert net.waiting == delay
    assert deviation({"W": net.parameters()["W"]}, {"W": W}) < 1e-10
    assert deviation({"b": net.parameters()["b"]}, {"b": b}) < 1e-10
    assert deviation({"h": outcome.outputs}, {"h": outputs}) < 1e-10


@pytest.mark.parametrize(("eta", "runs_away"), [(0.01, False), (0.1, True)])
def test_updates_through_current_weights_amplify_themselves(eta: float, runs_away: bool) -> None:
    """They do if η d |x|² is above one (here 0.3 and 3); updates through stashed weights do not."""
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
    how, samples = delayed(delay, weights), case.samples(SEGMENT + 40)
    one = scheduled(case, 1, schedule=how)
    expected = case.learn(one, *samples)
    wanted = contents(one)
    for workers in (2, 4):
        net = scheduled(case, workers, schedule=how)
        outcome = case.learn(net, *samples)
        assert contents(net) == wanted
        assert all(map(np.array_equal, outcome, expected))
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


def test_weights_are_stashed_for_plain_gradient_descent_only() -> None:
    for case in (Case("pepita", optimizer=MOMENTUM), Case("pepita", structured=False)):
        with pytest.raises(BadOption, match="no momentum"):
            scheduled(case, 2, schedule=delayed(2))
    with pytest.raises(BadOption, match="as they are"):
        scheduled(Case("pepita", hyper={"form": "hebbian"}), 2, schedule=delayed(2))
    net = scheduled(Case("pepita"), 2, schedule=delayed(2))
    with pytest.raises(BadOption, match="no momentum"):
        net.set(momentum=0.5)
