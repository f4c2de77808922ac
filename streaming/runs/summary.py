"""The results of a run: ``summary.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rate_models.support import own_files
from streaming.runs.footprint import footprint
from streaming.scores.regression import SCORES

if TYPE_CHECKING:
    from streaming.runs.state import BaseRun

Summary = dict[str, Any]


def summarised(run: BaseRun, stopped: str, tested: dict[str, Any]) -> Summary:
    """The summary of a run. tested: scores of the held-out samples for its current state, or {}."""
    config, source, scores = run.config, run.source, run.metrics.get()
    (shown, confusion), tested_shown = run.metrics.shown(), tested.get("confusion_classes")
    labels = source.classes or ()
    return {
        "rule": run.learner.rule,
        "circuit": config.circuit and own_files.shown(config.circuit),
        "source": config.source,
        "target": config.target,
        "sizes": list(run.learner.sizes),
        "seed": config.seed,
        "stopped": stopped,
        "samples_seen": scores.pop("samples"),
        "skipped": run.learner.skipped + source.skipped,
        **scores,
        "test_accuracy": None,
        **held_out_scores(tested),
        **run.times(),
        **footprint(run, stopped),
        "epochs": run.epochs,
        "classes": source.classes,
        "class_names": source.class_names,
        "confusion": confusion,
        "test_confusion": tested.get("confusion"),
        # the labels of the rows, if the confusion covers only some of the classes
        "confusion_classes": None if shown is None else [labels[i] for i in shown],
        "test_confusion_classes": tested_shown and [labels[i] for i in tested_shown],
        "image_shape": source.image_shape,
        "lineage": config.lineage and config.lineage.model_dump(mode="json", exclude={"classes"}),
        "out": str(run.folder),
    }


def held_out_scores(tested: dict[str, Any]) -> dict[str, Any]:
    """The available scores on the held-out samples, with the prefix ``test_``."""
    names = ("accuracy", "loss", *SCORES)
    return {f"test_{name}": tested[name] for name in names if name in tested}


def score_rows(summary: Summary) -> list[tuple[str, str]]:
    """Names and texts of the scores in a summary, as lines of a report."""
    forms = {"accuracy": ".4f"}
    if summary["classes"] is None:
        forms = {"r2": ".4f", "rmse": ".6g"}
    rows = []
    untested = "none held out" if summary.get("test_loss") is None else "-"
    for name, form in forms.items():
        progressive = summary["progressive_accuracy" if name == "accuracy" else name]
        for kind, value, unknown in (
            ("held-out", summary.get(f"test_{name}"), untested),
            ("progressive", progressive, "-"),
        ):
            shown = name if name == "accuracy" else name.upper()
            rows.append((f"{kind} {shown}", unknown if value is None else format(value, form)))
    return rows
