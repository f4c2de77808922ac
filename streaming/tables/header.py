"""The first line of a table: the names of its columns, or a row of data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from rate_models.errors import BadOption
from streaming.tables.numbers import number
from streaming.tables.table_file import Record, is_text, undecodable


class Header(Protocol):
    """The option of the first line; see `streaming.sources.Options`."""

    @property
    def header(self) -> bool: ...


def names_of(
    path: str, first: Sequence[Record], options: Header, encoding: str
) -> tuple[list[str], Sequence[Record], list[str]]:
    """The names of the columns, the records of data, and a list for warnings.

    Raises BadOption for a first line that cannot be one of names, and BadSample for bytes that
    cannot be decoded.
    """
    line, cells = first[0]
    where, warnings = f"{path}, line {line}", list[str]()
    if not all(map(is_text, cells)):
        raise undecodable(where, encoding, next(cell for cell in cells if not is_text(cell)))
    names = [cell.strip().removeprefix("\ufeff") for cell in cells]
    if any("\0" in name for name in names):
        raise BadOption(
            where, got="zero bytes", expected="text", remedy="for UTF-16: --encoding utf-16-le"
        )
    if not options.header:
        names, rows = [str(i + 1) for i in range(len(cells))], first
    else:
        rows = first[1:]
        position = _without_name(names, [cells for _, cells in rows])
        if position is not None:
            names.insert(position, "")
    if len(names) < 2:
        raise BadOption(
            where,
            got=f"one column, {cells[0][:80]!r}",
            expected="features and a label",
            remedy="name what separates them, e.g. --sep ';' or --sep space",
        )
    if options.header:
        _header_is_data(where, names)
    return names, rows, warnings


def _without_name(names: list[str], rows: list[list[str]]) -> int | None:
    """The position of a column without a name, if every row has one cell more than the header.

    R writes such a first column of row names, which are counts or texts. Other programs end each
    row with a separator, which makes an empty last column. None for anything else.
    """
    if len(rows) < 2 or len(names) < 2 or any(len(row) != len(names) + 1 for row in rows):
        return None
    if not any(row[-1].strip() for row in rows):
        return len(names)
    cells = [row[0].strip() for row in rows]
    counted = cells == [str(i + 1) for i in range(len(rows))]
    texts = len({*cells}) == len(cells) and all(number(text) is None for text in cells)
    return 0 if counted or texts else None


def _header_is_data(where: str, names: list[str]) -> None:
    """Refuse a first line that holds data: only numbers, or a number that is no usual name."""
    known = [n for n in names if n]
    counted = [str(i) for i in range(len(known))]  # pandas writes these for columns without names
    numeric = [n for n in known if (value := number(n)) is not None and value == value]
    odd = [n for n in numeric if not re.fullmatch(r"\d+", n)]
    if odd or (numeric == known and known != counted):
        raise BadOption(
            where,
            got=f"{(odd or numeric)[0]!r} for a name, and numbers alone" if numeric == known
            else f"{odd[0]!r} for a name",
            expected="the names of the columns",
            remedy="--no-header where line 1 is a row",
        )  # fmt: skip


def check_numbers(
    path: str, names: list[str], label: int, rows: Sequence[list[str]], warnings: list[str]
) -> None:
    """Warn of names like 1990, which can be years; refuse a first line that looks like data."""
    shown = [n for n in names if number(n) is not None and n]
    if len(shown) == sum(n != "" for n in names):
        return  # 0, 1, 2, ...
    if names[label] in [row[label].strip() for row in rows] or len(set(names)) < len(names):
        raise BadOption(
            f"{path}, line 1",
            got=f"what looks like a row: {', '.join(names)[:80]}",
            expected="the names of the columns",
            remedy="--no-header where line 1 is a row",
        )
    warnings.append(
        f"{path}: line 1 has numbers for names, e.g. {shown[0]!r}; "
        "--no-header where it is a row of data"
    )
