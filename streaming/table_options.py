"""The options of sources that read tables, a part of the list in `streaming.options`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from rate_models.errors import BadOption
from streaming.records import Checked, Option, listed_values


def _columns(value: Any) -> Any:
    """The text ``time,id`` as two column names."""
    if not isinstance(value, str):
        return listed_values("drop", value)
    from streaming.tables.columns import listed  # imports NumPy, which --help does not need

    return listed(value)


class TableOptions(Checked):
    """Options of sources that read tables; other sources refuse them.

    label: column of the labels; None: the column named ``label``, or else the last one.
    drop: columns that are left out.
    time: the column with the time of each row, which is no feature; None: columns of timestamps,
    and ascending numbers called time; "none": no column.
    sep: separator of cells; None: a comma, or the separator that the first line uses instead.
    decimal: the decimal mark of numbers, "." or ",".
    encoding: encoding of the text, e.g. "latin-1"; None: UTF-8, or UTF-16 if the file starts with
    its byte order mark.
    header: whether the first line names the columns; else their names are 1, 2, ...
    missing: treatment of a missing cell: "raise", "skip" the row, or fill in "zero", the "last"
    value or the "mean" of the column so far.
    missing_indicator: add a feature for each column with missing cells, 1 where a cell is missing.
    held_out: fraction of the rows, the last ones, that is tested on and never learned.
    stratify: hold out a random sample of every class instead.
    """

    label: Annotated[
        str | None,
        Option("Table: the labels  [default: label, or the last column]", metavar="COLUMN"),
    ] = None
    drop: Annotated[
        tuple[str, ...],
        BeforeValidator(_columns),
        Option("Table: columns that are left out.", text=str, metavar="COLUMN[,...]"),
    ] = ()
    time: Annotated[
        str | None,
        Option(
            "Table: the time of each row, no feature; none: no column  [default: timestamps, and "
            "ascending numbers called time]",
            metavar="COLUMN",
        ),
    ] = None
    sep: Annotated[
        str | None,
        Option(
            "Table: separator of cells: ';', tab, space, ...  [default: a comma, or "
            "what the first line uses instead]"
        ),
    ] = None
    decimal: Annotated[Literal[".", ","], Option("Table: the decimal mark.")] = "."
    encoding: Annotated[
        str | None, Option("Table: its encoding, e.g. latin-1  [default: utf-8]")
    ] = None
    header: Annotated[
        bool,
        Option("Table: whether the first line names the columns; else they are 1, 2, ..."),
    ] = True
    missing: Annotated[
        Literal["raise", "skip", "mean", "last", "zero"],
        Option(
            "Table: at a missing cell stop, skip the row, or fill in the column's mean "
            "so far, its last value, or zero."
        ),
    ] = "raise"
    missing_indicator: Annotated[
        bool,
        Option("Table: one more feature per column with missing cells: 1 where a cell is missing."),
    ] = False
    held_out: Annotated[
        float,
        Field(ge=0, lt=1),
        Option("Table: fraction of the rows, the last ones, that is tested on and never learned."),
    ] = 0.0
    stratify: Annotated[bool, Option("Hold out a random sample of every class instead.")] = False

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.missing_indicator and self.missing in ("raise", "skip"):
            expected = "--missing mean, last or zero beside it"
            raise BadOption("--missing-indicator", got=f"missing={self.missing}", expected=expected)
        if self.stratify and not self.held_out:
            raise BadOption(
                "--stratify", got="nothing held out", expected="for example --held-out 0.2"
            )
        return self
