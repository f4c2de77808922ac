"""Arguments of sources that wrap another source: ``NAME:[KEY=VALUE,...:]SOURCE``."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rate_models.errors import BadOption, UnknownName, quoted
from rate_models.support import own_files
from streaming.sources import Options, Source, open_source, refuse_live

MOST = 2**53


class Arguments:
    """The keys of a wrapping source ``kind``, and the text that opens the source inside.

    Raises UnknownName for a key that is not among ``keys``, and BadOption.

    >>> given = Arguments("drift", "at=500,kind=abrupt:csv:FILE.csv", ("kind", "at"))
    >>> given.inside, given.whole("at", 5000), given.choice("kind", ("gradual", "abrupt"))
    ('csv:FILE.csv', 500, 'abrupt')
    """

    def __init__(self, kind: str, argument: str | None, keys: Sequence[str]) -> None:
        self.kind, self._values = kind, dict[str, str]()
        argument = argument or ""
        first, colon, rest = argument.partition(":")
        if "=" not in first or own_files.parse(argument):
            first, colon, rest = "", ":", argument
        if not colon or not rest:
            got = quoted(argument) if argument else "no source"
            expected = f"{kind}:KEY=VALUE,...:SOURCE, e.g. {kind}:digits"
            raise BadOption(kind, got=got, expected=expected)
        self._text, self.inside = first, rest
        for item in first.split(",") if first else ():
            key, equals, value = (part.strip() for part in item.partition("="))
            if key not in keys or not equals:
                expected = f"KEY=VALUE, {', '.join(keys)}"
                raise UnknownName(kind, got=quoted(item), expected=expected)
            if key in self._values:
                raise BadOption(f"{kind}:{key}", got="it twice", expected="it once")
            self._values[key] = value

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def choice(self, key: str, choices: Sequence[str]) -> str:
        """One of ``choices``, the first by default."""
        value = self._values.get(key, choices[0])
        if value not in choices:
            raise self.bad(key, quoted(value), f"one of {', '.join(choices)}")
        return value

    def whole(self, key: str, default: int, least: int = 1, most: int = MOST) -> int:
        """A whole number from ``least`` to ``most``."""
        if key not in self._values:
            return default
        value = self.number(key, default, least, most)
        if not value.is_integer():
            raise self.bad(key, quoted(self._values[key]), "a whole number")
        return int(value)

    def number(self, key: str, default: float, least: float, most: float) -> float:
        """A number from ``least`` to ``most``."""
        if key not in self._values:
            return float(default)
        try:
            value = float(self._values[key])
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise self.bad(key, quoted(self._values[key]), f"a number from {least:g} to {most:g}")
        return value

    def allow(self, key: str, where: bool, expected: str) -> None:
        """Raise BadOption if a key was given that has no effect; ``where``: whether it has one."""
        if key in self._values and not where:
            raise self.bad(key, self._values[key], f"it only with {expected}")

    def text(self, key: str) -> str:
        """The text of a key; empty if it was not given."""
        return self._values.get(key, "")

    def replaced(self, key: str, text: str) -> str:
        """The whole argument, with another text of a key.

        >>> Arguments("drift", "at=500:digits", ("at", "also")).replaced("also", "7")
        'at=500,also=7:digits'
        """
        keys = [f"{k}={v}" for k, v in {**self._values, key: text}.items()]
        return f"{','.join(keys)}:{self.inside}"

    def bad(self, key: str, got: str, expected: str) -> BadOption:
        """The error for the value of a key."""
        return BadOption(f"{self.kind}:{key}", got=got, expected=expected)

    def name(self, source: Source) -> str:
        """The text that opens the wrapping source again."""
        keys = f"{self._text}:" if self._text else ""
        return f"{self.kind}:{keys}{source.name}"

    def open(self, options: Options) -> Source:
        """Open the source inside. Signal steps come after the wrapping source, so it gets none."""
        refuse_live(self.inside, self.kind)
        return open_source(self.inside, options.model_copy(update={"signal": ()}))
