"""What came out of a run: ``summary.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streaming.run import Run

Summary = dict[str, Any]


def summarised(run: Run, stopped: str, tested: dict[str, Any]) -> Summary:
    """The summary of a run; tested: scores of the held-out samples as things stand, or nothing."""
    config, source, scores = run.config, run.source, run.metrics.get()
    (shown, confusion), tested_shown = run.metrics.shown(), tested.get("confusion_classes")
    labels = source.classes or ()
    return {
        "rule": config.rule,
        "circuit": config.circuit,
        "source": config.source,
        "target": config.target,
        "sizes": list(run.learner.sizes),
        "seed": config.seed,
        "stopped": stopped,
        "samples_seen": scores.pop("samples"),
        "skipped": run.learner.skipped + getattr(source, "skipped", 0),
        **scores,
        "test_accuracy": None,
        **held_out_scores(tested),
        **run.times(),
        "epochs": run.epochs,
        "classes": source.classes,
        "confusion": confusion,
        "test_confusion": tested.get("confusion"),
        # the labels that these stand for, where there are too many for all of them
        "confusion_classes": None if shown is None else [labels[i] for i in shown],
        "test_confusion_classes": tested_shown and [labels[i] for i in tested_shown],
        "image_shape": getattr(source, "image_shape", None),
        "out": str(run.folder),
    }


def held_out_scores(tested: dict[str, Any]) -> dict[str, Any]:
    """Accuracy and loss on the held-out samples, as far as there are such."""
    return {f"test_{name}": tested[name] for name in ("accuracy", "loss") if name in tested}
