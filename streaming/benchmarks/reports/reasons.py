"""Why a kernel reaches less than half of its roofline, from what was measured beside it."""

from __future__ import annotations

from streaming.benchmarks.reports.kept import BoundRow

HALF = 0.5
LITTLE = 0.005  # of a least time that lies in other layers
# More about a scenario, by a part of its name: what a profile of it has shown.
FOUND: dict[str, str] = {
    "64-32-10": "perf: no stage has more than 12 %; calls with many arrays and short rows "
    "dominate, softmax and its exponentials take a tenth",
    "64-256-10": "perf: sums over rows run at the rate of multiply-adds in the first cache; "
    "between them, each stage reads what the one before wrote",
    "784-1024-10": "perf: the first layer's time is its sweep, which works on four inputs and "
    "those samples in which one of them is not zero; 35 % of these products are zeros all the "
    "same. They come at 64 billion a second, those of dense inputs in these loops at 85. Tried: "
    "blocks of 16 and 32 samples (as fast), each sample's own inputs without zeros (1.2 times as "
    "long), strips of columns with sums in registers, stored strip by strip (as fast; 0.7 times "
    "as long for dense inputs), rows that are not 4 KB apart (as fast)",
    "3072-1024-10": "the first layer, 12.6 MB, comes from the third cache once in 8 samples",
    "node_perturbation-64": "perf: drawing the noise takes half of the time",
    "784-512x5": "each sample reads every hidden matrix (1 MB) from the third cache and writes it",
}


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
