"""What convolutional networks learn: feedback from noise, digits, MNIST."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

torch = pytest.importorskip("torch")

from rate_models.batch import (  # noqa: E402
    BatchNetwork,
    Convolution,
    ConvolutionalSpec,
    fit,
    lansdell_cnn,
)

IMAGES, LABELS = load_digits(return_X_y=True)
IMAGES = IMAGES / 16


def small(*layers: Any) -> ConvolutionalSpec:
    """`lansdell_cnn` for digits of 8 x 8."""
    return ConvolutionalSpec.of((1, 8, 8), layers, activation="tanh", bias=True, units="pooled")


def angles(net: BatchNetwork) -> list[float]:
    """Between λ_l = B_lᵀ ẽ_L and ∂L/∂h_l by autograd, mean over samples, in degrees."""
    params, x, y = net.arrays(), torch.tensor(IMAGES[:300]), torch.tensor(LABELS[:300])
    h = [x]
    for layer in range(1, net.spec.layers + 1):
        a = net.spec.current(params, layer, h[-1])
        h.append(net.spec.activity(layer, a))
        h[-1].retain_grad()
    torch.nn.functional.cross_entropy(a, y, reduction="sum").backward()
    e = h[-1].detach() - torch.nn.functional.one_hot(y, 10)
    cosines = [
        torch.nn.functional.cosine_similarity(h[layer].grad, e @ B, dim=1).mean().item()
        for layer, B in enumerate(params["B"], start=1)
    ]
    return [float(angle) for angle in np.degrees(np.arccos(cosines))]


def test_feedback_learns_the_gradient_from_noise() -> None:
    spec = small(Convolution(4, 3, pool=3, step=2), Convolution(6, 2), 16, 10)
    options: dict[str, Any] = {"feedback": "dfa", "solver": "ridge"}
    net = BatchNetwork(spec, "node_perturbation", 0, "float64", **options)
    assert angles(net) == pytest.approx([90, 90, 90])
    for _ in range(6):
        for at in range(0, 1700, 100):
            net.fill_grad(IMAGES[at : at + 100], LABELS[at : at + 100])  # W is not stepped
    assert max(angles(net)) < 30


def digits(eta_b: float, seed: int) -> float:
    """Held-out accuracy with Adam and dropout, as in the program of Lansdell et al."""
    spec = small(
        Convolution(8, 3, padding=1, pool=3, step=2), Convolution(16, 3, padding=1, pool=3, step=2),
        64, 10,
    )  # fmt: skip
    net = BatchNetwork(
        spec, "node_perturbation", seed, feedback="dfa", c=0.05, eta_b=eta_b, dropout=0.2
    )
    history = fit(
        net, IMAGES[:1400], LABELS[:1400], epochs=4, batch_size=50, seed=seed,
        optimizer=torch.optim.Adam(net.parameters(), lr=2e-3),
        x_test=IMAGES[1400:], y_test=LABELS[1400:],
    )  # fmt: skip
    return history[-1]["accuracy"] or 0.0


def test_feedback_that_learns_is_better_than_fixed() -> None:
    gains = [digits(1e-3, seed) - digits(0.0, seed) for seed in range(3)]
    assert min(gains) > 0, gains
    assert np.mean(gains) > 0.05, gains


def test_the_network_of_lansdell_is_as_in_the_paper() -> None:
    spec = lansdell_cnn()
    assert [s.pooled for s in spec.stacks] == [(32, 16, 16), (128, 8, 8), (256, 4, 4)]
    assert list(spec.shapes) == [
        (32, 3, 3, 3), (128, 32, 5, 5), (256, 128, 5, 5), (2048, 4096), (2048, 2048), (10, 2048),
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif("DENDROSTREAM_DATA" not in os.environ, reason="no DENDROSTREAM_DATA")
def test_mnist_under_pepita() -> None:
    """In two epochs of the paper's settings, filters hardly move."""
    from dendrostream_demos import convolution

    data = Path(os.environ["DENDROSTREAM_DATA"])
    result = convolution.train(
        "PEPITA, mean over positions", 0, 2, 0.1, "torch_uniform", "mnist", data, False
    )
    assert max(result.accuracies) > 0.91
    assert 0 < result.moved < 0.01
