"""The result of a check: one line per requirement."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from rate_models.errors import BadOption, UnknownName, UserError

T = TypeVar("T")


class Line(NamedTuple):
    """check: the requirement. ok: whether it is met; None: not checked. detail: the reason."""

    check: str
    ok: bool | None
    detail: str = ""

    def __str__(self) -> str:
        mark = {True: "ok", False: "FAILED", None: "-"}[self.ok]
        return f"{mark:<8}{self.check:<36}{self.detail}".rstrip()


class Report(NamedTuple):
    """The lines about one object. kind: rule, source or circuit; name: its name."""

    kind: str
    name: str
    lines: tuple[Line, ...]

    @property
    def ok(self) -> bool:
        """Whether no requirement is violated."""
        return all(line.ok is not False for line in self.lines)

    def as_json(self) -> dict[str, Any]:
        """The report as a dict that JSON can represent."""
        checks = [line._asdict() for line in self.lines]
        return {"ok": self.ok, "kind": self.kind, "name": self.name, "checks": checks}


Check = Callable[[T], Iterator[Line]]


def carried_out(
    checks: Mapping[str, Check[T]], subject: T, only: Sequence[str] | None
) -> tuple[Line, ...]:
    """The lines of the checks; a check that raises counts as violated.

    only: names of checks; None: all. Raises UnknownName for other names.
    """
    for name in only or ():
        if name not in checks:
            raise UnknownName("check", got=repr(name), expected=f"one of {', '.join(checks)}")
    lines: list[Line] = []
    for name, check in checks.items():
        if only is None or name in only:
            try:
                lines += check(subject)
            except Exception as error:  # whatever the code of others raises
                lines.append(Line(name, False, reason(error)))
    if not lines:
        raise BadOption("checks", got="none", expected=f"some of {', '.join(checks)}")
    return tuple(lines)


def reason(error: Exception) -> str:
    """The error on one line, with file and line number where it was raised."""
    text = " ".join(str(error).split())
    if isinstance(error, UserError):
        return text
    frames = traceback.extract_tb(error.__traceback__)
    at = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {text[:600]}{at}"
