"""Time: samples arrive, are learned from, scored, recorded; the only packages that do files.

Open `learner` first, then `runs`.

`learner`     `OnlineLearner`: labels and dicts outside, a network inside
`samples`     what sources are made of; `sources`: one file per source; `tables`: text files
`scores`      test-then-train
`runs`        a stream through a learner, kept in a folder; `files`, `pictures`: what lies there
`schedule`    which worker does what when; `threads`: carries it out
`options`     the one list of what can be asked of a run; `records`: how such lists are declared
`commands`    one file per command; `app`: the command line; `progress`, `outlook`: while it runs
`sweeps`, `papers`, `benchmarks`, `spikes`: many runs, published tables, speed, conversions
`cluster`     workers of Dask; `machine`: what a measurement ran on; `terminal`: what is printed

>>> from streaming import OnlineLearner, progressive_val_score
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streaming.learner.learner import OnlineLearner
    from streaming.scores.evaluate import progressive_val_score

__all__ = ["OnlineLearner", "progressive_val_score"]


def __getattr__(name: str) -> Any:  # the compiler behind the learner takes a while to import
    if name == "OnlineLearner":
        from streaming.learner.learner import OnlineLearner

        return OnlineLearner
    if name == "progressive_val_score":
        from streaming.scores.evaluate import progressive_val_score

        return progressive_val_score
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
