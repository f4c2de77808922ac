"""Learning algorithms of single papers, against slower reference implementations."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rate_models.batch import BatchNetwork, fit  # noqa: E402
from rate_models.model.optimizers import Optimizer  # noqa: E402
from rate_models.network import NetworkSpec  # noqa: E402
from streaming import papers  # noqa: E402

autoencoder: Any = import_module(papers.get("lansdell-autoencoder").module)
objective: Any = import_module(papers.get("bmvr-objective").module)
RNG = np.random.default_rng(4)
X = RNG.random((70, 12))
SPEC = NetworkSpec((12, 6, 2, 6, 12), ("tanh", "identity", "tanh"), "mse", bias=True, output="relu")


def silent(_: Any) -> None:
    """A callback that does nothing."""


def test_matched_feedback_takes_the_steps_of_the_weights() -> None:
    net = BatchNetwork(SPEC, "feedback_alignment", 0, "float64", init="he_normal")
    before = net.numpy()
    run = {"rule": "matched", "lr": 1e-3, "epochs": 3}
    history = autoencoder._learn_otherwise(net, X, X, run, 0, silent)
    after = net.numpy()
    assert len(history) == 3
    for back, old_back, w, old_w in zip(
        after["B"], before["B"], after["W"][1:], before["W"][1:], strict=True
    ):
        assert np.abs(w - old_w).max() > 1e-6
        np.testing.assert_allclose(back - old_back, (w - old_w).T, atol=1e-13)


def test_noise_of_nothing_is_backpropagation_and_noise_is_not() -> None:
    run = {"rule": "denoising", "lr": 1e-3, "epochs": 3}
    ends = []
    for noise in ([0.0, 0.0], [0.3, 0.0], [0.0, 0.1]):
        net = BatchNetwork(SPEC, "backprop", 0, "float64", init="he_normal")
        autoencoder._learn_noisy(net, X, X, {**run, "noise": noise}, 0, silent)
        ends.append(net.numpy()["W"])
    net = BatchNetwork(SPEC, "backprop", 0, "float64", init="he_normal")
    fit(net, X, X, epochs=3, batch_size=32, optimizer=Optimizer(32e-3))
    for layer, wanted in enumerate(net.numpy()["W"]):
        np.testing.assert_allclose(ends[0][layer], wanted, rtol=1e-10, atol=1e-13)
        assert np.abs(ends[1][layer] - wanted).max() > 1e-6
        assert np.abs(ends[2][layer] - wanted).max() > 1e-6


def test_linear_backpropagation_is_the_gradient_of_the_objective_with_its_ridge() -> None:
    """½ ‖y - W_2 W_1 x‖² + ½ c ‖W_2 W_1‖², one sample after another, by autograd."""
    k, ridge, rate, decay_time = 3, 0.2, 0.01, 5.0
    Y = RNG.normal(size=(70, 4))
    W_1, W_2 = RNG.normal(size=(k, 12)), RNG.normal(size=(4, k))
    theirs = [torch.tensor(w.copy(), requires_grad=True) for w in (W_1, W_2)]
    for start, end in ((0, 60), (60, 100)):  # the samples come round again
        objective.backprop(X, Y, W_1, W_2, start, end, rate, decay_time, ridge)
    for t in range(100):
        x, y = torch.tensor(X[t % 70]), torch.tensor(Y[t % 70])
        product = theirs[1] @ theirs[0]
        loss = ((y - product @ x) ** 2).sum() / 2 + ridge * (product**2).sum() / 2
        gradients = torch.autograd.grad(loss, theirs)
        with torch.no_grad():
            for w, gradient in zip(theirs, gradients, strict=True):
                w -= rate / (1 + t / decay_time) * gradient
    np.testing.assert_allclose(W_1, theirs[0].detach(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(W_2, theirs[1].detach(), rtol=1e-10, atol=1e-12)
