"""Errors that the user can act on: what was got, what was expected, and the remedy."""

from __future__ import annotations

import reprlib
from typing import Any

LONGEST = 500  # characters of a value that a message quotes


def quoted(value: object, most: int = 60) -> str:
    """``repr`` on one line, cut to ``most`` characters; the type of a value whose repr fails.

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
    """``str`` of a value, cut to `LONGEST` characters."""
    try:
        text = str(got)
    except (RecursionError, ValueError):  # ValueError: an integer of thousands of digits
        text = quoted(got)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _line(text: str) -> str:
    """The text on one line, with control characters escaped for terminals."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class UserError(Exception):
    """An error in the call, the data or the files, which the user can correct.

    The command line prints only the message and exits with status 2.

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
    """An option, hyperparameter or shape that is not allowed."""


class UnknownName(UserError, ValueError):
    """A rule, source or field that does not exist; the message lists the valid names."""


class MissingData(UserError, FileNotFoundError):
    """A data set or file that does not exist at its expected path."""


class MissingExtra(UserError, ImportError):
    """An optional dependency that is not installed; the message says how to install it."""


class OtherFile(UserError, ValueError):
    """A file of the user's own that has changed since a run or checkpoint was written."""


class DamagedCheckpoint(UserError, ValueError):
    """A checkpoint whose files are incomplete or changed."""


class Diverged(UserError, ArithmeticError):
    """Weights or activity are no longer finite; the message names the sample and the layer.

    outcome: the results of the earlier samples, see `rate_models.online.network.Outcome`.
    """

    outcome: Any = None
