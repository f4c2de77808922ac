"""The schema of a live stream, from its first messages and the user's options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rate_models.errors import BadOption
from streaming.live.messages import RESERVED
from streaming.live.schema import Schema
from streaming.live.source import AllOptions
from streaming.samples.task import task_of

PEEK = 1000  # samples from which the classes are inferred
SECONDS = 2.0  # how long after the first sample others are waited for


def classes_of(where: str, labels: Sequence[Any], options: AllOptions) -> tuple[Any, ...] | None:
    """The classes among the labels of the first messages, sorted; None for numbers to predict.

    Raises BadOption if there are none, or of different kinds.
    """
    if options.task == "regression":
        return None
    if options.labels or options.classes == "grow":
        return options.labels or ()
    if not labels:
        raise BadOption(
            where, got="no label among the first samples", expected="the labels that can come",
            remedy="name them: --labels a,b, let them appear: --classes grow, or predict numbers: "
            "--task regression",
        )  # fmt: skip
    kind = _kind(where, labels)
    different = set(labels)
    task = task_of(f"label of {where}", kind, len(different), len(labels), options.task,
                   options.loss)  # fmt: skip
    if task.name == "regression":
        return None
    if kind is float:
        raise BadOption(where, got="classification of numbers with decimals",
                        expected="whole numbers or texts as labels")  # fmt: skip
    return tuple(sorted(int(v) for v in different) if kind is int else sorted(different))


def samples_needed(options: AllOptions) -> int:
    """The number of first samples that tell the features and, unless options do, the classes."""
    known = options.labels or options.classes == "grow" or options.task == "regression"
    return 1 if known else PEEK


def schema_of(where: str, first: Sequence[dict[str, Any]], options: AllOptions) -> Schema:
    """The schema of messages in JSON, from the first ones; see `streaming.live.messages`."""
    sample = next((one for one in first if set(one) - {"label", "key", "time", "seq"}), None)
    if sample is None:
        raise BadOption(where, got="no sample among the first messages", expected="features")
    names: tuple[str, ...] = ()
    if "x" not in sample:
        names = tuple(name for name in sample if name not in (*RESERVED, *options.drop))
    n = len(names) or (len(sample["x"]) if isinstance(sample["x"], list) else 0)
    if not n:
        raise BadOption(where, got="a sample without features", expected="x, a list of numbers")
    labels = [one["label"] for one in first if one.get("label") is not None]
    return Schema(n, classes_of(where, labels, options), names)


def _kind(where: str, labels: Sequence[Any]) -> type:
    kinds = {bool if isinstance(v, bool) else type(v) for v in labels}
    if kinds == {int, float}:
        kinds = {float}
    if kinds == {float} and all(float(v).is_integer() for v in labels):
        kinds = {int}
    if len(kinds) != 1 or not kinds <= {bool, int, float, str}:
        shown = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise BadOption(where, got=f"labels of the types {shown}", expected="labels of one type",
                        remedy="name them: --labels a,b")  # fmt: skip
    return kinds.pop()
