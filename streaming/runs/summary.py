"""The results of a run: ``summary.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rate_models.support import own_files
from streaming.runs.footprint import footprint
from streaming.scores.regression import SCORES

if TYPE_CHECKING:
    from streaming.runs.state import BaseRun

Summary = dict[str, Any]
MOST_DRIFTS = 1000  # that a summary lists
SHOWN_DRIFTS = 8  # that a report lists


def summarised(run: BaseRun, stopped: str, tested: dict[str, Any]) -> Summary:
    """The summary of a run. tested: scores of the held-out samples for its current state, or {}."""
    config, source, scores = run.config, run.source, run.metrics.get()
    detector = run.metrics.detector
    labels, names = classes_of(run)
    confusion, shown = among_known(labels, *run.metrics.shown())
    tested_confusion, tested_shown = among_known(
        labels, tested.get("confusion_classes"), tested.get("confusion")
    )
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
        "missing": run.learner.filled + source.missing,
        **scores,
        "test_accuracy": None,
        **held_out_scores(tested),
        **run.times(),
        **footprint(run, stopped),
        # samples at which a drift is known to begin, and up to which one was detected
        "known_drifts": list(source.drifts(run.position)[:MOST_DRIFTS]),
        **run.adapting.summary(),
        **({"detected_drifts": detector.detected[-MOST_DRIFTS:]} if detector else {}),
        "epochs": run.epochs,
        "classes": labels,
        "class_names": names,
        "confusion": confusion,
        "test_confusion": tested_confusion,
        # the labels of the rows, if the confusion covers only some of the classes
        "confusion_classes": shown,
        "test_confusion_classes": tested_shown,
        "image_shape": source.image_shape,
        "lineage": config.lineage and config.lineage.model_dump(mode="json", exclude={"classes"}),
        "out": str(run.folder),
    }


def classes_of(run: BaseRun) -> tuple[tuple[Any, ...] | None, tuple[str, ...] | None]:
    """The labels of the output units, and their names if they have others."""
    source, labels = run.source, run.source.classes
    if run.config.classes != "grow" or labels is None:
        return labels, source.class_names
    known = run.learner.classes or ()
    if (names := source.class_names) is not None:
        names = tuple(names[labels.index(label)] for label in known)
    return known, names


def among_known(
    labels: tuple[Any, ...] | None, shown: list[int] | None, confusion: Any
) -> tuple[Any, list[Any] | None]:
    """The confusion among known labels; and the labels of its rows if it has only some of them.

    Held-out samples may have labels that were never learned; they come after all others.
    """
    if labels is None or confusion is None:
        return confusion, None
    known = [i for i in shown or range(len(confusion)) if i < len(labels)]
    confusion = np.asarray(confusion)[: len(known), : len(known)]
    return confusion, None if shown is None else [labels[i] for i in known]


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


def adapted(summary: Summary) -> list[tuple[str, str]]:
    """Recovery from known drifts, and forgetting, as lines of a report."""
    rows = []
    if recovery := summary.get("recovery"):
        times = ["never" if one["samples"] is None else f"{one['samples']:,}" for one in recovery]
        more = f"... ({len(times):,} drifts)" if len(times) > SHOWN_DRIFTS else ""
        rows.append(("recovered in", " ".join([*times[:SHOWN_DRIFTS], "samples", more]).strip()))
    if tasks := summary.get("tasks"):
        text = f"{tasks['forgetting']:.4f}, held-out accuracy of all tasks {tasks['accuracy']:.4f}"
        rows.append(("forgetting", text))
    return rows
