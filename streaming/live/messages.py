"""Messages in JSON as samples and late labels.

A sample is ``{"x": [0.1, 0.2], "label": "a"}``, or names its features: ``{"speed": 0.1, "load":
0.2, "label": "a"}``. These fields are optional: ``label``, ``key`` (a text or a whole number that a
late label refers to), ``time`` (seconds), ``seq`` (a sequence number). A message with a label but
without features is a late label: ``{"key": 7, "label": "a"}`` or ``{"time": 1.5, "label": "a"}``.
"""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streaming.live.batch import Key, LateLabel
from streaming.live.schema import Malformed, Schema

RESERVED = ("x", "label", "key", "time", "seq")


class Message(NamedTuple):
    """A message: x (n_features,) or None for a late label; label: as `Schema.label` gives it.

    seq: the sequence number, -1 without one. time: NaN without one.
    """

    x: NDArray[np.float64] | None
    label: float
    key: Key | None
    time: float
    seq: int

    def late(self, arrived: int) -> LateLabel:
        """The late label that this message is."""
        return LateLabel(self.label, self.key, self.time, arrived)


def decoded(data: bytes | str) -> dict[str, Any]:
    """The JSON object in a message. Raises Malformed."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise Malformed(f"got no JSON: {str(error)[:80]}") from None
    if isinstance(content, list):
        content = {"x": content}
    if not isinstance(content, dict):
        raise Malformed(f"got a JSON {type(content).__name__}; expected an object")
    return content


def message(content: dict[str, Any], schema: Schema) -> Message:
    """The message in a decoded JSON object. Raises Malformed."""
    label = content.get("label")
    x = features(content, schema)
    if x is None and label is None:
        raise Malformed("got neither features nor a label")
    key = content.get("key")
    if key is not None and (isinstance(key, bool) or not isinstance(key, str | int)):
        raise Malformed(f"got a key of type {type(key).__name__}; expected a text or whole number")
    if (isinstance(key, int) and abs(key) >= 2**63) or (isinstance(key, str) and len(key) > 200):
        raise Malformed("got a key that is too long")
    time, seq = _time(content.get("time")), _sequence(content.get("seq"))
    y = schema.no_label if label is None else schema.label(label)  # last: it may be a new class
    return Message(x, y, key, time, seq)


def is_label(content: dict[str, Any], schema: Schema) -> bool:
    """Whether an object, which may be malformed, is a late label: without features."""
    try:
        return content.get("label") is not None and features(content, schema) is None
    except Malformed:
        return False


def features(content: dict[str, Any], schema: Schema) -> NDArray[np.float64] | None:
    """The features of a message (n_features,); None if it has none. Raises Malformed."""
    values = content.get("x")
    if values is None:
        if not any(name not in RESERVED for name in content):
            return None
        if not schema.names:
            raise Malformed("got named features; expected the list x")
        try:
            values = [content[name] for name in schema.names]
        except KeyError as error:
            raise Malformed(f"got no feature {error}") from None
    if not isinstance(values, list):
        raise Malformed(f"got x of type {type(values).__name__}; expected a list of numbers")
    if len(values) != schema.n_features:
        raise Malformed(f"got {len(values)} features; expected {schema.n_features}")
    if not {float, int}.issuperset(map(type, values)):
        raise Malformed("got a feature that is no number")
    try:
        x = np.array(values, np.float64)
    except OverflowError:
        raise Malformed("got a number beyond all floats") from None
    schema.check(x)
    return x


def _time(value: Any) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        raise Malformed("got a time that is no number of seconds")
    return float(value)


def _sequence(value: Any) -> int:
    if value is None:
        return -1
    if type(value) is not int or not 0 <= value < 2**62:
        raise Malformed("got a sequence number that is no whole number from 0 on")
    return value
