"""``dendrostream spiking``: converts a trained network to spiking neurons."""

from __future__ import annotations

from typing import Any

from rate_models.errors import BadOption
from streaming import terminal
from streaming.commands._options import with_options
from streaming.commands._output import Json, print_json
from streaming.spikes.options import SpikingOptions


@with_options(SpikingOptions)
def spiking(json_: Json = False, **options: Any) -> None:
    """Convert a trained network to spiking neurons in Brian 2 and present held-out samples."""
    from streaming.spikes import conversion  # imports NumPy, which --help does not need

    chosen = SpikingOptions(**options)
    if chosen.samples < 1 or chosen.presentation < 1:
        got = f"{chosen.samples}, {chosen.presentation}"
        raise BadOption("--samples and --presentation", got=got, expected="1 or more")
    notify = (lambda _: None) if json_ else terminal.notify
    result = conversion.convert_and_simulate(chosen, notify, progress=not json_)
    print_json(result) if json_ else print(_report(result))


def _report(result: dict[str, Any]) -> str:
    lines = [f"rate network      {result['rate_accuracy']:.4f} of {result['samples']} samples"]
    for how, accuracy in result["accuracy"].items():
        lines.append(f"by {how.replace('_', ' '):<14} {accuracy:.4f} "
                     f"after {result['presentation_ms']} ms")  # fmt: skip
    curve = next(iter(result["accuracy_against_ms"].values()))
    lines.append("  ms              " + "  ".join(f"{t:>5g}" for t in curve))
    lines.append("  accuracy        " + "  ".join(f"{a:5.3f}" for a in curve.values()))
    ranks = (f"{name} {r:.3f}" for name, r in result["rank_correlation"].items())
    lines.append(f"rank correlation  {', '.join(ranks)}")
    lines.append(f"{result['mode']}: {result['seconds']:.1f} s, compiling included, "
                 f"{result['seconds_per_sample']:.3f} s per sample")  # fmt: skip
    return "\n".join([*lines, *(f"file: {file}" for file in result["files"])])
