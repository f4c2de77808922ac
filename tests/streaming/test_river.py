"""The estimators for river: its own checks, and what people do with estimators there."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

pytest.importorskip("river")

import pandas as pd
from learners import bits
from river import checks, compose, datasets, evaluate, metrics, preprocessing, stream

from dendrostream.river import Classifier, Regressor
from rate_models.errors import BadSample

SLOW = ("check_bounded_memory_growth",)


def named(models: list[Any], slow: bool) -> list[Any]:
    return [
        pytest.param(model, check, id=f"{type(model).__name__}-{check.__name__}-{number}")
        for model in models
        for number, check in enumerate(checks.yield_checks(model))
        if (check.__name__ in SLOW) == slow
    ]


MODELS = [Classifier(), Regressor()]


@pytest.mark.parametrize(("model", "check"), named(MODELS, slow=False))
def test_checks_of_river(model: Any, check: Any) -> None:
    check(model.clone())


@pytest.mark.slow
@pytest.mark.parametrize(("model", "check"), named(MODELS, slow=True))
def test_slow_checks_of_river(model: Any, check: Any) -> None:
    check(model.clone())


@pytest.mark.slow
@pytest.mark.parametrize(
    "model", [Classifier("pepita", (8, 8)), Regressor("backprop", scale="running")]
)
def test_all_checks_with_other_arguments(model: Any) -> None:
    assert not model._unit_test_skips()
    checks.check_estimator(model)


def test_phishing_with_defaults() -> None:
    for seed in range(3):
        model = preprocessing.StandardScaler() | Classifier(seed=seed)
        score = evaluate.progressive_val_score(datasets.Phishing(), model, metrics.Accuracy())
        assert score.get() >= 0.87


def test_memory_usage_is_that_of_the_estimator() -> None:
    """Without the compiler, which has references to modules that are gone."""
    model = Classifier(hidden=(32,))
    before = model._raw_memory_usage
    model.learn_one({"a": 1.0, "b": 2.0}, True)
    weights = 8 * (2 * 32 + 32 * 2)
    assert before < weights < model._raw_memory_usage < 100_000


def test_a_pipeline_of_regression_beats_the_mean() -> None:
    def mae(model: Any) -> float:
        return evaluate.progressive_val_score(datasets.TrumpApproval(), model, metrics.MAE()).get()

    from river import dummy, stats

    mine = mae(preprocessing.StandardScaler() | Regressor())
    assert mine < 0.5 * mae(dummy.StatisticRegressor(stats.Mean()))


def test_the_running_scaling_is_that_of_river() -> None:
    def score(model: Any) -> float:
        return evaluate.progressive_val_score(datasets.Phishing(), model, metrics.Accuracy()).get()

    # river scales a sample that is predicted by the moments of those before it, as we do
    assert (
        abs(
            score(Classifier(scale="running"))
            - score(preprocessing.StandardScaler() | Classifier())
        )
        < 0.01
    )


def test_classes_and_features_are_discovered() -> None:
    model = Classifier()
    assert model.predict_one({"a": 1.0}) is None and model.predict_proba_one({"a": 1.0}) == {}
    model.learn_one({"a": 1.0}, "x")
    model.learn_one({"b": 1.0, "a": 0.0, "c": 1}, "y")
    model.learn_one({}, True)
    assert model.learner is not None
    assert model.learner.classes == ("x", "y", True)
    assert model.learner.features == ("a", "b", "c")
    assert {*model.predict_proba_one({"d": 1.0})} == {"x", "y", True}


def test_copies_go_on_as_the_original(tmp_path: Any) -> None:
    samples = list(datasets.ImageSegments().take(400))
    model = Classifier(scale="running")
    for x, y in samples[:200]:
        model.learn_one(x, y)
    others = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    for one in (model, *others):
        for x, y in samples[200:]:
            one.learn_one(x, y)
    for other in others:
        assert bits(other.learner) == bits(model.learner)
        assert other.predict_proba_one(samples[0][0]) == model.predict_proba_one(samples[0][0])
    fresh = model.clone()
    assert fresh.learner is None and fresh._get_params() == model._get_params()


def test_batches_are_the_loop_to_the_bit() -> None:
    samples = list(datasets.ImageSegments().take(300))
    one, many = Classifier(), Classifier()
    for x, y in samples:
        one.learn_one(x, y)
    X = pd.DataFrame([x for x, _ in samples])
    many.learn_many(X, pd.Series([y for _, y in samples]))
    assert bits(one.learner) == bits(many.learner)
    assert many.predict_many(X).tolist() == [one.predict_one(x) for x, _ in samples]
    numbered = Classifier()
    numbered.learn_many(pd.DataFrame(X.to_numpy()), pd.Series([y for _, y in samples]))
    assert numbered.learner is not None and numbered.learner.features == tuple(
        range(len(X.columns))
    )


def test_rules_without_probabilities_still_predict() -> None:
    model = preprocessing.StandardScaler() | Classifier("bmvr", bias=False)
    score = evaluate.progressive_val_score(datasets.Phishing().take(300), model, metrics.Accuracy())
    assert score.get() > 0.7
    with pytest.raises(NotImplementedError, match="probabilities"):
        model.predict_proba_one({"https": 1.0})
    with pytest.raises(NotImplementedError, match="probabilities"):
        model["Classifier"].predict_proba_many(pd.DataFrame({"https": [1.0]}))


def test_texts_need_an_encoder_and_say_so() -> None:
    with pytest.raises(BadSample, match="feature 'color': got 'red'"):
        Classifier().learn_one({"color": "red"}, 1)
    model = (compose.SelectType(str) | preprocessing.OneHotEncoder()) + compose.SelectType(
        float
    ) | Classifier(lr=0.1)
    for t in range(200):
        model.learn_one({"color": "red" if t % 3 else "blue", "size": 1.0}, bool(t % 3))
    assert model.predict_one({"color": "blue", "size": 1.0}) is False
    assert model.predict_one({"color": "red", "size": 1.0}) is True


def test_arrays_of_scikit_learn_stream_through() -> None:
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    model = preprocessing.StandardScaler() | Classifier()
    score = evaluate.progressive_val_score(stream.iter_array(X, y), model, metrics.Accuracy())
    assert score.get() > 0.8
    assert np.isfinite(model["Classifier"].learner.parameters()["W"][0]).all()
