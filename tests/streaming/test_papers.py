"""`dendrostream paper`: cells that are kept, skipped or refused, and the pages of results."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from dataclasses import replace
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from command_line import assert_one_error
from project import ROOT

from rate_models.errors import MissingData, UnknownName
from rate_models.support import lookup
from streaming import papers
from streaming.files.bounded import DamagedData
from streaming.papers import Context, Paper, Published, Scale, outlook, page, table
from streaming.papers import reproduce as of_papers
from streaming.papers.cells import Store
from streaming.papers.reproduce import reproduce

PAPER = '''
"""Somebody 2000, figure 7:
how slow a paper is.

More about it.
"""
import os, time
from pathlib import Path
from rate_models.errors import Diverged, MissingData
from streaming.papers import Paper, Published, Scale
ROWS = {"slow": 1, "slower": 2, "none": 0}
COLUMNS = {"here": 10.0, "there": 20.0, "nowhere": None}
PUBLISHED = {("slow", "here"): Published(11.0, 0.5, "figure 7"),
             ("slower", "here"): Published(99.0, None, "figure 7")}

def run(row, column, scale):
    if row == "none":
        return None if column == "here" else "not built yet"
    return {"experiment": "waiting", "row": ROWS[row], "column": COLUMNS[column],
            "epochs": scale.epochs}

def measure(run, seeds, context):
    if run["column"] is None:
        raise MissingData("nowhere", got="nothing", expected="something")
    for seed in seeds:
        if run["row"] == 2 and seed == 1:
            raise Diverged("all of it")
        time.sleep(float(os.environ.get("SLOW", 0)))
        with open(os.environ["LOG"], "a") as log:
            log.write(f"{run['row']} {run['column']} {seed}\\n")
        context.tick(f"seed {seed}")
        context.note(f"seed {seed} was slow")
        context.keep(seed, {"steps": run["row"] * run["column"] + seed})

def value(row, column, results):
    return [result["steps"] for result in results]

PAPER = Paper(__name__, rows=ROWS, columns=COLUMNS, unit="steps", published=PUBLISHED,
              full=Scale(seeds=3, epochs=5), quick=Scale(seeds=2, epochs=2, samples=100),
              run=run, measure=measure, value=value, torch=False,
              remarks={"slower": "It sleeps.", ("slow", "there"): "Not compared."})
'''


@pytest.fixture
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A paper for tests, which writes a line to the file for everything that it computes."""
    folder = tmp_path / "some_papers"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "slow_paper.py").write_text(PAPER)
    (folder / "_shared.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("ours", "some_papers", papers.PAPERS.group)
    monkeypatch.setattr(lookup, "entry_points", lambda group: [point])
    monkeypatch.setattr(papers, "PAPERS", replace(papers.PAPERS, package="no_papers"))
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    yield tmp_path / "log"
    for name in [name for name in sys.modules if name.startswith("some_papers")]:
        del sys.modules[name]


def cell(result: dict[str, Any], row: str, column: str) -> dict[str, Any]:
    (found,) = (c for c in result["cells"] if (c["row"], c["column"]) == (row, column))
    return found


def test_papers_are_listed(paper: Path, call: Any) -> None:
    output = call("paper")
    assert output.code == 0
    listed = " ".join(output.out.split())
    assert listed == "slow-paper Somebody 2000, figure 7: how slow a paper is."
    assert json.loads(call("paper", "--json").out)["names"] == ["slow-paper"]
    with pytest.raises(UnknownName, match=r"one of slow-paper; did you mean 'slow-paper'\?"):
        papers.get("slow-papr")


def test_our_papers_are_listed_installed_or_in_a_bare_checkout(tmp_path: Path) -> None:
    code = "import streaming.papers as p; print(p.get('pepita-table1').module.rpartition('.')[0])"
    for name, link in (("dendrostream_demos", True), ("demos", False)):
        path = [str(ROOT)]
        if link:
            (tmp_path / name).symlink_to(ROOT / "demos")
            path.append(str(tmp_path))
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)
        assert done.stdout.strip().endswith("demos.papers"), done.stderr


def test_the_entry_point_names_the_folder() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    assert groups[papers.PAPERS.group] == {"demos": "dendrostream_demos.papers"}
    assert papers.OURS[0] == "dendrostream_demos.papers"


def test_a_table_published_against_measured(paper: Path, tmp_path: Path) -> None:
    messages: list[str] = []
    result = reproduce(
        "slow_paper", tmp_path / "out", command="the command", notify=messages.append
    )
    assert json.loads((tmp_path / "out" / "slow-paper.json").read_text()) == result
    assert (tmp_path / "out" / "slow-paper.png").stat().st_size > 5_000
    one = cell(result, "slow", "here")
    assert (one["published"], one["published_std"], one["where"]) == (11.0, 0.5, "figure 7")
    assert (one["mean"], one["std"], one["seeds"], one["values"]) == (11.0, 1.0, 3, [10, 11, 12])
    assert one["difference"] == 0 and one["state"] == "measured"
    assert one["settings"] == {"experiment": "waiting", "row": 1, "column": 10.0, "epochs": 5}
    assert one["made"]["command"] == ["the command"]
    assert cell(result, "slow", "there")["difference"] is None
    assert cell(result, "slow", "nowhere")["state"] == "no data"
    assert cell(result, "none", "there")["state"] == "not built yet"
    assert ("none", "here") not in {(c["row"], c["column"]) for c in result["cells"]}
    diverged = cell(result, "slower", "here")
    assert (diverged["mean"], diverged["diverged"], diverged["seeds"]) == (20.0, 2, 3)
    assert result["setting"] == "the paper's"
    assert sum("skipped: nowhere: got nothing" in line for line in messages) == 1


def test_the_difference_is_in_standard_deviations() -> None:
    paper = Paper(
        __name__, rows={"a": 0}, columns={"b": 0}, unit="",
        published={("a", "b"): Published(10.0, 3.0, "table 1")},
        full=Scale(1, 1), quick=Scale(1, 1),
        run=lambda row, column, scale: None, measure=lambda run, seeds, context: None,
        value=lambda row, column, results: [r["v"] for r in results],
    )  # fmt: skip
    entry = table.entry(paper, ("a", "b"), {}, [{"v": 16.0}, {"v": 24.0}])
    assert entry["std"] == pytest.approx(32**0.5)
    assert entry["difference"] == pytest.approx(10 / (9 + 32) ** 0.5)
    alone = table.entry(paper, ("a", "b"), {}, [{"v": 16.0}, None])
    assert (alone["std"], alone["difference"], alone["diverged"]) == (None, 2.0, 1)
    assert table.line(alone)[3] == "16.00 (1 diverged)"
    assert (alone["gap"], table.difference(alone)) == (6.0, "+6.00 (+2.0 σ)")
    some = table.entry(paper, ("a", "b"), {}, [{"v": None}, {"v": 4.0}])
    assert (some["state"], some["mean"], some["seeds"]) == ("measured", 4.0, 2)
    unknown = table.entry(paper, ("a", "b"), {}, [{"v": float("nan")}])
    assert (unknown["state"], unknown["mean"], unknown["diverged"]) == ("undefined", None, 0)
    small = table.entry(paper, ("a", "b"), {}, [{"v": 9.0}], comparable=False)
    assert (small["mean"], small["difference"]) == (9.0, None)
    none = table.entry(paper, ("a", "b"), {}, [None])
    assert (none["state"], none["mean"]) == ("diverged", None)


def test_finished_cells_are_not_computed_again(paper: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = reproduce("slow-paper", out, seeds=2, rows=["slow"], columns=["here"])
    assert paper.read_text() == "1 10.0 0\n1 10.0 1\n"
    assert cell(first, "slow", "there")["state"] == "not run yet"
    more = reproduce("slow-paper", out, seeds=3, rows=["slow"], columns=["here", "there"])
    assert paper.read_text().splitlines()[2:] == ["1 10.0 2", "1 20.0 0", "1 20.0 1", "1 20.0 2"]
    assert cell(more, "slow", "here")["values"] == [10, 11, 12]
    reproduce("slow-paper", out, seeds=3, rows=["slow"], columns=["here", "there"])
    assert len(paper.read_text().splitlines()) == 6
    other = reproduce("slow-paper", out, seeds=1, epochs=7, rows=["slow"], columns=["here"])
    assert len(paper.read_text().splitlines()) == 7  # another run
    assert [c["row"] for c in other["cells"]] == ["slow"]  # the others were not requested
    assert other["setting"] == "7 epochs, not 5" and (out / "slow-paper-epochs7.json").is_file()


def test_other_rows_show_all_kept_cells(paper: Path, tmp_path: Path) -> None:
    """Also cells that another command keeps while this one computes."""
    out = tmp_path / "out"
    reproduce("slow-paper", out, seeds=3, rows=["slow"], columns=["here"])
    other = reproduce("slow-paper", out, seeds=1, rows=["slower"], columns=["here"])
    assert cell(other, "slow", "here")["values"] == [10, 11, 12]
    one = papers.get("slow-paper")
    module, measure = import_module(one.module), one.measure

    def meanwhile(run: Any, seeds: Any, context: Any) -> None:
        module.PAPER = one
        reproduce("slow-paper", out, seeds=1, rows=["slow"], columns=["there"])
        measure(run, seeds, context)

    module.PAPER = replace(one, measure=meanwhile)
    last = reproduce("slow-paper", out, seeds=1, rows=["slower"], columns=["there"])
    assert cell(last, "slow", "there")["values"] == [20]
    assert json.loads((out / "slow-paper.json").read_text())["cells"] == last["cells"]


def test_quick_tables_have_names_of_their_own(paper: Path, tmp_path: Path) -> None:
    for epochs, name in ((None, ""), (2, ""), (5, "-epochs5"), (7, "-epochs7")):
        result = reproduce("slow-paper", tmp_path, quick=True, epochs=epochs, rows=["slow"])
        assert result["json"] == str(tmp_path / f"slow-paper-quick{name}.json")
    assert not list(tmp_path.glob(".*"))


def test_quick_reports_that_it_is_not_the_papers_setting(paper: Path, tmp_path: Path) -> None:
    messages: list[str] = []
    result = reproduce("slow-paper", tmp_path, quick=True, notify=messages.append)
    assert messages[0] == (
        "slow-paper: quick, 2 epochs, not 5, 100 training samples: not the paper's setting"
    )
    assert result["json"] == str(tmp_path / "slow-paper-quick.json")
    one = cell(result, "slow", "here")
    assert (one["seeds"], one["difference"]) == (2, None)


@pytest.mark.parametrize("text", ["", '{"run": {}, "se', "[]", '{"seed": 0}'])
def test_a_damaged_cell_is_computed_again_and_reported(
    text: str, paper: Path, tmp_path: Path
) -> None:
    chosen: Any = {"seeds": 1, "rows": ["slow"], "columns": ["here"]}
    reproduce("slow-paper", tmp_path / "out", **chosen)
    (kept,) = (tmp_path / "out" / "cells").glob("*.json")
    kept.write_text(text)
    messages: list[str] = []
    again = reproduce("slow-paper", tmp_path / "out", notify=messages.append, **chosen)
    assert any("not a whole cell" in line for line in messages)
    assert cell(again, "slow", "here")["values"] == [10]
    assert len(paper.read_text().splitlines()) == 2


def test_killed_and_started_again(paper: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = (
        "import sys; sys.argv[0] = 'x'\n"
        "from pathlib import Path\n"
        "from streaming.papers.reproduce import reproduce\n"
        f"reproduce({str(tmp_path / 'some_papers' / 'slow_paper.py')!r}, Path({str(out)!r}), "
        "rows=['slow'], columns=['here', 'there'])\n"
    )
    path = os.pathsep.join([str(ROOT), str(tmp_path), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path, "SLOW": "0.3"}
    for _ in range(2):
        lines = len(paper.read_text().splitlines()) if paper.exists() else 0
        child = subprocess.Popen([sys.executable, "-c", code], env=env)
        end = time.monotonic() + 60
        while not paper.exists() or len(paper.read_text().splitlines()) < lines + 2:
            assert time.monotonic() < end and child.poll() is None
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
        child.wait()
        for kept in (out / "cells").glob("*.json"):
            assert json.loads(kept.read_text())["result"]["steps"] >= 10
    result = reproduce("slow-paper", out, rows=["slow"], columns=["here", "there"])
    assert cell(result, "slow", "here")["values"] == [10, 11, 12]
    assert cell(result, "slow", "there")["values"] == [20, 21, 22]
    done = paper.read_text().splitlines()
    assert len(set(done)) == 6 and len(done) <= 8  # at most the one in hand, each time


def test_workers_compute_the_same_cells(paper: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    messages: list[str] = []
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, protocol="tcp://",
        dashboard_address="127.0.0.1:0", scheduler_kwargs={"dashboard": False},
    ) as cluster:  # fmt: skip
        address = cluster.scheduler_address
        ours = reproduce("slow-paper", tmp_path / "o", scheduler=address, notify=messages.append)
        done = paper.read_text().splitlines()
        again = reproduce("slow-paper", tmp_path / "o", scheduler=address, rows=["slow"])
    assert len(done) == len(set(done)) == len(paper.read_text().splitlines()) == 8
    assert "slow-paper: 6 cells are computed by workers" in messages
    alone = reproduce("slow-paper", tmp_path / "a")
    for one in ours["cells"] + alone["cells"]:
        one.pop("made", None)
    assert ours["cells"] == alone["cells"]
    assert [c["mean"] for c in again["cells"]] == [c["mean"] for c in alone["cells"]]
    kept = json.loads(next((tmp_path / "o" / "cells").glob("*.json")).read_text())
    assert kept["notes"] and kept["machine"]["cpu"]


@pytest.mark.parametrize("kind", [MissingData, DamagedData])
def test_a_column_without_data_is_cells_with_the_reason(
    kind: Any, paper: Path, tmp_path: Path, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = papers.get("slow-paper")
    measure, refusal = one.measure, kind("set/file", got="md5 1", expected="2")

    def refused(run: Any, seeds: Any, context: Any) -> None:
        if run["column"] == 20.0:
            raise refusal
        measure(run, seeds, context)

    changed = replace(one, measure=refused)
    monkeypatch.setattr(import_module(one.module), "PAPER", changed)
    output = call("paper", "slow-paper", "--out", tmp_path)
    assert output.code == 0
    lines = output.out.splitlines()
    assert "no data for slow, there; slower, there: set/file: got md5 1; expected 2" in lines
    assert sum(line.startswith("no data for") for line in lines) == 2
    result = json.loads((tmp_path / "slow-paper.json").read_text())
    assert cell(result, "slow", "here")["mean"] == 11.0
    there = cell(result, "slow", "there")
    assert (there["state"], there["reason"]) == ("no data", str(refusal))
    call("paper", "--results", tmp_path / "page.md", "--out", tmp_path)
    page_lines = (tmp_path / "page.md").read_text().splitlines()
    assert "no data for slow, there; slower, there: set/file: got md5 1; expected 2." in page_lines
    # what was kept before the data went stays in the table, with the reason of missing cells
    monkeypatch.setattr(import_module(one.module), "PAPER", one)
    reproduce("slow-paper", tmp_path, seeds=1, rows=["slow"], columns=["there"])
    changed = replace(one, measure=refused)
    monkeypatch.setattr(import_module(one.module), "PAPER", changed)
    again = reproduce("slow-paper", tmp_path, rows=["slow"], columns=["there"])
    there = cell(again, "slow", "there")
    assert (there["seeds"], there["reason"]) == (1, str(refusal))


@pytest.mark.parametrize("result", [{}, {"steps": "many"}, {"steps": None, "more": []}])
def test_a_cell_that_the_table_cannot_read_is_one_clear_error(
    result: Any, paper: Path, tmp_path: Path, call: Any
) -> None:
    reproduce("slow-paper", tmp_path, seeds=1, rows=["slow"], columns=["here"])
    (path,) = (tmp_path / "cells").glob("*.json")
    kept = json.loads(path.read_text())
    del kept["digest"]
    path.write_text(json.dumps({**kept, "result": result}))
    output = call("paper", "slow-paper", "--seeds", 1, "--rows", "slow", "--columns", "here",
                "--out", tmp_path)  # fmt: skip
    if result.get("steps", 0) is None:
        assert output.code == 0  # undefined
        return
    assert output.code == 2 and output.out == ""
    assert output.err.splitlines()[-1].startswith("error: finished cell slow, here: got a result")


def test_a_paper_of_hours_reports_it_once(
    paper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlook, "MEASURED", 0.0)
    lines: list[str] = []
    reproduce("slow-paper", tmp_path, notify=lines.append)
    assert not any("at this pace" in line for line in lines)
    monkeypatch.setattr(outlook, "LONG", 0.0)
    reproduce("slow-paper", tmp_path, seeds=4, columns=["here", "there"], notify=lines.append)
    (line,) = (line for line in lines if "at this pace" in line)
    assert line.startswith("1 of 4 runs took 2 minutes; at this pace the others take about 2 min")


@pytest.mark.parametrize(
    ("done", "seconds", "reports"), [(1, 50.0, 0), (1, 61.0, 0), (1, 400.0, 1)]
)
def test_the_pace_of_a_paper_is_that_of_what_is_done(
    done: int, seconds: float, reports: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten more: in a time in which it is known, and of more than an hour."""
    clock, lines = [0.0], list[str]()
    monkeypatch.setattr(outlook.time, "monotonic", lambda: clock[0])
    look = outlook.Outlook(11, lines.append)
    clock[0] = seconds
    look(0, {})
    assert len(lines) == reports


def test_of_many_seeds_some_are_computed_at_a_time(
    paper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that as many fit into the memory, and those before are kept."""
    monkeypatch.setattr(of_papers, "TOGETHER", 2)
    one, asked = papers.get("slow-paper"), list[list[int]]()

    def noted(run: Any, seeds: Any, context: Any) -> None:
        asked.append(list(seeds))
        one.measure(run, seeds, context)

    monkeypatch.setattr(import_module(one.module), "PAPER", replace(one, measure=noted))
    result = reproduce("slow-paper", tmp_path, seeds=5, rows=["slow"], columns=["here"])
    assert asked == [[0, 1], [2, 3], [4]] and cell(result, "slow", "here")["seeds"] == 5


def test_a_cell_without_data_does_not_count_as_run(paper: Path) -> None:
    lacking = table.unmeasured(papers.get("slow-paper"), ("slow", "here"), "no data")
    assert "0 of 1 published numbers" in page._summary([("slow-paper", lacking)])


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "results").glob("*.json")))
def test_tables_that_are_kept_are_read(path: Path) -> None:
    kept = page.read(path)
    assert table.text(kept["cells"]) and page.section(kept)


def test_without_any_data_it_is_an_error(paper: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingData, match="nowhere"):
        reproduce("slow-paper", tmp_path, rows=["slow"], columns=["nowhere"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("slow-papr",), ["did you mean 'slow-paper'"]),
        (("slow-paper", "--seeds", 0), ["--seeds: got 0", "1 or more"]),
        (("slow-paper", "--epochs", -1), ["--epochs: got -1"]),
        (("slow-paper", "--rows", "slow,fast"), ["--rows: got 'fast'", "slow, slower, none"]),
        (("slow-paper", "--rows", " ,"), ["--rows: got none", "slow, slower, none"]),
        (("slow-paper", "--columns", "x"), ["--columns: got 'x'", "here, there, nowhere"]),
        (("slow-paper", "--device", "cuda"), ["--device: got cuda", "torch"]),
        (("slow-paper", "--results", "x.md"), ["--results: got with slow-paper"]),
    ],
)
def test_wrong_arguments_are_one_line(
    arguments: Any,
    words: list[str],
    paper: Path,
    call: Any,
    tmp_path: Path,
) -> None:
    assert_one_error(call("paper", *arguments, "--out", tmp_path / "out"), *words)
    assert not (tmp_path / "out").exists()


def test_the_command_prints_a_table_or_one_object(
    paper: Path,
    call: Any,
    tmp_path: Path,
) -> None:
    arguments = ("paper", "slow-paper", "--rows", "slow", "--out", tmp_path / "out")
    output = call(*arguments)
    assert output.code == 0
    assert output.out.startswith(
        "Somebody 2000, figure 7: how slow a paper is.\nsteps; setting: the"
    )
    assert [
        "slow",
        "here",
        "11",
        "±",
        "0.5",
        "11.00",
        "±",
        "1.00",
        "3",
        "+0.00",
        "(+0.0",
        "σ)",
    ] in [line.split() for line in output.out.splitlines()]
    assert "\n3 more cells are not run yet\n" in output.out and "slower" not in output.out
    as_json = call(*arguments, "--json")
    assert as_json.out.count("\n") == 1
    wanted = ["row", "column", "published", "mean", "std", "seeds", "settings"]
    for row in json.loads(as_json.out)["cells"]:
        assert set(wanted) <= set(row)
    kept = json.loads(next((tmp_path / "out" / "cells").glob("*.json")).read_text())
    assert kept["command"] == "dendrostream paper slow-paper --rows slow"
    assert kept["notes"][0] == "seed 0 was slow" and "seed 0 was slow" in output.err


def test_a_log_gets_a_line_a_minute(
    paper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for minute, wanted in ((0.0, True), (60.0, False)):
        monkeypatch.setattr("streaming.papers.reproduce.MINUTE", minute)
        messages: list[str] = []
        reproduce("slow-paper", tmp_path / str(minute), rows=["slow"], notify=messages.append)
        assert ("seed 2" in messages) == wanted


def test_a_page_of_all_that_is_kept(paper: Path, call: Any, tmp_path: Path) -> None:
    out, page = tmp_path / "out", tmp_path / "results.md"
    out.mkdir()
    assert call("paper", "--results", page, "--out", out).code == 0
    assert "| slow | here | 11 ± 0.5 | figure 7 | not run yet | - | - |" in page.read_text()
    reproduce("slow-paper", out, quick=True, command="quickly")
    call("paper", "--results", page, "--out", out)
    small = (tmp_path / "results_small.md").read_text()
    assert "### Setting: quick" in small and "`quickly`" in small and "| 11 ±" not in small
    assert "quick, " not in page.read_text() and "(results_small.md)" in page.read_text()
    assert "0 of 2 published numbers have been run at full length" in page.read_text()
    reproduce("slow-paper", out, command="slowly")
    call("paper", "--results", page, "--out", out)
    text = page.read_text()
    assert "Computed on 2" in text and "on the device cpu by `slowly`." in text
    assert "how slow a paper is.\n\nMore about it.\n\nUnit: steps.\n" in text
    assert "| slow | here | 11 ± 0.5 | figure 7 | 11.00 ± 1.00 | 3 | +0.00 (+0.0 σ) |" in text
    slow, slower = (line for line in text.splitlines() if line.startswith("| [slow-paper]"))
    figure = "[slow-paper](out/slow-paper.png)"
    assert slow == f"| {figure} | slow | here | 11 ± 0.5 | 11.00 ± 1.00 | +0.00 (+0.0 σ) | 3 |"
    assert slower.endswith("| 99 | 20.00 (2 diverged) | -79.00 | 3 |")  # no σ is published
    assert text.index(slow) < text.index("## slow-paper")
    assert text.count("### Setting: the paper's") == 1
    why = text[text.index("### What differs, and why") : text.index("## slow-paper")]
    assert "- **slow-paper** (slower, here -79.00): It sleeps." in why
    assert why.count("- **") == 1  # a cell that agrees, or is not compared, needs no reason
    assert "not run yet" not in text
    (out / "slow-paper.json").write_text("{")
    assert_one_error(call("paper", "--results", page, "--out", out), "slow-paper.json", "remove it")


def test_a_difference_without_a_remark_is_listed_too(paper: Path) -> None:
    one = papers.get("slow-paper")
    cells = [table.entry(one, ("slow", "here"), {}, [{"steps": n} for n in steps])
             for steps in ((11, 11, 11), (21, 21, 21))]  # fmt: skip
    lost = table.entry(one, ("slow", "here"), {}, [None])
    lines = page._differences("slow-paper", one, [*cells, lost])
    assert lines == ["- **slow-paper** (slow, here +10.00; slow, here diverged): "
                     f"{page.UNKNOWN}"]  # fmt: skip
    assert one.remark(("slow", "there")) == "Not compared." and one.remark(("slow", "here")) == ""
    assert one.remark(("slower", "there")) == "It sleeps."


def test_small_settings_show_what_was_computed(paper: Path, call: Any, tmp_path: Path) -> None:
    out, here = tmp_path / "out", tmp_path / "results.md"
    reproduce("slow-paper", out, seeds=1, epochs=7, columns=["here", "nowhere"])
    call("paper", "--results", here, "--out", out)
    small = page.small(here).read_text()
    assert "| slow | here | 10.00 | 1 |" in small and "| slow | nowhere" not in small
    assert "no data for slow, nowhere; slower, nowhere: " in small


def test_a_page_of_a_folder_that_is_not_there_is_not_written(
    paper: Path, call: Any, tmp_path: Path
) -> None:
    page = tmp_path / "page.md"
    assert_one_error(
        call("paper", "--results", page, "--out", tmp_path / "typo"), "typo", "not there"
    )
    assert not page.exists()


def test_a_folder_that_cannot_be_created_is_one_message(
    paper: Path,
    call: Any,
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    assert_one_error(call("paper", "slow-paper", "--out", tmp_path / "file" / "out"), "file")


def test_keys_of_cells_depend_on_all_of_the_run_and_the_seed(tmp_path: Path) -> None:
    store = Store(tmp_path, "", lambda _: None)
    runs = [{"experiment": "a b", "x": 1}, {"experiment": "a b", "x": 2}]
    paths = {store.path(run, seed) for run in runs for seed in (0, 1)}
    assert len(paths) == 4 and all(path.name.startswith("a-b-") for path in paths)
    assert store.path({"x": 1, "experiment": "a b"}, 0) == store.path(runs[0], 0)
    assert Context(lambda *_: None).device == "cpu"
