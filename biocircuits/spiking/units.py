"""Quantities with units, from text or from Brian 2, and a check of the step."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from biocircuits.spiking.brian import load
from rate_models.errors import BadOption

# The largest step, as a fraction of the shortest time constant; exponential Euler errs by half.
STEP = 0.25
NAMES = {"s": "second", "V": "volt", "A": "amp", "S": "siemens", "F": "farad"}
TEXT = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*\*?\s*([A-Za-z]+)\s*")


def quantity(name: str, value: Any, unit: str) -> Any:
    """``value`` as a Brian 2 Quantity of the dimension of ``unit``.

    value: a Quantity, or text like "20 ms". Raises BadOption, which contains ``name``, for another
    dimension, a number without a unit, text that is no quantity, and a value that is not finite.
    """
    b = load()
    expected = f"a quantity in {unit}, e.g. {_example(unit)}"
    if isinstance(value, str):
        match = TEXT.fullmatch(value)
        known = match and getattr(b, NAMES.get(match[2], match[2]), None)
        if not match or not isinstance(known, b.Unit):
            raise BadOption(name, got=repr(value), expected=expected)
        value = float(match[1]) * known
    if b.get_dimensions(value) != b.get_dimensions(getattr(b, unit)):
        text = "an array" if np.size(value) > 1 else str(value)
        dimension = b.get_dimensions(value)
        got = f"{text} (no unit)" if dimension.is_dimensionless else f"{text} in {dimension!r}"
        raise BadOption(name, got=got, expected=expected)
    if not np.isfinite(np.asarray(value)).all():
        raise BadOption(name, got=value, expected="a finite quantity")
    return value


def check_step(dt: Any, constants: Mapping[str, Any]) -> None:
    """Raise BadOption where dt is more than a quarter of the shortest time constant.

    constants: {name: time}; times of 0 do not count.
    """
    b = load()
    dt = quantity("dt", dt, "second")
    if dt <= 0 * b.second:
        raise BadOption("dt", got=dt, expected="a time above 0")
    times = {what: quantity(what, tau, "second") for what, tau in constants.items()}
    times = {what: tau for what, tau in times.items() if tau > 0 * b.second}
    for what, tau in sorted(times.items(), key=lambda item: float(item[1])):
        if float(dt) > STEP * float(tau) * (1 + 1e-9):
            expected = f"at most {STEP * tau} for {what} of {tau}"
            raise BadOption("dt", got=dt, expected=expected, remedy="shorten the step")
        return


def _example(unit: str) -> str:
    small = {"second": "'20 ms'", "volt": "'-70 mV'", "amp": "'150 pA'", "siemens": "'10 nS'",
             "farad": "'200 pF'", "hertz": "'100 Hz'"}  # fmt: skip
    return small.get(unit, f"'1 {unit}'")
