"""``dendrostream drift``: all rules on streams that drift, with a page and figures."""

from __future__ import annotations

import shlex
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from rate_models.errors import BadOption
from streaming.commands._options import given, with_options
from streaming.commands._output import Json, print_json, table
from streaming.options import Data, Download
from streaming.records import Checked, Option, parse_sizes


class DriftOptions(Checked):
    """Options of a comparison of rules under drift."""

    source: Annotated[str, Option("A source of classes; see `dendrostream sources`.")] = "digits"
    samples: Annotated[int, Option("Length of the streams that drift.")] = 16_000
    hidden: Annotated[str, Option("Sizes of the hidden layers.")] = "32"
    rules: Annotated[str | None, Option("Rules: backprop,pepita  [default: all]")] = None
    seeds: Annotated[int, Option("Runs of each rule on each stream.")] = 3
    out: Annotated[
        Path | None, Option("Write drift.md, drift.json and img/drift_*.png into this folder.")
    ] = None
    data: Data = None
    download: Download = False


@with_options(DriftOptions)
def drift(context: typer.Context, json_: Json = False, **options: Any) -> None:
    """Compare rules on streams that drift: accuracy over time, recovery and forgetting."""
    from streaming.terminal import slow

    chosen = DriftOptions(**options)
    if chosen.out is not None and chosen.out.exists() and not chosen.out.is_dir():
        raise BadOption("--out", got=f"{chosen.out}, a file", expected="a folder")
    with nullcontext() if json_ else slow("comparing rules; all of them on digits take a minute"):
        result = _compared(chosen)
    if chosen.out is not None:
        from streaming.continual import page

        words = [[f"--{name}", str(value)] for name, value in given(context).items()
                 if name in ("source", "samples", "hidden", "rules", "seeds")]  # fmt: skip
        written = page.write(result, chosen.out, shlex.join(word for two in words for word in two))
    if json_:
        print_json(result)
        return
    print(table(_rows(result)))
    if chosen.out is not None:
        print(f"page: {written}")


def _compared(chosen: DriftOptions) -> dict[str, Any]:
    from streaming.continual.comparing import Plan, compare
    from streaming.progress import Steps

    rules = tuple(filter(None, (chosen.rules or "").replace(" ", "").split(",")))
    plan = Plan(chosen.source, chosen.samples, tuple(parse_sizes(chosen.hidden)), rules,
                chosen.seeds, chosen.data, chosen.download)  # fmt: skip
    return compare(plan, Steps("drift", "run"))


def _rows(result: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each rule: the accuracy of each stream, mean of the seeds."""
    rows: dict[str, dict[str, Any]] = {}
    for row in result["rows"]:
        line = rows.setdefault(row["rule"], {"rule": row["rule"]})
        line[row["stream"]] = sum(row["accuracy"]) / len(row["accuracy"])
    return list(rows.values())
