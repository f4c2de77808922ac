"""The command line, called in this process."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from streaming.cli import main


class Said(SimpleNamespace):
    code: int
    out: str
    err: str


def called(capsys: pytest.CaptureFixture[str], *arguments: object) -> Said:
    """Exit code, stdout, stderr."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return Said(code=ended.value.code or 0, out=out, err=err)


def assert_one_error(said: Said, *words: str, code: int = 2) -> None:
    """One line on stderr, nothing on stdout."""
    assert said.code == code, said.err
    assert said.out == ""
    assert said.err.startswith("error: ") and said.err.count("\n") == 1, said.err
    for word in words:
        assert word in said.err
