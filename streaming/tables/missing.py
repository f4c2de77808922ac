"""Imputation of missing cells from earlier rows alone, so that no later row leaks into them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


class Filler:
    """Fills the missing cells (NaN) of a table's rows, in their order.

    kind: "mean" of the column so far, "last" value of the column, or "zero". Before the first value
    of a column it is zero. indicators: columns for each of which one more is appended to a row: 1.0
    where its cell was missing, 0.0 where it was not.
    """

    def __init__(self, kind: str, n_features: int, indicators: NDArray[np.intp]) -> None:
        self._kind, self._indicators = kind, indicators
        self._total, self._known = np.zeros((1, n_features)), np.zeros((1, n_features), np.int64)
        self._last = np.zeros((1, n_features))

    def __call__(self, values: Values, learned: NDArray[np.bool_]) -> Values:
        """The rows ``values`` (n, n_features) with missing cells filled, and with indicators.

        learned (n,): False for held-out rows, from which no fill value is computed.
        """
        gaps = np.isnan(values)
        known = ~gaps & learned[:, None]
        if self._kind == "mean":
            # cumsum adds row by row, so that the size of chunks changes no bit
            total = np.cumsum(np.vstack([self._total, np.where(known, values, 0)]), axis=0)
            count = np.cumsum(np.vstack([self._known, known]), axis=0)
            instead = total[:-1] / np.maximum(count[:-1], 1)
            self._total, self._known = total[-1:], count[-1:]
        elif self._kind == "last":
            row = np.where(known, np.arange(1, len(values) + 1)[:, None], 0)
            row = np.maximum.accumulate(row, axis=0)  # the last row with a value
            instead = np.take_along_axis(np.vstack([self._last, values]), row, axis=0)
            self._last = instead[-1:].copy()
        else:
            instead = np.zeros_like(values)
        filled = np.where(gaps, instead, values)
        return np.hstack([filled, gaps[:, self._indicators]]) if len(self._indicators) else filled
