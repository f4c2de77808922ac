"""Why a kernel reaches less than half of its roofline, from what was measured beside it."""

from __future__ import annotations

from streaming.benchmarks.reports.kept import BoundRow

HALF = 0.5
LITTLE = 0.005  # of a least time that lies in other layers
# More about a scenario, by a part of its name: what a profile of it has shown.
FOUND: dict[str, str] = {}


def reason(bound: BoundRow) -> str:
    """The reason of a row of ``roofline`` whose fraction is below a half; else nothing."""
    if bound["fraction"] >= HALF:
        return ""
    first = f"first layer {bound['first_share']:.0%}"
    if bound["first_share"] > 0 and bound["first_fraction"] >= LITTLE:
        first += f" (at {bound['first_fraction']:.0%} of its own least time)"
    measured = f"fixed {bound['fixed_share']:.0%}, above {bound['above_share']:.0%}, {first}"
    return "; ".join(
        [measured, *(text for name, text in FOUND.items() if name in bound["scenario"])]
    )
