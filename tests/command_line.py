"""The command line, called in this process."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from streaming.cli import main


class Result(SimpleNamespace):
    code: int
    out: str
    err: str


def called(capsys: pytest.CaptureFixture[str], *arguments: object) -> Result:
    """Exit code, stdout, stderr."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return Result(code=ended.value.code or 0, out=out, err=err)


def assert_one_error(result: Result, *words: str, code: int = 2) -> None:
    """One line on stderr, nothing on stdout."""
    assert result.code == code, result.err
    assert result.out == ""
    assert result.err.startswith("error: ") and result.err.count("\n") == 1, result.err
    for word in words:
        assert word in result.err
