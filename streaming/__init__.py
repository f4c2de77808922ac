"""Streams: samples arrive, are learned from, scored, recorded.

>>> from streaming import OnlineLearner, progressive_val_score
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streaming.evaluate import progressive_val_score
    from streaming.learner import OnlineLearner

__all__ = ["OnlineLearner", "progressive_val_score"]


def __getattr__(name: str) -> Any:  # the compiler behind the learner takes a while to import
    if name == "OnlineLearner":
        from streaming.learner import OnlineLearner

        return OnlineLearner
    if name == "progressive_val_score":
        from streaming.evaluate import progressive_val_score

        return progressive_val_score
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
