"""Sweeps whose workers, command or scheduler are killed."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from project import ROOT

from rate_models.errors import UserError
from streaming.runs import run
from streaming.runs.config import RunConfig, parse_settings
from streaming.sweeps import sweep
from streaming.sweeps import table as sweep_table

SOURCE = "synthetic:samples=600,features=5"

SMALL: dict[str, Any] = {"source": SOURCE, "hidden": 6}

# About a second each, so that they are in hand when something is killed.
LONG = "synthetic:samples=100000,features=5"


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


@pytest.mark.slow
def test_a_killed_worker_loses_no_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both workers of the local cluster are killed while they compute a cell."""
    clients: list[Any] = []
    real = sweep.computed

    def seen(client: Any, *arguments: Any) -> Any:
        clients.append(client)
        return real(client, *arguments)

    def kill_at_first(message: str) -> None:
        messages.append(message)
        if ": 0." in message and not killed:
            for nanny in clients[0].cluster.workers.values():
                killed.append(nanny.pid)
                os.kill(nanny.pid, signal.SIGKILL)

    killed: list[int] = []
    messages: list[str] = []
    monkeypatch.setattr(sweep, "computed", seen)
    options, seeds = {**SMALL, "source": LONG}, range(6)
    result = sweep.sweep(
        options,
        {"seed": seeds},
        tmp_path / "o",
        workers=2,
        runs=tmp_path / "r",
        notify=kill_at_first,
    )
    assert len(killed) == 2
    assert sum("is lost: others take" in line for line in messages) == 2
    assert [row["seed"] for row in result["rows"]] == list(seeds)
    assert all(row["stopped"] == "epochs" for row in result["rows"])
    assert len(list((tmp_path / "r").iterdir())) > 6  # what was in hand began again
    assert_scores(result["rows"][5], by_hand(tmp_path / "h", source=LONG, seed=5))
    assert_gone(killed)


def command(out: Path, *more: object) -> subprocess.Popen[str]:
    """The command as the leader of a process group, as a shell starts it."""
    code = "from streaming.cli import main; main()"
    arguments = ["sweep", "--source", LONG, "--hidden", 6, "--over", "seed=0..5", "--out", out]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, [*arguments, "--workers", 2, *more])],
        env={**os.environ, "PYTHONPATH": path}, start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for_cells(child: subprocess.Popen[str], out: Path, n: int) -> list[int]:
    """Wait until n cells are kept; returns the processes that the command has started."""
    end = time.monotonic() + 90
    while len(kept_in(out)) < n:
        assert time.monotonic() < end and child.poll() is None, child.communicate()
        time.sleep(0.02)
    return [one.pid for one in psutil.Process(child.pid).children(recursive=True)]


def assert_gone(pids: list[int]) -> None:
    end = time.monotonic() + 15
    while any(psutil.pid_exists(pid) and alive(pid) for pid in pids):
        assert time.monotonic() < end
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.slow
def test_a_killed_command_runs_only_what_is_missing(tmp_path: Path) -> None:
    child = command(tmp_path)
    workers = wait_for_cells(child, tmp_path, 2)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert len(workers) >= 2
    assert_gone(workers)
    before = {path: path.stat().st_mtime_ns for path in kept_in(tmp_path)}
    assert 2 <= len(before) < 6
    assert all(json.loads(path.read_text())["result"]["samples_seen"] for path in before)
    second = command(tmp_path, "--json")
    output, errors = second.communicate(timeout=120)
    assert second.returncode == 0, errors
    assert f"6 cells; {len(before)} there already" in errors
    found = json.loads(output)
    assert (found["cells"], found["kept"], len(found["rows"])) == (6, len(before), 6)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(kept_in(tmp_path)) == 6


@pytest.mark.slow
def test_a_command_killed_again_and_again_loses_no_cell(tmp_path: Path) -> None:
    """It is killed at random moments until all cells are kept; each has the numbers of its run.

    DENDROSTREAM_KILLS: of runs at random moments; a sweep is killed for every thirtieth.
    """
    chance, out = random.Random(0), tmp_path / "o"
    for turn in range(max(1, int(os.environ.get("DENDROSTREAM_KILLS", "90")) // 30)):
        before = {path: path.read_bytes() for path in kept_in(out)}
        if len(before) == 6:
            shutil.rmtree(out)
            before = {}
        child = command(out, "--runs", tmp_path / f"runs{turn}")
        workers = wait_for_cells(child, out, len(before) + 1)
        time.sleep(chance.uniform(0, 1.5))
        child.send_signal(signal.SIGKILL)
        child.communicate()
        assert_gone(workers)
        assert all(path.read_bytes() == data for path, data in before.items())
    last = command(out, "--json")
    output, errors = last.communicate(timeout=180)
    assert last.returncode == 0, errors
    result = json.loads(output)
    assert (result["cells"], result["failed"], len(kept_in(out))) == (6, 0, 6)
    assert [path.name for path in out.rglob("*.new")] == []
    for row in result["rows"]:
        assert_scores(row, by_hand(tmp_path / str(row["seed"]), source=LONG, seed=row["seed"]))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_reports_what_is_kept(number: int, tmp_path: Path) -> None:
    """SIGINT to all processes of the group, as by a terminal; SIGTERM to the command only."""
    child = command(tmp_path)
    workers = wait_for_cells(child, tmp_path, 1)
    if number == signal.SIGINT:
        os.killpg(child.pid, number)
    else:
        os.kill(child.pid, number)
    out, err = child.communicate(timeout=30)
    assert child.returncode == 128 + number and out == ""
    last = f"interrupted; finished cells are kept in {tmp_path}/cells: the same command goes on"
    assert err.splitlines()[-1] == last
    assert all(line.startswith("sweep: ") for line in err.splitlines()[:-1]), err
    assert_gone(workers)


def test_a_lost_scheduler_is_one_message(tmp_path: Path) -> None:
    code = (
        "import distributed, time\n"
        "cluster = distributed.LocalCluster(n_workers=1, processes=False, protocol='tcp://',\n"
        "    dashboard_address='127.0.0.1:0', scheduler_kwargs={'dashboard': False})\n"
        "print(cluster.scheduler_address, flush=True)\n"
        "time.sleep(300)"
    )
    python, path = [sys.executable, "-c", code], os.pathsep.join([str(ROOT), *sys.path])
    env = {**os.environ, "PYTHONPATH": path}
    with subprocess.Popen(python, env=env, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        address = other.stdout.readline().strip()

        def kill_at_first(message: str) -> None:
            if ": 0." in message:
                other.kill()

        with pytest.raises(
            UserError, match=r"got no more answer.*the same command computes the rest"
        ):
            sweep.sweep({**SMALL, "source": LONG}, {"seed": range(30)}, tmp_path,
                        scheduler=address, notify=kill_at_first)  # fmt: skip
    assert 1 <= len(kept_in(tmp_path)) < 30
