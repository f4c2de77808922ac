"""Output of commands: JSON and tables."""

from __future__ import annotations

from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bar, no messages.")]


def print_json(values: dict[str, Any]) -> None:
    """Print one JSON object on one line."""
    from streaming.files.folder import json_line

    print(json_line(values))


def table(rows: list[dict[str, Any]]) -> str:
    """Text of a table. The rows have equal keys, which are the column headers."""
    if not rows:
        return "nothing to show"
    from streaming.papers.table import aligned

    return aligned([list(rows[0]), *([_cell(v) for v in row.values()] for row in rows)])


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "-" if value is None else str(value)
