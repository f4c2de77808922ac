"""Estimators for river: `Classifier` and `Regressor`, on an `OnlineLearner`.

They need the extra: ``pip install "dendrostream[river]"``. They pass river's own checks
(``river.checks.yield_checks``) and work wherever river's estimators do: in pipelines, in
``progressive_val_score``, with ``clone``, ``deepcopy`` and pickle. Batches (``learn_many``) are
learned sample by sample in compiled code, with the same result as ``learn_one`` in a loop.

Classes and features are discovered from the stream: the network grows when a label or a feature
appears, see `streaming.learner.implementation`. Features that are new at the same time are in
alphabetical order. A feature that a sample lacks is 0, as in river's linear models.

>>> from river import metrics, preprocessing, datasets, evaluate
>>> model = preprocessing.StandardScaler() | Classifier(seed=0)
>>> score = evaluate.progressive_val_score(datasets.Phishing(), model, metrics.Accuracy())
>>> score.get() > 0.87
True
"""

from __future__ import annotations

import gc
import sys
from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numba.core.dispatcher import Dispatcher

from rate_models import rules
from rate_models.errors import BadOption
from rate_models.rules import Rule
from rate_models.support.extras import import_extra
from streaming.learner.learner import OnlineLearner

import_extra("river", "river", "dendrostream.river")
from river import base  # noqa: E402

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Classifier", "Regressor"]
Features = Mapping[Hashable, Any]


class _Face:
    """What both estimators share: the learner, made with the first sample by their arguments."""

    rule: str | Rule
    hidden: Sequence[int]
    lr: float | None
    bias: bool
    seed: int
    scale: str
    settings: Mapping[str, Any] | None
    _outputs: int  # at the beginning
    _learner: OnlineLearner | None = None

    @property
    def learner(self) -> OnlineLearner | None:
        """The learner; None before the first sample."""
        return self._learner

    def _begun(self, n_features: int) -> OnlineLearner:
        """The learner, made for so many features if there is none yet."""
        if self._learner is None:
            self._learner = OnlineLearner(
                self.rule, (max(n_features, 1), *self.hidden, self._outputs), lr=self.lr,
                seed=self.seed,
                bias=self.bias, scale=self.scale, features="grow", missing="zero", **self._task(),
                **dict(self.settings or {}),
            )  # fmt: skip
        return self._learner

    @abstractmethod
    def _task(self) -> dict[str, Any]:
        """The arguments of the learner that say what is predicted."""

    @property
    def _raw_memory_usage(self) -> int:
        """Bytes of the estimator and all that it refers to, without compiled code.

        River's own walk goes on into the compiler, which all estimators share, and fails there.
        """
        shared = (type, ModuleType, FunctionType, BuiltinFunctionType, Dispatcher, Rule)
        seen, size, waiting = set[int](), 0, [self]
        while waiting:
            fresh = {id(o): o for o in waiting if id(o) not in seen and not isinstance(o, shared)}
            seen.update(fresh)
            size += sum(sys.getsizeof(o) + _data_bytes(o) for o in fresh.values())
            waiting = gc.get_referents(*fresh.values())
        return size

    def learn_one(self, x: Features, y: Any) -> None:
        """Learn from the features x and the target y. Raises BadSample, BadOption and Diverged."""
        self._begun(len(x)).learn_one(x, y)

    def learn_many(self, X: pd.DataFrame, y: pd.Series) -> None:
        """Learn from the rows of X in order: the same as `learn_one` of each."""
        self._begun(X.shape[1]).learn_many(_named(X), y)


class Classifier(_Face, base.MiniBatchClassifier):
    """A classifier for any number of classes, which learns by one of the rules of dendrostream.

    rule: a name, see ``dendrostream rules``, or a `Rule`. hidden: sizes of the hidden layers.
    lr: learning rate; None: what suits rule, network and input. bias: whether units have biases
    (bmvr has none). seed: of all random numbers. scale: scaling of the features; "running" does
    what StandardScaler of river does.
    settings: further arguments of `OnlineLearner`, such as ``{"momentum": 0.9}``.
    The default rule, drtp, sends no error back through the network, and scores as backpropagation
    does in a single pass over river's streams; docs/libraries.md has a table.
    """

    _outputs = 2

    def __init__(
        self,
        rule: str | Rule = "drtp",
        hidden: Sequence[int] = (64,),
        lr: float | None = None,
        bias: bool = True,
        seed: int = 0,
        scale: str = "none",
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.rule, self.hidden, self.lr, self.bias = rule, hidden, lr, bias
        self.seed, self.scale, self.settings = seed, scale, settings

    @property
    def _multiclass(self) -> bool:
        return True

    def _task(self) -> dict[str, Any]:
        losses = rules.get(self.rule).losses
        loss = {"loss": "cross_entropy"} if "cross_entropy" in losses else {}  # probabilities
        return {"classes": "grow", **loss}

    def predict_one(self, x: Features, **kwargs: Any) -> Any:
        """The predicted label; None before the first sample."""
        return None if self._learner is None else self._learner.predict_one(x)

    def predict_proba_one(self, x: Features, **kwargs: Any) -> dict[Any, float]:
        """{label: probability} of all labels so far.

        Raises NotImplementedError if the outputs are not probabilities, e.g. with bmvr.
        """
        if self._learner is None:
            return {}
        try:
            return self._learner.predict_proba_one(x)
        except BadOption as error:
            raise NotImplementedError(str(error)) from None

    def predict_many(self, X: pd.DataFrame) -> pd.Series:
        """The predicted labels of the rows of X."""
        import pandas as pd

        if self._learner is None:
            return pd.Series([None] * len(X), X.index, object)
        return pd.Series(self._learner.predict_many(_named(X)), X.index)

    def predict_proba_many(self, X: pd.DataFrame) -> pd.DataFrame:
        """The probabilities of the rows of X, with a column for every label so far."""
        import pandas as pd

        if self._learner is None:
            return pd.DataFrame(index=X.index)
        try:
            chances = self._learner.predict_proba_many(_named(X))
        except BadOption as error:
            raise NotImplementedError(str(error)) from None
        return pd.DataFrame(chances, X.index, self._learner.classes)


class Regressor(_Face, base.MiniBatchRegressor):
    """A regressor of one number, which learns by one of the rules of dendrostream.

    Targets are scaled by running estimates of their mean and spread. The arguments are those of
    `Classifier`.
    """

    _outputs = 1

    def __init__(
        self,
        rule: str | Rule = "pepita",
        hidden: Sequence[int] = (64,),
        lr: float | None = None,
        bias: bool = True,
        seed: int = 0,
        scale: str = "none",
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.rule, self.hidden, self.lr, self.bias = rule, hidden, lr, bias
        self.seed, self.scale, self.settings = seed, scale, settings

    def _task(self) -> dict[str, Any]:
        return {"task": "regression"}

    def predict_one(self, x: Features) -> float:
        """The predicted number; 0 before the first sample."""
        return 0.0 if self._learner is None else float(self._learner.predict_one(x)[0])

    def predict_many(self, X: pd.DataFrame) -> pd.Series:
        """The predicted numbers of the rows of X."""
        import pandas as pd

        if self._learner is None:
            return pd.Series(np.zeros(len(X)), X.index)
        return pd.Series(self._learner.predict_many(_named(X))[:, 0], X.index)


def _data_bytes(thing: object) -> int:
    """Bytes of an array that views the memory of another object; getsizeof has an array's own."""
    return thing.nbytes if isinstance(thing, np.ndarray) and not thing.flags.owndata else 0


def _named(X: pd.DataFrame) -> pd.DataFrame:
    """X with columns that are names, also where pandas has numbered them."""
    return X.set_axis([*X.columns], axis=1)
