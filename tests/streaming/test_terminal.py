"""Output is written in any encoding; results are kept even if the output is lost."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import called
from project import ROOT

from streaming import terminal
from streaming.cli import main

SMALL = ("run", "--samples", "300", "--hidden", "8", "--quiet", "--out")
RESULTS = {"summary.json", "learning_curve.png", "checkpoint"}


class Stream(io.TextIOWrapper):
    """stdout in a given encoding, on a file that may fail."""

    def __init__(self, encoding: str = "utf-8", refuses: int = 0) -> None:
        super().__init__(Refusing(refuses), encoding=encoding, write_through=True)

    def text(self) -> str:
        return bytes(self.buffer.held).decode(self.encoding)  # type: ignore[attr-defined]


class Refusing(io.RawIOBase):
    def __init__(self, code: int) -> None:
        self.code, self.held = code, bytearray()

    def writable(self) -> bool:
        return True

    def write(self, text: Any) -> int:
        if self.code:
            raise OSError(self.code, os.strerror(self.code))
        self.held += bytes(text)
        return len(text)


def ended(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    code = end.value.code
    assert isinstance(code, int)
    return code


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_every_encoding_is_written(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    shown = Stream(encoding)
    monkeypatch.setattr(sys, "stdout", shown)
    with terminal.delivered():
        print("R² → Δ ☃ \udcff")
    wanted = "R² → Δ ☃ \udcff".encode(encoding, "backslashreplace").decode(encoding)
    assert shown.text() == wanted + "\n"


@pytest.mark.parametrize("command", ["rules", "sources", "paper"])
def test_the_lists_are_written_in_ascii(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    shown = Stream("ascii")
    monkeypatch.setattr(sys, "stdout", shown)
    assert ended(command) == 0
    assert shown.text().count("\n") > 3


@pytest.mark.parametrize("option", [(), ("--json",)])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EPIPE, errno.EIO])
def test_a_run_whose_report_is_lost_keeps_its_results(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    code: int,
    option: tuple[str, ...],
) -> None:
    monkeypatch.setattr(sys, "stdout", Stream(refuses=code))
    assert ended(*SMALL, tmp_path / "r", *option) == 1
    lost = f"error: the output could not be written: {os.strerror(code)}\n"
    assert capsys.readouterr().err == ("" if code == errno.EPIPE else lost)
    assert {path.name for path in (tmp_path / "r").iterdir()} >= RESULTS


def test_other_errors_are_not_reported_as_output_errors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdout", Stream())
    with pytest.raises(OSError, match="no memory"), terminal.delivered():
        raise OSError(errno.ENOMEM, "no memory")


def test_the_exit_code_of_a_failure_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Stream(refuses=errno.ENOSPC))
    assert ended("run", "--rule", "none") == 2


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_no_file_takes_the_descriptor_of_a_closed_stream(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, closed: str
) -> None:
    monkeypatch.setattr(sys, closed, None)
    assert ended(*SMALL, tmp_path / "r") == 0
    getattr(sys, closed).close()  # what was opened in its place
    assert {path.name for path in (tmp_path / "r").iterdir()} >= RESULTS


def test_lost_messages_do_not_end_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Stream(refuses=errno.ENOSPC))
    terminal.notify("lost")
    shut = Stream()
    shut.close()
    monkeypatch.setattr(sys, "stderr", shut)
    terminal.notify("lost too")


def test_fast_operations_are_not_announced() -> None:
    printed: list[str] = []
    with terminal.slow("slow", printed.append, after=30.0):
        pass
    with terminal.slow("slow", printed.append, after=0.0):
        while not printed:
            pass
    assert printed == ["slow"]


def test_a_bar_is_shown_only_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    loud = [word for word in SMALL if word != "--quiet"]
    err = called(capsys, *loud, tmp_path / "log").err
    assert err.startswith("chosen: ") and err.count("\n") == 1 and "\r" not in err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert "pepita on digits" in called(capsys, *loud, tmp_path / "terminal").err


def test_names_in_another_encoding_are_refused_before_anything_is_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    output = called(capsys, *SMALL, tmp_path / "r", "--source", "csv:\udcff.csv")
    assert output.code == 2 and output.err.startswith("error: --source: got 'csv:\\udcff.csv'")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["rules", "sources", "paper"])
def test_without_docstrings_the_lists_are_the_same(command: str) -> None:
    shown = [
        subprocess.run(
            [sys.executable, *option, "-m", "dendrostream", command],
            capture_output=True,
            text=True,
            cwd=ROOT,
        ).stdout
        for option in ((), ("-OO",))
    ]
    assert shown[0].count("\n") > 3 and shown[0] == shown[1]
