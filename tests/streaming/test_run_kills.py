"""Runs that are killed at every file operation, and at random moments. Each is resumed from its
last checkpoint, or from the start if it has none, and ends with the same results.

The killed runs are forks of a process with all kernels compiled, so that hundreds of kills take
seconds. DENDROSTREAM_KILLS: the number of kills at random moments in the slow test.
DENDROSTREAM_EVERY: kill at every n-th file operation; 1 is every one.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from deaths import process

KILLS = int(os.environ.get("DENDROSTREAM_KILLS", "30"))
EVERY = int(os.environ.get("DENDROSTREAM_EVERY", "8"))

DEATHS = """
import json, os, random, shutil, signal, sys, time, warnings
from pathlib import Path
import numpy as np
from deaths import ended, forked, patched
from rate_models.errors import MissingData
from streaming import OnlineLearner
from streaming.runs.going_on import go_on as go_on_from
from streaming.files import checkpoint
from streaming.runs.run import Hooks, RunConfig, resume, run

root, options, every, kills = Path(sys.argv[1]), *map(json.loads, sys.argv[2:5])
hooks = Hooks(draw=False)
warnings.simplefilter("ignore")
UNTIMED = ("seconds", "samples_per_second", "out", "latency", "memory", "peak_memory")
parent = options.pop("parent", False)  # a run that goes on by --from
config = RunConfig.checked(**options)
if parent:
    run(config, root / "parent", hooks)


def start(folder, hooks=hooks):
    if parent:
        go_on_from(root / "parent", {"epochs": 2}, folder, hooks)
    else:
        run(config, folder, hooks)


def contents(folder):
    parameters = OnlineLearner.load(folder / "checkpoint").parameters()
    parameters = {k: [np.asarray(a).tobytes() for a in (v if isinstance(v, list) else [v])]
                  for k, v in parameters.items()}
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    summary = json.loads((folder / "summary.json").read_text())
    record, predictions = folder / "record.jsonl", folder / "predictions.csv"
    return (parameters, [{k: v for k, v in one.items() if k not in UNTIMED} for one in lines],
            {k: v for k, v in summary.items() if k not in UNTIMED},
            record.read_text() if record.exists() else "",
            predictions.read_text() if predictions.exists() else "")


def saved(folder):
    try:
        return checkpoint.read(folder / "checkpoint")[1]["samples_seen"]
    except Exception:
        return None


def go_on(folder):
    try:
        resume(folder, hooks)
        return "resume"
    except MissingData:
        start(folder)
        return "out"


whole = root / "whole"
start(whole)
wanted = contents(whole)


def check(folder):
    before = saved(folder)

    def work():
        how = go_on(folder)
        assert contents(folder) == wanted, "another result"
        assert how == "resume" or before is None, "a checkpoint was lost"
        left = {p.name for p in folder.iterdir()} - {p.name for p in whole.iterdir()}
        # the lock of a run that was killed after its summary does not matter
        assert not left - {"checkpoint.previous", "dendrostream.lock"}, left
    status = ended(forked(work))
    assert status == 0, f"{folder}: {status}"


deaths = 0
if not kills:
    for what in ("start", "go on"):
        n = 1
        while True:
            folder = root / f"{what}-{n}"
            if what == "go on":
                shutil.copytree(root / "part", folder)

            def die(folder=folder, n=n, what=what):
                patched(n)
                start(folder) if what == "start" else resume(folder, hooks)
            status = ended(forked(die))
            if status == 0:
                break
            assert os.WEXITSTATUS(status) == 9, (what, n, status)
            deaths += 1
            if folder.exists():
                check(folder)
                shutil.rmtree(folder)
            n += every
        if what == "start":
            seen = [0]
            part = Hooks(lambda: seen[0] >= 300, lambda m: None,
                         lambda r: seen.__setitem__(0, r.position), False)
            start(root / "part", part)
else:
    chance = random.Random(kills)
    begin = time.monotonic()
    again = root / "again"
    ended(forked(lambda: start(again)))
    span = time.monotonic() - begin
    for turn in range(kills):
        folder = root / f"k{turn}"
        child = forked(lambda: start(folder))
        for _ in range(chance.choice([1, 1, 2, 3])):  # killed, and killed again after the resume
            time.sleep(chance.uniform(0, span))
            os.kill(child, signal.SIGKILL)
            status = ended(child)
            deaths += status != 0
            if status == 0 or not folder.exists():
                break
            child = forked(lambda: go_on(folder))
        else:
            ended(child)
        if folder.exists():
            check(folder)
            shutil.rmtree(folder)
print(deaths)
"""

SMALL = {
    "source": "synthetic:samples=400,features=6", "hidden": (8, 6), "epochs": 2, "interval": 150,
    "save_every": 250, "scale": "running", "lr": 0.003, "settings": {"dropout": 0.2},
}  # fmt: skip
KINDS = {
    "online": {},
    "circuit": {"circuit": "pepita", "settings": {}},
    "pipelined": {"schedule": "pipelined", "workers": 2},
    "delayed": {"schedule": "delayed:2", "settings": {}},
    "batch": {"batch": 4},
    "recorded": {"record": ["weight_norms"]},
    # without held-out samples, so that predictions.csv has the last ones
    "regression": {"source": "csv:TABLE", "task": "regression", "settings": {}},
    "autoencoder": {"target": "input", "lr": None, "scale": None, "settings": {}},
    "from": {"parent": True},
}


def deaths(tmp_path: Path, kind: str, every: int, kills: int) -> int:
    options = {**SMALL, **KINDS[kind]}
    if options["source"] == "csv:TABLE":
        rng = np.random.default_rng(0)
        rows = [",".join(f"{v:.3f}" for v in row) for row in rng.normal(size=(400, 7))]
        (tmp_path / "t.csv").write_text("\n".join(["a,b,c,d,e,f,target", *rows]) + "\n")
        options["source"] = f"csv:{tmp_path / 't.csv'}"
    arguments = [str(tmp_path), json.dumps(options), str(every), str(kills)]
    printed = process(DEATHS, *arguments)
    shutil.rmtree(tmp_path)
    return int(printed)


pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")


def test_death_at_some_operations_on_files(tmp_path: Path) -> None:
    assert deaths(tmp_path, "recorded", every=41, kills=0) > 5


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_death_at_many_operations_on_files(tmp_path: Path, kind: str) -> None:
    assert deaths(tmp_path, kind, every=EVERY, kills=0) > 150 // EVERY


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_death_at_random_moments(tmp_path: Path, kind: str) -> None:
    assert deaths(tmp_path, kind, every=1, kills=max(1, KILLS // len(KINDS))) > 0
