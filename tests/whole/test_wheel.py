"""The wheel in a fresh environment, from another folder: the guide's rule from end to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
import venv
from importlib.util import find_spec
from pathlib import Path

import guides
import pytest

pytestmark = pytest.mark.slow
_, WHOLE = guides.rule_files()
FLIPPED = WHOLE.replace(
    "    updates.update(",
    "    for i in range(delta.size):\n        delta[i] = -delta[i]\n    updates.update(",
)
RUN = ("run", "--rule", "./sign_symmetry.py", "--hidden", "32", "--epochs", "60", "--json")
TORCH = """
import torch
from rate_models.batch import BatchNetwork
from rate_models.network import NetworkSpec
net = BatchNetwork(NetworkSpec((8, 16, 2)), "./sign_symmetry.py", seed=0)
sgd = torch.optim.SGD(net.parameters(), lr=0.1)
x = torch.randn(200, 8, generator=torch.Generator().manual_seed(0))
y = (x[:, 0] > 0).long()
for _ in range(200):
    net.fill_grad(x, y)
    sgd.step()
print(net.evaluate(x, y)["accuracy"])
"""


class Installed:
    """An environment with the wheel alone, beside the dependencies; and a folder to work in."""

    def __init__(self, folder: Path) -> None:
        self.work, self.python = folder / "work", folder / "venv" / "bin" / "python"
        self.work.mkdir()
        build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index",
                 "--no-build-isolation", "--wheel-dir", str(folder), str(guides.ROOT)]  # fmt: skip
        subprocess.run(build, check=True, cwd=folder)
        (wheel,) = folder.glob("dendrostream-*.whl")
        venv.create(folder / "venv", symlinks=True)
        install = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "--quiet",
                   "--no-deps", "--no-index", str(wheel)]  # fmt: skip
        subprocess.run(install, check=True, cwd=folder)
        (site,) = (folder / "venv").glob("lib/python*/site-packages")
        # packages of ours that are installed there for development are not followed from here
        (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
        kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
        self.env = {**kept, "DENDROSTREAM_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}

    def started(self, *arguments: str) -> subprocess.Popen[str]:
        command = [str(self.python), "-m", "dendrostream", *arguments]
        return subprocess.Popen(command, cwd=self.work, env=self.env, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip

    def called(self, *arguments: str) -> tuple[int, str]:
        child = self.started(*arguments)
        out, err = child.communicate(timeout=900)
        assert child.returncode in (0, 1), err
        return child.returncode, out

    def printed(self, code: str) -> str:
        done = subprocess.run([str(self.python), "-c", code], cwd=self.work, env=self.env,
                              capture_output=True, text=True, timeout=600)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    made = Installed(tmp_path_factory.mktemp("wheel"))
    (made.work / "sign_symmetry.py").write_text(WHOLE, encoding="utf-8")
    (made.work / "flipped.py").write_text(FLIPPED, encoding="utf-8")
    return made


def test_it_is_the_wheel(installed: Installed) -> None:
    for name in ("streaming", "rate_models", "biocircuits"):
        found = Path(installed.printed(f"import {name}; print({name}.__file__)"))
        assert installed.python.parents[1] in found.parents


def test_it_runs_dies_and_goes_on(installed: Installed) -> None:
    code, out = installed.called(*RUN, "--out", "whole")
    assert code == 0 and json.loads(out)["test_accuracy"] > 0.9
    dying = installed.started(*RUN, "--out", "killed")
    metrics, end = installed.work / "killed" / "metrics.jsonl", time.monotonic() + 300
    while not metrics.exists() or metrics.read_text().count("\n") < 8:
        assert time.monotonic() < end and dying.poll() is None
        time.sleep(0.005)
    dying.send_signal(signal.SIGKILL)
    dying.communicate()
    assert not (installed.work / "killed" / "summary.json").exists()
    code, _ = installed.called("run", "--resume", "killed", "--json")
    assert code == 0
    whole, resumed = (
        (installed.work / name / "checkpoint" / "arrays.safetensors").read_bytes()
        for name in ("whole", "killed")
    )
    assert whole == resumed


@pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")
def test_it_learns_in_batches_on_torch(installed: Installed) -> None:
    assert float(installed.printed(TORCH)) > 0.9


@pytest.mark.skipif(find_spec("distributed") is None, reason="needs Dask")
def test_workers_find_it(installed: Installed) -> None:
    code, out = installed.called(
        "sweep", "--over", "rule=./sign_symmetry.py,backprop", "--samples", "500", "--hidden", "16",
        "--workers", "1", "--out", "sweep", "--json",
    )  # fmt: skip
    result = json.loads(out)
    assert code == 0 and (result["cells"], result["failed"]) == (2, 0)


def test_it_passes_the_check(installed: Installed) -> None:
    code, out = installed.called("check", "./sign_symmetry.py", "--json")
    report = json.loads(out)
    assert (code, report["ok"], report["name"]) == (0, True, "sign_symmetry")
    unseen = [c["check"] for c in report["checks"] if c["ok"] is None]
    assert all(name.startswith("torch") for name in unseen) and len(report["checks"]) == 10


def test_a_broken_copy_fails_in_the_line_of_its_error(installed: Installed) -> None:
    code, out = installed.called("check", "./flipped.py", "--json")
    failed = [c for c in json.loads(out)["checks"] if c["ok"] is False]
    assert code == 1
    assert [c["check"] for c in failed] == [f"kernel = textbook, float{n}" for n in (64, 32)]
    assert all(" off after sample 1 " in c["detail"] for c in failed)
    code, out = installed.called("check", "./flipped.py")
    assert code == 1 and "FAILED  kernel = textbook, float64" in out
