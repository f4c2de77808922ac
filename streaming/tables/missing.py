"""What stands for a missing cell: made of the rows before it alone, so that nothing leaks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


class Filler:
    """Fills the gaps (NaN) of a table's rows, in their order.

    kind: "mean" of the column so far, "last" value of the column, or "zero"; before a column has
    had a value, zero. indicators: the columns after which one more tells, at the end of a row,
    where cells were missing (1.0) and where not (0.0).
    """

    def __init__(self, kind: str, n_features: int, indicators: NDArray[np.intp]) -> None:
        self._kind, self._indicators = kind, indicators
        self._total, self._known = np.zeros((1, n_features)), np.zeros((1, n_features), np.int64)
        self._last = np.zeros((1, n_features))

    def __call__(self, values: Values, learned: NDArray[np.bool_]) -> Values:
        """values (n, n_features) without gaps, and with indicators.

        learned (n,): rows that the filling may learn from; held-out ones it may not.
        """
        gaps = np.isnan(values)
        known = ~gaps & learned[:, None]
        if self._kind == "mean":
            # cumsum adds row by row, so that no size of blocks changes a bit
            total = np.cumsum(np.vstack([self._total, np.where(known, values, 0)]), axis=0)
            count = np.cumsum(np.vstack([self._known, known]), axis=0)
            instead = total[:-1] / np.maximum(count[:-1], 1)
            self._total, self._known = total[-1:], count[-1:]
        elif self._kind == "last":
            place = np.where(known, np.arange(1, len(values) + 1)[:, None], 0)
            place = np.maximum.accumulate(place, axis=0)
            instead = np.take_along_axis(np.vstack([self._last, values]), place, axis=0)
            self._last = instead[-1:].copy()
        else:
            instead = np.zeros_like(values)
        filled = np.where(gaps, instead, values)
        return np.hstack([filled, gaps[:, self._indicators]]) if len(self._indicators) else filled
