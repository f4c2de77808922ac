"""Learning from streams: samples arrive, are learned from, scored and recorded.

Files of runs and of data are read and written in this package only. Open `learner` first, then
`runs`.

`learner`     `OnlineLearner`, which takes labels and dicts and holds a network
`samples`     the parts of sources; `sources` has one file per source; `tables` reads text files
`scores`      test-then-train scores
`runs`        a stream learned and recorded in a run folder; `files` and `pictures` of the folder
`schedule`    plans: which worker executes which item when; `threads` executes them
`options`     the one list of the options of a run; `records`: how such lists are declared
`commands`    one file per command; `cli`: the command line; `progress`, `outlook`: during a run
`sweeps`      many runs; `papers`: published tables; `benchmarks`: speed; `spikes`: conversions
`cluster`     workers of Dask; `machine`: the machine of a measurement; `terminal`: printed lines

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
