"""Claims of the lesion study on digits, over three seeds; the numbers are in docs/lesions.md."""

from __future__ import annotations

import numpy as np
import pytest
from dendrostream_demos import lesions
from networks import deviation
from numpy.testing import assert_allclose

from biocircuits import CircuitNetwork
from rate_models.network import NetworkSpec

SEEDS, EPOCHS = range(3), 3


def test_a_leak_of_the_memory_adds_a_hebbian_term() -> None:
    """ΔW_1 with a leak, less ΔW_1 without: η (1 − γ) σ r_0ᵀ, γ = e^(−g_L T / τ_s) / (1 + g_L)."""
    leak, x = 1e-3, np.random.default_rng(0).random(6)
    changes = []
    for g in (0.0, leak):
        net = CircuitNetwork(NetworkSpec((6, 5, 3)), seed=0, lr=0.1, mode="continuous",
                             memory_leak=g, feedback_scale=1.0)  # fmt: skip
        before = net.parameters()["W"][0]
        net.learn(x[None], labels=[1])
        changes.append(net.parameters()["W"][0] - before)
        if not g:
            sigma, pre = (net.simulator.read(name) for name in ("hidden_1.soma", "input.rate"))
    gamma = np.exp(-leak * 100.0 / 1.0) / (1 + leak)
    want = 0.1 * (1 - gamma) * np.outer(sigma, pre)
    assert np.abs(want).max() > 1e-3
    assert_allclose(changes[1] - changes[0], want, atol=0.01 * np.abs(want).max())


@pytest.fixture(scope="module")
def data() -> list[lesions.Digits]:
    return [lesions.digits(seed) for seed in SEEDS]


@pytest.mark.slow
def test_without_interneurons_the_constraint_and_the_accuracy_are_lost(
    data: list[lesions.Digits],
) -> None:
    for seed in SEEDS:
        whole = lesions.inhibition(data[seed], seed, EPOCHS, "")
        silent = lesions.inhibition(data[seed], seed, EPOCHS, "interneuron")
        assert whole.spectrum[0] < 4 and whole.accuracy > 85
        # one direction grows without bound and dominates the others
        assert silent.spectrum[0] > 1000
        assert silent.spectrum[3] / silent.spectrum[0] < whole.spectrum[3] / whole.spectrum[0] / 3
        assert silent.accuracy < whole.accuracy - 30


@pytest.mark.slow
def test_somata_that_forget_cost_little_if_they_last_and_inputs_are_centred(
    data: list[lesions.Digits],
) -> None:
    """Mean accuracy: no loss at 10 s, more and more below; raw pixels need a hundred times that."""

    def score(memory: float, kind: str) -> float:
        options = lesions.SOMATA[kind]
        runs = [lesions.somata(data[s], s, EPOCHS, memory, **options) for s in SEEDS]
        return float(np.mean(runs))

    whole, ten, three, one = (score(m, "centred") for m in (np.inf, 10.0, 3.0, 1.0))
    assert whole > 85 and abs(ten - whole) < 3
    assert ten - 15 > three > one + 10 and one > 20
    assert score(1.0, "centred, bounded") > one + 10  # bounded weights fail more gently
    assert score(10.0, "raw pixels") < 15  # chance


@pytest.mark.slow
def test_without_apical_feedback_hidden_layers_are_frozen(data: list[lesions.Digits]) -> None:
    for seed in SEEDS:
        ends = {name: lesions.apical(data[seed], seed, EPOCHS, name) for name in lesions.FEEDBACK}
        cut, frozen = ends["feedback cut"], ends["hidden layers frozen"]
        assert cut.moved == frozen.moved == 0
        assert deviation({"W": cut.weights}, {"W": frozen.weights}) < 1e-10
        assert cut.accuracy == frozen.accuracy
        assert ends["intact"].accuracy > cut.accuracy + 20
        assert ends["feedback never learns"].accuracy > cut.accuracy + 20
        assert ends["intact"].moved > 0.1
