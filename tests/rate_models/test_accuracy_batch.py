"""MNIST in batch form with the settings of Dellaferrera & Kreiman 2022 (SPEC A3)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec
from streaming.files.data_sets import load_idx_set

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("DENDROSTREAM_DATA" not in os.environ, reason="no DENDROSTREAM_DATA"),
]


@pytest.mark.parametrize(("rule", "wanted"), [("pepita", 0.97), ("backprop", 0.98)])
def test_mnist_within_ten_epochs(rule: str, wanted: float) -> None:
    pytest.importorskip("torch")
    from rate_models.batch import BatchNetwork, fit

    x, y, x_test, y_test = load_idx_set("MNIST", Path(os.environ["DENDROSTREAM_DATA"]), False)
    net = BatchNetwork(NetworkSpec((784, 1024, 10)), rule, seed=0, dropout=0.1)
    history = fit(
        net, x / np.float32(255), y, epochs=10, batch_size=64,
        optimizer=Optimizer(lr=0.1, momentum=0.9, decay_at=(60 * len(x),)),
        x_test=x_test / np.float32(255), y_test=y_test,
    )  # fmt: skip
    assert max(epoch["accuracy"] or 0 for epoch in history) >= wanted, history
