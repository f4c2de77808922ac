"""Estimators for scikit-learn: `DendroClassifier` and `DendroRegressor`, on an `OnlineLearner`.

They pass scikit-learn's own checks (``sklearn.utils.estimator_checks.check_estimator``) and work in
its pipelines, in ``GridSearchCV``, with ``clone`` and pickle. ``fit`` streams the samples in a new
random order in every epoch; ``partial_fit`` learns the given rows once, in their order. Both learn
sample by sample in compiled code.

>>> from sklearn.datasets import load_digits
>>> from sklearn.model_selection import train_test_split
>>> X, y = load_digits(return_X_y=True)
>>> X, X_test, y, y_test = train_test_split(X, y, random_state=0)
>>> DendroClassifier(epochs=5, random_state=0).fit(X, y).score(X_test, y_test) > 0.95
True
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import sklearn
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets, unique_labels

from rate_models import rules
from rate_models.errors import BadOption, MissingExtra
from rate_models.rules import Rule
from streaming.learner.learner import OnlineLearner

try:
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as problem:
    raise MissingExtra(
        "dendrostream.sklearn",
        got=f"scikit-learn {sklearn.__version__}",
        expected="1.6 or later",
        remedy='pip install "dendrostream[sklearn]"',
    ) from problem

__all__ = ["DendroClassifier", "DendroRegressor"]
Array = NDArray[Any]


class _Face(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What both estimators share: fitting, with the learner that their arguments describe."""

    rule: str | Rule
    hidden: Sequence[int]
    lr: float | None
    epochs: int
    bias: bool
    scale: str
    random_state: Any
    settings: Mapping[str, Any] | None

    def _learner(self, n_outputs: int, **task: Any) -> tuple[OnlineLearner, np.random.RandomState]:
        """A new learner, and the generator of the order of the samples."""
        rng = check_random_state(self.random_state)
        learner = OnlineLearner(
            self.rule, (self.n_features_in_, *self.hidden, n_outputs), lr=self.lr,
            seed=int(rng.randint(2**31 - 1)), bias=self.bias, scale=self.scale,
            **{**task, **(self.settings or {})},
        )  # fmt: skip
        return learner, rng

    def _stream(self, X: Array, y: Array, learner: OnlineLearner, rng: Any) -> None:
        """Learn the samples ``epochs`` times, each time in another order."""
        if not isinstance(self.epochs, int | np.integer) or self.epochs < 1:
            raise BadOption("epochs", got=repr(self.epochs), expected="a whole number from 1 on")
        for _ in range(self.epochs):
            order = rng.permutation(len(X))
            learner.learn_many(X[order], y[order])
        self.learner_, self.n_iter_ = learner, self.epochs

    def _rows(self, X: Any) -> Array:
        """Checked rows for a prediction."""
        check_is_fitted(self)
        rows: Array = validate_data(self, X, reset=False, dtype=np.float64)
        return rows

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "learner_")


class DendroClassifier(ClassifierMixin, _Face):  # type: ignore[misc]
    """A classifier that learns online, by one of the rules of dendrostream.

    rule: a name, see ``dendrostream rules``, or a `Rule`. hidden: sizes of the hidden layers.
    lr: learning rate; None: what suits rule, network and input. epochs: passes of ``fit`` over the
    samples. bias: whether units have biases (bmvr has none). scale: scaling of the features, see
    `streaming.samples.scaling`; "running" needs no scaler before it. random_state: seed of weights
    and of the order of samples. settings: further arguments of `OnlineLearner`, such as
    ``{"momentum": 0.9}``.

    Attributes: ``classes_``, the labels in order; ``learner_``, the `OnlineLearner`;
    ``n_features_in_`` and ``feature_names_in_``.
    """

    def __init__(
        self,
        rule: str | Rule = "drtp",
        hidden: Sequence[int] = (256,),
        lr: float | None = None,
        epochs: int = 10,
        bias: bool = True,
        scale: str = "running",
        random_state: Any = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.rule = rule
        self.hidden = hidden
        self.lr = lr
        self.epochs = epochs
        self.bias = bias
        self.scale = scale
        self.random_state = random_state
        self.settings = settings

    def fit(self, X: Any, y: Any) -> Self:
        """Forget what was learned, and learn the samples X (N, n) with labels y (N,)."""
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        self._stream(X, codes, *self._begin())
        return self

    def partial_fit(self, X: Any, y: Any, classes: ArrayLike | None = None) -> Self:
        """Learn the samples once, in their order, on top of what was learned before.

        classes: all labels that may ever occur; needed in the first call.
        """
        first = not hasattr(self, "learner_")
        X, y = validate_data(self, X, y, reset=first, dtype=np.float64)
        check_classification_targets(y)
        if first:
            if classes is None:
                raise ValueError("partial_fit: the first call needs classes, all possible labels")
            self.classes_ = unique_labels(classes)
            self.learner_, _ = self._begin()
        elif classes is not None and not np.array_equal(unique_labels(classes), self.classes_):
            raise ValueError(
                f"partial_fit: got classes {classes!r}; expected those of the first call: "
                f"{self.classes_!r}"
            )
        if odd := {*y.tolist()} - {*self.classes_.tolist()}:
            raise ValueError(f"partial_fit: got labels {odd}; expected some of {self.classes_!r}")
        self.learner_.learn_many(X, np.searchsorted(self.classes_, y))
        return self

    def _begin(self) -> tuple[OnlineLearner, np.random.RandomState]:
        losses = rules.get(self.rule).losses
        loss = {"loss": "cross_entropy"} if "cross_entropy" in losses else {}  # probabilities
        classes = range(len(self.classes_))
        return self._learner(len(self.classes_), classes=classes, **loss)

    def predict(self, X: Any) -> Array:
        """The predicted labels (N,) of the rows of X."""
        rows = self._rows(X)
        labels: Array = self.classes_[self.learner_.predict_many(rows)]
        return labels

    def predict_proba(self, X: Any) -> Array:
        """Probabilities (N, classes), in the order of ``classes_``.

        Raises BadOption if the outputs are not probabilities, e.g. with the rule bmvr.
        """
        rows = self._rows(X)
        return self.learner_.predict_proba_many(rows)


class DendroRegressor(RegressorMixin, _Face):  # type: ignore[misc]
    """A regressor of one or more numbers that learns online, by one of the rules of dendrostream.

    Targets are scaled by running estimates of their mean and spread. The arguments are those of
    `DendroClassifier`. Attributes: ``learner_``, the `OnlineLearner`; ``n_features_in_`` and
    ``feature_names_in_``.
    """

    def __init__(
        self,
        rule: str | Rule = "pepita",
        hidden: Sequence[int] = (256,),
        lr: float | None = None,
        epochs: int = 10,
        bias: bool = True,
        scale: str = "running",
        random_state: Any = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.rule = rule
        self.hidden = hidden
        self.lr = lr
        self.epochs = epochs
        self.bias = bias
        self.scale = scale
        self.random_state = random_state
        self.settings = settings

    def fit(self, X: Any, y: Any) -> Self:
        """Forget what was learned, and learn X (N, n) with the targets y, (N,) or (N, m)."""
        X, y = self._checked(X, y, True)
        self._stream(X, y, *self._begin(y))
        return self

    def partial_fit(self, X: Any, y: Any) -> Self:
        """Learn the samples once, in their order, on top of what was learned before."""
        first = not hasattr(self, "learner_")
        X, y = self._checked(X, y, first)
        if first:
            self.learner_, _ = self._begin(y)
        self.learner_.learn_many(X, y)
        return self

    def _checked(self, X: Any, y: Any, first: bool) -> tuple[Array, Array]:
        X, y = validate_data(
            self, X, y, reset=first, dtype=np.float64, multi_output=True, y_numeric=True
        )
        if first:
            self._vectors = y.ndim == 2
        return X, y.reshape(len(y), -1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _begin(self, y: Array) -> tuple[OnlineLearner, np.random.RandomState]:
        return self._learner(y.shape[1], task="regression")

    def predict(self, X: Any) -> Array:
        """The predicted targets of the rows of X, in the shape of y."""
        rows = self._rows(X)
        predicted = self.learner_.predict_many(rows)
        return predicted if self._vectors else predicted[:, 0]
