"""`dendrostream sweep`: the runs themselves, lost workers, lost commands, tables."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest
from command_line import assert_one_error

from rate_models.errors import BadOption, MissingExtra, UserError
from streaming import cluster as clusters
from streaming.live_options import LiveOptions
from streaming.runs import run
from streaming.runs.config import RunConfig, parse_settings
from streaming.sweeps import sweep
from streaming.sweeps import table as sweep_table

distributed = pytest.importorskip("distributed")

SOURCE = "synthetic:samples=600,features=5"

SMALL: dict[str, Any] = {"source": SOURCE, "hidden": 6}


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """An existing cluster: a scheduler with a worker that is a thread of this process."""
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp://",
        dashboard_address="127.0.0.1:0", scheduler_kwargs={"dashboard": False}, memory_limit=0,
    ) as result:  # fmt: skip
        yield result.scheduler_address


def by_hand(folder: Path, **options: Any) -> dict[str, Any]:
    settings = parse_settings(options.pop("settings", []))
    config = RunConfig.checked(**{**SMALL, "settings": settings, **options})
    return run.run(config, folder)


def assert_scores(row: dict[str, Any], summary: dict[str, Any]) -> None:
    for column, name in {**sweep_table.SCORES, "samples_seen": "samples_seen"}.items():
        assert row[column] == summary[name], column
    assert row["stopped"] == summary["stopped"] and row["error"] is None


def kept_in(out: Path) -> list[Path]:
    return sorted((out / "cells").glob("*.json"))


def test_a_sweep_is_the_same_runs_by_hand(scheduler: str, tmp_path: Path) -> None:
    over = {"momentum": [0.0, 0.5], "lr": [0.03, 0.1], "seed": range(2)}
    messages: list[str] = []
    found = sweep.sweep(SMALL, over, tmp_path / "o", scheduler=scheduler, notify=messages.append)
    assert messages[0].startswith("sweep: 8 cells; 0 there already") and messages[0].endswith(
        "8 to run"
    )
    assert (found["cells"], found["kept"], found["failed"], found["diverged"]) == (8, 0, 0, 0)
    assert [row["seed"] for row in found["rows"]] == [0, 1] * 4  # the last name's fastest
    for i, row in enumerate(found["rows"]):
        settings = [f"momentum={row['momentum']}"]
        alone = by_hand(tmp_path / str(i), lr=row["lr"], seed=row["seed"], settings=settings)
        assert_scores(row, alone)
    assert len({row["test_loss"] for row in found["rows"]}) == 8
    for each in found["settings"]:
        rows = [r for r in found["rows"] if all(r[k] == each[k] for k in ("momentum", "lr"))]
        a, b = (r["test_accuracy"] for r in rows)
        assert each["test_accuracy"]["mean"] == pytest.approx((a + b) / 2)
        assert each["test_accuracy"]["std"] == pytest.approx(abs(a - b) / 2**0.5)
        assert each["seeds"] == 2
    cell = json.loads(kept_in(tmp_path / "o")[0].read_text())
    assert cell["machine"]["host"] and cell["machine"]["cpu"]
    assert "out" not in cell["result"]


def test_every_field_and_every_setting_may_vary(tmp_path: Path) -> None:
    varying = {
        "source": [SOURCE, "digits"], "rule": ["pepita", "backprop"], "circuit": [None, "bmvr"],
        "hidden": [[7, 6], 5], "epochs": [1, 2], "lr": [0.1, 0.2], "seed": [0, 1],
        "dtype": ["float32", "float64"], "schedule": ["pipelined", "delayed:1"],
        "workers": [1, 2], "batch": [1, 2], "target": ["label", "input"],
        "task": ["classification", "regression"], "classes": [None, "grow"],
        "scale": ["none", "running"], "data": [str(tmp_path), None], "download": [False, True],
        "samples": [10, 20], "seconds": [1, 2], "accuracy": [0.5, 0.6], "interval": [5, 6],
        "save_every": [7, 8], "on_bad": ["raise", "skip"], "record": ["weight_norms", None],
        "signal": [[], ["standardise"]], "drift_detector": [None, "adwin"],
        "momentum": [0, 0.5], "activation": ["tanh", "relu"], "decay_at": [[], [5]],
    }  # fmt: skip
    of_a_table = {
        "label": ["0", "1"], "drop": [[], ["0"]], "time": [None, "0"],
        "sep": [None, ","], "decimal": [".", ","],
        "encoding": [None, "latin-1"], "header": [True, False], "missing": ["mean", "zero"],
        "missing_indicator": [False, True], "held_out": [0.5, 0.2], "stratify": [False, True],
    }  # fmt: skip
    (tmp_path / "t.csv").write_text("0,1,2\n" + "".join(f"{i},{i % 3},{i % 2}\n" for i in range(9)))
    table = {"source": f"csv:{tmp_path / 't.csv'}", "hidden": 4, "missing": "mean", "held_out": 0.5}
    live = LiveOptions.model_fields.keys()  # of sources that a sweep refuses
    varied = RunConfig.model_fields.keys() - {"settings", "lineage"} - live
    assert {*varying, *of_a_table} >= varied
    for name, values in of_a_table.items():
        over = sweep.parse_over([f"{name}={json.dumps(values)}"])
        first, second = sweep.cells(table, over)
        assert first.run != second.run, name
    for name, values in varying.items():
        over = sweep.parse_over([f"{name}={json.dumps(values)}"])
        base = {"loss": "mse"} if name == "circuit" else {}
        first, second = sweep.cells({**SMALL, "settings": base} if name != "source" else {}, over)
        same = name in ("seed", "data", "download")
        assert (first.run == second.run) == same, name


def test_combinations_of_the_same_run_are_one_cell() -> None:
    result = sweep.cells(SMALL, {"rule": ["pepita", None], "seed": [1, 1, 2]})
    assert [(cell.config.rule, cell.config.seed) for cell in result] == [
        ("pepita", 1),
        ("pepita", 2),
    ]
    assert len({json.dumps(cell.run) for cell in result}) == 1


def test_finished_cells_are_not_run_again(
    scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = partial(sweep.sweep, SMALL, out=tmp_path, scheduler=scheduler)
    first = go({"seed": range(2)})
    more = go({"seed": range(3)})
    assert (more["cells"], more["kept"]) == (3, 2)
    assert more["rows"][:2] == first["rows"]
    other = go({"seed": range(3), "lr": [0.2]})
    assert other["kept"] == 0
    monkeypatch.setattr(sweep, "cluster", None)  # no cluster is started
    again = go({"seed": range(3)})
    assert again["kept"] == 3 and again["rows"] == more["rows"]


def test_the_folder_of_the_data_is_no_part_of_a_cell(tmp_path: Path) -> None:
    here, there = (
        sweep.cells({**SMALL, **more}, {"seed": [0]})[0].run
        for more in ({}, {"data": tmp_path, "download": True})
    )
    assert here == there


def test_another_file_of_the_same_name_is_another_cell(tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    runs = []
    for label in (0, 1, 0):
        file.write_text("\n".join(["a,label", *(f"{i % 3},{i % 2 * label}" for i in range(90))]))
        runs.append(sweep.cells({"source": f"csv:{file}", "hidden": 4}, {"seed": [0]})[0].run)
    assert runs[0] == runs[2] != runs[1]


def test_null_is_the_default_of_settings_too() -> None:
    one, other = sweep.cells(SMALL, {"dropout": [None, 0.1]})
    plain = sweep.cells(SMALL, {"lr": [None]})[0]
    assert one.config.settings == plain.config.settings
    assert other.config.settings == {**plain.config.settings, "dropout": 0.1}


def test_cells_that_diverge_or_fail_are_rows(scheduler: str, tmp_path: Path, call: Any) -> None:
    file = tmp_path / "gone.csv"
    over = {"source": [f"csv:{file}", SOURCE], "lr": [0.01, 1e30]}

    def written_for(notify: Any) -> dict[str, Any]:
        file.write_text("\n".join(["a,b,label", *(f"{i % 3},{i % 2},{i % 2}" for i in range(90))]))
        return sweep.sweep({"hidden": 4}, over, tmp_path / "o", scheduler=scheduler, notify=notify)

    result = written_for(lambda message: file.unlink(missing_ok=True))  # not there for the worker
    assert (result["kept"], result["diverged"], result["failed"]) == (0, 1, 2)
    gone, also_gone, learned, diverged = result["rows"]
    assert learned["stopped"] == "epochs" and learned["test_accuracy"] > 0
    assert diverged["stopped"] == "diverged" and "lower the learning rate" in diverged["error"]
    assert diverged["test_accuracy"] is None and "kept" not in diverged["error"]
    assert gone["stopped"] == also_gone["stopped"] == "error" and str(file) in gone["error"]
    text = [line.split() for line in sweep_table.text(result["settings"]).splitlines()]
    assert text[1][-2:] == ["1", "failed"] and text[4][2:] == ["1", "-", "-", "1", "diverged"]
    again = written_for(lambda message: None)
    assert (again["kept"], again["failed"]) == (2, 0)
    assert again["rows"][0]["stopped"] == "epochs"


def test_failed_cells_are_reported(
    scheduler: str, tmp_path: Path, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = {"result": {"stopped": "error", "error": "no data here"}, "machine": {}}
    monkeypatch.setattr(sweep, "computed", lambda *_: [(0, failed), (1, failed)])
    output = call("sweep", "--source", SOURCE, "--over", "seed=0..1", "--out", tmp_path,
                "--scheduler", scheduler, "--quiet")  # fmt: skip
    assert output.code == 2 and "2 failed" in output.out
    assert (
        output.err
        == "2 of 2 cells failed, the first with: no data here; the same command tries them again\n"
    )


def test_an_unexpected_error_is_a_row(
    scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(options: dict[str, Any], folder: str | None) -> dict[str, Any]:
        if options["seed"] == 1:
            raise ZeroDivisionError("by nothing")
        return {"result": {"stopped": "epochs"}}

    monkeypatch.setattr(sweep, "compute", broken)
    found = sweep.sweep(SMALL, {"seed": range(3)}, tmp_path, scheduler=scheduler)
    assert [row["stopped"] for row in found["rows"]] == ["epochs", "error", "epochs"]
    assert found["rows"][1]["error"] == "ZeroDivisionError: by nothing"
    assert len(kept_in(tmp_path)) == 2


def test_run_folders_are_kept_where_asked(scheduler: str, tmp_path: Path) -> None:
    options = {**SMALL, "record": ["weight_norms"]}
    runs = tmp_path / "runs"
    sweep.sweep(options, {"seed": [0, 1]}, tmp_path, scheduler=scheduler, runs=runs)
    folders = {json.loads(path.read_text())["result"]["out"] for path in kept_in(tmp_path)}
    assert folders == {str(path) for path in runs.iterdir()} and len(folders) == 2
    for folder in map(Path, folders):
        assert (folder / "learning_curve.png").is_file() and (folder / "record.jsonl").is_file()
    with pytest.raises(BadOption, match="--record: got no --runs"):
        sweep.sweep(options, {"seed": [0]}, tmp_path / "x", scheduler=scheduler)


def test_a_cluster_without_this_version_is_refused() -> None:
    class Old:
        def run(self, *ask: Any, on_error: str) -> dict[str, Any]:
            return {"tcp://a:1": ModuleNotFoundError("streaming"), "tcp://b:1": find_spec("json")}

        def run_on_scheduler(self, *ask: Any) -> Any:
            raise ModuleNotFoundError("streaming")

    with pytest.raises(BadOption, match="another version, at tcp://a:1, the scheduler; expected"):
        clusters._refuse_without_us(Old())


def test_csv_and_parquet_are_equal(scheduler: str, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    over = {"hidden": [[4, 3], 5], "momentum": [0.5, 0], "bias": [True, False], "seed": [2]}
    tables = [tmp_path / "a" / "t.csv", tmp_path / "b" / "t.parquet"]
    for table in tables:
        sweep.sweep(SMALL, over, tmp_path / "o", scheduler=scheduler, table=table)
    with open(tables[0], newline="") as file:
        text = list(csv.DictReader(file))
    typed = parquet.read_table(tables[1]).to_pylist()
    assert len(text) == len(typed) == 8 and list(text[0]) == list(typed[0])
    assert [{k: "" if v is None else str(v) for k, v in row.items()} for row in typed] == text
    row = typed[1]
    assert (row["hidden"], row["momentum"], row["bias"], row["seed"]) == ("[4, 3]", 0.5, False, 2)
    assert isinstance(row["test_accuracy"], float) and isinstance(row["samples_seen"], int)
    kept = [json.loads(path.read_text())["result"]["test_loss"] for path in kept_in(tmp_path / "o")]
    assert sorted(kept) == sorted(row["test_loss"] for row in typed)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--over", "lr"], ["--over: got lr", "name=values"]),
        (["--over", "lr="], ["--over: got lr=", "name=values"]),
        (["--over", "seed=4..0"], ["--over", "seed=4..0", "no value"]),
        (["--over", "lr=0.1", "--over", "lr=0.2"], ["lr twice"]),
        (["--over", "lr=0.1,-1"], ["--lr: got -1"]),
        (["--over", "lr=0.1,x"], ["--lr: got x"]),
        (["--over", "hidden=a"], ["--hidden: got a", "256,128"]),
        (["--over", "rule=pepita,pepitta"], ["rule=pepitta: ", "did you mean 'pepita'"]),
        (["--over", "momentun=0,0.9"], ["momentun=0: ", "did you mean 'momentum'"]),
        (["--over", "momentum=0,2", "--over", "seed=0..1"], ["momentum=2: ", "momentum"]),
        (["--over", "momentum=0.1", "--set", "momentum=0.2"], ["momentum", "--set has too"]),
        (["--over", "lr=0.1", "--lr", 0.2], ["--lr: got beside --over"]),
        (["--over", "maximum=2,3"], ["maximum=2,3", "dendrostream run"]),
        (["--over", "seed=0", "--source", "synthetic"], ["--source", "the stream has no end"]),
        (["--over", "seed=0", "--record", "weight_norms"], ["--record", "--runs"]),
        (["--over", "seed=0", "--workers", 0], ["--workers: got 0"]),
        (["--over", "seed=0", "--workers", 2, "--scheduler", "tcp://x:1"], ["--workers", "beside"]),
        (["--over", "seed=0", "--scheduler", "nowhere"], ["--scheduler: got nowhere", "dask sch"]),
        (["--over", "seed=0", "--scheduler", "tcp://127.0.0.1:9"], ["--scheduler", "dask sched"]),
        (["--over", "seed=0", "--table", "t.xls"], ["--table: got t.xls", ".csv or .parquet"]),
    ],
)
def test_bad_options_are_refused_before_anything_runs(
    arguments: list[Any], words: list[str], call: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(clusters, "PATIENCE", 0.3)
    source = [] if "--source" in arguments else ["--source", SOURCE]
    output = call("sweep", *source, "--out", tmp_path / "o", "--quiet", *arguments)
    assert_one_error(output, *words)
    assert not kept_in(tmp_path / "o")


@pytest.mark.parametrize(
    ("module", "arguments"),
    [("distributed", []), ("pyarrow", ["--table", "t.parquet"])],
)
def test_a_missing_extra_names_the_remedy(
    module: str, arguments: list[str], call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    output = call(
        "sweep", "--source", SOURCE, "--over", "seed=0", "--out", tmp_path, "--quiet", *arguments
    )
    assert_one_error(output, f"no {module}", 'pip install "dendrostream[sweep]"')
    assert issubclass(MissingExtra, UserError)


def test_the_local_cluster_listens_on_this_machine_alone() -> None:
    import urllib.error
    import urllib.request

    with clusters.cluster(workers=1) as client:
        me = psutil.Process()
        every = [me, *me.children(recursive=True)]
        result = [c.laddr for p in every for c in p.net_connections("tcp") if c.status == "LISTEN"]
        assert len(result) >= 2 and {address.ip for address in result} == {"127.0.0.1"}
        (worker,) = client.scheduler_info()["workers"].values()
        assert worker["nthreads"] == 1
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(client.dashboard_link)


def test_the_command_prints_a_table_and_keeps_its_cells(
    scheduler: str, call: Any, tmp_path: Path
) -> None:
    output = call(
        "sweep", "--source", SOURCE, "--hidden", "6,5", "--over", "rule=pepita,backprop",
        "--over", "seed=0..2", "--set", "momentum=0.5", "--scheduler", scheduler,
        "--out", tmp_path, "--table", tmp_path / "t.csv",
    )  # fmt: skip
    assert output.code == 0, output.err
    lines = [line.split() for line in output.out.splitlines()]
    assert lines[0] == ["rule", "seeds", "held-out", "accuracy", "progressive", "accuracy"]
    assert lines[1][:2] == ["pepita", "3"] and lines[1][3] == "±"
    assert output.out.endswith(f"table: {tmp_path / 't.csv'}\n")
    assert "sweep: rule=pepita seed=0: 0." in output.err
    cell = json.loads(kept_in(tmp_path)[0].read_text())
    assert cell["command"] == (
        f"dendrostream sweep --over rule=pepita,backprop --over seed=0..2 --source {SOURCE} "
        "--hidden 6,5 --set momentum=0.5"
    )


def test_help_has_the_options_of_a_run(call: Any) -> None:
    text = call("sweep", "--help").out
    for name in ("over", "workers", "scheduler", "source", "rule", "set", "epochs", "json"):
        assert f"--{name}" in text
    assert "--resume" not in text
