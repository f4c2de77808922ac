"""Changes that a person makes to a run while it streams: learning rate, drift, checkpoint.

Called between two chunks (`Hooks.between`). A change is an option of the run from then on: it is in
the checkpoint that is written at once, and then in ``config.json``, so that a resumed run goes on
with it. ``interventions.jsonl`` has a line for each, with the number of samples before it.
"""

from __future__ import annotations

from typing import Any

from streaming.files.folder import write_text
from streaming.files.log import Log
from streaming.runs.loop import Run


def set_rate(run: Run, lr: float) -> None:
    """Learn by the rate ``lr`` from the next sample on. Raises BadOption for a rate not allowed."""
    changed = type(run.config).checked(**{**run.config.model_dump(), "lr": lr})
    run.learner.set(lr=lr)
    _change(run, changed, {"lr": lr})


def drift(run: Run) -> None:
    """Let the stream drift, see `Source.drift_now`. Raises BadOption if it cannot."""
    run.source.drift_now(run.position)
    changed = run.config.model_copy(update={"source": run.source.name})
    _change(run, changed, {"source": run.source.name})


def _change(run: Run, config: Any, what: dict[str, Any]) -> None:
    run.config = config
    run.save(anew=True)
    write_text(run.folder / "config.json", config.model_dump_json(indent=2) + "\n")
    Log(run.folder / "interventions.jsonl", ("samples",)).add({"samples": run.position, **what})
