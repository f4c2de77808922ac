"""The one list of options: everything else is derived from it."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
import typer
from project import ROOT

from rate_models.errors import BadOption
from streaming import OnlineLearner
from streaming.files import checkpoint
from streaming.options import LearnerOptions, RunOptions
from streaming.records import Checked, Option, option_of
from streaming.runs import going_on
from streaming.runs.config import BY_OPTION, BY_SETTING, FromSource, RunConfig, parse_settings

# One more field in the record of the run or of the learner. Nothing else is changed.
ONE_MORE = """
import sys, types
from pathlib import Path
import streaming

def add_field(record, field):
    module = types.ModuleType("streaming.options")
    text = (Path(streaming.__file__).parent / "options.py").read_text()
    start = text.index(f"class {record}(Checked)")
    end = text.index("class ", start + 1)
    sys.modules["streaming.options"] = streaming.options = module
    exec(text[:end] + f"    {field}\\n\\n" + text[end:], vars(module))

add_field(sys.argv[1],
          'leak: Annotated[float, Field(ge=0), Option("A dummy.", inherited="fixed")] = 0.25')

from streaming.cli import main

def command(*words):
    try:
        main(list(words))
    except SystemExit as ended:
        return ended.code

SMALL = ["--source", "synthetic:samples=60,features=4", "--hidden", "3", "--quiet", "--json"]
print(command("run", "--help"), command("sweep", "--help"))
print(command("run", *SMALL, "--leak", "0.5", "--out", "r"))
print(command("run", *SMALL, "--leak", "-1", "--out", "t"))
print(command("run", "--from", "r", "--leak", "1", "--out", "u"))

from streaming.sweeps.sweep import cells, parse_over
two = cells({"source": SMALL[1], "hidden": 3}, parse_over(["leak=0.5,2"]))
print([(cell.varied, cell.run["leak"]) for cell in two])
"""
IN_PYTHON = """
import inspect
from rate_models.errors import BadOption
from streaming import OnlineLearner

print(inspect.signature(OnlineLearner).parameters["leak"])
loaded = OnlineLearner.load("r/checkpoint")
loaded.save("again")
print(OnlineLearner().leak, OnlineLearner(leak=2).leak, loaded.leak)
try:
    OnlineLearner(leak=-1)
except BadOption as error:
    print(error)
"""


@pytest.mark.parametrize("record", ["StreamOptions", "LearnerOptions"])
def test_a_new_option_in_the_record_appears_everywhere(tmp_path: Path, record: str) -> None:
    in_python = IN_PYTHON if record == "LearnerOptions" else ""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{ONE_MORE}{in_python}"
    words = [sys.executable, "-c", code, record]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    helps = [line.split() for line in done.stdout.splitlines() if "--leak" in line]
    assert helps[:2] == [["--leak", "<float>", "A", "dummy.", "[default:", "0.25]"]] * 2
    assert "error: --leak: got -1.0; expected greater than or equal to 0\n" in done.stderr
    assert "error: --leak: got beside --from" in done.stderr
    assert json.loads((tmp_path / "r" / "config.json").read_text())["leak"] == 0.5
    stored = checkpoint.read(tmp_path / "r" / "checkpoint")[1]
    assert stored["run"]["config"]["leak"] == 0.5
    assert not (tmp_path / "t").exists() and not (tmp_path / "u").exists()
    swept, _, python = done.stdout.partition("[({'leak': 0.5}, 0.5), ({'leak': 2}, 2.0)]\n")
    assert swept != done.stdout
    if in_python:
        assert stored["learner"]["leak"] == 0.5
        assert checkpoint.read(tmp_path / "again")[1]["learner"]["leak"] == 0.5
        assert python.splitlines() == [
            "leak: float = 0.25",
            "0.25 2.0 0.5",
            "--leak: got -1; expected greater than or equal to 0",
        ]


def plain_types(kind: Any) -> set[Any]:
    """The types of the values that an annotation allows, without ranges and choices."""
    inside, origin = get_args(kind), get_origin(kind)
    if origin is Literal:
        return {type(value) for value in inside}
    if origin is Annotated:
        return plain_types(inside[0])
    if origin in (Union, types.UnionType):
        return set().union(*map(plain_types, inside))
    return {kind}


def test_the_types_that_the_learner_lists_are_those_of_the_record() -> None:
    listed = get_type_hints(inspect.unwrap(OnlineLearner.__init__))
    both = listed.keys() & RunOptions.model_fields.keys()
    assert both >= {"rule", "lr", "dtype", "scale", "schedule", "workers", "batch", "seed", "task"}
    for name in both:
        field = plain_types(RunOptions.model_fields[name].annotation)
        assert field - {types.NoneType} <= plain_types(listed[name]), name


def test_options_source_and_settings_cover_the_arguments_of_the_learner() -> None:
    taken = inspect.signature(OnlineLearner).parameters
    assert [*taken][-1] == "options"
    assert {*BY_OPTION, *BY_SETTING, *FromSource._fields} == {*taken} - {"options"}
    own = LearnerOptions.model_fields.keys() - {"hidden", "settings"}  # which are not its names
    assert own <= {*BY_OPTION}


def test_a_checkpoint_stores_every_argument_of_a_learner(tmp_path: Path) -> None:
    learner = OnlineLearner("backprop", (4, 3, 1), task="regression", bias=True, momentum=0.5)
    learner.save(tmp_path / "c")
    stored = checkpoint.read(tmp_path / "c")[1]["learner"]
    assert {*inspect.signature(OnlineLearner).parameters} - {"options"} <= {*stored}
    again = OnlineLearner(**stored)
    assert all(getattr(again, name) == getattr(learner, name) for name in (*BY_OPTION, *BY_SETTING))
    assert again.network.options == learner.network.options


def test_the_record_lists_the_options_that_a_run_cannot_change() -> None:
    fixed = {"rule", "circuit", "hidden", "dtype", "scale", "target", "task", "seed", "schedule"}
    assert {*going_on.FIXED} == fixed | {"workers", "batch", "classes", "signal"}
    assert {*going_on.FRESH} == {"epochs", "samples", "seconds", "accuracy"}


@pytest.mark.parametrize("name", [*BY_OPTION, *FromSource._fields])
def test_arguments_from_options_or_the_source_cannot_be_set(name: str) -> None:
    with pytest.raises(BadOption, match="--set"):
        parse_settings([f"{name}=1"])


def test_every_option_has_help_and_is_kept() -> None:
    assert option_of(RunOptions).keys() == RunOptions.model_fields.keys()
    assert all(option.help for option in option_of(RunOptions).values())
    assert RunConfig.model_fields.keys() == {*RunOptions.model_fields, "lineage"}


class Some(Checked):
    """Options of each kind."""

    many: Annotated[tuple[int, ...], Option("Several.", text=list[str])] = ()
    on: Annotated[bool, Option("Is on.")] = True
    off: Annotated[bool, Option("Is off.")] = False
    path: Annotated[Path | None, Option("A file.", metavar="FILE", decides=False)] = None


def test_the_stored_command_line_omits_options_without_effect_on_results(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from streaming.commands._options import command_line, with_options

    @with_options(Some)
    def try_it(context: typer.Context, name: Annotated[str, typer.Argument()], **_: Any) -> None:
        print(command_line(context, Some))

    app = typer.Typer()
    app.command("try")(try_it)
    words = ["a b", "--no-on", "--off", "--many", "1", "--many", "2", "--path", "x"]
    app(words, prog_name="try", standalone_mode=False)
    assert capsys.readouterr().out == "dendrostream try 'a b' --many 1 --many 2 --no-on --off\n"
