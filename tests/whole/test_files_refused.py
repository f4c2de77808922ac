"""Files that are no rule, source, circuit or paper: one line each."""

from __future__ import annotations

import json
from pathlib import Path

import guides
import pytest
from command_line import called
from own import SOURCE

from rate_models import rules
from rate_models.errors import BadOption, MissingData, UnknownName

ALONE, WHOLE = guides.rule_files()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "mine: got a file without RULE; expected RULE = Rule.* at its end; add"),
        ("RULE = 'drtp'", "file of rule mine: got RULE = 'drtp'; expected RULE = Rule"),
        ("def f(:", "got line 1: SyntaxError"),
        ("\n\nimport nothing_of_that_name", "line 3: ModuleNotFoundError.*must be installed"),
        ("\nraise KeyError('x')", "line 2: KeyError"),
        (ALONE.replace("batch=batch)", "batch=batch, teach=batch)"), "got no tasks; expected"),
    ],
)
def test_a_file_that_is_no_rule_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(BadOption, match=message):
        rules.get(str(path))


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"rule .*none.py: got No such file"):
        rules.get(str(tmp_path / "none.py"))
    with pytest.raises(UnknownName, match=r"a file of your own: ./NAME.py"):
        rules.get("qqqqqqq")


def test_check_by_the_command_line(alone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = alone.parent / "ones.py"
    source.write_text(SOURCE)
    done = called(capsys, "check", f"{source}:50", "--json")
    assert done.code == 0 and json.loads(done.out)["kind"] == "source"
    source.write_text(SOURCE.replace("default_rng(0)", "default_rng()"))
    done = called(capsys, "check", f"{source}:50")
    assert done.code == 1 and "FAILED  resume" in done.out and "FAILED  the same again" in done.out
    done = called(capsys, "check", str(alone.parent / "none.py"))
    assert done.code == 2 and "got No such file" in done.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "mine: got a file without RULE, CIRCUIT or SOURCE; expected RULE = Rule(...), "),
        ("RULE = 3", "mine: got RULE = 3; expected RULE = Rule(__name__, ...) at its end"),
        ("CIRCUIT = 3", "mine: got CIRCUIT = 3; expected CIRCUIT = CircuitFile(__name__, ...)"),
        ("SOURCE = 3", "mine: got SOURCE = 3; expected SOURCE = SourceFile(__name__, open=...)"),
        ("PAPER = 3", "mine: got a paper; expected RULE"),
    ],
)
def test_check_refuses_a_file_that_defines_nothing_to_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    (tmp_path / "mine.py").write_text(text)
    done = called(capsys, "check", str(tmp_path / "mine.py"))
    assert done.code == 2 and message in done.err and done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "holds"),
    [
        (["run", "--rule", "mine.py"], "RULE"),
        (["run", "--source", "mine.py"], "SOURCE"),
        (["run", "--circuit", "mine.py"], "CIRCUIT"),
        (["paper", "./mine.py"], "PAPER"),
    ],
)
def test_a_file_that_lacks_its_object_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    words: list[str], holds: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text("x = 1\n")
    done = called(capsys, *words)
    assert done.code == 2 and done.err.count("\n") == 1
    assert f"got a file without {holds}; expected {holds} = " in done.err
    assert "add this line, or name the file that has it" in done.err
