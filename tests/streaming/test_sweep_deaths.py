"""Sweeps that die at every operation on files: what is kept stays, the rest is computed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from deaths import process

# The runs of the cells are made once; what can die is what keeps them and writes the table.
DEATHS = """
import contextlib, csv, os, shutil, sys
from pathlib import Path
from deaths import ended, forked, patched
from streaming.sweeps import sweep as sweeps

root = Path(sys.argv[1])
options = {"source": "synthetic:samples=60,features=3", "hidden": (3,)}
over = {"seed": range(3)}
made, compute = {}, sweeps.compute
computed = []


def again(options, folder):
    seed = options["seed"]
    if seed not in made:
        made[seed] = compute(options, str(root / "runs"))
    computed.append(seed)
    return made[seed]


@contextlib.contextmanager
def no_cluster(*_, **__):
    yield None


sweeps.compute, sweeps.cluster = again, no_cluster
sweeps.computed = lambda _, work, tasks: enumerate(work(*task) for task in tasks)


def sweep(folder):
    return sweeps.sweep(options, over, folder)


def kept(folder):
    return {path.name: path.read_bytes() for path in folder.glob("cells/*.json")}


sweep(root / "whole")
whole, table = kept(root / "whole"), (root / "whole/sweep.csv").read_text()
left = {p.name for p in (root / "whole").rglob("*")}
assert len(whole) == 3


def check(folder):
    before = kept(folder)
    assert all(whole[name] == data for name, data in before.items()), "half a cell"
    computed.clear()
    assert sweep(folder)["kept"] == len(before) == 3 - len(computed)
    assert kept(folder) == whole and (folder / "sweep.csv").read_text() == table
    unfinished = {p.name for p in folder.rglob("*")} - left
    assert all(name.startswith(".") and name.endswith(".new") for name in unfinished), unfinished
    assert len(unfinished) <= 1, unfinished


deaths = 0
while True:
    folder = root / f"o{deaths}"

    def die():
        patched(deaths + 1)
        sweep(folder)

    status = ended(forked(die))
    if status == 0:
        break
    assert os.WEXITSTATUS(status) == 9, (deaths, status)
    deaths += 1
    assert ended(forked(lambda: check(folder))) == 0, deaths
    shutil.rmtree(folder, ignore_errors=True)
print(deaths)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_death_at_every_operation_on_files(tmp_path: Path) -> None:
    assert int(process(DEATHS, str(tmp_path))) > 20
