"""The task that labels imply: classification, or regression for numbers to predict.

Texts are classes, and numbers with decimals are a regression. Whole numbers can be either. They are
taken for classes unless the chosen loss is the squared error or there are too many different ones:
more than `FEW`, with fewer than `SAMPLES_PER_CLASS` samples each.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import BadOption

TASKS = ("regression", "classification")
FEW = 20
SAMPLES_PER_CLASS = 10


class Task(NamedTuple):
    """name: one of `TASKS`. guess: a line with name and reason; empty if there was no choice."""

    name: str
    guess: str


def task_of(
    what: str, kind: type, different: int, samples: int, task: str | None, loss: str | None
) -> Task:
    """The task of labels of one kind: int (whole numbers), float (some with decimals), bool or str.

    what: name of the labels in messages, e.g. "column 'load'". different: number of different
    values. samples: number of samples. task, loss: the user's choice, or None.
    Raises BadOption for a regression on texts.

    >>> task_of("column 'load'", float, 900, 1000, None, None).guess
    "task: regression (column 'load' has numbers with decimals); --task classification to change"
    >>> task_of("column 'digit'", int, 10, 1000, None, None).name
    'classification'
    """
    if kind is str:
        if task == "regression":
            raise BadOption(
                "--task", got=f"regression, but {what} has texts", expected="numbers to predict",
                remedy="leave --task out, or choose another column",
            )  # fmt: skip
        return Task("classification", "")
    if task is not None or kind is bool:
        return Task(task or "classification", "")
    name, reason = "regression", "numbers with decimals"
    if kind is int:
        reason = f"{different} different whole number{'s'[: different != 1]}"
        many = different > max(FEW, samples / SAMPLES_PER_CLASS)
        if loss == "mse":
            reason += ", loss=mse"
        elif not many:
            name = "classification"
    (other,) = {*TASKS} - {name}
    return Task(name, f"task: {name} ({what} has {reason}); --task {other} to change")


def kind_of(y: NDArray[Any]) -> type:
    """The kind of the labels y (N,), as `task_of` takes it.

    >>> kind_of(np.array([1.0, 2.0])), kind_of(np.array([0.5, 2.0]))
    (<class 'int'>, <class 'float'>)
    """
    if y.dtype.kind == "f":
        whole = np.array_equal(y, np.rint(y)) and np.all(np.abs(y) < 2**53)
        return int if whole else float
    return {"i": int, "u": int, "b": bool}.get(y.dtype.kind, str)
