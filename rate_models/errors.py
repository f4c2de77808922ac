"""Errors that a person can act on: what was got, what was expected, what to do about it."""

from __future__ import annotations

import reprlib
from typing import Any

LONGEST = 500  # characters of what was got; a person reads no more of it


def quoted(value: object, most: int = 60) -> str:
    """``repr`` in one line, cut to ``most`` characters; of what has no repr, its type.

    >>> quoted("a\\nb"), quoted([[1, 2]] * 50)
    ("'a\\\\nb'", '[[1, 2], [1, 2], [1, 2], [1, 2], [1, 2], [1, 2], [1, 2], ...')
    """
    try:
        text = " ".join(repr(value).split())
    except RecursionError:
        text = _SHALLOW.repr(value)
    except Exception:  # whatever a foreign object raises
        text = f"a {type(value).__name__}"
    return text if len(text) <= most else f"{text[: most - 3]}..."


_SHALLOW = reprlib.Repr()
_SHALLOW.maxlevel = 3


def _cut(got: object) -> str:
    """``str``, where it has one of a length that a person reads."""
    try:
        text = str(got)
    except (RecursionError, ValueError):  # ValueError: an integer of thousands of digits
        text = quoted(got)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _line(text: str) -> str:
    """In one line that a terminal shows as it is: control characters as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class UserError(Exception):
    """Something in the call, the data or the files is not as it must be.

    The command line prints the message alone and exits with status 2.

    >>> print(UserError("lr", got=-1, expected="a number above 0", remedy="try lr=0.03"))
    lr: got -1; expected a number above 0; try lr=0.03
    """

    def __init__(
        self, where: str, *, got: object = None, expected: str = "", remedy: str = ""
    ) -> None:
        parts = [f"got {_cut(got)}"] if got is not None else []
        parts += [f"expected {expected}"] if expected else []
        parts += [remedy] if remedy else []
        super().__init__(_line(f"{_cut(where)}: {'; '.join(parts)}" if parts else _cut(where)))

    def __str__(self) -> str:  # KeyError would print the repr
        return str(self.args[0])


class BadSample(UserError, ValueError):
    """A sample that cannot be learned from: NaN, infinite, wrong length, unknown label."""


class BadOption(UserError, ValueError):
    """An option, hyperparameter or shape outside what it may be."""


class UnknownName(UserError, ValueError):
    """A rule, source or field that does not exist; the message lists the ones that do."""


class MissingData(UserError, FileNotFoundError):
    """A data set or file that is not where it was looked for."""


class MissingExtra(UserError, ImportError):
    """An optional dependency that is not installed; the message says how to install it."""


class OtherFile(UserError, ValueError):
    """A file of one's own that is not the one with which a run or checkpoint was made."""


class DamagedCheckpoint(UserError, ValueError):
    """A checkpoint whose files are incomplete or changed."""


class Diverged(UserError, ArithmeticError):
    """Weights or activity stopped being finite; names the sample and the layer.

    outcome: what the network said of the samples before, see `rate_models.online.network.Outcome`.
    """

    outcome: Any = None
