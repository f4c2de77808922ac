"""BMVR's condition on its rates, compared with simulations of the dynamics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from regressions import LINEAR, K, M, N, Optimum, loss_and_constraint, regression

from rate_models.errors import Diverged
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec
from rate_models.online.network import OnlineNetwork
from rate_models.rules import RateWarning, bmvr
from rate_models.rules._stability import modes
from rate_models.textbook import Textbook, initial_parameters
from streaming import OnlineLearner
from streaming.runs.config import RunConfig
from streaming.runs.rate_checks import RateChecks
from streaming.runs.run import Hooks, run


def warned(x: np.ndarray, y: np.ndarray, k: int, rates: Any, activation: str = "identity") -> Any:
    """The warnings about rates (η, η_2, η_q)."""
    eta, eta_2, eta_q = rates
    hyper = bmvr.Hyperparameters(eta_apical=eta_2 / eta, eta_q=eta_q / eta)
    spec = NetworkSpec((x.shape[1], k, y.shape[1]), activation, "mse")
    return bmvr.RULE.rate_warnings(spec, hyper, Optimizer(eta), x, y)


def warns_of_spirals(warnings: list[RateWarning]) -> bool:
    return any(one.serious and "may not settle" in one.text for one in warnings)


def book_at_the_optimum(x: np.ndarray, y: np.ndarray, k: int, rates: Any) -> Textbook:
    eta, eta_2, eta_q = rates
    hyper = {"eta_apical": eta_2 / eta, "eta_q": eta_q / eta}
    spec = NetworkSpec((x.shape[1], k, y.shape[1]), **LINEAR)
    params = initial_parameters(spec, "bmvr", 0, **hyper)
    best = Optimum(x, y, k=k)
    params["W"] = [best.W_1, (best.W_1 @ best.xy).T]
    params["Q"] = np.diag(np.sqrt(best.kept))
    params["R"] = params["Q"].copy()
    return Textbook(spec, "bmvr", params, Optimizer(eta), **hyper)


def growth(x: np.ndarray, y: np.ndarray, k: int, rates: Any) -> float:
    """Spectral radius of a full-batch step at the optimum, by differences of the textbook's."""
    h, columns = 1e-6, []
    shapes = [p.shape for p in (*book_at_the_optimum(x, y, k, rates).params["W"], np.eye(k))]
    for i in range(sum(map(np.prod, shapes))):
        ends = []
        for sign in (h, -h):
            book = book_at_the_optimum(x, y, k, rates)
            arrays = [*book.params["W"], book.params["Q"]]
            flat = np.concatenate([a.ravel() for a in arrays])
            flat[i] += sign
            starts = np.cumsum([0, *map(np.prod, shapes)])
            for a, start in zip(arrays, starts, strict=False):
                a[:] = flat[start : start + a.size].reshape(a.shape)
            book.params["R"][:] = book.params["Q"].T
            book.learn(x, y)
            ends.append(np.concatenate([a.ravel() for a in arrays]))
        columns.append((ends[0] - ends[1]) / (2 * h))
    sizes = np.abs(np.linalg.eigvals(np.array(columns).T))
    return float(sizes.max())


def test_the_condition_of_one_mode_is_that_of_its_linearisation() -> None:
    """Steps of (δw, δv, δq) relative to the optimum, of one input, unit and output."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 1))
    y = 0.6 * x + 0.4 * rng.normal(size=x.shape)
    (kappa,), (c,) = modes(x, y, 1)
    verdicts = []
    for _ in range(300):
        eta, eta_2, eta_q = 10 ** rng.uniform([-3, -3, -3], [-0.7, -0.7, -1.0])
        g = eta * kappa * c
        if 0.8 < eta_2**2 / (g * (1 - 4 * eta_q)) < 1.25:
            continue  # to first order in the rates
        step = np.array([[1 - g, g, -2 * g], [eta_2, 1 - eta_2, 0], [2 * eta_q, 0, 1]])
        unstable = np.abs(np.linalg.eigvals(step)).max() > 1
        assert warns_of_spirals(warned(x, y, 1, (eta, eta_2, eta_q))) == unstable
        verdicts.append(unstable)
    assert 20 < sum(verdicts) < len(verdicts) - 20


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("uneven", [False, True])
def test_the_condition_of_many_inputs(seed: int, uneven: bool) -> None:
    """Sharp for white inputs; for others it is on the safe side."""
    x, y = regression(300, seed)
    x = x @ np.linalg.inv(np.linalg.cholesky(x.T @ x / len(x))).T
    x *= np.geomspace(0.5, 2, M) if uneven else 1.7
    (kappa,), (c,) = modes(x, y, 1)
    eta, eta_q = 0.02, 0.01
    limit = np.sqrt(eta * kappa * c * (1 - 4 * eta_q))
    for factor, outside in ((0.9, False), (1.1, True)):
        rates = (eta, factor * limit, eta_q)
        assert warns_of_spirals(warned(x, y, 1, rates)) == outside
        assert (growth(x, y, 1, rates) > 1 + 1e-6) == (outside and not uneven)


@pytest.mark.parametrize("seed", range(4))
def test_modes_are_those_of_the_closed_form(seed: int) -> None:
    x, y = regression(500, seed)
    best = Optimum(x, y)
    kappa, c = modes(x, y, K)
    np.testing.assert_allclose(kappa, best.kept, rtol=1e-8)
    spread = np.einsum("ki,ij,kj->k", best.W_1, best.xx, best.W_1) / (best.W_1**2).sum(1)
    np.testing.assert_allclose(c, spread, rtol=1e-8)
    still = np.hstack([x, np.zeros((len(x), 3))])  # dead inputs
    np.testing.assert_allclose(modes(still, y, K)[0], kappa, rtol=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_inside_it_converges_outside_it_spirals(seed: int) -> None:
    """The same network, the same samples, W_2 and Q slower or faster."""
    x, y = regression(300, seed)
    best = Optimum(x, y)
    for rates, inside in (((0.4, 0.1, 0.1), True), ((0.4, 0.3, 0.2), False)):
        assert warns_of_spirals(warned(x, y, K, rates)) != inside
        book = book_at_the_optimum(x, y, K, rates)
        book.params["W"][0][:] *= 1.001
        gap, steps = 0.0, 0
        while steps < 6000 and gap < 0.5:
            book.learn(x, y)
            loss, covariance = loss_and_constraint(book.params, x, y)
            gap, steps = np.abs(covariance - np.eye(K)).max(), steps + 1
        if inside:
            assert gap < 1e-4
            assert loss == pytest.approx(best.loss, abs=1e-6)
        else:
            assert gap >= 0.5  # from 0.002


@pytest.mark.parametrize("activation", ["identity", "relu"])
def test_a_sample_may_not_overshoot(activation: str) -> None:
    x, y = regression(2000)
    spec = NetworkSpec((M, K, N), activation, "mse")
    for eta, inside in ((0.1, True), (1.5, False)):
        warnings = warned(x, y, K, (eta, eta / 20, eta / 20), activation)
        assert any("may diverge" in one.text for one in warnings) != inside
        hyper = {"eta_apical": 0.05, "eta_q": 0.05}
        net = OnlineNetwork(spec, "bmvr", optimizer=Optimizer(eta), **hyper)
        if inside:
            assert net.learn(x, targets=y).losses[-500:].mean() < 0.6
        else:
            with pytest.raises(Diverged):
                net.learn(x, targets=y)


def test_a_fast_apical_dendrite_alone_is_a_note() -> None:
    x, y = regression(500)
    (note,) = warned(x, y, K, (0.02, 0.006, 0.005))
    assert not note.serious and "η / 4" in note.text
    assert warned(x, y, K, (0.02, 0.005, 0.005)) == []
    assert warned(x[: M + 1], y[: M + 1], K, (0.02, 0.005, 0.005)) == []  # too few to know modes


def short_run(folder: Path, source: str, lr: float, **settings: Any) -> list[str]:
    """The lines that a run of 600 samples prints for the user."""
    lines: list[str] = []
    config = RunConfig(
        source=source, rule="bmvr", hidden=(3,), lr=lr, samples=600, epochs=1,
        dtype="float64", settings={"activation": "identity", **settings},
    )  # fmt: skip
    run(config, folder / "run", Hooks(notify=lines.append))
    return [line for line in lines if "bmvr" in line and not line.startswith("chosen:")]


ENDLESS = "synthetic:features=8,classes=4"
FINITE = "synthetic:features=8,classes=4,samples=600"


@pytest.mark.parametrize("source", [ENDLESS, FINITE])
def test_a_run_warns_once(source: str, tmp_path: Path) -> None:
    outside = {"eta_apical": 20.0}
    with pytest.warns(UserWarning, match="bmvr may not settle: η_2² = .*κ c") as caught:
        assert short_run(tmp_path / "outside", source, 0.005, **outside) == []
    assert len(caught) == 1
    (note,) = short_run(tmp_path / "note", source, 0.001, eta_apical=0.3)
    assert note.startswith("note: bmvr: η_2 = 0.3 η")
    assert short_run(tmp_path / "inside", source, 0.001) == []


def test_many_inputs_are_checked_twice() -> None:
    """Some warnings come after 500 samples; those that need four per input come after as many."""
    rng, inputs = np.random.default_rng(0), 400
    x = rng.normal(size=(1700, inputs))
    learner = OnlineLearner(
        "bmvr", (inputs, 3, 4), lr=1.0, activation="identity", eta_apical=20.0, eta_q=0.01
    )
    rate_checks = RateChecks(learner, lambda line: None)
    rate_checks.after(x[:499], x[:499, :4])
    with pytest.warns(UserWarning, match="may diverge") as early:
        rate_checks.after(x[499:1500], x[499:1500, :4])
    assert len(early) == 1
    with pytest.warns(UserWarning, match="may not settle.*κ c") as late:
        rate_checks.after(x[1500:], x[1500:, :4])
    assert len(late) == 1  # and earlier warnings are not repeated
