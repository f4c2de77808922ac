"""The counts of a live run, as text."""

from __future__ import annotations

from streaming.runs.summary import Summary

SHOWN = (
    "dropped", "malformed", "unlabelled", "merged", "waiting", "missed", "labels_unmatched",
    "labels_malformed", "labels_dropped", "reconnects",
)  # fmt: skip


def rows(summary: Summary) -> list[tuple[str, str]]:
    """The counts of a live run, as lines of a report; empty for other runs."""
    if (live := summary.get("live")) is None:
        return []
    lines = []
    for name in ("predicted", "learned"):
        p50, p99, most = live["latency"][name].values()
        if p99 is not None:
            text = f"p50 {p50:.3g} ms, p99 {p99:.3g} ms, at most {most:.3g} ms"
            lines.append((f"arrival to {name}", text))
    some = [f"{live[name]:,} {name.replace('_', ' ')}" for name in SHOWN if live[name]]
    return [*lines, ("received", ", ".join([f"{live['received']:,}", *some]))]
