"""The label column: a first pass decides whether its cells are classes or numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import BadOption
from streaming.samples.task import task_of
from streaming.tables.numbers import INFINITE, MISSING, number, numbers

MAX_CLASSES = 65_536
# A whole number as it is written, or as pandas writes it in a column that has gaps.
WHOLE = re.compile(r"(?:0|-?[1-9]\d*)(\.0)?", re.ASCII)
SIGNS = {"-", "."}  # missing among numbers, labels among texts such as +


class Labels:
    """The labels of the column ``name`` of the file ``path``.

    task, loss: the options of `streaming.sources.Options`. Each different text is a class. Labels
    that are all plain whole numbers, such as -3 or 3.0 but not 007, become whole numbers. If a
    number with decimals comes before any text, the labels are numbers to predict.

    After `settle` it has ``classes``, sorted, or None for numbers to predict; ``guess``, a line
    about the task; ``warning``; and ``counts``, the number of rows of each class.
    """

    def __init__(
        self, path: str, name: str, *, task: str | None, loss: str | None, decimal: str
    ) -> None:
        self._name, self._what = f"column {name!r}", f"{path}, column {name!r}"
        self._task, self._loss, self._decimal = task, loss, decimal
        self._kind: type = float if task == "regression" else int
        self._texts: Counter[str] = Counter()
        self._many = False  # too many different numbers to keep
        self._plain = {""}  # how whole numbers are written: "", ".0" or "otherwise"
        self._absent: dict[str, int] = {}
        self.classes: tuple[Any, ...] | None = None
        self.guess = self.warning = ""
        self.counts: Counter[Any] = Counter()
        self._label_of: dict[str, Any] = {}

    def add(self, texts: Sequence[str], lines: Sequence[int]) -> dict[int, str]:
        """Add labels of the first pass. Returns what was expected at the index of each bad one."""
        known, bad = self._texts, dict[int, str]()
        fresh: set[str] = set()
        for i, text in enumerate(texts):
            if text in known or text in fresh:
                continue
            if problem := self._look(text, lines[i]):
                bad[i] = problem
            else:
                fresh.add(text)
        if not self._many:
            known.update(t for i, t in enumerate(texts) if i not in bad) if bad else known.update(
                texts
            )
            self._many = len(known) > MAX_CLASSES
            if self._many and (self._kind is str or self._task == "classification"):
                raise self._too_many()
        return bad

    def _look(self, text: str, line: int) -> str:
        """Examine a new label. Returns what was expected if it is bad, else an empty text."""
        value = number(text, self._decimal)
        if not text:
            return "a label"
        if self._kind is float or self._many:
            why = ", for a regression" if self._task else ", as in the rows before"
            return "" if value is not None and value == value else f"a number{why}"
        if text in MISSING:
            self._absent.setdefault(text, line)
        elif value is None or value != value:
            if INFINITE(text):
                return "a finite number or a text"
            self._kind = str
        elif match := WHOLE.fullmatch(text):
            self._plain.add(match[1] or "integer")
        else:
            self._plain.add("otherwise")
            if not value.is_integer() and self._kind is int and self._task != "classification":
                self._kind = float
        return ""

    def settle(self, rows: int, skip: bool) -> tuple[dict[str, int], int]:
        """Decide the task and the classes, after the first pass over ``rows`` rows.

        skip: whether texts such as NA are missing labels also if the labels are texts. Returns the
        texts that count as missing labels, each with its first line, and how many rows have one.
        """
        texts, absent = self._texts, self._absent
        if self._kind is str:
            absent = {text: line for text, line in absent.items() if text not in SIGNS}
        if absent and self._kind is str and not skip:
            shown = ", ".join(map(repr, absent))
            self.warning = (
                f"{self._what}: {shown} is taken for a class; where it stands for a missing label: "
                "--missing skip"
            )
            absent = {}
        left_out = sum(texts.pop(text, 0) for text in absent)
        if self._task != "regression":
            self._decide(rows - left_out)
        texts.clear()
        return absent, left_out

    def _decide(self, rows: int) -> None:
        texts = self._texts
        different = MAX_CLASSES + 1 if self._many else len(texts)
        task = task_of(self._name, self._kind, different, rows, self._task, self._loss)
        self.guess = task.guess
        if task.name == "regression":
            return
        if self._many:
            raise self._too_many()
        whole = self._kind is int and self._plain - {""} in ({"integer"}, {".0"})
        self._label_of = {t: int(t.removesuffix(".0")) if whole else t for t in texts}
        self.classes = tuple(sorted({*self._label_of.values()}))
        for text, count in texts.items():
            self.counts[self._label_of[text]] += count
        if not whole and (same := _same_number(texts)):
            self.warning = (
                f"{self._what}: {same[0]!r} and {same[1]!r} are the same number, written in two "
                "ways, and are taken for two classes"
            )

    def of(self, texts: Sequence[str]) -> tuple[NDArray[Any], list[int]]:
        """Labels, or numbers to predict, (n,), of a later pass, and the indices of bad ones.

        At those indices the array holds arbitrary values.
        """
        if self.classes is None:
            values = numbers(texts, self._decimal)
            if values is None:
                each = [number(text, self._decimal) for text in texts]
                values = np.array([np.nan if v is None else v for v in each])
            return values, np.flatnonzero(np.isnan(values)).tolist()
        try:
            return np.array([self._label_of[text] for text in texts]), []
        except KeyError:
            labels = [self._label_of.get(text, self.classes[0]) for text in texts]
            return np.array(labels), [i for i, t in enumerate(texts) if t not in self._label_of]

    def _too_many(self) -> BadOption:
        return BadOption(
            self._what,
            got=f"more than {MAX_CLASSES} different labels",
            expected="classes, or numbers for a regression",
            remedy="choose another column by --label COLUMN, or --task regression for numbers",
        )


def _same_number(texts: Iterable[str]) -> tuple[str, str] | None:
    """Two different texts that are the same number, in a column that has only numbers.

    >>> _same_number(["7", "8", "007"]), _same_number(["7", "007", "x"])
    (('7', '007'), None)
    """
    seen: dict[float, str] = {}
    same = None
    for text in texts:
        value = number(text)
        if value is None or value != value:
            return None
        if value in seen:
            same = same or (seen[value], text)
        seen.setdefault(value, text)
    return same
