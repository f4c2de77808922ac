"""Results as files, and what became slower since an earlier one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from pydantic import ConfigDict, FiniteFloat, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from rate_models.errors import MissingData, UserError
from streaming.files.folder import disk, write_text


class Row(TypedDict):
    """A peer of a scenario. ratio: our rate over its. low, high: quartiles. skipped: why not."""

    scenario: str
    peer: str
    samples_per_second: FiniteFloat | None
    ratio: FiniteFloat | None
    low: FiniteFloat | None
    high: FiniteFloat | None
    ours: bool
    skipped: str | None


class LevelRow(TypedDict):
    """See `limits.Level`."""

    name: str
    size: int | None
    read: FiniteFloat
    update: FiniteFloat


class LimitsRow(TypedDict):
    """See `limits.Limits`."""

    levels: list[LevelRow]
    multiply_adds: FiniteFloat


class BoundRow(TypedDict):
    """See `model.Bound` and `reached.Reached.row`."""

    scenario: str
    density: FiniteFloat
    seconds: FiniteFloat
    samples_per_second: FiniteFloat
    block: int
    multiply_adds: FiniteFloat
    bytes_read: FiniteFloat
    bytes_changed: FiniteFloat
    working_set: int
    level: str
    limited_by: str
    fraction: FiniteFloat
    fixed_share: FiniteFloat
    above_share: FiniteFloat
    first_share: FiniteFloat
    first_fraction: FiniteFloat


class Cost(TypedDict):
    """What is paid once."""

    what: str
    value: FiniteFloat
    unit: str


class Point(TypedDict):
    """Seconds of a sample at a size, measured and least."""

    value: FiniteFloat
    seconds: FiniteFloat
    bound: FiniteFloat


class Series(TypedDict):
    """See `scaling.measured`."""

    axis: str
    network: str
    rule: str
    points: list[Point]
    exponent: FiniteFloat | None
    theory: FiniteFloat | None


class Result(TypedDict):
    """See `bench.run`."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    machine: dict[str, str]
    date: str
    data: dict[str, str]
    seconds: FiniteFloat
    repeats: int
    quick: bool
    rows: list[Row]
    limits: LimitsRow
    roofline: list[BoundRow]
    costs: list[Cost]
    scaling: list[Series]


def read(path: Path) -> Result:
    """A result from its file. Raises MissingData, and UserError if it is damaged."""
    remedy = "measure it: dendrostream bench --out FILE"
    try:
        return TypeAdapter(Result).validate_json(path.read_bytes())
    except FileNotFoundError:
        expected = "the result of a benchmark"
        raise MissingData(str(path), got="no file", expected=expected, remedy=remedy) from None
    except OSError as error:
        why = error.strerror or str(error)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        why = f"{place}: {first['msg']}"
    raise UserError(str(path), got=why, expected="the result of a benchmark", remedy=remedy)


def write(path: Path, result: Mapping[str, Any]) -> None:
    """Write a result, a line for each row."""
    parts = []
    for name, value in result.items():
        text = json.dumps(value, ensure_ascii=False)
        if isinstance(value, list) and value:
            rows = ",\n".join("  " + json.dumps(one, ensure_ascii=False) for one in value)
            text = f"[\n{rows}\n ]"
        parts.append(f"{json.dumps(name)}: {text}")
    with disk(path.parent):
        write_text(path, "{\n " + ",\n ".join(parts) + "\n}\n")


def slower(now: Result, before: Result) -> list[dict[str, Any]]:
    """Our rows, on the same data, whose upper quartile is below the earlier lower quartile.

    Rows {scenario, peer, before, now, change, others}. change: relative, of the medians. others:
    the median change of the peers in the scenario that are not ours, which shows how much of it
    is the machine's; None without any.
    """
    earlier = {(row["scenario"], row["peer"]): row for row in before["rows"]}
    pairs = [
        (row, earlier[key])
        for row in now["rows"]
        if (key := (row["scenario"], row["peer"])) in earlier
        and row["scenario"] not in _other_data(now, before)
        and row["samples_per_second"]
        and earlier[key]["samples_per_second"]
    ]
    found = []
    for row, old in pairs:
        if row["ours"] and (row["high"] or 0) < (old["low"] or 0):
            beside = [pair for pair in pairs if pair[0]["scenario"] == row["scenario"]]
            others = [_change(*pair) for pair in beside if not pair[0]["ours"]]
            found.append(
                {"scenario": row["scenario"], "peer": row["peer"],
                 "before": old["samples_per_second"], "now": row["samples_per_second"],
                 "change": _change(row, old), "others": median(others) if others else None}
            )  # fmt: skip
    return found


def _change(now: Row, before: Row) -> float:
    assert now["samples_per_second"] is not None and before["samples_per_second"] is not None
    return now["samples_per_second"] / before["samples_per_second"] - 1


def _other_data(now: Result, before: Result) -> list[str]:
    """The scenarios that had other data before."""
    return [name for name, data in now["data"].items() if before["data"].get(name, data) != data]


def compared(now: Result, before: Result) -> list[str]:
    """Lines about what became slower by more than the spread."""
    lines = []
    for name in ("cpu", "vectors", "numba", "numpy"):
        was, is_now = before["machine"].get(name), now["machine"].get(name)
        if was != is_now:
            lines.append(f"not the same {name}: {was} before, {is_now} now")
    lines += [
        f"not compared: {name}: {before['data'][name]} before, {now['data'][name]} now"
        for name in _other_data(now, before)
    ]
    rows = slower(now, before)
    for row in rows:
        others = "" if row["others"] is None else f"; its other peers {row['others']:+.0%}"
        lines.append(
            f"slower: {row['scenario']}, {row['peer']}: {row['before']:,.0f} -> "
            f"{row['now']:,.0f} samples/s ({row['change']:+.0%}{others})"
        )
    return lines if rows else [*lines, "nothing became slower by more than the spread"]
