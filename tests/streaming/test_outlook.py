"""A run that has hours to go says so once, while it can still be ended at no cost."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from streaming import outlook
from streaming.app import main
from streaming.outlook import LONG, MEASURED, Outlook, seconds_left


def standing(position: int, after: float, length: int | None = 1000, **limits: Any) -> Any:
    """A run of 10 epochs that stands at this sample after so many seconds."""
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
def test_what_is_left_is_what_the_first_limit_leaves(run: Any, left: float) -> None:
    assert seconds_left(run, 20.0) == left


def said_of(*runs: Any) -> tuple[list[str], int]:
    """The lines that are said of a run that stands so after each of its blocks; blocks shown."""
    lines, shown = list[str](), list[Any]()
    look = Outlook(lines.append, shown.append)
    for run in runs:
        look(run)
    return lines, len(shown)


def test_it_is_said_once_and_by_the_pace_of_this_sitting() -> None:
    """A resumed run has seconds of before, at the pace of another machine."""
    length = 10**6  # of 10 epochs, at 40 samples per second
    blocks = [standing(500 + 40 * t, 9000.0 + t, length) for t in (0.0, 2.5, 5.0, 7.5, 5e4)]
    lines, shown = said_of(*blocks)
    assert lines == [
        "at 40 samples per second this takes about 3 days; --seconds or --samples limit a run, "
        "and Ctrl-C ends it with what was learned saved"
    ]
    assert shown == len(blocks)
    assert said_of(*blocks[:2])[0] == []  # the pace is not known yet


@pytest.mark.parametrize(("more", "lines"), [(1.0, 0), (1.01, 1)])
def test_an_hour_is_not_long(more: float, lines: int) -> None:
    pace = 10.0
    end = int(pace * (MEASURED + more * LONG))
    blocks = [standing(int(pace * t), t, end, epochs=1) for t in (0.0, MEASURED)]
    assert len(said_of(*blocks)[0]) == lines


@pytest.mark.parametrize("quiet", [False, True])
def test_the_command_says_it(
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
