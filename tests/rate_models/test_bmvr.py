"""BMVR against reduced-rank regression, and against the results that its paper derives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from networks import EVERYTHING, MOMENTUM, Case, deviation
from numpy.testing import assert_allclose
from regressions import LINEAR, K, M, N, Optimum, loss_and_constraint, regression

from rate_models.errors import BadOption
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec
from rate_models.online.network import OnlineNetwork
from rate_models.rules import Draws, bmvr
from rate_models.textbook import Textbook, gradients, initial_parameters
from streaming import OnlineLearner
from streaming.scores.evaluate import held_out
from streaming.sources import Options, open_source

FULL_BATCH = {"eta_apical": 0.25, "eta_q": 0.25}  # η = 0.4, 0.1, 0.1
ONLINE = {"eta_apical": 0.25, "eta_q": 0.25}  # η = 0.02, 0.005, 0.005


@pytest.fixture(
    scope="module", params=[*((seed, 0.0) for seed in range(5)), (0, 0.1), (3, 0.1)], ids=str
)
def trained(request: pytest.FixtureRequest) -> Any:
    """Full batches at rates that the condition allows; 12,000 steps: the slowest direction left
    over shrinks by 0.002 a step or more."""
    seed, ridge = request.param
    x, y = regression(200, seed)
    spec, hyper = NetworkSpec((M, K, N), **LINEAR), FULL_BATCH | {"ridge": ridge}
    params = initial_parameters(spec, "bmvr", 0, **hyper)
    book = Textbook(spec, "bmvr", params, Optimizer(lr=0.4), **hyper)
    # one sample at a time η = 0.4 would overshoot; in full batches the modes alone matter
    warnings = bmvr.RULE.rate_warnings(spec, book.hyper, Optimizer(lr=0.4), x, y)
    assert not any("settle" in one.text for one in warnings)
    for _ in range(12000):
        book.learn(x, y)
    return book, x, y, ridge


def test_the_linear_form_finds_the_reduced_rank_regression(trained: Any) -> None:
    book, x, y, ridge = trained
    best = Optimum(x, y, ridge)
    loss, covariance = loss_and_constraint(book.params, x, y, ridge)
    assert loss == pytest.approx(best.loss, abs=1e-4)
    assert_allclose(covariance, np.eye(K), atol=1e-6)
    Q = book.params["Q"]
    assert_allclose(np.linalg.eigvalsh(Q @ Q.T)[::-1], best.kept, atol=1e-6)
    assert_allclose(book.params["W"][1].T, book.params["W"][0] @ best.xy, atol=1e-5)
    assert (book.params["R"] == Q.T).all()


def test_at_the_optimum_the_plateau_is_the_hidden_error(trained: Any) -> None:
    """Equation (20): a − Q n = W_2ᵀ (y − ỹ), ỹ of the full-rank regression."""
    book, x, y, ridge = trained
    (stage,) = book.definition.batch(book.spec, book.params, book.hyper, x, y, Draws())
    plateau = -stage.terms[0][0].post
    expected = (y - x @ Optimum(x, y, ridge).regression.T) @ book.params["W"][1]
    assert np.abs(expected).max() > 0.1
    assert_allclose(plateau, expected, atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_online_it_comes_within_a_percent(seed: int) -> None:
    x, y = regression(20000, seed)
    optimizer = Optimizer(lr=0.02, decay_time=2e4)
    net = OnlineNetwork(
        NetworkSpec((M, K, N), **LINEAR), "bmvr", seed=seed, optimizer=optimizer, **ONLINE
    )
    assert bmvr.RULE.rate_warnings(net.spec, net.hyper, optimizer, x, y) == []
    order = np.random.default_rng(seed)
    for _ in range(15):
        shuffled = order.permutation(len(x))
        net.learn(x[shuffled], targets=y[shuffled])
    loss, covariance = loss_and_constraint(net.parameters(), x, y)
    assert loss == pytest.approx(Optimum(x, y).loss, rel=0.01)
    assert np.linalg.norm(covariance - np.eye(K)) / np.sqrt(K) <= 0.06


@pytest.mark.parametrize("decay_time", [0.0, 50.0])
def test_decoupled_interneurons_couple_geometrically(decay_time: float) -> None:
    """Equation (23), whatever the samples are."""
    x, y = regression(200)
    hyper = {**ONLINE, "decoupled": True}
    optimizer = Optimizer(lr=0.05, decay_time=decay_time)
    spec = NetworkSpec((M, K, N), **LINEAR)
    net = OnlineNetwork(spec, "bmvr", optimizer=optimizer, **hyper)
    start = net.parameters()
    apart = start["Q"].T - start["R"]
    assert np.abs(apart).max() > 0.05
    net.learn(x, targets=y)
    rates = 0.25 * 0.05 / (1 + np.arange(200) / decay_time if decay_time else np.ones(200))
    found = net.parameters()
    assert_allclose(found["Q"].T - found["R"], np.prod(1 - rates) * apart, rtol=1e-10)
    assert not np.allclose(found["Q"], start["Q"])


@pytest.mark.parametrize("batch", [1, 7])
def test_the_nonlinear_form_is_the_loop_of_the_paper(batch: int) -> None:
    """SPEC D (5)-(9), (24), one sample after another, from one state."""
    rng = np.random.default_rng(3)
    spec = NetworkSpec((6, 5, 4), loss="mse")
    hyper = {"mean_rate": 0.05, "eta_apical": 0.5, "eta_q": 0.4, "decoupled": True, "init_1": 1.0}
    params = initial_parameters(spec, "bmvr", 2, **hyper)
    book = Textbook(spec, "bmvr", params, Optimizer(lr=0.1), **hyper)
    for _ in range(5):
        W_1, W_2 = (w.copy() for w in params["W"])
        Q, R, mean = (params[name].copy() for name in ("Q", "R", "mean"))
        new = [W_1.copy(), W_2.T.copy(), Q.copy(), R.copy(), mean.copy()]
        x, y = rng.normal(size=(batch, 6)), rng.normal(size=(batch, 4))
        for one, target in zip(x, y, strict=True):
            r = np.maximum(W_1 @ one, 0)
            z = r - mean
            n = R @ z
            plateau = (W_2.T @ target - Q @ n) * (r > 0)
            new[0] += 0.1 * np.outer(plateau, one) / batch
            new[1] += 0.05 * (np.outer(z, target) - W_2.T) / batch
            new[2] += 0.04 * (np.outer(z, n) - Q) / batch
            new[3] += 0.04 * (np.outer(n, z) - R) / batch
            new[4] += 0.05 * (r - mean) / batch
        outputs = (np.maximum(x @ W_1.T, 0) - mean) @ W_2.T
        assert_allclose(book.predict(x), outputs, rtol=1e-10, atol=1e-14)
        book.learn(x, y)
        found = [params["W"][0], params["W"][1].T, params["Q"], params["R"], params["mean"]]
        for ours, loop in zip(found, new, strict=True):
            assert_allclose(ours, loop, rtol=1e-10, atol=1e-14)


def test_a_ridge_is_samples_along_every_input() -> None:
    """C_xx + c I is the covariance with extra samples √(c m) e_j with y = 0."""
    x, y = regression(60)
    spec, c = NetworkSpec((M, K, N), **LINEAR), 0.3
    axes = np.sqrt(c * len(x)) * np.eye(M)
    steps = []
    for ridge, more in ((c, 0), (0.0, M)):
        params = initial_parameters(spec, "bmvr", 4, init_1=0.3)
        book = Textbook(spec, "bmvr", params, ridge=ridge)
        inputs = np.vstack([x, axes[:more]])
        targets = np.vstack([y, np.zeros((more, N))])
        (stage,) = book.definition.batch(spec, params, book.hyper, inputs, targets, Draws())
        steps.append(gradients(spec, stage, params, len(x)))
    assert_allclose(steps[0]["W"][0], steps[1]["W"][0], rtol=1e-10, atol=1e-14)
    for name in ("Q", "R"):  # whose leak counts the samples
        surplus = book.hyper.eta_q * M / len(x) * params[name]
        assert_allclose(steps[0][name], steps[1][name] - surplus, rtol=1e-10, atol=1e-14)


SIZES = (20, 4, 5)
IDENTITY = {"activation": "identity"}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "case",
    [
        Case("bmvr", SIZES, spec=IDENTITY),
        Case("bmvr", SIZES, spec=IDENTITY, hyper={"decoupled": True}, optimizer=MOMENTUM),
        Case("bmvr", SIZES, spec=IDENTITY, hyper={"ridge": 0.2, "decoupled": True}),
        Case("bmvr", SIZES, spec=IDENTITY, hyper={"ridge": 0.2}, optimizer=EVERYTHING),
        Case("bmvr", SIZES, spec=IDENTITY, hyper={"ridge": 0.2}, structured=False, density=1.0),
        Case("bmvr", SIZES, hyper={"mean_rate": 0.01, "dropout": 0.3, "init_1": 0.5}),
        Case("bmvr", SIZES, optimizer=Optimizer(lr=0.05, decay_time=30)),
    ],
    ids=str,
)
def test_the_kernel_is_the_textbook_in_every_form(case: Case, dtype: str) -> None:
    net, book = case.online(dtype), case.textbook()
    x, labels, y = case.samples(200)
    for t in range(len(x)):
        outputs = book.predict(x[t : t + 1])
        outcome = case.learn(net, x[t : t + 1], labels[t : t + 1], y[t : t + 1])
        book.learn(x[t : t + 1], y[t : t + 1], *case.draws(t))
        limit = {"float64": 1e-10, "float32": 1e-4}[dtype]
        assert deviation(net.parameters(), book.params) < limit, f"sample {t}"
        assert deviation({"h": outcome.outputs}, {"h": outputs}) < limit, f"sample {t}"
    if not case.hyper.get("decoupled"):
        assert (net.parameters()["R"] == net.parameters()["Q"].T).all()


def test_the_torch_twin_predicts_with_the_rules_forward_pass() -> None:
    pytest.importorskip("torch")
    from rate_models.batch import BatchNetwork, fit

    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(40, 6)), rng.normal(size=(40, 4))
    spec, hyper = NetworkSpec((6, 5, 4), loss="mse"), {"mean_rate": 0.1, "init_1": 1.0}
    net = BatchNetwork(spec, "bmvr", 3, "float64", **hyper)
    assert {name for name, _ in net.named_parameters()} == {"W.0", "W.1", "Q", "R"}
    assert {name for name, _ in net.named_buffers()} == {"mean"}
    fit(net, x, y, epochs=3, batch_size=8, optimizer=Optimizer(lr=0.05))
    book = Textbook(spec, "bmvr", net.numpy(), **hyper)
    assert book.params["mean"].min() > 0.05
    assert_allclose(net(x).detach(), book.predict(x), rtol=1e-10)
    loss = ((book.predict(x) - y) ** 2).sum(1).mean() / 2
    assert net.evaluate(x, y)["loss"] == pytest.approx(loss)
    assert_allclose(net.to_online().predict(x), book.predict(x), rtol=1e-10)


def test_labels_and_activities_through_the_learner() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 3000)
    X = rng.normal(size=(3, 8))[labels] + 0.3 * rng.normal(size=(3000, 8))
    options: dict[str, Any] = {"mean_rate": 0.01, "classes": ("a", "b", "c")}
    learner = OnlineLearner("bmvr", sizes=(8, 12, 3), lr=0.02, **options)
    names = np.array(["a", "b", "c"])[labels]
    outputs, _ = learner.learn_many(X, names)
    assert (outputs[-500:] == names[-500:]).mean() > 0.9
    p, (z, out) = learner.parameters(), learner.activities(X[:5])
    assert p["mean"].min() > 0
    assert_allclose(z, np.maximum(X[:5] @ p["W"][0].T, 0) - p["mean"], rtol=1e-10)
    assert_allclose(out, z @ p["W"][1].T, rtol=1e-10)
    assert learner.predict_many(X[:5]).tolist() == [("a", "b", "c")[i] for i in out.argmax(1)]


@pytest.mark.parametrize(
    ("spec", "hyper", "message"),
    [
        (NetworkSpec((4, 3), loss="mse"), {}, "expected input, one hidden layer, output"),
        (NetworkSpec((4, 3, 3, 2), loss="mse"), {}, "expected input, one hidden layer, output"),
        (NetworkSpec((4, 3, 2), "tanh", "mse"), {}, "got tanh; expected identity or relu"),
        (NetworkSpec((4, 3, 2), loss="mse", output="sigmoid"), {}, "expected identity"),
        (NetworkSpec((4, 3, 2), loss="mse", bias=True), {}, "bias of bmvr"),
        (NetworkSpec((4, 3, 2)), {}, "loss of bmvr: got cross_entropy"),
        (NetworkSpec((4, 3, 2), loss="mse"), {"ridge": 0.1}, "0 with activation relu"),
        (NetworkSpec((4, 2, 2), **LINEAR), {"eta_apical": 0.0}, "eta_apical"),
        (NetworkSpec((4, 2, 2), **LINEAR), {"ridge": -0.1}, "ridge: got -0.1; expected greater"),
        (NetworkSpec((4, 2, 2), **LINEAR), {"ridge": float("nan")}, "ridge: got nan"),
    ],
)
def test_networks_that_it_cannot_learn(spec: NetworkSpec, hyper: Any, message: str) -> None:
    with pytest.raises(BadOption, match=message):
        OnlineNetwork(spec, "bmvr", **hyper)


def test_too_many_linear_units_get_a_warning_that_states_the_consequence() -> None:
    x, y = regression(200)
    y = y[:, :2]
    spec = NetworkSpec((M, 4, 2), **LINEAR)
    hyper = FULL_BATCH | {"init_1": 0.1}
    with pytest.warns(UserWarning, match="4 hidden units for 2 outputs.* Q fades to 0"):
        params = initial_parameters(spec, "bmvr", 0, **hyper)
    book = Textbook(spec, "bmvr", params, Optimizer(lr=0.4), **hyper)
    for _ in range(6000):
        book.learn(x, y)
    best = Optimum(x, y, k=2)
    kept = np.linalg.eigvalsh(params["Q"] @ params["Q"].T)
    assert_allclose(kept, [0, 0, *best.kept[::-1]], atol=1e-5)
    assert loss_and_constraint(params, x, y)[0] == pytest.approx(best.loss, abs=1e-5)
    OnlineNetwork(NetworkSpec((6, 4, 2), loss="mse"), "bmvr")  # warnings are errors here


def test_random_features_read_out_with_its_loss_and_scaling_are_worse() -> None:
    """The control that is nearest: 64-32-10 with hidden weights as drawn, least squares, `global`,
    the same order of the digits; the better of two rates."""

    def scores(rule: str, **own: float) -> np.ndarray:
        found = []
        for seed in range(5):
            digits = open_source("digits", Options(seed=seed))
            learner = OnlineLearner(
                rule, (64, 32, 10), seed=seed, classes=digits.classes, loss="mse",
                scale="global", maximum=16, **own,
            )  # fmt: skip
            for epoch in range(10):
                for X, labels in digits.chunks(epoch):
                    learner.learn_many(X, labels)
            found.append(held_out(learner, digits.test() or ())["accuracy"])
        return np.array(found)

    frozen = [scores("feedback_alignment", lr=lr, feedback_scale=0.0) for lr in (0.003, 0.01)]
    gain = scores("bmvr", lr=0.02) - max(frozen, key=np.mean)
    assert gain.mean() > max(0.02, 2 * gain.std(ddof=1) / np.sqrt(len(gain)))
