"""The learner: one trajectory however it is cut, whatever is read or saved on the way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from learners import SIZES, bits, samples, suited

from rate_models import rules
from rate_models.errors import (
    BadOption,
    DamagedCheckpoint,
    Diverged,
    UnknownName,
)
from streaming.files import checkpoint
from streaming.learner.answers import CHUNK
from streaming.learner.learner import OnlineLearner

RULES = rules.names()


def learn_in_chunks(
    learner: OnlineLearner, X: Any, y: Any, size: int, folder: Path | None = None
) -> tuple[OnlineLearner, np.ndarray, np.ndarray]:
    predicted, losses = [], []
    for i in range(0, len(y), size):
        predictions, some = learner.learn_many(X[i : i + size], y[i : i + size])
        predicted.append(predictions)
        losses.append(some)
        if folder is not None:
            learner.save(folder)
            learner = OnlineLearner.load(folder)
    return learner, np.concatenate(predicted), np.concatenate(losses)


SETTINGS: list[dict[str, Any]] = [
    {},
    {"bias": True, "activation": "tanh"},
    {"momentum": 0.9},
    {"momentum": 0.5, "weight_decay": 1e-3, "dropout": 0.2, "decay_at": (50, 120)},
    {"scale": "running", "dropout": 0.2},
    {"scale": "range", "maximum": 3.0, "dtype": "float32", "bias": True},
    {"dtype": "float32", "momentum": 0.9, "scale": "running"},
]


@pytest.mark.parametrize("options", SETTINGS, ids=lambda o: ",".join(o))
@pytest.mark.parametrize("rule", RULES)
def test_one_trajectory_however_it_is_cut(rule: str, options: dict[str, Any], tmp_path) -> None:
    X, y = samples()
    make = suited(rule, **{"lr": 0.01, **options})
    whole = OnlineLearner(**make)
    predicted, losses = whole.learn_many(X, y)
    want = bits(whole)
    assert whole.samples_seen == len(y)

    loop, alone = OnlineLearner(**make), []
    for row, label in zip(X, y, strict=True):
        if options.get("scale") != "running":  # which learns before it scales
            alone.append(loop.predict_one(row))
        loop.learn_one(row, label)
    assert bits(loop) == want
    assert alone == predicted[: len(alone)].tolist()

    for size, folder in [(1, None), (7, None), (64, None), (23, tmp_path / "c")]:
        learner, part, some = learn_in_chunks(OnlineLearner(**make), X, y, size, folder)
        assert bits(learner) == want
        np.testing.assert_array_equal(part, predicted)
        np.testing.assert_array_equal(some, losses)


def test_more_than_a_block_and_dense_input() -> None:
    X, y = samples(2 * CHUNK + 3, sparse=False)
    whole, parts = OnlineLearner(sizes=SIZES), OnlineLearner(sizes=SIZES)
    predictions, losses = whole.learn_many(X, y)
    assert predictions.shape == losses.shape == y.shape
    learn_in_chunks(parts, X, y, 100)
    assert bits(whole) == bits(parts)


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float32, np.bool_, list, "columns"])
def test_kinds_of_input(kind: Any) -> None:
    X = np.random.default_rng(1).integers(0, 2, (30, 12))
    y = np.arange(30) % 3
    want, got = OnlineLearner(sizes=SIZES), OnlineLearner(sizes=SIZES)
    want.learn_many(X.astype(float), y)
    if kind is list:
        got.learn_many(X.tolist(), y.tolist())
    else:
        got.learn_many(np.asfortranarray(X) if kind == "columns" else X.astype(kind), y)
    assert bits(want) == bits(got)


def test_reading_changes_nothing_and_returns_copies(tmp_path: Path) -> None:
    X, y = samples()
    learner = OnlineLearner(sizes=SIZES, scale="running")
    learner.predict_many(X)  # before the first sample
    learner.learn_many(X[:50], y[:50])
    before = bits(learner)
    learner.predict_one(X[60])
    learner.predict_proba_one(X[60])
    learner.predict_many(X)
    learner.predict_proba_many(X)
    learner.score_many(X, y)
    learner.parameters()["W"][0][:] = 7
    learner.save(tmp_path / "c")
    assert bits(learner) == before
    other = OnlineLearner(sizes=SIZES)
    other.learn_many(X[:50], y[:50])
    learner.learn_many(X[50:], y[50:])
    assert bits(OnlineLearner.load(tmp_path / "c")) == before


def test_inputs_are_neither_changed_nor_kept() -> None:
    X, y = samples(sparse=False)
    copy, labels = X.copy(), y.copy()
    X.flags.writeable = y.flags.writeable = False
    learner = OnlineLearner("backprop", sizes=(12, 5, 12), loss="mse")
    learner.learn_many(X, X)
    learner.learn_one(X[0], X[1])
    predicted = learner.predict_one(X[0])
    np.testing.assert_array_equal(X, copy)
    np.testing.assert_array_equal(y, labels)
    X.flags.writeable = True
    before = bits(learner)
    X[:] = 0
    assert bits(learner) == before
    predicted[:] = 0
    assert learner.predict_one(copy[0]).any()


@pytest.mark.parametrize(
    "classes",
    [None, ("no", "yes", "maybe"), (7, -2, 2**80), (True, False, "x"), np.array([2.0, 4.0, 9.0])],
)
def test_labels(classes: Any, tmp_path: Path) -> None:
    X, index = samples(60)
    learner = OnlineLearner(sizes=SIZES, classes=classes)
    plain = OnlineLearner(sizes=SIZES)
    labels = [learner.classes[i] for i in index]
    predicted, _ = learner.learn_many(X, labels)
    codes, _ = plain.learn_many(X, index)
    assert predicted.tolist() == [learner.classes[i] for i in codes]
    learner.learn_one(X[0], labels[0])
    assert learner.predict_many(X).tolist() == [learner.predict_one(x) for x in X]
    proba = learner.predict_proba_one(X[0])
    assert tuple(proba) == learner.classes
    assert sum(proba.values()) == pytest.approx(1)
    assert max(proba, key=proba.__getitem__) == learner.predict_one(X[0])
    assert list(proba.values()) == learner.predict_proba_many(X)[0].tolist()
    learner.save(tmp_path / "c")
    again = OnlineLearner.load(tmp_path / "c").classes
    assert again == learner.classes
    assert [type(c) for c in again] == [type(c) for c in learner.classes]


@pytest.mark.parametrize("y", [2, 2.0, np.int8(2), np.float32(2), np.array(2), np.uint64(2)])
def test_whole_numbers_are_labels(y: Any) -> None:
    x = np.ones(12)
    a, b = OnlineLearner(sizes=SIZES), OnlineLearner(sizes=SIZES)
    a.learn_one(x, 2)
    b.learn_one(x, y)
    assert bits(a) == bits(b)


def test_regression(tmp_path: Path) -> None:
    X, _ = samples()
    Y = X[:, :3] * 0.1
    learner = OnlineLearner("backprop", sizes=SIZES, loss="mse", seed=3)
    outputs, losses = learner.learn_many(X, Y)
    assert learner.classes is None
    assert outputs.shape == Y.shape
    np.testing.assert_allclose(losses, ((outputs - Y) ** 2).sum(1) / 2)
    np.testing.assert_array_equal(learner.predict_one(X[0]), learner.predict_many(X)[0])
    with pytest.raises(BadOption, match=r"probabilities of classes"):
        learner.predict_proba_one(X[0])
    learner.save(tmp_path / "c")
    assert bits(OnlineLearner.load(tmp_path / "c")) == bits(learner)
    loop = OnlineLearner("backprop", sizes=SIZES, loss="mse", seed=3)
    for x, y in zip(X.tolist(), Y.tolist(), strict=True):
        loop.learn_one(x, y)
    assert bits(loop) == bits(learner)


def test_regression_of_one_number() -> None:
    X, _ = samples()
    a, b = (OnlineLearner("backprop", sizes=(12, 5, 1), loss="mse") for _ in range(2))
    a.learn_many(X, X[:, 0])
    for x in X:
        b.learn_one(x, x[0])
    assert bits(a) == bits(b)
    assert b.predict_one(X[0]).shape == (1,)


def test_squared_error_of_classes() -> None:
    learner = OnlineLearner("backprop", sizes=SIZES, loss="mse", classes=("a", "b", "c"))
    learner.learn_one(np.ones(12), "b")
    assert learner.predict_one(np.ones(12)) in ("a", "b", "c")
    with pytest.raises(BadOption, match="loss mse, output identity"):
        learner.predict_proba_one(np.ones(12))


def test_divergence_is_named() -> None:
    X, _ = samples()
    learner = OnlineLearner("backprop", (12, 5, 12), lr=10.0, loss="mse", activation="identity")
    with pytest.raises(Diverged, match=r"sample \d+: .*not finite.*lower the learning rate"):
        learner.learn_many(X, X)
    assert learner.samples_seen < len(X)


def test_masks_and_noise_of_the_caller() -> None:
    X, y = samples(20)
    rng = np.random.default_rng(2)
    masks = [(rng.random((20, n)) < 0.5) * 2.0 for n in SIZES[1:-1]]
    noise = [rng.normal(size=(20, 3))]
    a, b = (OnlineLearner(sizes=SIZES, modulation="random", on_bad="skip") for _ in range(2))
    rows = np.insert(X, 4, np.nan, axis=0)  # a bad row takes its draws with it
    with_bad = [np.insert(m, 4, 0.0, axis=0) for m in masks]
    a.learn_many(rows, np.insert(y, 4, 0), with_bad, [np.insert(noise[0], 4, 0.0, axis=0)])
    for i in range(20):
        b.learn_one(X[i], y[i], masks=[m[i] for m in masks], noise=[noise[0][i]])
    assert a.parameters()["W"][1].tobytes() == b.parameters()["W"][1].tobytes()
    c = OnlineLearner(sizes=SIZES, modulation="random")
    c.learn_many(X, y)
    assert c.parameters()["W"][1].tobytes() != b.parameters()["W"][1].tobytes()
    before = bits(b)
    for bad in [masks[:1], [masks[0], masks[0]], [np.ones(9), "ab"], [np.ones((3, 9)), np.ones(7)]]:
        with pytest.raises(BadOption, match="masks"):
            b.learn_many(X, y, masks=bad)
    assert bits(b) == before


def test_parameters_in_and_out() -> None:
    X, y = samples()
    a, b = OnlineLearner(sizes=SIZES, seed=1, bias=True), OnlineLearner(sizes=SIZES, bias=True)
    assert [w.shape for w in a.parameters()["W"]] == [(9, 12), (7, 9), (3, 7)]
    assert a.parameters()["F"].shape == (12, 3)
    b.load_parameters(a.parameters())
    a.learn_many(X, y)
    b.learn_many(X, y)
    assert a.parameters()["W"][0].tobytes() == b.parameters()["W"][0].tobytes()
    with pytest.raises(BadOption, match=r"W\[0\]"):
        a.load_parameters({"W": [np.zeros((2, 2))] * 3})


def test_set_while_running(tmp_path: Path) -> None:
    X, y = samples()
    learner = OnlineLearner(sizes=SIZES)
    learner.learn_many(X[:100], y[:100])
    learner.set(lr=0.001, momentum=0.9, dropout=0.1)
    assert learner.lr == 0.001
    learner.save(tmp_path / "c")
    other = OnlineLearner.load(tmp_path / "c")
    for one in (learner, other):
        one.learn_many(X[100:], y[100:])
    assert bits(learner) == bits(other)
    with pytest.raises(UnknownName, match="did you mean 'momentum'"):
        learner.set(momentun=0.1)


def test_options_refused() -> None:
    for wrong, options in [
        (UnknownName, {"momentun": 0.9}),
        (UnknownName, {"rule": "pepito"}),
        (UnknownName, {"loss": "hinge"}),
        (UnknownName, {"activation": ["relu", "rely"]}),
        (UnknownName, {"circuit": "pepito"}),
        (BadOption, {"circuit": "pepita", "rule": "bmvr"}),
        (BadOption, {"circuit": "pepita", "seed": -1}),
        (BadOption, {"on_bad": "ignore"}),
        (BadOption, {"lr": -1}),
        (BadOption, {"dropout": 1.5}),
        (BadOption, {"dtype": "float16"}),
        (BadOption, {"seed": -1}),
        (BadOption, {"scale": "log"}),
        (BadOption, {"sizes": (4,)}),
        (BadOption, {"classes": ("a", "b")}),
        (BadOption, {"classes": (1, True, 2)}),
        (BadOption, {"classes": (0.5, 1, 2)}),
        (BadOption, {"classes": ("a", "b", None)}),
    ]:
        with pytest.raises(wrong):
            OnlineLearner(**{"sizes": SIZES, **options})
    with pytest.raises(UnknownName, match=r"one of lr, momentum, .*dropout.*did you mean"):
        OnlineLearner(sizes=SIZES, momentun=0.9)


def test_save_carries_more_and_load_refuses_what_is_no_learner(tmp_path: Path) -> None:
    learner = OnlineLearner(sizes=SIZES)
    learner.save(tmp_path / "c", {"metrics.loss": np.ones(2)}, {"run": {"position": 5}})
    arrays, meta = checkpoint.read(tmp_path / "c")
    assert meta["run"] == {"position": 5}
    assert arrays["metrics.loss"].sum() == 2
    assert bits(OnlineLearner.load(tmp_path / "c")) == bits(learner)
    checkpoint.write(tmp_path / "d", {"a": np.ones(1)}, {})
    with pytest.raises(DamagedCheckpoint, match=r"got .*'learner'.*; expected the learner of this"):
        OnlineLearner.load(tmp_path / "d")
    with pytest.raises(DamagedCheckpoint, match="nowhere"):
        OnlineLearner.load(tmp_path / "nowhere")


def test_repr() -> None:
    learner = OnlineLearner(sizes=(2, 2), lr=0.03, seed=2**70)
    text = f"OnlineLearner(rule='pepita', sizes=(2, 2), lr=0.03, seed={2**70}, dtype='float64', "
    assert repr(learner) == text + "samples_seen=0)"


def test_one_signature_after_mixed_calls() -> None:
    X, y = samples(10)
    learner = OnlineLearner(sizes=SIZES)
    kernel: Any = learner.network._kernel
    learner.learn_many(X, y)
    before = len(kernel.signatures)
    X.flags.writeable = False
    learner.learn_many(X, y)
    learner.learn_many(X[::-1], y[::-1].astype(np.uint8))
    learner.learn_many(np.asfortranarray(X.astype(np.float32)), y.tolist())
    learner.learn_one([1] * 12, True)
    learner.learn_one(X[0, ::-1], np.float64(1))
    assert len(kernel.signatures) == before


def test_import_is_light() -> None:
    code = (
        "import sys, streaming; assert 'numba' not in sys.modules;"
        "from streaming import OnlineLearner, progressive_val_score;"
        "heavy = {'torch', 'sklearn', 'matplotlib', 'brian2'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_activities_are_the_forward_pass() -> None:
    learner = OnlineLearner(sizes=(4, 6, 5, 3), scale="range", maximum=2.0, bias=True)
    X = np.random.default_rng(0).random((7, 4))
    learner.learn_many(X, np.arange(7) % 3)
    h1, h2, out = learner.activities(X)
    p = learner.parameters()
    assert np.allclose(h1, np.maximum(0, X / 2 @ p["W"][0].T + p["b"][0]))
    assert h2.shape == (7, 5) and np.allclose(out, learner.predict_proba_many(X))
