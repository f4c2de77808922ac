"""Node perturbation, with and without feedback that learns: against autograd and closed forms."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from rate_models import rules
from rate_models.errors import BadOption
from rate_models.model import losses
from rate_models.model.hyperparameters import checked
from rate_models.network import NetworkSpec, forward
from rate_models.online.network import OnlineNetwork
from rate_models.rules import Draws, _perturbation, node_perturbation
from rate_models.textbook import gradients, initial_parameters

RNG = np.random.default_rng(11)
RULES = ("node_perturbation", "reinforce")
CHOICES = [{"solver": s, "feedback": f} for s in ("gradient", "ridge") for f in ("fa", "dfa")]


def noise(n: int, sizes: tuple[int, ...]) -> list[np.ndarray]:
    return [RNG.normal(size=(n, width)) for width in sizes[1:-1]]


def step(
    spec: NetworkSpec, rule: str, params: Any, x: Any, y: Any, draws: Draws, **hyper: Any
) -> Any:
    """ΔW of one batch; the rule's own arrays in ``params`` learn."""
    definition = rules.get(rule)
    record = checked(definition.hyperparameters(), **hyper)
    (stage,) = definition.batch(spec, params, record, x, y, draws)
    return gradients(spec, stage, params, len(x))["W"]


def learned(sizes: tuple[int, ...], activation: str, batches: int, size: int, **hyper: Any) -> Any:
    """Parameters after B has learned on random samples while W is fixed."""
    spec = NetworkSpec(sizes, activation, "mse")
    params = initial_parameters(spec, "node_perturbation", seed=0, **hyper)
    for _ in range(batches):
        x, y = RNG.normal(size=(size, sizes[0])), RNG.normal(size=(size, sizes[-1]))
        draws = Draws(None, noise(size, sizes))
        step(spec, "node_perturbation", params, x, y, draws, **hyper)
    return params


def relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("loss", losses.NAMES)
@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_the_estimate_tends_to_the_gradient_that_autograd_finds(
    activation: str, loss: str, dropout: bool
) -> None:
    torch = pytest.importorskip("torch")
    sizes = (6, 5, 7, 4)
    spec = NetworkSpec(sizes, activation, loss, bias=True)
    params = initial_parameters(spec, "reinforce", seed=3)
    params["b"] = [RNG.normal(0, 0.3, b.shape) for b in params["b"]]
    x, y = RNG.normal(size=(1, 6)), RNG.dirichlet(np.ones(4), 1)
    masks = [(RNG.random((1, n)) > 0.3) / 0.7 for n in (5, 7)] if dropout else None

    # Adding zero to every hidden layer: the gradient there is that of the activity.
    added = [torch.zeros(1, n, dtype=torch.float64, requires_grad=True) for n in (5, 7)]
    h, curve = torch.tensor(x), {"sigmoid": torch.sigmoid, "tanh": torch.tanh}[activation]
    for i, (w, b) in enumerate(zip(params["W"], params["b"], strict=True)):
        a = torch.nn.functional.linear(h, torch.tensor(w), torch.tensor(b))
        if i < 2:
            h = curve(a) * (torch.tensor(masks[i]) if masks else 1) + added[i]
    target = torch.tensor(y)
    {
        "mse": lambda: ((a - target) ** 2).sum() / 2,
        "cross_entropy": lambda: -(target * torch.log_softmax(a, 1)).sum(),
        "binary_cross_entropy": lambda: torch.nn.functional.binary_cross_entropy_with_logits(
            a, target, reduction="sum"
        ),
    }[loss]().backward()
    truth = np.hstack([t.grad.numpy()[0] for t in added])

    # λ̂_i = ξ_i Σ_j ξ_j λ_j has variance ‖λ‖² + λ_i², so the mean of n misses by what follows.
    for n in (400, 40_000):
        xs, ys = np.repeat(x, n, 0), np.repeat(y, n, 0)
        pre, h = forward(spec, params, xs, masks)
        draws = Draws(masks, noise(n, sizes))
        found = np.hstack(_perturbation.estimates(spec, params, 1e-4, pre, h, ys, draws)).mean(0)
        z = (found - truth) / np.sqrt((truth @ truth + truth**2) / n)
        assert np.abs(z).max() < 4.5
        assert 0.4 < np.sqrt((z**2).mean()) < 1.8


@pytest.mark.parametrize("hidden", [4, 64])
def test_the_noise_of_the_estimate_grows_with_the_number_of_units(hidden: int) -> None:
    """E ‖λ̂ - λ‖² = (n + 1) ‖λ‖²: the reason why the rule without feedback is below the others."""
    spec, n = NetworkSpec((6, hidden, 4), "tanh", "mse"), 20_000
    params = initial_parameters(spec, "reinforce", seed=3)
    x, y = (np.repeat(RNG.normal(size=(1, width)), n, 0) for width in (6, 4))
    pre, h = forward(spec, params, x)
    draws = Draws(None, noise(n, spec.sizes))
    (found,) = _perturbation.estimates(spec, params, 1e-4, pre, h, y, draws)
    truth = (h[2][0] - y[0]) @ params["W"][1]
    ratio = ((found - truth) ** 2).sum(1) / (truth @ truth)
    assert abs(ratio.mean() - (hidden + 1)) < 4 * ratio.std() / n**0.5
    assert ratio.std() / n**0.5 < 0.02 * (hidden + 1)


def test_node_perturbation_alone_is_backpropagation_on_average() -> None:
    sizes, n = (6, 5, 4), 200_000
    spec = NetworkSpec(sizes, "tanh")
    params = initial_parameters(spec, "reinforce", seed=3)
    x, y = np.repeat(RNG.normal(size=(1, 6)), n, 0), np.repeat(np.eye(4)[:1], n, 0)
    ours = step(spec, "reinforce", params, x, y, Draws(None, noise(n, sizes)), c=1e-3)
    truth = step(spec, "backprop", params, x[:1], y[:1], Draws())
    assert relative(ours[0], truth[0]) < 0.03
    assert_allclose(ours[1], truth[1], rtol=1e-10)


@pytest.mark.parametrize("loss", losses.NAMES)
def test_feedback_that_has_become_the_weights_is_backpropagation(loss: str) -> None:
    spec = NetworkSpec((6, 5, 7, 4), "tanh", loss, output="sigmoid" if loss == "mse" else None)
    params = initial_parameters(spec, "node_perturbation", seed=1)
    params["B"] = [w.copy() for w in params["W"][1:]]
    x, y = RNG.normal(size=(9, 6)), RNG.dirichlet(np.ones(4), 9)
    masks = [(RNG.random((9, n)) > 0.3) / 0.7 for n in (5, 7)]
    ours = step(spec, "node_perturbation", params, x, y, Draws(masks, noise(9, spec.sizes)))
    truth = step(spec, "backprop", params, x, y, Draws(masks))
    for a, b in zip(ours, truth, strict=True):
        assert_allclose(a, b, rtol=1e-10, atol=1e-14)


def test_ridge_is_the_closed_form_over_all_samples() -> None:
    """B = (γI + Σẽẽᵀ)⁻¹ Σẽλ̂ᵀ, both for the layer below the output, where ẽ does not depend on B."""
    sizes, gamma = (10, 8, 4), 0.3
    spec = NetworkSpec(sizes, "sigmoid", "mse")
    params = initial_parameters(spec, "node_perturbation", 0, solver="ridge", gamma=gamma)
    assert not params["B"][0].any()
    V, S = gamma * np.eye(4), np.zeros((4, 8))
    for size in (1, 3, 32, 2):
        x, y, xi = RNG.normal(size=(size, 10)), RNG.normal(size=(size, 4)), noise(size, sizes)
        step(spec, "node_perturbation", params, x, y, Draws(None, xi), solver="ridge", c=0.1)
        W1, W2 = params["W"]
        h = 1 / (1 + np.exp(-x @ W1.T))
        e, moved = h @ W2.T - y, (h + 0.1 * xi[0]) @ W2.T - y
        estimated = ((moved**2).sum(1) - (e**2).sum(1))[:, None] / 2 * xi[0] / 0.1
        V, S = V + e.T @ e, S + e.T @ estimated
        assert_allclose(params["B"][0], np.linalg.solve(V, S), rtol=1e-9, atol=1e-12)
        assert_allclose(params["R"][0].T @ params["R"][0], V, rtol=1e-10, atol=1e-12)


def test_ridge_feedback_finds_the_weights() -> None:
    params = learned((10, 8, 4), "sigmoid", batches=100, size=3200, solver="ridge")
    assert relative(params["B"][0], params["W"][1]) < 0.03  # about 1/√(320,000 samples) times 7
    params = learned((10, 8, 4), "sigmoid", batches=1000, size=3200, solver="ridge")
    assert relative(params["B"][0], params["W"][1]) < 0.01


def test_gradient_feedback_finds_the_weights() -> None:
    """Up to the noise of a constant rate."""
    before = initial_parameters(NetworkSpec((10, 8, 4)), "node_perturbation", seed=0)
    assert relative(before["B"][0], before["W"][1]) > 1
    params = learned((10, 8, 4), "sigmoid", batches=10_000, size=32, eta_b=5e-5)
    assert relative(params["B"][0], params["W"][1]) < 0.08


def test_every_layer_of_a_deep_network_finds_its_weights() -> None:
    """The sigmoid and the noise of the layers above leave a bias of some per cent below them."""
    params = learned((10, 5, 5, 5), "sigmoid", batches=300, size=3200, solver="ridge")
    lower, top = (relative(b, w) for b, w in zip(params["B"], params["W"][1:], strict=True))
    assert top < 0.02
    assert lower < 0.12


@pytest.mark.parametrize("solver", ["gradient", "ridge"])
def test_direct_feedback_finds_the_product_of_the_weights_above(solver: str) -> None:
    hyper = {"solver": solver, "feedback": "dfa", "eta_b": 1e-6}
    params = learned((10, 6, 6, 5), "identity", batches=1000, size=3200, **hyper)
    _, W2, W3 = params["W"]
    limit = 0.03 if solver == "ridge" else 0.06
    assert relative(params["B"][1], W3) < limit
    assert relative(params["B"][0], W3 @ W2) < limit


def test_noise_is_normal() -> None:
    u = np.array([0.0, 2.0**-53, 0.025, 0.5, 0.8413, 1 - 2.0**-53])
    truth = [NormalDist().inv_cdf(p or 2.0**-54) for p in u]
    assert_allclose(_perturbation.noise_of(None, u), truth, rtol=1e-9, atol=1e-12)
    torch = pytest.importorskip("torch")
    assert_allclose(_perturbation.noise_of(None, torch.tensor(u)), truth, rtol=1e-9, atol=1e-12)
    single = _perturbation.noise_of(None, torch.tensor([0.0, 0.025, 1 - 2.0**-24]))
    assert single.dtype == torch.float32
    truth = [NormalDist().inv_cdf(p) for p in (2.0**-25, 0.025, 1 - 2.0**-24)]
    assert_allclose(single, truth, rtol=1e-4)


def test_shapes_and_scales_at_the_start() -> None:
    spec = NetworkSpec((30, 200, 100, 40))
    for choice in CHOICES:
        params = initial_parameters(spec, "node_perturbation", 0, **choice)
        direct, ridge = choice["feedback"] == "dfa", choice["solver"] == "ridge"
        above = (40, 40) if direct else (100, 40)
        assert [b.shape for b in params["B"]] == [(above[0], 200), (above[1], 100)]
        for b in params["B"]:
            assert b.std() == pytest.approx(0 if ridge else np.sqrt(2 / b.shape[1]), rel=0.05)
        factors = [r.shape[0] for r in params.get("R", [])]
        assert factors == (([40] if direct else [100, 40]) if ridge else [])


@pytest.mark.parametrize(
    ("name", "value"),
    [("c", 0), ("c", -0.1), ("c", float("inf")), ("c", float("nan")), ("gamma", 0), ("warmup", -1),
     ("eta_b", -1e-3), ("eta_b", float("inf")), ("solver", "sgd"), ("feedback", "drtp"),
     ("init", "zeros"), ("dropout", 1.0)],
)  # fmt: skip
def test_bad_hyperparameters_are_refused(name: str, value: Any) -> None:
    for rule in RULES:
        if name in rules.get(rule).hyperparameters._fields:
            with pytest.raises(BadOption, match=f"{name}: got"):
                OnlineNetwork(NetworkSpec((4, 3, 2)), rule, **{name: value})


def test_what_shapes_the_state_is_fixed_and_rates_are_not() -> None:
    net = OnlineNetwork(NetworkSpec((4, 3, 2)), "node_perturbation")
    net.set(eta_b=0.0, c=0.1, dropout=0.1)
    for name, value in (("solver", "ridge"), ("feedback", "dfa"), ("gamma", 1.0), ("warmup", 5)):
        with pytest.raises(BadOption, match="when the network is built"):
            net.set(**{name: value})


def test_ridge_in_single_precision_outlives_signals_of_few_dimensions() -> None:
    """ẽ of ten dimensions in twenty: the condition number of V is too large for float32."""
    rng = np.random.default_rng(0)
    spread = 30 * rng.normal(size=(10, 20))
    V = 0.1 * np.eye(20)
    factor = np.sqrt(V).astype(np.float32)
    for _ in range(1000):
        signal = (rng.normal(size=(32, 10)) @ spread).astype(np.float32)
        factor = node_perturbation._grown(factor, signal)
        V += signal.astype(float).T @ signal.astype(float)
    assert np.linalg.cond(V) > 1e9 and factor.dtype == np.float32
    assert (np.diag(factor) > 0).all() and np.array_equal(factor, np.triu(factor))
    exact = factor.astype(float)
    assert np.abs(exact.T @ exact - V).max() < 1e-4 * np.abs(V).max()
    assert np.linalg.cond(exact.T @ exact) > 1e8
