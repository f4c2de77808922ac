"""Results as files, and what became slower since an earlier one."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import Any

from rate_models.errors import MissingData, UserError
from streaming.files.folder import disk, write_text

Result = dict[str, Any]
KEYS = {"machine", "rows", "roofline", "costs", "scaling"}


def read(path: Path) -> Result:
    """A result from its file. Raises MissingData, and UserError if it is damaged."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        if result.keys() >= KEYS:
            return result  # type: ignore[no-any-return]
    except FileNotFoundError:
        raise MissingData(str(path), got="no such file",
                          remedy="dendrostream bench --out FILE makes one") from None  # fmt: skip
    except (OSError, ValueError, AttributeError):
        pass
    raise UserError(str(path), got="no whole result of a benchmark",
                    remedy="measure it again: dendrostream bench --out FILE")  # fmt: skip


def write(path: Path, result: Result) -> None:
    """Write a result, a line for each row."""
    parts = []
    for name, value in result.items():
        if isinstance(value, list) and value:
            lines = ",\n".join("  " + json.dumps(one, ensure_ascii=False) for one in value)
            parts.append(f"{json.dumps(name)}: [\n{lines}\n ]")
        else:
            parts.append(f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}")
    with disk(path.parent):
        write_text(path, "{\n " + ",\n ".join(parts) + "\n}\n")


def slower(now: Result, before: Result) -> list[dict[str, Any]]:
    """Our rows whose upper quartile is below the earlier lower quartile.

    Rows {scenario, peer, before, now, change, others}. change: relative, of the medians. others:
    the median change of the peers in the scenario that are not ours, which shows how much of it
    is the machine's; None without any.
    """
    earlier = {(row["scenario"], row["peer"]): row for row in before["rows"]}
    pairs = [
        (row, old)
        for row in now["rows"]
        if row["samples_per_second"]
        and (old := earlier.get((row["scenario"], row["peer"])))
        and old["samples_per_second"]
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


def _change(now: dict[str, Any], before: dict[str, Any]) -> float:
    return float(now["samples_per_second"] / before["samples_per_second"] - 1)


def compared(now: Result, before: Result) -> list[str]:
    """Lines about what became slower by more than the spread."""
    lines = []
    differ = [name for name in ("cpu", "vectors", "numba", "numpy")
              if now["machine"].get(name) != before["machine"].get(name)]  # fmt: skip
    for name in differ:
        was, is_now = before["machine"].get(name), now["machine"].get(name)
        lines.append(f"not the same {name}: {was} before, {is_now} now")
    rows = slower(now, before)
    for row in rows:
        others = "" if row["others"] is None else f"; its other peers {row['others']:+.0%}"
        lines.append(
            f"slower: {row['scenario']}, {row['peer']}: {row['before']:,.0f} -> "
            f"{row['now']:,.0f} samples/s ({row['change']:+.0%}{others})"
        )
    return lines if rows else [*lines, "nothing became slower by more than the spread"]
