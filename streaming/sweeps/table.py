"""The table of a sweep: a row per cell as CSV or Parquet, and a summary of means over seeds."""

from __future__ import annotations

import csv
import io
import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rate_models.errors import BadOption
from rate_models.support.extras import import_extra
from streaming.files.folder import disk, replacing, write_text
from streaming.papers.table import aligned, plus_minus

Row = dict[str, Any]

# {column: its name in a run's summary}. Names of options are not used, as they are columns too.
SCORES = {
    "test_accuracy": "test_accuracy",
    "progressive_accuracy": "progressive_accuracy",
    "windowed_accuracy": "windowed_accuracy",
    "test_loss": "test_loss",
    "progressive_loss": "loss",
    "windowed_loss": "windowed_loss",
}
TIMES = {"streaming_seconds": "seconds", "samples_per_second": "samples_per_second"}
TYPES = {"stopped": str, **dict.fromkeys([*SCORES, *TIMES], float), "samples_seen": int}
TYPES |= dict.fromkeys(("host", "cpu", "error"), str)
LARGE = 2**63  # whole numbers from here on do not fit a column of numbers
# The printed summary has the first two of these that are known.
SHOWN = {
    "test_accuracy": "held-out accuracy",
    "progressive_accuracy": "progressive accuracy",
    "test_loss": "held-out loss",
    "progressive_loss": "progressive loss",
}


def row(varied: Mapping[str, Any], cell: Mapping[str, Any]) -> Row:
    """The row of a cell: varied values, how the run ended, scores, times and machine; None for
    unknown values.

    cell: {result, machine, ...} as `streaming.sweeps.sweep.compute` returns it.
    """
    result, machine = cell["result"], cell.get("machine", {})
    return {
        **varied,
        "stopped": result["stopped"],
        **{column: result.get(name) for column, name in SCORES.items()},
        "samples_seen": result.get("samples_seen"),
        **{column: result.get(name) for column, name in TIMES.items()},
        "host": machine.get("host"),
        "cpu": machine.get("cpu"),
        "error": result.get("error"),
    }


def is_result(result: Any) -> bool:
    """Whether this can be the result of a run, which `row` and `line` can read."""
    if not isinstance(result, Mapping) or not isinstance(result.get("stopped"), str):
        return False
    numbers = [result.get(name) for name in (*SCORES.values(), *TIMES.values(), "samples_seen")]
    plain = all(n is None or type(n) in (int, float) for n in numbers)
    return plain and isinstance(result.get("error", ""), str)


def line(varied: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """A finished cell as a short line."""
    known = [result[SCORES[n]] for n in SHOWN if result.get(SCORES[n]) is not None]
    end = result.get("error") or (plus_minus(known[0], None) if known else result["stopped"])
    return f"{' '.join(f'{name}={value}' for name, value in varied.items())}: {end}"


def over_seeds(rows: Sequence[Row], settings: Sequence[str]) -> list[Row]:
    """A row for each combination of ``settings``: {settings, seeds, diverged, failed, scores}.

    A score is {mean, std} over the seeds that finished. Both are None if it is not known; the
    standard deviation (n - 1) is None for a single seed.
    """
    groups: dict[str, list[Row]] = {}
    for each in rows:
        groups.setdefault(json.dumps([each[name] for name in settings]), []).append(each)
    return [
        {
            **{name: several[0][name] for name in settings},
            "seeds": len(several),
            "diverged": sum(each["stopped"] == "diverged" for each in several),
            "failed": sum(each["stopped"] == "error" for each in several),
            **{score: _spread([each[score] for each in several]) for score in SCORES},
        }
        for several in groups.values()
    ]


def _spread(values: Sequence[float | None]) -> dict[str, float | None]:
    known = [v for v in values if v is not None and math.isfinite(v)]
    std = statistics.stdev(known) if len(known) > 1 else None
    return {"mean": statistics.fmean(known) if known else None, "std": std}


def text(settings: Sequence[Row]) -> str:
    """The rows of `over_seeds` as columns of text."""
    known = [score for score in SHOWN if any(each[score]["mean"] is not None for each in settings)]
    names = list(settings[0])[: list(settings[0]).index("seeds")] if settings else []
    rows = [[*names, "seeds", *(SHOWN[score] for score in known[:2]), ""]]
    for each in settings:
        means = [each[score]["mean"] for score in known[:2]]
        stds = [each[score]["std"] for score in known[:2]]
        pairs = zip(means, stds, strict=True)
        without = [f"{each[what]} {what}" for what in ("diverged", "failed") if each[what]]
        rows.append(
            [
                *(_word(each[name]) for name in names),
                str(each["seeds"]),
                *("-" if mean is None else plus_minus(mean, std) for mean, std in pairs),
                ", ".join(without),
            ]
        )
    return aligned(rows)


def writer(path: Path) -> Callable[[Sequence[Row]], None]:
    """A function that writes rows to ``path`` atomically, as CSV or Parquet by its suffix.

    Raises BadOption for another suffix, MissingExtra for Parquet without pyarrow.
    """
    if path.suffix not in (".csv", ".parquet") or path.is_dir():
        raise BadOption("--table", got=path, expected="a file that ends in .csv or .parquet")
    if path.suffix == ".csv":
        return lambda rows: _write_csv(path, _columns(rows))
    arrow = import_extra("pyarrow", "sweep", f"--table {path}")
    parquet = import_extra("pyarrow.parquet", "sweep", f"--table {path}")
    return lambda rows: _write_parquet(arrow, parquet, path, _columns(rows))


def _columns(rows: Sequence[Row]) -> dict[str, tuple[type, list[Any]]]:
    """{name: (type, values)}; one type per column, so that both kinds of files are equal."""
    columns = {}
    for name in rows[0] if rows else TYPES:
        values = [each[name] for each in rows]
        kind = TYPES.get(name) or _type(values)
        change: Callable[[Any], Any] = _word if kind is str else kind
        columns[name] = kind, [None if v is None else change(v) for v in values]
    return columns


def _type(values: Sequence[Any]) -> type:
    kinds = {type(v) for v in values if v is not None}
    if any(isinstance(v, int) and abs(v) >= LARGE for v in values):
        return str
    for kind, takes in ((bool, {bool}), (int, {int}), (float, {int, float})):
        if kinds and kinds <= takes:
            return kind
    return str


def _word(value: Any) -> str:
    """A value as text: JSON, except for texts."""
    return value if isinstance(value, str) else json.dumps(value)


def _write_csv(path: Path, columns: dict[str, tuple[type, list[Any]]]) -> None:
    file = io.StringIO()
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow(columns)
    lines.writerows(zip(*(values for _, values in columns.values()), strict=True))
    with disk(path.parent):
        write_text(path, file.getvalue())


def _write_parquet(
    arrow: Any, parquet: Any, path: Path, columns: dict[str, tuple[type, list[Any]]]
) -> None:
    names = {bool: arrow.bool_(), int: arrow.int64(), float: arrow.float64(), str: arrow.string()}
    arrays = {name: arrow.array(values, names[kind]) for name, (kind, values) in columns.items()}
    with disk(path.parent), replacing(path) as temporary:
        parquet.write_table(arrow.table(arrays), temporary)
