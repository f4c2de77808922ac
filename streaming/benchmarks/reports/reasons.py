"""Why a kernel reaches less than half of its roofline, from what was measured beside it."""

from __future__ import annotations

from streaming.benchmarks.reports.kept import BoundRow

HALF = 0.5
MUCH = 0.1  # of the time: a part worth a word
# More about a scenario, by a part of its name: what a profile of it has shown.
FOUND: dict[str, str] = {}


def reason(bound: BoundRow) -> str:
    """The reason of a row of ``roofline`` whose fraction is below a half; else nothing."""
    if bound["fraction"] >= HALF:
        return ""
    parts = []
    if bound["fixed_share"] >= MUCH:
        parts.append(
            f"{bound['fixed_share']:.0%} of the time is that of layers of one unit: "
            "softmax, loss, error, the loop itself"
        )
    parts += [text for name, text in FOUND.items() if name in bound["scenario"]]
    return "; ".join(parts) or "not found yet"
