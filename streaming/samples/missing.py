"""Imputation of missing values from earlier rows alone, so that no later row leaks into them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import BadOption, quoted
from rate_models.support import bounds
from rate_models.support.arguments import check_text

Values = NDArray[np.float64]


POLICIES = ("raise", "skip", "mean", "last", "zero")


def of_policy(missing: str, indicator: bool, inputs: int) -> tuple[Filler | None, int]:
    """What fills missing values (None: nothing does), and the number of features.

    missing: one of `POLICIES`. indicator: whether every feature has a second input, 1.0 where its
    value is missing; they come after all features. inputs: of the network.
    Raises BadOption for anything else.

    >>> of_policy("mean", True, 6)[1], of_policy("raise", False, 6)
    (3, (None, 6))
    """
    check_text("missing", missing, f"one of {', '.join(POLICIES)}")
    if missing not in POLICIES:
        raise BadOption("missing", got=repr(missing), expected=f"one of {', '.join(POLICIES)}")
    if not isinstance(indicator, bool | np.bool_):
        raise BadOption("missing_indicator", got=quoted(indicator), expected="true or false")
    if missing in ("raise", "skip"):
        if indicator:
            expected = "missing='mean', 'last' or 'zero' beside it"
            raise BadOption("missing_indicator", got=f"missing={missing!r}", expected=expected)
        return None, inputs
    if indicator and inputs % 2:
        raise BadOption(
            "sizes", got=f"{inputs} inputs, with missing_indicator",
            expected="an even number: two inputs for every feature",
        )  # fmt: skip
    n_features = inputs // 2 if indicator else inputs
    return Filler(missing, n_features, np.arange(n_features if indicator else 0)), n_features


class Filler:
    """Fills the missing values (NaN) of rows, in their order.

    kind: "mean" of the column so far, "last" value of the column, or "zero". Before the first value
    of a column it is zero. indicators: columns for each of which one more is appended to a row: 1.0
    where its value was missing, 0.0 where it was not.
    ``filled`` is the number of values filled in learned rows so far.
    """

    def __init__(self, kind: str, n_features: int, indicators: NDArray[np.intp]) -> None:
        self.kind, self.filled, self._indicators = kind, 0, indicators
        self._total, self._known = np.zeros((1, n_features)), np.zeros((1, n_features), np.int64)
        self._last = np.zeros((1, n_features))

    def __call__(self, values: Values, learned: NDArray[np.bool_]) -> Values:
        """The rows ``values`` (n, n_features) with missing values filled, and with indicators.

        learned (n,): False for rows from which no fill value is computed: held-out ones, or those
        that are only predicted.
        """
        gaps = np.isnan(values)
        known = ~gaps & learned[:, None]
        self.filled += int(gaps[learned].sum())
        if self.kind == "mean":
            # cumsum adds row by row, so that the size of chunks changes no bit
            total = np.cumsum(np.vstack([self._total, np.where(known, values, 0)]), axis=0)
            count = np.cumsum(np.vstack([self._known, known]), axis=0)
            instead = total[:-1] / np.maximum(count[:-1], 1)
            self._total, self._known = total[-1:], count[-1:]
        elif self.kind == "last":
            row = np.where(known, np.arange(1, len(values) + 1)[:, None], 0)
            row = np.maximum.accumulate(row, axis=0)  # the last row with a value
            instead = np.take_along_axis(np.vstack([self._last, values]), row, axis=0)
            self._last = instead[-1:].copy()
        else:
            instead = np.zeros_like(values)
        filled = np.where(gaps, instead, values)
        return np.hstack([filled, gaps[:, self._indicators]]) if len(self._indicators) else filled

    def widened(self, n_features: int) -> Filler:
        """A filler of more columns, the first of which are those of this one.

        If all columns have indicators, the new ones have too.
        """
        indicators = np.arange(n_features if len(self._indicators) else 0)
        wide = Filler(self.kind, n_features, indicators)
        wide.filled = self.filled
        for name, array in self.state().items():
            getattr(wide, f"_{name}")[0, : len(array)] = array
        return wide

    def state(self) -> dict[str, NDArray[Any]]:
        """Copies of what fill values are computed from, (n_features,) each; empty for "zero"."""
        names = {"mean": ("total", "known"), "last": ("last",)}.get(self.kind, ())
        return {name: getattr(self, f"_{name}")[0].copy() for name in names}

    def load_state(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Restore `state`. Raises BadOption for the state of another kind or size, and for invalid
        numbers.
        """
        want = self.state()
        if arrays.keys() != want.keys():
            got, expected = sorted(arrays), f"{sorted(want)}"
            raise BadOption("state of missing values", got=got, expected=expected)
        given = bounds.fitting({name: np.array(array) for name, array in arrays.items()}, want)
        if "known" in given:
            bounds.check(given, {"known": (0, bounds.MOST)})
        if odd := bounds.finite(given):
            raise BadOption(odd, got="NaN or infinite numbers", expected="finite numbers")
        for name, array in given.items():
            setattr(self, f"_{name}", array[None])
