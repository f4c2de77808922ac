"""Defaults chosen by the rule, the input and the task."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from learners import bits

from rate_models import defaults, rules
from rate_models.errors import BadOption
from rate_models.network import NetworkSpec
from rate_models.support import lookup
from streaming import OnlineLearner
from streaming.learner.following import MEASURED
from streaming.runs import defaults as chosen
from streaming.runs import trouble
from streaming.runs.config import RunConfig
from streaming.runs.divergence import ENOUGH
from streaming.runs.run import Hooks, run
from streaming.scores.metrics import Metrics
from streaming.sources import SOURCES, ArraySource

RULES = rules.names()
WITH_NUMBERS = [r for r in RULES if "mse" in rules.get(r).losses]


def rule(name: str) -> Any:
    return rules.get(name)


def table(n: int = 600, features: int = 6, size: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    return size * rng.normal(size=(n, features)), rng.integers(0, 3, n)


def test_the_formula_by_hand() -> None:
    spec = NetworkSpec((100, 50, 10))
    found = defaults.options(rule("backprop"), spec, labels=True, power=0.5)
    assert found == {"lr": float(f"{2 / (0.5 * 150):.1e}")}
    numbers = NetworkSpec((100, 50, 10), loss="mse")
    more = (1 + np.sqrt(10 / 50)) ** 2
    found = defaults.options(rule("backprop"), numbers, labels=False, power=0.5, momentum=0.9)
    assert found == {"lr": float(f"{0.1 * 0.3 / (0.5 * 150 * more):.1e}")}
    noisy = defaults.options(rule("reinforce"), numbers, labels=False, power=0.5)
    assert noisy == {"lr": float(f"{0.3 / (0.5 * 150 * more**1.75):.1e}")}


def test_a_choice_of_an_option_can_take_a_lower_rate() -> None:
    spec, form = NetworkSpec((64, 256, 10)), dict[str, Any](form="time_local")
    usual, slow = (defaults.options(rule("pepita"), spec, True, 1.0, 0.0, g) for g in ({}, form))
    assert slow["lr"] == pytest.approx(0.02 * usual["lr"], rel=0.05)
    assert OnlineLearner(sizes=spec.sizes, scale="running", **form).lr == slow["lr"]
    config = RunConfig.checked(settings=form)
    asked, source = config, config.open()
    config = config.resolved(source)
    assert config.lr == pytest.approx(0.02 * (RunConfig().resolved(source).lr or 0), rel=0.05)
    assert "(0.02 x pepita's 7.5" in chosen.line(asked, config, source)


@pytest.mark.parametrize("name", RULES)
def test_a_rate_without_a_unit(name: str) -> None:
    """Inputs scaled by 2 give the layers that they feed a rate scaled by 1/4."""
    definition = rule(name)
    for loss in definition.losses:
        spec = NetworkSpec((40, 30, 5), loss=loss)
        for labels in {True, loss != "mse"}:
            one, four = (defaults.options(definition, spec, labels, p) for p in (1.0, 4.0))
            first = {k: v["lr"] * v.get("eta_hidden", 1) for k, v in (("1", one), ("4", four))}
            assert first["1"] / first["4"] == pytest.approx(4, rel=0.12)


@pytest.mark.parametrize("power", [0.0, 1e-300, 1e300, float("inf")])
def test_extreme_inputs_have_a_finite_rate(power: float) -> None:
    for name in RULES:
        definition = rule(name)
        spec = NetworkSpec((40, 30, 5), loss=definition.loss)
        assert 0 < defaults.options(definition, spec, True, power)["lr"] < 1e30


def test_the_rate_follows_the_first_samples_and_then_stays() -> None:
    X, y = table(size=3.0)
    learner = OnlineLearner("backprop", (6, 8, 3))
    for x, label in zip(X, y, strict=True):
        learner.learn_one(x, label)
        seen = min(learner.samples_seen, MEASURED)
        power = (X[:seen] ** 2).mean(axis=1).mean()
        want = defaults.options(rule("backprop"), learner.network.spec, True, power)
        assert learner.lr == want["lr"]
    late = learner.lr
    learner.learn_many(100 * X[:5], y[:5])
    assert learner.lr == late


@pytest.mark.parametrize("options", [{}, {"scale": "range", "maximum": 4.0}, {"momentum": 0.5}])
@pytest.mark.parametrize("name", ["pepita", "forward_forward"])
def test_chunks_and_checkpoints_change_nothing(
    name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    X, y = table()
    whole = OnlineLearner(name, (6, 8, 3), **options)
    whole.learn_many(X, y)
    for sizes in ([1] * 20, [7, 300], [MEASURED - 1, 1, 1], [MEASURED + 1]):
        parts, at = OnlineLearner(name, (6, 8, 3), **options), 0
        for n in [*sizes, len(y)]:
            parts.learn_many(X[at : at + n], y[at : at + n])
            parts.save(tmp_path / "c")
            parts, at = OnlineLearner.load(tmp_path / "c"), at + n
        assert bits(parts) == bits(whole)
        assert parts.lr == whole.lr


def test_predictions_and_bad_samples_do_not_count() -> None:
    X, y = table()
    a, b = (OnlineLearner("backprop", (6, 8, 3), on_bad="skip") for _ in range(2))
    a.predict_many(50 * X)
    a.score_many(50 * X, y)
    bad = X.copy()
    bad[::2] = np.nan
    a.learn_many(bad, y)
    b.learn_many(X[1::2], y[1::2])
    assert a.lr == b.lr


def test_a_given_rate_is_constant_and_ends_the_adaptation() -> None:
    X, y = table(size=9.0)
    given = OnlineLearner("pepita", (6, 8, 3), lr=0.03)
    given.learn_many(X[:10], y[:10])
    assert given.lr == 0.03
    changed = OnlineLearner("pepita", (6, 8, 3))
    changed.learn_many(X[:10], y[:10])
    changed.set(lr=0.01)
    changed.learn_many(X[10:], y[10:])
    assert changed.lr == 0.01
    kept = OnlineLearner("forward_forward", (6, 8, 3), eta_hidden=0.5)
    kept.learn_many(X[:10], y[:10])
    assert kept.network.options["eta_hidden"] == 0.5


def test_scaled_inputs_need_no_measuring() -> None:
    learner = OnlineLearner("backprop", (6, 8, 3), scale="running")
    want = defaults.options(rule("backprop"), learner.network.spec, True, 1.0)["lr"]
    assert learner.lr == want
    learner.learn_many(*table(size=100.0))
    assert learner.lr == want


def test_a_run_prints_and_stores_its_defaults(tmp_path: Path) -> None:
    lines: list[str] = []
    options = {"source": "synthetic:samples=300", "hidden": (8,), "rule": "drtp"}
    run(RunConfig.checked(**options), tmp_path / "a", Hooks(notify=lines.append, draw=False))
    (line,) = [text for text in lines if text.startswith("chosen: ")]
    config = RunConfig.read(tmp_path / "a" / "config.json")
    assert f"lr {config.lr:g} (drtp's 4 over" in line and "activation tanh" in line
    assert config.settings["activation"] == "tanh"
    assert config.settings["loss"] == "binary_cross_entropy"
    lines.clear()
    given = {"lr": 0.01, "scale": "none", "settings": {"activation": "relu", "loss": "mse"}}
    given |= {"rule": "backprop"}
    run(
        RunConfig.checked(**options | given), tmp_path / "b", Hooks(notify=lines.append, draw=False)
    )
    assert not [text for text in lines if "chosen" in text]


def test_a_run_measures_its_source_before_it_learns() -> None:
    X, y = table(size=5.0)
    config = RunConfig.checked(rule="backprop", hidden=(8,))
    for scale, maximum, power in (("none", 1.0, 25), ("range", 10.0, 0.25), ("running", 1.0, 1)):
        source = ArraySource(X, y, scale=scale, maximum=maximum)
        found = config.resolved(source)
        want = 2 / (power * defaults.FEWEST)
        assert found.lr == pytest.approx(want, rel=0.1)
        assert config.resolved(source).lr == found.lr
        assert config.resolved(ArraySource(X, y, scale=scale, maximum=maximum, seed=9)) == found


def test_the_rule_decides_the_scaling_of_features_of_one_kind() -> None:
    X, y = table()
    for own, want in (("range", "global"), ("none", "global"), ("running", "running")):
        source = ArraySource(X, y, scale=own)
        assert RunConfig.checked(rule="bmvr").resolved(source).scale == want
        assert RunConfig.checked(rule="pepita").resolved(source).scale == own
        assert RunConfig.checked(rule="bmvr", scale="none").resolved(source).scale == "none"


def test_cifar_is_centred() -> None:
    for name in ("cifar10", "cifar100"):
        text = Path(lookup.module(SOURCES, name).__file__ or "").read_text()
        assert 'scale="global"' in text


@pytest.mark.parametrize("name", sorted(set(RULES) - set(WITH_NUMBERS)))
def test_a_rule_without_squared_error_is_refused_at_the_start(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=f"loss of {name}: got numbers.*expected labels.*backprop"):
        run(RunConfig.checked(rule=name, target="input"), tmp_path / "r")
    assert not (tmp_path / "r").exists()


def regression(n: int = 1500) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 12))
    y = X @ rng.normal(size=12) + np.abs(X[:, 0]) + 0.5 * rng.normal(size=n)
    return X, (y - y.mean()) / y.std()


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("source", ["digits", "synthetic:samples=3000"])
def test_every_rule_learns_labels(name: str, source: str, tmp_path: Path) -> None:
    epochs = 2 if source == "digits" else 1
    config = RunConfig.checked(rule=name, source=source, hidden=(32,), epochs=epochs)
    summary = run(config, tmp_path / "r", Hooks(draw=False))
    chance = 1 / len(summary["classes"])
    assert summary["test_accuracy"] > 2 * chance


@pytest.mark.parametrize("name", WITH_NUMBERS)
def test_every_rule_learns_numbers(name: str, tmp_path: Path) -> None:
    X, y = regression()
    config = RunConfig.checked(rule=name, hidden=(32,), epochs=2, settings={"loss": "mse"})
    source = ArraySource(X, y)
    learner = config.resolved(source).learner(source)
    for epoch in range(2):
        for part in source.chunks(epoch):
            learner.learn_many(*part)
    x, target = source.test_arrays()
    error = learner.predict_many(x)[:, 0] - target
    assert np.mean(error**2) < 0.8 * target.var()


@pytest.mark.parametrize("name", WITH_NUMBERS)
def test_every_rule_learns_its_input(name: str, tmp_path: Path) -> None:
    config = RunConfig.checked(rule=name, target="input", hidden=(32,))
    source = config.open()
    config = config.resolved(source)
    learner = config.learner(source)
    for epoch in range(config.epochs or 0):
        for part in source.chunks(epoch):
            learner.learn_many(*part)
    x, target = (np.concatenate(part) for part in zip(*source.test() or (), strict=True))
    error = learner.predict_many(x) - target
    assert np.mean(error**2) < np.mean((target - target.mean(axis=0)) ** 2)


def test_a_loss_that_rises_is_warned_of_once() -> None:
    assert not trouble.rises([1.0] * 8 + [9.0])
    assert trouble.rises([*[1.0] * 6, 1.5, 1.6, 1.7])
    assert not trouble.rises([2.0, 1.5, 1.0, 0.8, 0.7, 0.6, 0.5, 0.5, 0.5])
    signs, metrics = trouble.Trouble(OnlineLearner(sizes=(4, 3, 2))), Metrics(2)
    X = np.zeros((ENOUGH, 4))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for line in range(12):
            metrics.update([0] * 500, [0] * 500, [0.1 * line] * 500)
            signs.look(metrics, X)
    (one,) = caught
    assert str(one.message).startswith("the loss rises over the run: 0.0667 at its start, 0.75 now")


def test_silent_units_are_warned_of_once(tmp_path: Path) -> None:
    config = RunConfig.checked(source="synthetic:samples=3000", rule="backprop", hidden=(4,))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        source = config.open()
        config = config.resolved(source)
        learner = config.learner(source)
        signs = trouble.Trouble(learner)
        X, y = next(source.chunks(0, size=600))
        metrics = Metrics(4)
        learner.load_parameters({"W": [-100 * np.ones((4, 20)), np.zeros((4, 4))]})
        for _ in range(3):
            metrics.update(*learner.learn_scored(np.abs(X), y))
            signs.look(metrics, np.abs(X))
    assert [str(one.message).partition(":")[0] for one in caught] == ["hidden layer 1"]


def test_the_intervals_between_checks_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    """So their cost is negligible in a long run."""
    learner, metrics, looks, seen = OnlineLearner(sizes=(4, 3, 2)), Metrics(2), list[int](), [0]

    def weights(learner: OnlineLearner) -> tuple[int, ...]:
        looks.append(seen[0])
        return (seen[0],)

    monkeypatch.setattr(OnlineLearner, "samples_seen", property(lambda self: seen[0]))
    monkeypatch.setattr(trouble, "_hidden_weights", weights)
    signs = trouble.Trouble(learner)
    for seen[0] in range(500, 300_001, 500):
        signs.look(metrics, np.zeros((ENOUGH, 4)))
    assert looks[:5] == [0, 500, 1500, 3500, 7500]
    assert np.diff(looks[-4:]).tolist() == 3 * [trouble.LONGEST]


def test_weights_that_do_not_change_are_warned_of(tmp_path: Path) -> None:
    options = {"source": "synthetic:samples=2500", "rule": "feedback_alignment", "hidden": (8,)}
    with pytest.warns(UserWarning, match="hidden weights have not changed"):
        run(RunConfig.checked(**options, lr=1e-30), tmp_path / "a", Hooks(draw=False))
    control = RunConfig.checked(**options, settings={"feedback_scale": 0.0})
    run(control, tmp_path / "b", Hooks(draw=False))  # requested: a warning would be an error
