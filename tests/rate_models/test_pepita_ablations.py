"""PEPITA without its feedback, and how deep it learns: accuracies on digits, several seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rate_models.errors import Diverged
from streaming import OnlineLearner
from streaming.scores.evaluate import held_out
from streaming.sources import Options, open_source

NARROW, DEEP = (64, 32, 10), (64, 64, 64, 64, 64, 64, 10)


def accuracies(sizes: tuple[int, ...], epochs: int = 10, seeds: int = 5, **options: Any) -> Any:
    """Held-out accuracy, seed by seed."""
    scores = []
    for seed in range(seeds):
        digits = open_source("digits", Options(seed=seed))
        learner = OnlineLearner("pepita", sizes, seed=seed, scale="range", maximum=16, **options)
        for epoch in range(epochs):
            for X, y in digits.chunks(epoch):
                learner.learn_many(X, y)
        scores.append(held_out(learner, digits.test() or ())["accuracy"])
    return np.array(scores)


def random(k: float) -> Any:
    return accuracies(NARROW, lr=0.1, modulation="random", perturbation=k)


def test_feedback_makes_the_difference_and_noise_instead_of_it_does_not() -> None:
    """PEPITA's figure 5 and appendix D: small random modulation has no effect, large is worse."""
    pepita, none = accuracies(NARROW, lr=0.1), accuracies(NARROW, lr=0.1, feedback_scale=0.0)
    assert (pepita - none).mean() > 0.04
    small, large = random(0.01), random(1.0)
    assert abs((small - none).mean()) < 0.01
    assert large.mean() < none.mean() - 0.3


@pytest.mark.slow
def test_five_hidden_layers_learn() -> None:
    """Each layer is taught by the mismatch of the input that the layers below it pass on."""
    options = {"epochs": 15, "lr": 0.03, "activation": "tanh"}
    gain = accuracies(DEEP, **options) - accuracies(DEEP, **options, feedback_scale=0.0)
    assert gain.mean() > 0.02
    assert gain.mean() > 2 * gain.std(ddof=1) / np.sqrt(len(gain))


def test_five_relu_layers_run_away_with_a_warning() -> None:
    """ΔW_l = D_l W_l (h_{l-1} - p_{l-1}) p_{l-1}ᵀ is proportional to W_l: growth is exponential."""
    with pytest.raises(Diverged, match=r"not finite; lower the learning rate"):
        accuracies(DEEP, epochs=15, seeds=2, lr=0.01)
