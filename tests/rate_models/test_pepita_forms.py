"""The forms of PEPITA against theory, and the approximation that the theory uses."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from networks import Case, deviation
from numpy.testing import assert_allclose

from rate_models import rules
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec, initial_weights, one_hot
from rate_models.online.network import OnlineNetwork
from rate_models.rules import Draws, Update
from rate_models.textbook import Textbook, gradients, initial_parameters

RNG = np.random.default_rng(11)
AFA = "adaptive_feedback_alignment"
SIZES = (8, 7, 9, 6, 4)
LINEAR = NetworkSpec((6, 5, 3), "identity", "mse")
X, LABELS = RNG.normal(size=(5, 8)), RNG.integers(0, 4, 5)
Y = one_hot(LABELS, 4)


def updates(
    spec: NetworkSpec, rule: str, params: Any, x: Any, y: Any, masks: Any = None, **hyper: Any
) -> list[Any]:
    """ΔW of a rule with one optimiser step, mean over the batch."""
    definition = rules.get(rule)
    hyper = definition.hyperparameters(**hyper)
    (update,) = definition.batch(spec, params, hyper, x, y, Draws(masks))
    assert isinstance(update, Update)
    return gradients(spec, update, params, len(x))["W"]


def scaled(params: Any, factor: float) -> Any:
    return {**params, "F": factor * params["F"]}


def size(arrays: list[Any]) -> float:
    return math.sqrt(sum((a**2).sum() for a in arrays))


RULES_OF_APPENDIX_E = [
    ("pepita", {"presynaptic": "standard"}),
    ("pepita", {"presynaptic": "standard", "form": "hebbian"}),
    (AFA, {"sign": 1}),
]


@pytest.mark.parametrize(("rule", "hyper"), RULES_OF_APPENDIX_E)
def test_a_linear_network_follows_the_analytic_update(rule: str, hyper: Any) -> None:
    """W' = E Aᵀ, A' = -A F E with E = T - W A, on whitened inputs (PEPITA, appendix E)."""
    params = initial_parameters(LINEAR, rule, seed=0, feedback_scale=1.0)
    A, W, F = *params["W"], params["F"]
    T = RNG.normal(size=(3, 6))
    E = T - W @ A
    x = math.sqrt(6) * np.linalg.qr(RNG.normal(size=(6, 6)))[0]  # mean of x xᵀ is the identity
    dA, dW = updates(LINEAR, rule, params, x, x @ T.T, **hyper)
    assert_allclose(-dW, E @ A.T, rtol=1e-10, atol=1e-13)
    assert_allclose(-dA, -A @ F @ E, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("structured", [True, False])
@pytest.mark.parametrize(("rule", "hyper"), RULES_OF_APPENDIX_E)
def test_samples_at_a_small_rate_follow_it_too(rule: str, hyper: Any, structured: bool) -> None:
    T, x = RNG.normal(size=(3, 6)), math.sqrt(6) * np.linalg.qr(RNG.normal(size=(6, 6)))[0]

    def gap(lr: float) -> list[float]:
        net = OnlineNetwork(LINEAR, rule, optimizer=Optimizer(lr), structured=structured,
                            feedback_scale=1.0, **hyper)  # fmt: skip
        before = net.parameters()
        A, W, F = *before["W"], before["F"]
        E = T - W @ A
        net.learn(x, targets=x @ T.T)
        after = net.parameters()["W"]
        flow = (-A @ F @ E, E @ A.T)
        return [
            size([(new - old) / (6 * lr) - rate]) / size([rate])
            for new, old, rate in zip(after, (A, W), flow, strict=True)
        ]

    for coarse, fine in zip(gap(1e-5), gap(5e-6), strict=True):
        assert fine < 1e-3
        assert coarse / fine == pytest.approx(2, rel=0.01)  # what is left is of first order in lr


def test_modulated_presynaptic_activity_leaves_the_analytic_update() -> None:
    """The test above is sensitive enough: the extra term is A F E (F E)ᵀ, of second order in F."""
    params = initial_parameters(LINEAR, "pepita", seed=0, feedback_scale=1.0)
    A, W, F = *params["W"], params["F"]
    T, x = RNG.normal(size=(3, 6)), math.sqrt(6) * np.linalg.qr(RNG.normal(size=(6, 6)))[0]
    E = T - W @ A
    dA, _ = updates(LINEAR, "pepita", params, x, x @ T.T)
    assert_allclose(dA, A @ F @ E - A @ F @ E @ (F @ E).T, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("dropout", [False, True])
def test_adaptive_feedback_is_the_product_of_weights_and_slopes(dropout: bool) -> None:
    """B_l = -s W_l D_{l-1} W_{l-1} ... D_1 W_1 F written out, one sample after another."""
    spec = NetworkSpec(SIZES, ("tanh", "relu", "erf"))
    params = initial_parameters(spec, AFA, seed=2)
    slopes = (
        lambda a: 1 / np.cosh(a) ** 2,
        lambda a: a > 0,
        lambda a: math.sqrt(2 / math.pi) * np.exp(-(a**2) / 2),
    )
    curves = (np.tanh, lambda a: np.maximum(a, 0), np.vectorize(lambda a: math.erf(a / 2**0.5)))
    masks = [(RNG.random((5, n)) > 0.3) / 0.7 for n in SIZES[1:-1]]
    for sign in (1, -1):
        truth = [np.zeros_like(w) for w in params["W"]]
        for n in range(len(X)):
            h, D = [X[n]], []
            for i, w in enumerate(params["W"][:-1]):
                m = masks[i][n] if dropout else np.ones(len(w))
                D.append(np.diag(m * slopes[i](w @ h[i])))
                h.append(m * curves[i](w @ h[i]))
            logits = params["W"][-1] @ h[-1]
            e = np.exp(logits) / np.exp(logits).sum() - Y[n]
            product = params["F"]
            for i in range(3):
                product = params["W"][i] @ product  # -s B_{i+1}
                truth[i] += D[i] @ (-sign * product @ e)[:, None] * h[i] / len(X)
                product = D[i] @ product
            truth[3] += np.outer(e, h[3]) / len(X)
        deltas = updates(spec, AFA, params, X, Y, masks if dropout else None, sign=sign)
        for ours, theirs in zip(deltas, truth, strict=True):
            assert_allclose(ours, theirs, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("activation", ["tanh", "erf", "sigmoid"])
@pytest.mark.parametrize("sign", [1, -1])
def test_adaptive_feedback_is_pepita_to_first_order(activation: str, sign: int) -> None:
    spec = NetworkSpec(SIZES, activation)
    params = initial_parameters(spec, "pepita", seed=1)

    def gaps(factor: float) -> Any:
        hyper = {"sign": sign}
        small = scaled(params, factor)
        exact = updates(spec, "pepita", small, X, Y, presynaptic="standard", **hyper)
        linear = updates(spec, AFA, small, X, Y, **hyper)
        assert_allclose(exact[-1], linear[-1], rtol=1e-12)  # the output learns the same
        pairs = list(zip(exact[:-1], linear[:-1], strict=True))
        return np.array([[size([a - b]) / size([a]), size([a - b])] for a, b in pairs])

    whole, half = gaps(0.1), gaps(0.05)
    assert (whole[:, 0] < 0.01).all()
    assert_allclose(whole[:, 1] / half[:, 1], 4, rtol=0.02)


def test_for_relu_and_a_small_feedback_adaptive_feedback_is_pepita() -> None:
    """No unit crosses its kink: the modulated pass is linear in F."""
    spec = NetworkSpec(SIZES)
    params = scaled(initial_parameters(spec, "pepita", seed=1), 1e-3)
    exact = updates(spec, "pepita", params, X, Y, presynaptic="standard")
    for a, b in zip(exact, updates(spec, AFA, params, X, Y, sign=1), strict=True):
        assert size([a]) > 0
        assert size([a - b]) < 1e-8 * size([a])


def test_the_hebbian_form_descends_a_difference_of_goodness() -> None:
    """ΔW_l = ∂/∂W_l (‖h_l‖² - ‖p_l‖²)/2 with the inputs of the layer held fixed, for ReLU."""
    torch = pytest.importorskip("torch")
    spec = NetworkSpec(SIZES)
    params = initial_parameters(spec, "pepita", seed=4, feedback_scale=0.5)
    for sign in (1, -1):
        deltas = updates(spec, "pepita", params, X, Y, form="hebbian", sign=sign)
        weights = [torch.tensor(w, requires_grad=True) for w in params["W"]]
        h = [torch.tensor(X)]
        for w in weights[:-1]:
            h.append(torch.relu(h[-1].detach() @ w.T))
        h.append(torch.softmax(h[-1].detach() @ weights[-1].T, 1))
        p = [h[0] + sign * (h[-1].detach() - torch.tensor(Y)) @ torch.tensor(params["F"]).T]
        for w in weights[:-1]:
            p.append(torch.relu(p[-1].detach() @ w.T))
        goodness = sum((a**2).sum() - (b**2).sum() for a, b in zip(h[1:-1], p[1:], strict=True))
        (goodness / 2 / len(X)).backward()
        for ours, w in zip(deltas[:-1], weights[:-1], strict=True):
            assert_allclose(ours, w.grad, rtol=1e-10, atol=1e-14)
        last = (h[-1].T @ h[-2] - torch.tensor(Y).T @ p[-1]) / len(X)
        assert_allclose(deltas[-1], last.detach(), rtol=1e-10, atol=1e-14)


def test_forms_differ_by_the_change_of_the_input_of_a_layer() -> None:
    """hebbian - mismatch = h_l (h_{l-1} - p_{l-1})ᵀ, and nothing where that is not used."""
    spec = NetworkSpec(SIZES, "tanh")
    params = initial_parameters(spec, "pepita", seed=4, feedback_scale=0.5)
    W, F = params["W"], params["F"]
    h, p = [X], []
    for w in W[:-1]:
        h.append(np.tanh(h[-1] @ w.T))
    logits = np.exp(h[-1] @ W[-1].T)
    h.append(logits / logits.sum(1, keepdims=True))
    p.append(X + (h[-1] - Y) @ F.T)
    for w in W[:-1]:
        p.append(np.tanh(p[-1] @ w.T))
    hebbian = updates(spec, "pepita", params, X, Y, form="hebbian")
    mismatch = updates(spec, "pepita", params, X, Y)
    for i in range(4):
        term = h[i + 1].T @ (h[i] - p[i]) / len(X)
        assert size([term]) > 1e-3
        assert_allclose(hebbian[i] - mismatch[i], term, rtol=1e-9, atol=1e-14)
    both = [updates(spec, "pepita", params, X, Y, form=form, presynaptic="standard")
            for form in ("hebbian", "mismatch")]  # fmt: skip
    for one, other in zip(*both, strict=True):
        assert_allclose(one, other, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("numbers", [Optimizer(0.1), Optimizer(0.1, 0.9, 0.01)])
def test_the_time_local_form_steps_before_the_modulated_pass(numbers: Optimizer) -> None:
    """Two batches by a loop: a step by h hᵀ, the modulated pass anew, a step by -p pᵀ."""
    spec = NetworkSpec(SIZES)
    hyper = {"form": "time_local", "sign": -1, "feedback_scale": 0.5}
    params = initial_parameters(spec, "pepita", seed=5, **hyper)
    W, F = [w.copy() for w in params["W"]], params["F"]
    V = [np.zeros_like(w) for w in W]
    book = Textbook(spec, "pepita", params, numbers, **hyper)

    def step(products: list[Any]) -> None:
        for i, product in enumerate(products):
            V[i] = numbers.momentum * V[i] + 0.1 * (product / len(X) + numbers.weight_decay * W[i])
            W[i] = W[i] - V[i]

    for _ in range(2):
        h = [X]
        for w in W[:-1]:
            h.append(np.maximum(h[-1] @ w.T, 0))
        out = np.exp(h[-1] @ W[-1].T)
        h.append(out / out.sum(1, keepdims=True))
        step([h[i + 1].T @ h[i] for i in range(4)])
        p = [X - (h[-1] - Y) @ F.T]
        for w in W[:-1]:
            p.append(np.maximum(p[-1] @ w.T, 0))
        p.append(Y)
        step([-p[i + 1].T @ p[i] for i in range(4)])
        book.learn(X, Y)
    for ours, theirs in zip(book.params["W"], W, strict=True):
        assert_allclose(ours, theirs, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("form", ["mismatch", "hebbian"])
def test_the_other_sign_is_the_opposite_teaching_signal_to_first_order(form: str) -> None:
    spec = NetworkSpec(SIZES, "tanh")
    params = initial_parameters(spec, "pepita", seed=1)

    def sums(factor: float) -> Any:
        one, other = (updates(spec, "pepita", scaled(params, factor), X, Y, form=form, sign=s)
                      for s in (1, -1))  # fmt: skip
        pairs = list(zip(one[:-1], other[:-1], strict=True))
        return np.array([[size([a + b]) / size([a]), size([a + b])] for a, b in pairs])

    whole, half = sums(0.1), sums(0.05)
    assert (whole[:, 0] < 0.05).all()
    assert_allclose(whole[:, 1] / half[:, 1], 4, rtol=0.02)


@pytest.mark.parametrize(
    ("rule", "hyper"),
    [*(("pepita", {"form": f}) for f in ("mismatch", "hebbian", "time_local")), (AFA, {})],
)
def test_the_other_sign_is_the_negative_feedback(rule: str, hyper: Any) -> None:
    case = Case(rule, (20, 16, 12, 5), hyper={**hyper, "sign": 1, "feedback_scale": 0.3})
    one, other = case.online(), case.online()
    other.load_parameters({"F": -other.parameters()["F"]})
    other.set(sign=-1)
    x, labels, y = case.samples(100)
    for net in (one, other):
        case.learn(net, x, labels, y)
    assert deviation({"W": one.parameters()["W"]}, {"W": other.parameters()["W"]}) < 1e-12


@pytest.mark.parametrize("hidden", range(6))
def test_normal_feedback_is_a_product_with_the_wanted_size(hidden: int) -> None:
    """F has the standard deviation κ √(2/n_0) at any depth, and the factors multiply to it."""
    sizes, kappa = (400, *[300, 200, 250, 300, 200][:hidden], 300), 0.05
    for rule in ("pepita", AFA):
        params = initial_parameters(NetworkSpec(sizes), rule, seed=hidden, init="he_normal")
        assert params["F"].std() == pytest.approx(kappa * math.sqrt(2 / 400), rel=0.05)
        assert abs(params["F"].mean()) < 0.05 * params["F"].std()
        for w in params["W"]:
            assert w.std() == pytest.approx(math.sqrt(2 / w.shape[1]), rel=0.02)
    learned = {"init": "he_normal", "mirror_before": 1, "sign": -1}  # the rule learns the factors
    spec = NetworkSpec(sizes)
    parts = initial_parameters(spec, "pepita", 0, **learned)["B"]
    assert [b.shape for b in parts] == list(pairwise(sizes))
    spread = [b.std() for b in parts]
    assert_allclose(spread, spread[0], rtol=0.02)  # one q for all
    product = parts[0]
    for b in parts[1:]:
        product = product @ b
    assert product.std() == pytest.approx(kappa * math.sqrt(2 / 400), rel=0.05)
    none = initial_parameters(spec, "pepita", 0, feedback_scale=0.0, init="he_normal")
    assert not none["F"].any()


def test_normal_weights_are_not_uniform_ones() -> None:
    W = initial_weights(NetworkSpec((400, 300)), 0, "he_normal")["W"][0]
    assert (W**4).mean() / (W**2).mean() ** 2 == pytest.approx(3, rel=0.05)  # uniform: 1.8
