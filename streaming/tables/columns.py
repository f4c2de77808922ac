"""The columns of a table: the label, the features, those left out, and those that are refused."""

from __future__ import annotations

import csv
import difflib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from rate_models.errors import BadOption
from streaming.tables.header import Header, check_numbers, names_of
from streaming.tables.left_out import INDEX, NAMELESS, NO_TIME, LeftOut, out_of_order, recognised
from streaming.tables.numbers import column_kind, number
from streaming.tables.table_file import Record

SAMPLE = 200  # rows from which the kind of a column is inferred
CELLS = 1 << 20  # and as many cells at most, but not fewer than
LEAST = 3  # lines
NAMES = 6  # features that are listed by name
MOST_DROPPED = 100  # columns that an error advises to leave out
TARGETS = {"target", "class", "y", "labels", "output", "outcome", "category", "species"}


class Choice(Header, Protocol):
    """The options that choose columns; see `streaming.sources.Options`."""

    @property
    def label(self) -> str | None: ...
    @property
    def drop(self) -> tuple[str, ...]: ...
    @property
    def time(self) -> str | None: ...
    @property
    def decimal(self) -> str: ...
    @property
    def missing(self) -> str: ...


@dataclass(frozen=True)
class Columns:
    """The columns of a table, by name and position.

    names: of all columns. label: position of the label column. features: positions of the feature
    columns, in order. first_row: number of the first record that holds data, counted from 0.
    warnings: texts to warn with once the whole table has been checked. reading: a line with the
    label and the columns left out; empty if all of them were stated.
    """

    names: tuple[str, ...]
    label: int
    features: tuple[int, ...]
    first_row: int
    warnings: tuple[str, ...]
    reading: str

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the features, in order."""
        return tuple(self.names[i] for i in self.features)


def beginning(records: Iterable[Record]) -> list[Record]:
    """The first records of a table, from which `columns` infers its columns."""
    first, cells = list[Record](), 0
    for record in records:
        first.append(record)
        cells += len(record[1])
        if len(first) == SAMPLE or (cells > CELLS and len(first) >= LEAST):
            break
    return first


def columns(path: str, first: Sequence[Record], options: Choice, encoding: str) -> Columns:
    """The columns of a table that begins with the records ``first``.

    Raises BadOption with a remedy for columns that cannot be used, and BadSample for bytes that
    cannot be decoded.
    """
    if not first:
        raise BadOption(path, got="an empty stream", expected="a line of names, then rows")
    names, rows, warnings = names_of(path, first, options, encoding)
    whole = [(line, cells) for line, cells in rows if len(cells) == len(names)]
    stated = _label(path, names, options, warnings)
    time = _time(path, names, options, stated)
    dropped = _dropped(path, names, options, stated)
    chosen = {i for i in (stated, time, *dropped) if i is not None}
    found = recognised(names, whole, chosen, options.time is None)
    if len(names) - len(chosen) - len(found) < 1 + (stated is None):  # a feature, and the label
        found = [one for one in found if not one.numeric]
    left_out = (chosen | {one.position for one in found}) - {stated}
    label = _last(path, names, left_out, warnings) if stated is None else stated
    if nameless := [
        one.text for one in found if one.text and NAMELESS.fullmatch(names[one.position])
    ]:
        warnings.append(f"{path}: left out of the features: {nameless[0]}")
    for i in [one.position for one in found if one.time] if time is None else [time]:
        warnings += out_of_order(path, names[i], i, whole)
    features = [i for i in range(len(names)) if i not in left_out and i != label]
    if not features:
        raise BadOption(
            path,
            got=f"no feature beside the label {names[label]!r}",
            expected="at least one column of numbers",
            remedy="--time none keeps a column of times" if any(o.time for o in found) else "",
        )
    cells = [row for _, row in whole]
    _judge(path, names, features, cells, options)
    warnings += _doubtful(path, names, features, cells)
    if options.header and any(number(names[i]) is not None for i in features):
        check_numbers(path, names, label, cells, warnings)
    reading = _reading(path, names, label, features, found)
    if not found and (options.label is not None or names[label] == "label"):
        reading = ""
    return Columns(
        tuple(names), label, tuple(features), int(options.header), tuple(warnings), reading
    )


def _reading(
    path: str, names: list[str], label: int, features: list[int], found: list[LeftOut]
) -> str:
    """A line with what the table is read as."""
    some = ", ".join(repr(names[i]) for i in features[:NAMES])
    more = f", ... ({len(features)} in all)" if len(features) > NAMES else ""
    texts = [one.text for one in found if one.text and one.position != label]
    others = ", ".join(texts[:10]) + (f" and {len(texts) - 10:,} more" if len(texts) > 10 else "")
    others = f"; left out: {others}" if others else ""
    read = f"{path}: label {names[label]!r}, features {some}{more}{others}"
    return f"{read}; --label, --drop and --time change this"


def _label(path: str, names: list[str], options: Choice, warnings: list[str]) -> int | None:
    """The position of the chosen label, else of the one called label; None if there is none."""
    chosen = options.label
    if chosen is not None:
        matches = [i for i, name in enumerate(names) if name == chosen]
        if not matches:
            raise _unknown("--label", path, chosen, names)
    else:
        matches = [i for i, name in enumerate(names) if name == "label"]
        if not matches:
            matches = [i for i, name in enumerate(names) if name.lower() == "label"]
            if len(matches) == 1:
                warnings.append(f"{path}: column {names[matches[0]]!r} is taken for the label")
    if len(matches) > 1:
        raise BadOption(
            path,
            got=f"{len(matches)} columns called {names[matches[0]]!r}",
            expected="one label",
            remedy="rename one, or choose another: --label COLUMN",
        )
    return matches[0] if matches else None


def _last(path: str, names: list[str], left_out: set[int], warnings: list[str]) -> int:
    """The position of the last column that is not left out, which is taken for the label."""
    candidates = [i for i, name in enumerate(names) if name and i not in left_out]
    last = max(candidates, default=len(names) - 1)
    others = [n for n in names[:last] if n.lower() in TARGETS]
    if others and names[last].lower() not in TARGETS:
        warnings.append(
            f"{path}: the last column, {names[last]!r}, is taken for the label; if it is "
            f"{others[0]!r}: --label {_quoted(others[0])}"
        )
    return last


def _time(path: str, names: list[str], options: Choice, label: int | None) -> int | None:
    """The position of the chosen column of times; None if none is chosen."""
    if options.time is None or (options.time == NO_TIME and NO_TIME not in names):
        return None
    matches = [i for i, name in enumerate(names) if name == options.time]
    if not matches:
        raise _unknown("--time", path, options.time, names)
    if label in matches:
        raise BadOption(
            "--time", got=f"{options.time!r}, the label", remedy="choose another: --label COLUMN"
        )
    return matches[0]


def _dropped(path: str, names: list[str], options: Choice, label: int | None) -> list[int]:
    """The positions of the columns to leave out."""
    dropped: list[int] = []
    for name in options.drop:
        matches = [i for i, n in enumerate(names) if n == name]
        if not matches:
            raise _unknown("--drop", path, name, names)
        if label in matches:
            raise BadOption(
                "--drop", got=f"{name!r}, the label", remedy="choose another: --label COLUMN"
            )
        dropped += matches
    return dropped


def _judge(
    path: str, names: list[str], features: list[int], rows: list[list[str]], options: Choice
) -> None:
    """Raise one BadOption for all columns that hold something other than numbers."""
    kinds = {i: column_kind([row[i] for row in rows], options.decimal) for i in features}
    if options.missing not in ("raise", "skip"):
        kinds = {i: one for i, one in kinds.items() if one[0] != "nothing"}
    wrong = {i: one for i, one in kinds.items() if one[0]}
    if not wrong:
        return
    parts = [
        f"column {names[i]!r} holds {kind}" + (f", e.g. {example[:40]!r}" if example else "")
        for i, (kind, example) in wrong.items()
    ]
    remedy = f"--drop {_quoted(','.join(_in_list(names[i]) for i in wrong))}"
    targets = [names[i] for i in wrong if names[i].lower() in TARGETS]
    if targets and options.label is None:
        remedy = f"--label {_quoted(targets[0])} if it is the label; else {remedy}"
    if len(wrong) > MOST_DROPPED:
        remedy = "make numbers of them; --missing or --drop is for a few"
    if any(kind == "decimal commas" for kind, _ in wrong.values()) and options.decimal == ".":
        remedy = "--decimal ,"
    more = f" and {len(parts) - 10} more" if len(parts) > 10 else ""
    raise BadOption(f"{path}: {'; '.join(parts[:10])}{more}", remedy=remedy)


def _doubtful(path: str, names: list[str], features: list[int], rows: list[list[str]]) -> list[str]:
    """Warnings of features that number the rows, and of names that occur twice."""
    warnings = list[str]()
    for i in features:
        if not INDEX.fullmatch(names[i]) or len(rows) < 2:
            continue
        values = [row[i].strip() for row in rows]
        if len({*values}) == len(values) and all(v.isdecimal() for v in values):
            some = ", ".join(values[:3])
            warnings.append(
                f"{path}: column {names[i]!r} has a number of its own in every row ({some}, ...), "
                f"as an index: --drop {_quoted(_in_list(names[i]))}"
            )
    warnings = _some(warnings)
    kept = Counter(names[i] for i in features)
    if twice := sorted(name for name, times in kept.items() if times > 1):
        warnings.append(f"{path}: several columns are called {twice[0]!r}")
    return warnings


def _some(warnings: list[str]) -> list[str]:
    """At most ten warnings of the same kind, and how many more there are."""
    more = len(warnings) - 10
    return warnings if more < 2 else [*warnings[:10], f"{more:,} more columns are like these"]


def _unknown(option: str, path: str, name: str, names: list[str]) -> BadOption:
    """The error for a column name that the table does not have, with the closest one as remedy."""
    near = difflib.get_close_matches(name.lower(), [n.lower() for n in names], n=1)
    shown = ", ".join(n for n in names[:20]) + (", ..." if len(names) > 20 else "")
    closest = next((n for n in names if near and n.lower() == near[0]), None)
    return BadOption(
        option,
        got=repr(name),
        expected=f"a column of {path}: {shown}",
        remedy=f"did you mean {closest!r}?" if closest else "",
    )


def listed(text: str) -> tuple[str, ...]:
    """The names in a text, separated by commas; double quotes enclose a name with a comma.

    >>> listed('time, "length, mm"')
    ('time', 'length, mm')
    """
    cells = next(csv.reader([text], skipinitialspace=True), [])
    return tuple(cell.strip() for cell in cells if cell.strip())


def _in_list(name: str) -> str:
    return f'"{name}"' if "," in name else name


def _quoted(text: str) -> str:
    """The text as one word of a shell command."""
    return text if re.fullmatch(r"[\w.,:=+/-]+", text) else f"'{text}'"
