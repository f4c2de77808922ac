"""Optimisations of batches do not change results: W F stepped with W, velocities that settle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rate_models.batch import BatchNetwork, ConvolutionalSpec, Sgd, fit  # noqa: E402
from rate_models.batch.convolution import Convolution  # noqa: E402
from rate_models.batch.optim import lasts, settle  # noqa: E402
from rate_models.batch.train import order  # noqa: E402
from rate_models.model.optimizers import Optimizer  # noqa: E402
from rate_models.model.optimizers import Sgd as TextbookSgd  # noqa: E402
from rate_models.network import NetworkSpec, Parameters  # noqa: E402

SPEC = NetworkSpec((9, 7, 5, 3), bias=True)
RNG = np.random.default_rng(2)
X, LABELS = RNG.normal(size=(43, 9)), RNG.integers(0, 3, 43)
EVERYTHING = Optimizer(0.05, 0.9, 1e-2, decay_at=(20, 60), decay_time=50)
FORMS: list[dict[str, Any]] = [
    {},
    {"form": "hebbian"},
    {"presynaptic": "standard", "sign": -1},
    {"modulation": "random"},
    {"dropout": 0.4, "modulation": "sign"},
]


@pytest.mark.parametrize("hyper", FORMS)
@pytest.mark.parametrize("batch_size", [2, 10])
def test_w_f_is_stepped_with_w(hyper: dict[str, Any], batch_size: int) -> None:
    """Over epochs, with everything the optimiser has, and a short last batch."""
    ours, plain = (BatchNetwork(SPEC, "pepita", 1, "float64", **hyper) for _ in range(2))
    fit(ours, X, LABELS, epochs=3, batch_size=batch_size, optimizer=EVERYTHING)
    sgd, seen = Sgd(plain.parameters(), *EVERYTHING[:3]), 0
    for epoch in range(3):
        for chosen in torch.split(order(0, epoch, torch.zeros(43)), batch_size):
            sgd.param_groups[0]["lr"] = EVERYTHING.rate(seen)
            rows = chosen.numpy()
            plain.fill_grad(X[rows], LABELS[rows], batch_size=batch_size)
            sgd.step()
            seen += len(chosen)
    start = BatchNetwork(SPEC, "pepita", 1, "float64", **hyper)
    for w, v, before in zip(ours.parameters(), plain.parameters(), start.parameters(), strict=True):
        torch.testing.assert_close(w, v, rtol=1e-10, atol=1e-12)
        assert not torch.equal(w, before)


def test_the_followed_array_is_w_f_and_decides_the_modulated_pass() -> None:
    net = BatchNetwork(SPEC, "pepita", 0, "float64")
    with net.following() as followed:
        (image,) = followed
        sgd = Sgd([*net.parameters(), *followed], 0.1, 0.9, 1e-2)
        for _ in range(20):
            for _ in net.updates(X, LABELS):
                sgd.step()
        torch.testing.assert_close(image, net.W[0] @ net.F, rtol=1e-10, atol=1e-13)
        image.data[:, 0] += 1  # errors sum to zero: not all columns
        for _ in net.updates(X, LABELS):
            wrong = net.W[0].grad.clone()
        net.follow()
        torch.testing.assert_close(image, net.W[0] @ net.F, rtol=0, atol=0)
        for _ in net.updates(X, LABELS):
            assert not torch.allclose(wrong, net.W[0].grad)
    assert "WF" not in dict(net.named_parameters()) and not net._followed


@pytest.mark.parametrize(
    "hyper",
    [
        {"form": "time_local"},
        {"inject": 1},
        {"init": "he_normal", "sign": -1, "mirror_every": 2},
    ],
)
def test_where_w_f_is_not_what_is_needed_nothing_follows(hyper: dict[str, Any]) -> None:
    with BatchNetwork(SPEC, "pepita", **hyper).following() as followed:
        assert followed == []


def test_frozen_weights_convolutions_and_other_rules_follow_nothing() -> None:
    frozen = BatchNetwork(SPEC, "pepita")
    frozen.W[0].requires_grad_(False)
    maps = BatchNetwork(ConvolutionalSpec.of((1, 6, 6), (Convolution(2, 3), 3)), "pepita")
    for net in (frozen, maps, BatchNetwork(SPEC, "backprop")):
        with net.following() as followed:
            assert followed == []


def test_a_rate_that_changes_leaves_the_velocity() -> None:
    """Against the textbook's optimiser, with a rate for every step."""
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    ours = Sgd([weight], 0.1, 0.8, 0.05)
    numbers = Optimizer(0.1, 0.8, 0.05, decay_time=3)
    params: Parameters = {"W": [weight.detach().numpy().copy()]}
    theirs = TextbookSgd(numbers)
    for step in range(30):
        gradient = RNG.normal(size=2)
        weight.grad = torch.tensor(gradient)
        ours.param_groups[0]["lr"] = numbers.rate(step)
        ours.step()
        theirs.step(params, {"W": [gradient]}, step)
        np.testing.assert_allclose(weight.detach(), params["W"][0], rtol=1e-12)


@pytest.mark.parametrize("momentum", [0.5, 0.9])
def test_a_velocity_without_gradients_becomes_zero_not_subnormal(momentum: float) -> None:
    tiny = torch.finfo(torch.float32).tiny
    weight = torch.nn.Parameter(torch.ones(3))
    sgd = Sgd([weight], 0.1, momentum)
    for step in range(3000):
        weight.grad = torch.tensor([1.0 if step < 2 else 0.0, 1e-3, 0.0])
        sgd.step()
        (velocity,) = (state["momentum_buffer"] for state in sgd.state.values())
        assert not ((velocity != 0) & (velocity.abs() < tiny)).any()
    assert velocity[0] == 0 and velocity[1] == pytest.approx(1e-3 / (1 - momentum), rel=1e-4)


def test_velocities_settle_before_the_largest_that_do_not_can_become_subnormal() -> None:
    velocity = torch.tensor([1e-18, -1e-18, 1e-20, 0.0, 1.0])
    settle(velocity)
    assert velocity.tolist() == pytest.approx([1e-18, -1e-18, 0.0, 0.0, 1.0], abs=1e-25)
    for momentum in (1e-30, 0.1, 0.9, 0.999):
        steps = lasts(velocity, momentum)
        assert steps == 1 or 1.09e-19 * momentum**steps > 1.17e-38
