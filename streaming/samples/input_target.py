"""A source whose targets are its own inputs, for autoencoders."""

from __future__ import annotations

from typing import Any

from rate_models.errors import BadOption
from streaming.samples.retargeted import Retargeted
from streaming.samples.source import Source


class InputTarget(Retargeted):
    """``source`` with y = x / factor: a regression with n_0 outputs.

    factor: 1 for a learner that scales its targets like its inputs; `Source.maximum` for a learner
    that only divides its inputs by this maximum.
    """

    def __init__(self, source: Source, factor: float = 1.0) -> None:
        super().__init__(source)
        self.n_outputs, self._factor = source.n_features, factor

    def targets(self, X: Any, y: Any) -> Any:
        return X / self._factor if self._factor != 1.0 else X


def factor_of(source: Source, scale: str) -> float:
    """The number by which ``scale`` divides inputs; BadOption for a scaling that is no division."""
    if scale not in ("none", "range"):
        raise BadOption(
            "--target input", got=f"scale {scale} with target_scale none",
            expected="--scale none or --scale range", remedy="leave target_scale out",
        )  # fmt: skip
    return source.maximum if scale == "range" else 1.0
