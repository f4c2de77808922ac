"""The estimators for scikit-learn: its own checks, and what people do with estimators there."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from learners import bits
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from dendrostream.sklearn import DendroClassifier, DendroRegressor
from rate_models.errors import BadOption, UnknownName
from streaming import OnlineLearner

# With the reasons of scikit-learn for what it skips: nothing of ours is exempt.
SKIPPED = {"check_array_api_input": "SCIPY_ARRAY_API is not set: not checking array_api input"}


def checks(estimators: list[Any]) -> list[Any]:
    return [
        pytest.param(one, check, id=f"{type(one).__name__}-{check.func.__name__}-{number}")
        for estimator in estimators
        for number, (one, check) in enumerate(estimator_checks_generator(estimator))
    ]


@pytest.mark.parametrize(("estimator", "check"), checks([DendroClassifier(), DendroRegressor()]))
def test_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    try:
        check(estimator)
    except pytest.skip.Exception as skip:
        assert SKIPPED.get(check.func.__name__) == str(skip)
        raise


@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimator", "check"),
    checks([
        DendroClassifier("backprop", (16, 8), settings={"momentum": 0.5}),
        DendroRegressor("backprop", (16,), epochs=20, bias=False),
    ]),
)  # fmt: skip
def test_checks_with_other_arguments(estimator: Any, check: Any) -> None:
    test_checks_of_scikit_learn(estimator, check)


def test_digits() -> None:
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    for rule in ("drtp", "pepita"):
        model = DendroClassifier(rule, random_state=0).fit(X, y)
        assert model.score(X_test, y_test) > 0.95
        chances = model.predict_proba(X_test)
        np.testing.assert_allclose(chances.sum(1), 1)
        assert np.array_equal(model.classes_[chances.argmax(1)], model.predict(X_test))


def test_diabetes_is_as_good_as_a_linear_model() -> None:
    X, y = load_diabetes(return_X_y=True)
    assert cross_val_score(DendroRegressor(random_state=0), X, y).mean() > 0.35
    two = DendroRegressor(random_state=0).fit(X, np.stack([y, -y], axis=1))
    assert two.predict(X).shape == (len(y), 2)
    assert two.score(X, np.stack([y, -y], axis=1)) > 0.45
    assert TransformedTargetRegressor(DendroRegressor(), func=np.log, inverse_func=np.exp).fit(
        X, y
    ).predict(X).shape == (len(y),)


def test_a_grid_search_over_a_pipeline() -> None:
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    pipeline = make_pipeline(StandardScaler(), DendroClassifier(scale="none", random_state=0))
    grid = {
        "dendroclassifier__rule": ["drtp", "backprop"],
        "dendroclassifier__hidden": [(8,), (32,)],
    }
    search = GridSearchCV(pipeline, grid, cv=3).fit(X, names)
    assert search.best_score_ > 0.9
    assert {*search.predict(X)} == {*names}
    assert set(search.best_params_) == set(grid)


def test_partial_fit_is_the_learner_sample_by_sample() -> None:
    X, y = load_digits(return_X_y=True)
    model = DendroClassifier(random_state=3)
    for start in range(0, 900, 100):
        model.partial_fit(X[start : start + 100], y[start : start + 100], classes=range(10))
    seed = int(np.random.RandomState(3).randint(2**31 - 1))
    learner = OnlineLearner(
        "drtp", (64, 256, 10), seed=seed, bias=True, scale="running", loss="cross_entropy"
    )
    for x, label in zip(X[:900], y[:900], strict=True):
        learner.learn_one(x, label)
    assert bits(model.learner_) == bits(learner)
    assert model.score(X[900:], y[900:]) > 0.8
    again = model.fit(X[:100], y[:100]).learner_  # forgets
    assert again.samples_seen == 10 * 100


def test_labels_of_later_calls_are_checked() -> None:
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="needs classes"):
        DendroClassifier().partial_fit(X, y)
    model = DendroClassifier().partial_fit(X[:10], y[:10], classes=[0, 1])
    before = bits(model.learner_)
    with pytest.raises(ValueError, match=r"got labels \{2\}"):
        model.partial_fit(X, y)
    with pytest.raises(ValueError, match="those of the first call"):
        model.partial_fit(X, y, classes=[0, 1, 2])
    assert bits(model.learner_) == before


def test_columns_of_a_table_are_checked() -> None:
    pytest.importorskip("pandas")
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = DendroClassifier(random_state=0).fit(X, y)
    assert model.feature_names_in_.tolist() == [*X.columns]
    assert model.score(X, y) > 0.9
    with pytest.raises(ValueError, match="feature names"):
        model.predict(X[X.columns[::-1]])
    with pytest.raises(ValueError, match="feature names"):
        model.partial_fit(X.rename(columns=str.upper), y)


def test_copies_predict_the_same(tmp_path: Path) -> None:
    X, y = load_iris(return_X_y=True)
    model = DendroClassifier(random_state=0).fit(X, y)
    joblib.dump(model, tmp_path / "model")
    for other in (
        pickle.loads(pickle.dumps(model)),
        joblib.load(tmp_path / "model"),
        joblib.load(tmp_path / "model", mmap_mode="r"),
        clone(model).fit(X, y),
    ):
        assert np.array_equal(other.predict_proba(X), model.predict_proba(X))
        other.partial_fit(X, y)
    with pytest.raises(NotFittedError):
        clone(model).predict(X)


def test_wrong_arguments_are_named_when_fitting() -> None:
    X, y = load_iris(return_X_y=True)
    with pytest.raises(UnknownName, match="nonesuch"):
        DendroClassifier("nonesuch").fit(X, y)
    with pytest.raises(BadOption, match="epochs: got 0"):
        DendroClassifier(epochs=0).fit(X, y)
    with pytest.raises(BadOption, match="bias of bmvr"):
        DendroClassifier("bmvr").fit(X, y)
    with pytest.raises(BadOption, match="probabilities"):
        DendroClassifier("bmvr", (2,), bias=False).fit(X, y).predict_proba(X)
