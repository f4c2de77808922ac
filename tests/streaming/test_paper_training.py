"""What the papers on PEPITA share, against networks trained one by one and the rule itself."""

from __future__ import annotations

import json
import math
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_sets import write_data_sets

pytest.importorskip("torch")

from rate_models import rules
from rate_models.batch import BatchNetwork, fit
from rate_models.diagnostics import measures
from rate_models.errors import Diverged
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec, one_hot
from rate_models.rules import Draws
from streaming import papers
from streaming.papers import Context, Scale, Unfinished
from streaming.papers.cells import Store
from streaming.papers.unfinished import Checkpoints
from streaming.sources import Options, open_source

training: Any = import_module(papers.get("pepita-table1").module)._training


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Options:
    write_data_sets(tmp_path, monkeypatch)
    training.arrays.cache_clear()
    return Options(data=tmp_path)


def trained(run: dict[str, Any], seeds: list[int], data: Options, **more: Any) -> dict[int, Any]:
    kept: dict[int, Any] = {}
    training.train(run, seeds, Context(lambda s, r: kept.update({s: r}), data=data), **more)
    return json.loads(json.dumps(kept), object_hook=lambda d: {
        int(k) if k.lstrip("-").isdigit() else k: v for k, v in d.items()
    })  # fmt: skip


def test_a_seed_is_that_network_trained_alone(data: Options) -> None:
    run = training.run("pepita", "mnist", Scale(2, 3, 80), hidden=[20])
    kept = trained(run, [4, 2], data)
    source: Any = open_source("mnist", data)
    (X, y), (X_test, y_test) = source.train_arrays(), source.test_arrays()
    for seed in (4, 2):
        net = BatchNetwork(NetworkSpec((784, 20, 10)), "pepita", seed, dropout=0.1)
        start = net.numpy()
        history = fit(
            net, X[:80] / np.float32(255), y[:80], epochs=3, seed=seed,
            optimizer=Optimizer(0.1, 0.9, decay_at=(160,)),
            x_test=X_test / np.float32(255), y_test=y_test,
        )  # fmt: skip
        result = kept[seed]
        assert result["loss"] == pytest.approx([m["loss"] for m in history], rel=1e-4)
        assert result["accuracy"] == pytest.approx([m["accuracy"] for m in history], abs=0.04)
        for at, params in ((0, start), (-1, net.numpy())):
            assert result["norms"][at] == pytest.approx(measures.weight_norms(params), rel=1e-4)
            product = params["W"][1] @ params["W"][0]
            cosine = (product.T * params["F"]).sum() / (
                np.linalg.norm(product) * np.linalg.norm(params["F"])
            )
            assert result["angles"]["F"][at] == pytest.approx(
                np.degrees(np.arccos(cosine)), abs=0.01
            )
        assert len(result["norms"]) == 4 and len(result["accuracy"]) == 3


def test_hidden_activity_of_both_passes_is_the_rules(data: Options) -> None:
    net = BatchNetwork(NetworkSpec((9, 6, 5, 3)), "pepita", 1, sign=-1, feedback_scale=3.0)
    rng = np.random.default_rng(0)
    X, Y = rng.random((8, 9)).astype(np.float32), one_hot(rng.integers(0, 3, 8), 3, np.float32)
    definition = rules.get("pepita")
    (update,) = definition.batch(net.spec, net.numpy(), net.hyper, X, Y, Draws())
    mismatch = training.hidden(net, X) - training.hidden(net, X, Y)
    assert np.abs(mismatch).max() > 0.01
    np.testing.assert_allclose(mismatch, update.terms[0][0].post, atol=1e-5)


def test_goodness_is_watched_from_before_training_on(data: Options) -> None:
    paper = papers.get("srinivasan-goodness")
    run = {**paper.run("before", "std", Scale(1, 2)), "hidden": [12, 8]}
    kept = trained(run, [0], data, watch=import_module(paper.module)._difference)[0]
    assert len(kept["std"]) == len(kept["mean"]) == 3
    net = BatchNetwork(NetworkSpec((3072, 12, 8, 10)), "pepita", 0, **run["hyper"])
    _, _, X, y, *_ = training.arrays("cifar10", data.data, False, None, None)
    h = training.hidden(net, X)
    p = training.hidden(net, X, one_hot(y, 10, np.float32))
    gap = np.linalg.norm(h, axis=1) ** 2 - np.linalg.norm(p, axis=1) ** 2
    assert kept["std"][0] == pytest.approx(gap.std(), rel=1e-3)
    assert sum(kept["histogram"][0][0]) == len(y)


def test_where_all_diverge_it_is_reported_and_stored(data: Options, tmp_path: Path) -> None:
    run = training.run("backprop", "mnist", Scale(2, 2), hidden=[8], lr=1e30, weight_decay=1e30)
    with pytest.raises(Diverged, match="all 2 networks"):
        trained(run, [0, 1], data)
    store = Store(tmp_path / "cells", "", lambda _: None)
    kept = store.compute(papers.get("pepita-table1"), run, [0, 1], Context(print, data=data))
    assert [kept[seed]["result"] for seed in (0, 1)] == [None, None]


@pytest.mark.parametrize("rule", ["pepita", "backprop"])
def test_an_interrupted_run_goes_on_to_the_last_bit(
    rule: str, data: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streaming.papers.unfinished.EVERY", 0.0)
    run = training.run(rule, "mnist", Scale(1, 5, 80), hidden=[20], decay_epochs=[1, 3])
    paper = papers.get("pepita-table1")
    whole = Store(tmp_path / "whole", "", lambda _: None)
    store = Store(tmp_path / "cells", "", lambda _: None)
    [expected] = whole.compute(paper, run, [7], Context(lambda *_: None, data=data)).values()

    def interrupt(line: str) -> None:
        if "epoch 4" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.compute(paper, run, [7], Context(lambda *_: None, data=data, tick=interrupt))
    assert not store.kept(run, [7])
    [cell] = store.compute(paper, run, [7], Context(lambda *_: None, data=data)).values()
    assert cell["result"] == expected["result"]
    assert cell["notes"] == ["seed 7 went on from epoch 3"]
    assert not (tmp_path / "cells" / "unfinished").exists()


def test_a_checkpoint_that_is_damaged_or_not_written_only_loses_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streaming.papers.unfinished.EVERY", 0.0)
    points = Checkpoints(tmp_path, str)
    assert points.read(0) is None
    points.write(0, lambda: Unfinished({"net.W.0": np.ones(2)}, {"loss": [float("nan")]}))
    found = points.read(0)
    assert found is not None and math.isnan(found.meta["loss"][0])
    (tmp_path / "0" / "arrays.safetensors").write_bytes(b"short")
    assert points.read(0) is None
    (tmp_path / "1").write_text("a file in the way")
    points.write(1, lambda: Unfinished({}, {}))
    assert points.read(1) is None


def test_whitened_images_are_white(data: Options) -> None:
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(400, 6)) @ rng.normal(size=(6, 6)) + 3).astype(np.float32)
    plain, test = training.whitened(X, X[:5], 0.0)
    assert plain.dtype == np.float32
    np.testing.assert_allclose(plain.T @ plain / 400, np.eye(6), atol=1e-3)
    np.testing.assert_allclose(test, plain[:5], atol=1e-5)
    soft, _ = training.whitened(X, X[:5], 0.1)
    values = np.linalg.eigvalsh(np.cov(X.T.astype(float), bias=True))
    found = np.linalg.eigvalsh(soft.T.astype(float) @ soft / 400)
    np.testing.assert_allclose(found, values / (values + 0.1), atol=2e-3)


def test_drtp_by_autograd_has_the_gradients_of_the_rule() -> None:
    """In our setting; and the program's, by what it sums where we average."""
    import torch

    paper: Any = import_module(papers.get("drtp-program").module)
    full = paper.PAPER.full
    rng = np.random.default_rng(2)
    x = torch.as_tensor(rng.random((paper.BATCH, 784)), dtype=torch.float32)
    y = torch.as_tensor(rng.integers(0, 10, paper.BATCH))
    ours = paper.Network(paper.run("ours", "accuracy", full), 0)
    ours.loss(x, y, dropout=False).backward()
    net = BatchNetwork(NetworkSpec((784, paper.UNITS, 10), "tanh", "binary_cross_entropy"), "drtp")
    net.load_parameters({"W": [w.detach() for w in ours.W], "B": [ours.B.T.contiguous()]})
    net.fill_grad(x, y)
    for mine, weight in zip(net.W, ours.W, strict=True):
        torch.testing.assert_close(mine.grad, weight.grad, rtol=1e-4, atol=1e-6)
    changed = {**paper.run("program", "accuracy", full), "bias": False}
    program = paper.Network(changed, 0)
    program.W = [w.detach().clone().requires_grad_() for w in ours.W]
    program.loss(x, y, dropout=False).backward()
    for weight, other, times in zip(program.W, ours.W, (paper.BATCH, 1 / 10), strict=True):
        torch.testing.assert_close(weight.grad, times * other.grad, rtol=1e-4, atol=1e-5)
