"""The estimated duration of a long run is shown once, near its start."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from streaming import outlook
from streaming.cli import main
from streaming.outlook import LONG, MEASURED, Outlook, seconds_left


def standing(position: int, after: float, length: int | None = 1000, **limits: Any) -> Any:
    """A run of 10 epochs at this sample of its stream, after this many seconds."""
    config = SimpleNamespace(**{"epochs": 10, "samples": None, "seconds": None, **limits})
    source = SimpleNamespace(length=length)
    return SimpleNamespace(position=position, seconds=after, config=config, source=source)


@pytest.mark.parametrize(
    ("run", "left"),
    [
        (standing(1000, 50.0), 9000 / 20),
        (standing(1000, 50.0, samples=1500), 500 / 20),
        (standing(1000, 50.0, samples=10**9), 9000 / 20),
        (standing(1000, 50.0, seconds=60.0), 10.0),
        (standing(1000, 50.0, seconds=1e9), 9000 / 20),
        (standing(1000, 50.0, length=None), 0.0),  # only Ctrl-C ends it
        (standing(1000, 50.0, length=None, seconds=60.0), 10.0),
        (standing(1000, 50.0, length=None, samples=1500), 500 / 20),
        (standing(1000, 50.0, epochs=None), 0.0),
    ],
)
def test_the_first_limit_decides_the_seconds_left(run: Any, left: float) -> None:
    assert seconds_left(run, 20.0) == left


def lines_of(*runs: Any) -> tuple[list[str], int]:
    """The lines printed for a run with these states after its chunks; the number of chunks."""
    lines, shown = list[str](), list[Any]()
    look = Outlook(lines.append, shown.append)
    for run in runs:
        look(run)
    return lines, len(shown)


def test_the_line_is_shown_once_and_by_the_speed_since_the_resume() -> None:
    """The seconds of a resumed run may come from a slower machine."""
    length = 10**6  # of 10 epochs, at 40 samples per second
    chunks = [standing(500 + 40 * t, 9000.0 + t, length) for t in (0.0, 2.5, 5.0, 7.5, 5e4)]
    lines, shown = lines_of(*chunks)
    assert lines == [
        "at 40 samples per second this takes about 3 days; --seconds or --samples limit a run, "
        "and Ctrl-C ends it with what was learned saved"
    ]
    assert shown == len(chunks)
    assert lines_of(*chunks[:2])[0] == []  # the speed is not measured yet


@pytest.mark.parametrize(("more", "lines"), [(1.0, 0), (1.01, 1)])
def test_more_than_an_hour_is_long(more: float, lines: int) -> None:
    pace = 10.0
    end = int(pace * (MEASURED + more * LONG))
    chunks = [standing(int(pace * t), t, end, epochs=1) for t in (0.0, MEASURED)]
    assert len(lines_of(*chunks)[0]) == lines


@pytest.mark.parametrize("quiet", [False, True])
def test_the_command_shows_it(
    quiet: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(outlook, "MEASURED", 1e-9)
    monkeypatch.setattr(outlook, "LONG", 0.0)
    monkeypatch.setattr(outlook, "seconds_left", lambda run, pace: 7200.0)
    options = ["--source", "synthetic:samples=600,features=4", "--hidden", "4"]
    options += ["--epochs", "2", "--out", str(tmp_path / "r"), *(["--quiet"] if quiet else [])]
    with pytest.raises(SystemExit) as ended:
        main(["run", *options])
    assert not ended.value.code
    assert capsys.readouterr().err.count("this takes about 2 hours; --seconds or") == (not quiet)
