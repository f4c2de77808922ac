"""Spiking networks that learn: as the rules do, from scratch, and from local signals."""

from __future__ import annotations

import math
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from biocircuits.spiking import backend
from biocircuits.spiking.learner import RULES, SpikingLearner, Stream
from rate_models.errors import BadOption, UnknownName
from rate_models.support import lookup

pytestmark = pytest.mark.skipif(find_spec("brian2") is None, reason="brian2 is not installed")
compiled = pytest.mark.skipif(backend.compiler() is None, reason="no C++ compiler")
SIZES = {"pepita": (4, 3, 2), "bmvr": (4, 2, 3), "node_perturbation": (4, 3, 2)}
NAMES = lookup.names(RULES)


def stream(name: str, samples: int = 3, seed: int = 0, **options: Any) -> tuple[Any, Stream]:
    """A learner, and its result on random samples."""
    learner = SpikingLearner(name, SIZES[name], seed, target="numpy", **options)
    rng = np.random.default_rng(seed)
    X, Y = rng.random((samples, SIZES[name][0])), rng.random((samples, SIZES[name][-1]))
    learns = np.arange(samples) > 0
    return learner, learner.run(X, Y, learns)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_changes_plastic_weights_alone_and_only_in_samples_that_are_learned(
    name: str,
) -> None:
    learner, run = stream(name, snapshots=1)
    assert run.answers.shape == (3, learner.answer.units)
    assert np.isfinite(run.answers).all()
    for projection, W in run.weights.items():
        before = learner.weights[projection]
        assert W.shape == before.shape
        if projection not in learner.rates:
            assert np.allclose(W, before, rtol=1e-12)
            continue
        history = run.history[projection]
        assert len(history) == 4
        assert np.allclose(history[0], before) and np.allclose(history[1], before)
        assert not np.allclose(history[-1], before), projection
        assert np.allclose(history[-1], W)


@pytest.mark.parametrize("name", NAMES)
def test_plasticity_uses_only_variables_of_its_pre_and_postsynaptic_cells(name: str) -> None:
    learner, _ = stream(name, 1)
    b = backend.load()
    network = learner.network
    assert not [o for o in network.objects if isinstance(o, b.NetworkOperation)]
    for projection in learner.rates:
        synapses = learner.synapses[projection]
        (rule,) = (o for o in synapses.contained_objects if o.name == f"learn_{projection}")
        words = set(re.findall(r"[A-Za-z_]\w*", rule.abstract_code))
        assert "eta" in words and "w" in words
        for word in words - {"w", "eta", "learns", "t", "sample"}:
            variable, _, end = word.rpartition("_")
            group = {"pre": synapses.source, "post": synapses.target}[end]
            assert variable in group.variables, word


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_run(name: str) -> None:
    one, two, other = (stream(name, 2, seed)[1] for seed in (1, 1, 2))
    for projection, W in one.weights.items():
        assert np.array_equal(W, two.weights[projection])
    assert not np.array_equal(one.answers, other.answers)


def test_cells_fire_at_the_rate_that_stands_for_their_activity() -> None:
    x = np.array([[0.0, 0.13, 0.31, 0.5, 0.77, 1.0]])
    learner = SpikingLearner("pepita", (6, 2, 2), target="numpy", feedback_scale=0.0,
                             phase=1040.0, background=0.2)  # fmt: skip
    learner.run(x, np.zeros((1, 2)), learns=False)
    b = backend.load()
    monitor = b.SpikeMonitor(learner.groups["input"])
    learner.network.add(monitor)
    learner.network.run(1 * b.second, namespace={})
    # a count is off by up to one
    assert np.allclose(np.asarray(monitor.count), 200 * (0.2 + x[0]), rtol=0.01, atol=1)


def test_in_the_mean_over_cells_weights_change_as_in_the_rule() -> None:
    from dendrostream_demos.spiking_agreement import agreement

    for layer in agreement("integrate", "cells", 16, 60, 100, 8, target="numpy"):
        assert layer.cosine > 0.95, layer
        assert abs(layer.gain - 1) < 0.1, layer


def test_the_demos_draw(tmp_path: Path) -> None:
    from dendrostream_demos import spiking_agreement, spiking_learning

    results = [
        spiking_agreement.Agreement(firing, varied, layer, spikes, 1 / spikes, 0.9, 1.0)
        for firing in ("escape", "integrate")
        for varied in spiking_agreement.SCANS
        for layer in ("W_1", "W_2")
        for spikes in (1.0, 4.0)
    ]
    spiking_agreement.draw(results, tmp_path / "agreement.png")
    scores = {name: [0.5, 0.6] for name in spiking_learning.NETWORKS}
    curves = [np.ones(200)]
    objective = spiking_learning.Regression([1.0, 0.5], [1.0, 0.4], 0.3)
    spiking_learning.draw(scores, curves, objective, [2.0, 1.0], tmp_path / "learning.png")
    for picture in ("agreement", "learning"):
        assert (tmp_path / f"{picture}.png").stat().st_size > 10_000


@pytest.mark.slow
def test_disagreement_of_poisson_cells_falls_as_the_root_of_spikes() -> None:
    from dendrostream_demos.spiking_agreement import agreement

    for few, many in (((4, 60), (32, 60)), ((16, 60), (16, 480))):
        one, two = (agreement("escape", "", cells, time, 100, 24, target="numpy")
                    for cells, time in (few, many))  # fmt: skip
        for a, b in zip(one, two, strict=True):
            slope = math.log(b.distance / a.distance) / math.log(b.spikes / a.spikes)
            assert -0.7 < slope < -0.3, (a, b)


def test_invalid_options_are_refused() -> None:
    with pytest.raises(UnknownName, match="pepita"):
        SpikingLearner("pepitta", (4, 3, 2))
    with pytest.raises(UnknownName, match="feedback_scale"):
        SpikingLearner("pepita", (4, 3, 2), feedback_scal=1)
    with pytest.raises(BadOption, match="snapshots"):
        SpikingLearner("pepita", (4, 3, 2), snapshots=-1)
    with pytest.raises(BadOption, match="one hidden layer"):
        SpikingLearner("node_perturbation", (4, 3, 3, 2))
    with pytest.raises(BadOption, match="peak"):
        SpikingLearner("pepita", (4, 3, 2), peak=-1.0)
    learner = SpikingLearner("pepita", (4, 3, 2), target="numpy")
    with pytest.raises(BadOption, match=r"rows of 4"):
        learner.run(np.zeros((2, 5)), np.zeros((2, 2)))
    with pytest.raises(BadOption, match="NaN"):
        learner.run(np.full((2, 4), np.nan), np.zeros((2, 2)))
    with pytest.raises(BadOption, match="2, as X has"):
        learner.run(np.zeros((2, 4)), np.zeros((1, 2)))
    with pytest.raises(BadOption, match="weights"):
        learner.run(np.zeros((1, 4)), np.zeros((1, 2)), weights={"W_3": np.zeros((3, 4))})
    with pytest.raises(BadOption, match=r"shape \(3, 4\)"):
        learner.run(np.zeros((1, 4)), np.zeros((1, 2)), weights={"W_1": np.zeros((4, 3))})
    with pytest.raises(BadOption, match="learns"):
        learner.run(np.zeros((2, 4)), np.zeros((2, 2)), learns=[True])
    with pytest.raises(BadOption, match="rates"):
        learner.run(np.zeros((1, 4)), np.zeros((1, 2)), rates={"F": 1.0})
    for options, message in (({"settle": 100.0}, "settle"), ({"dt": 2.0}, "dt"),
                          ({"phase": 100.3}, "phase")):  # fmt: skip
        short = SpikingLearner("pepita", (4, 3, 2), target="numpy", **options)
        with pytest.raises(BadOption, match=message):
            short.run(np.zeros((1, 4)), np.zeros((1, 2)))


@pytest.mark.slow
@compiled
def test_pepita_learns_digits_from_scratch_and_hidden_weights_help() -> None:
    from dendrostream_demos import spiking_learning

    scores = spiking_learning.learn(seeds=3)
    learned, frozen, untrained = (np.array(scores[name]) for name in spiking_learning.NETWORKS)
    assert learned.min() >= 0.80
    gain = learned - frozen
    assert gain.mean() > gain.std(ddof=1) / math.sqrt(len(gain))
    assert untrained.max() < 0.3


@pytest.mark.slow
@compiled
def test_bmvr_converges_as_the_rate_circuit_does() -> None:
    from dendrostream_demos import spiking_learning

    curves = spiking_learning.regression()
    assert curves.spiking[0] > 0.95
    assert curves.spiking[-1] < 0.2
    assert abs(curves.spiking[-1] - curves.rate[-1]) < 0.05
    assert np.corrcoef(curves.spiking, curves.rate)[0, 1] > 0.9


@pytest.mark.slow
@compiled
def test_node_perturbation_estimates_the_gradient_and_learns_by_it() -> None:
    from dendrostream_demos import spiking_learning

    losses = spiking_learning.perturbation()
    assert losses[-1] < 0.2 * losses[0]

    x, y, times = np.array([[0.8, -0.4, 0.5, 0.6]]), np.array([[0.5, -0.5]]), 1500
    rates = {"W_1": 1e-6, "W_2": 0.0}
    with SpikingLearner("node_perturbation", (4, 5, 2), mode="cpp_standalone", cells=4,
                        background=3.0) as learner:  # fmt: skip
        run = learner.run(np.repeat(x, times, axis=0), np.repeat(y, times, axis=0), rates=rates)
    W_1, W_2 = (learner.weights[name] for name in ("W_1", "W_2"))
    a = W_1 @ x[0]
    gradient = np.outer((W_2.T @ (W_2 @ np.maximum(a, 0) - y[0])) * (a > 0), x[0])
    estimate = (W_1 - run.weights["W_1"]) / (1e-6 * times)
    cosine = (estimate * gradient).sum() / np.sqrt((estimate**2).sum() * (gradient**2).sum())
    assert cosine > 0.9


@pytest.mark.slow
@compiled
def test_a_program_built_once_runs_again_with_other_samples_and_weights() -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.random((2, 4)), rng.random((2, 2))
    with SpikingLearner("pepita", (4, 3, 2), mode="cpp_standalone") as learner:
        first = learner.run(X, Y)
        folder = learner._folder
        other = learner.run(X[::-1], Y, rates={"W_1": 0.0})
        again = learner.run(X, Y)
        assert learner._folder is folder
    assert np.array_equal(first.weights["W_1"], again.weights["W_1"])
    assert np.array_equal(first.answers, again.answers)
    assert np.allclose(other.weights["W_1"], learner.weights["W_1"])
    assert not np.array_equal(first.answers, other.answers)
    assert not backend.standalone()
