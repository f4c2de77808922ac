"""Training in several processes has the same result as in one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

SCRIPT = """
import sys
import numpy as np
import torch
from safetensors.torch import save_file
from rate_models import rules, textbook
from rate_models.support import lookup
from rate_models.batch import BatchNetwork, fit, joined
from rate_models.errors import BadOption
from rate_models.network import NetworkSpec
from rate_models.model.optimizers import Optimizer
from networks import suited_network

rng = np.random.default_rng(0)
X, labels = rng.random((21, 8)), rng.integers(0, 3, 21)  # the last batch has one sample
with joined() as rank:
    torch.set_num_threads(1)
    for rule in rules.names():
        fields = rules.get(rule).hyperparameters._fields
        hyper = {"dropout": 0.3} if "dropout" in fields else {}
        spec = suited_network(rule, NetworkSpec((8, 6, 3)))
        net = BatchNetwork(spec, rule, 3, "float64", **hyper)
        try:
            fit(net, X, labels, epochs=3, batch_size=5, optimizer=Optimizer(0.05, 0.9, 1e-3))
        except BadOption as error:
            print(f"{rank} {rule} cannot: {error}")
            continue
        if rank == 0:
            save_file(net.state_dict(), f"{sys.argv[1]}/{rule}.safetensors")
"""


@pytest.mark.slow
def test_two_processes_have_the_result_of_one(tmp_path: Path) -> None:
    """Every rule whose arrays the optimiser steps; other rules raise an error."""
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    torchrun += ["--local-addr", "127.0.0.1", "--nproc-per-node", "2"]
    from safetensors.torch import load_file

    outputs = []
    for name, start in (("one", [sys.executable]), ("two", torchrun)):
        (tmp_path / name).mkdir()
        done = subprocess.run(
            [*start, str(script), str(tmp_path / name)],
            capture_output=True,
            text=True,
            timeout=300,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    assert "cannot" not in outputs[0]
    one, two = ({p.stem for p in (tmp_path / name).iterdir()} for name in ("one", "two"))
    locked = one - two
    assert two >= {"backprop", "feedback_alignment", "direct_feedback_alignment", "drtp", "pepita"}
    for rule in locked:
        assert f"0 {rule} cannot: rule {rule} in 2 processes: got" in outputs[1]
    for rule in two:
        a, b = (load_file(tmp_path / name / f"{rule}.safetensors") for name in ("one", "two"))
        for name, tensor in a.items():
            torch.testing.assert_close(b[name], tensor, rtol=1e-10, atol=1e-10)
