"""Networks that grow: what is known stays bit for bit, and what is new comes from the seed."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from learners import SIZES, bits, samples, suited

from rate_models import rules
from rate_models.errors import BadOption, BadSample, DamagedCheckpoint
from rate_models.network import initial_weights
from streaming import OnlineLearner, progressive_val_score
from streaming.files import checkpoint
from streaming.learner import implementation
from streaming.samples.missing import Filler

LABELS = ("a", "b", "c", "d", "e")


def growing(rule: str, **options: Any) -> OnlineLearner:
    """A learner of one class that grows, and can learn three hidden layers where the rule can."""
    given = suited(rule, **{"lr": 0.01, "seed": 3, **options})
    sizes = (*given["sizes"][:-1], options.get("outputs", 2))
    given.pop("outputs", None)
    return OnlineLearner(**{**given, "sizes": sizes, "classes": "grow"})


def checks_with(learner: OnlineLearner, *labels: str) -> Any:
    """What checks the samples of the learner, with more classes."""
    entry = learner._entry
    for label in labels:
        entry = entry.with_news([[]], [label])
    return entry


def arrays(learner: OnlineLearner) -> dict[str, np.ndarray]:
    named = {}
    for name, value in learner.parameters().items():
        several = value if isinstance(value, list) else [value]
        named |= {f"{name}.{i}": array for i, array in enumerate(several)}
    return named


def currents(learner: OnlineLearner, X: np.ndarray) -> np.ndarray:
    """a_L of the textbook, (N, n_L): the outputs before the softmax, one unit at a time."""
    net = learner.network
    a, h = rules.forward(net.definition, net.spec, net.parameters(), net.hyper, X)
    if net.definition.forward_pass is not None:
        return a[-1]
    W, b = net.parameters()["W"][-1], net.parameters()["b"]
    return np.stack([h[-2] @ row for row in W], axis=1) + (b[-1] if b else 0)


@pytest.mark.parametrize("rule", rules.names())
def test_all_that_is_known_stays_to_the_bit(rule: str) -> None:
    X, y = samples(80)
    learner = growing(rule)
    learner.learn_many(X[:60], [LABELS[i % 2] for i in y[:60]])
    before, said = arrays(learner), currents(learner, X[60:])
    old, samples_seen, rate = learner.network, learner.samples_seen, learner.lr
    learner._grow(checks_with(learner, "c", "d"))
    assert learner.network is not old and learner.classes == LABELS[:4]
    assert learner.sizes == (*old.spec.sizes[:-1], 4)
    assert (learner.samples_seen, learner.lr) == (samples_seen, rate)
    after = arrays(learner)
    assert before.keys() == after.keys()
    grown = 0
    for name, array in before.items():
        kept = after[name][tuple(map(slice, array.shape))]
        assert np.array_equal(kept, array), name
        grown += after[name].shape != array.shape
    assert grown >= 1
    assert len(np.unique(after[f"W.{len(old.spec.sizes) - 2}"][2:])) > 1  # drawn, not copied
    assert np.array_equal(currents(learner, X[60:])[:, :2], said)
    learner.learn_many(X[60:], [LABELS[i] for i in y[60:]])
    assert learner.is_finite()


@pytest.mark.parametrize("rule", rules.names())
def test_kernels_agree_with_the_textbook_after_growth(rule: str) -> None:
    X, y = samples(80)
    learner = growing(rule)
    learner.learn_many(X, [LABELS[i] for i in y])
    net = learner.network
    assert learner.sizes[-1] == 3
    want = rules.forward(net.definition, net.spec, net.parameters(), net.hyper, X)[1][-1]
    np.testing.assert_allclose(net.predict(X), want, rtol=1e-10, atol=1e-12)


def test_growth_is_the_same_for_any_chunks_and_from_a_checkpoint(tmp_path: Path) -> None:
    X, y = samples(120)
    labels = [LABELS[i + (t > 60)] for t, i in enumerate(y)]
    whole, single = growing("pepita", lr=None), growing("pepita", lr=None)
    said = whole.learn_many(X, labels)[0]
    each = []
    for x, label in zip(X, labels, strict=True):
        each.append(single.predict_one(x))
        single.learn_one(x, label)
    assert bits(whole) == bits(single)
    assert said.tolist() == each and each[0] is None
    first = growing("pepita", lr=None)
    first.learn_many(X[:50], labels[:50])
    first.save(tmp_path / "c")
    resumed = OnlineLearner.load(tmp_path / "c")
    assert resumed.classes == first.classes and resumed.classes != whole.classes
    resumed.learn_many(X[50:], labels[50:])
    assert bits(resumed) == bits(whole) and resumed.classes == whole.classes
    assert bits(copy.deepcopy(whole)) == bits(whole)


def test_new_units_come_from_the_seed() -> None:
    def rows(seed: int) -> np.ndarray:
        learner = growing("pepita", seed=seed)
        learner.learn_many(*[samples(3)[0], ["a", "b", "c"]])
        return learner.parameters()["W"][-1][2]

    assert np.array_equal(rows(1), rows(1)) and not np.array_equal(rows(1), rows(2))


def test_draws_of_new_units_have_the_distribution_of_the_first_ones() -> None:
    learner = OnlineLearner("pepita", (400, 300, 2), classes="grow", seed=0)
    old = learner.parameters()
    learner._grow(checks_with(learner, *map(str, range(400))))
    new = learner.parameters()
    first = initial_weights(learner.network.spec, 99)["W"][1]
    assert new["W"][1][2:].std() == pytest.approx(first.std(), rel=0.02)
    assert new["F"][:, 2:].std() == pytest.approx(old["F"].std(), rel=0.05)
    together = np.corrcoef(new["W"][1][:2].ravel(), new["W"][1][2:4].ravel())[0, 1]
    assert abs(together) < 0.2


def test_a_mirrored_feedback_is_the_product_of_its_grown_factors() -> None:
    learner = growing("pepita", sign=-1, init="he_normal", mirror_before=5, mirror_every=5)
    X, y = samples(40)
    learner.learn_many(X, [LABELS[i % 2] for i in y])
    learner._grow(checks_with(learner, "c"))
    new = learner.parameters()
    product = np.linalg.multi_dot(new["B"])
    np.testing.assert_allclose(new["F"], product, rtol=1e-9, atol=1e-12)


def test_units_without_a_label_are_never_predicted() -> None:
    X, y = samples(200)
    learner = growing("backprop", outputs=10, lr=0.05)
    said = learner.learn_many(X, [LABELS[i] for i in y])[0]
    assert learner.sizes[-1] == 10 and len(learner.classes or ()) == 3
    assert {*said} <= {None, *LABELS[:3]}
    assert {*learner.predict_many(X)} <= {*LABELS[:3]}
    chances = learner.predict_proba_many(X)
    assert chances.shape == (200, 3)
    np.testing.assert_allclose(chances.sum(1), 1)
    assert tuple(learner.predict_proba_one(X[0])) == learner.classes


def test_a_new_label_is_never_predicted_before_it_is_learned() -> None:
    learner = OnlineLearner("pepita", (2, 8, 1), classes="grow")
    metric = progressive_val_score([([0.0, 1.0], 7), ([1.0, 0.0], 8), ([0.0, 1.0], 7)], learner)
    assert metric.correct <= 1 and learner.classes == (7, 8)
    assert metric.get()["samples"] == 3 and np.isfinite(metric.get()["loss"])
    assert metric.confusion.sum() == 2  # nothing could be predicted of the first


@pytest.mark.parametrize("bad", [0.5, None, float("nan"), ["a"], {"a": 1}])
def test_what_cannot_be_a_label_changes_nothing(bad: Any) -> None:
    learner = growing("pepita")
    learner.learn_one(samples(1)[0][0], "a")
    before = bits(learner)
    with pytest.raises(BadSample, match="label"):
        learner.learn_one(samples(1)[0][0], bad)
    assert bits(learner) == before and learner.classes == ("a",)


def test_a_bad_sample_with_a_new_label_changes_nothing() -> None:
    learner = growing("pepita")
    X, _ = samples(3)
    X[1, 0] = np.nan
    with pytest.raises(BadSample, match="got nan"):
        learner.learn_many(X, ["a", "b", "c"])
    assert learner.classes == ("a",) and learner.sizes[-1] == 2
    skipping = growing("pepita", on_bad="skip")
    skipping.learn_many(X, ["a", "b", "c"])
    assert skipping.classes == ("a", "c") and skipping.skipped == 1


@pytest.mark.parametrize(
    "options, said",
    [
        ({"classes": "more"}, "classes: got 'more'"),
        ({"classes": "grow", "batch": 4}, "batch 4"),
        ({"classes": "grow", "schedule": "delayed:1"}, "delayed:1"),
        ({"classes": "grow", "circuit": "pepita"}, "circuit pepita"),
        ({"classes": "grow", "task": "regression"}, "regression with classes"),
        ({"features": "any"}, "features: got 'any'"),
        ({"missing": "median"}, "missing: got 'median'"),
        ({"missing_indicator": True}, "missing_indicator"),
        ({"missing_indicator": True, "missing": "mean", "sizes": (3, 4, 2)}, "even number"),
    ],
)
def test_what_cannot_grow_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadOption, match=said):
        OnlineLearner(**{"sizes": (4, 8, 2), **options})


# -- features


def test_features_that_appear_are_inputs_from_then_on(tmp_path: Path) -> None:
    def stream() -> list[tuple[dict[str, float], str]]:
        rng = np.random.default_rng(0)
        names = ["c", "a", "b", "d"]
        return [
            ({n: float(rng.normal()) for n in names[: 2 + (t > 20) + (t > 30)]}, LABELS[t % 3])
            for t in range(60)
        ]

    def built() -> OnlineLearner:
        return OnlineLearner(
            "pepita", (1, 6, 1), classes="grow", features="grow", missing="zero", scale="running"
        )

    one, other = built(), built()
    for x, y in stream():
        one.learn_one(x, y)
        other.learn_one(dict(reversed(x.items())), y)
    assert one.features == ("a", "c", "b", "d") and one.sizes == (4, 6, 3)
    assert bits(one) == bits(other)
    assert one.predict_one({"a": 1.0, "unheard": 5.0}) == one.predict_one({"a": 1.0})
    half = built()
    for x, y in stream()[:25]:
        half.learn_one(x, y)
    half.save(tmp_path / "c")
    half = OnlineLearner.load(tmp_path / "c")
    for x, y in stream()[25:]:
        half.learn_one(x, y)
    assert bits(half) == bits(one)


@pytest.mark.parametrize("rule", rules.names())
def test_weights_of_known_features_stay_to_the_bit(rule: str) -> None:
    given = suited(rule, lr=0.01)
    sizes = (4, *given["sizes"][1:])
    learner = OnlineLearner(
        **{**given, "sizes": sizes}, features="grow", missing="mean", missing_indicator=True
    )
    learner.learn_one({"a": 1.0, "b": 2.0}, 0)
    before = arrays(learner)
    learner._grow(learner._entry.with_news([{"a": 1.0, "c": 1.0}], [1]))
    after, kept = arrays(learner), [0, 1, 3, 4]  # a, b, c; whether a, b, c are missing
    assert learner.sizes[0] == 6
    assert np.array_equal(after["W.0"][:, kept], before["W.0"])
    for name, array in before.items():
        if array.shape == after[name].shape:
            assert np.array_equal(after[name], array), name
        elif name != "W.0":
            assert np.array_equal(after[name][kept], array), name


def test_a_late_feature_is_scaled_by_its_own_samples() -> None:
    learner = OnlineLearner(
        "pepita", (1, 4, 2), classes=(0, 1), features="grow", missing="zero", scale="running"
    )
    for t in range(500):
        learner.learn_one({"a": float(t % 7)}, t % 2)
    values = [100.0, 102.0, 98.0, 101.0]
    for t, value in enumerate(values):
        learner.learn_one({"a": 0.0, "b": value}, t % 2)
    scaled = learner.scaled([{"a": 0.0, "b": 104.0}])[0, 1]
    assert scaled == pytest.approx((104 - np.mean(values)) / np.std(values))


# -- missing values


@pytest.mark.parametrize("kind", ["mean", "last", "zero"])
@pytest.mark.parametrize("indicator", [False, True])
def test_missing_values_are_filled_before_anything_else(kind: str, indicator: bool) -> None:
    X, y = samples(100, sparse=False)
    holes = np.random.default_rng(1).random(X.shape) < 0.2
    X[holes] = np.nan
    fill = Filler(kind, 12, np.arange(12 if indicator else 0))
    filled = fill(X, np.ones(len(X), np.bool_))
    inputs = 24 if indicator else 12
    how = {"sizes": (inputs, 9, 3), "scale": "running", "lr": 0.01}
    learner = OnlineLearner("pepita", missing=kind, missing_indicator=indicator, **how)
    plain = OnlineLearner("pepita", **how)
    learner.learn_many(X[:50], y[:50])
    for x, label in zip(X[50:].tolist(), y[50:], strict=True):
        learner.learn_one([None if v != v else v for v in x], label)
    plain.learn_many(filled, y)
    assert learner.filled == holes.sum()
    for mine, reference in zip(learner.parameters()["W"], plain.parameters()["W"], strict=True):
        assert np.array_equal(mine, reference)
    before = bits(learner)
    assert learner.predict_many(X).shape == (100,)
    assert bits(learner) == before and learner.filled == holes.sum()


def test_samples_that_lack_values_are_skipped_or_refused() -> None:
    X, y = samples(10, sparse=False)
    X[3, 2] = X[7, 0] = np.nan
    skipping = OnlineLearner("pepita", SIZES, missing="skip")
    predicted, _ = skipping.learn_many(X, y)
    assert (skipping.skipped, skipping.samples_seen, len(predicted)) == (2, 8, 8)
    assert skipping.score_many(X, y).true.tolist() == np.delete(y, [3, 7]).tolist()
    with pytest.raises(BadSample, match="missing value"):
        skipping.predict_one(X[3])
    X[5, 0] = np.inf  # is no missing value
    with pytest.raises(BadSample, match="inf"):
        skipping.learn_many(X, y)
    refusing = OnlineLearner("pepita", SIZES)
    with pytest.raises(BadSample, match="missing='mean'"):
        refusing.learn_many(X, y)


def test_a_dict_may_lack_features_where_they_are_filled() -> None:
    learner = OnlineLearner("pepita", (2, 4, 2), missing="mean", lr=0.01)
    for x in ({"a": 1.0, "b": 4.0}, {"a": 3.0, "b": 2.0}, {"b": 1.0}, {"a": None, "b": 1.0}):
        learner.learn_one(x, 0)
    assert learner.filled == 2
    assert learner.scaled([{"b": 1.0}]).tolist() == [[2.0, 1.0]]
    with pytest.raises(BadSample, match="unknown 'c'"):
        learner.learn_one({"a": 1.0, "c": 1.0}, 0)


def test_a_checkpoint_keeps_what_fills(tmp_path: Path) -> None:
    X, y = samples(60, sparse=False)
    X[np.random.default_rng(1).random(X.shape) < 0.2] = np.nan
    learner = OnlineLearner("pepita", SIZES, missing="mean", scale="running")
    learner.learn_many(X[:30], y[:30])
    learner.save(tmp_path / "c")
    resumed = OnlineLearner.load(tmp_path / "c")
    assert resumed.filled == learner.filled > 0 and resumed.missing == "mean"
    for one in (learner, resumed):
        one.learn_many(X[30:], y[30:])
    assert bits(learner) == bits(resumed) and resumed.filled == learner.filled


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("labels", ["a", "a"]), ("labels", ["a", 0.5]), ("labels", None), ("labels", "ab"),
        ("labels", ["a", "b", "c", "d"]), ("labels", 7), ("labels", [["a"], "b"]),
        ("features", [f"f{i}" for i in range(13)]), ("features", ["a", "a"]), ("features", [1.5]),
        ("filled", -1), ("filled", "many"), ("by_formula", ["decay"]), ("by_formula", 3),
    ],
)  # fmt: skip
def test_crafted_checkpoints_are_refused(tmp_path: Path, name: str, value: Any) -> None:
    X, y = samples(30, sparse=False)
    learner = growing("pepita", lr=None, features="grow", missing="mean", scale="running")
    learner.learn_many(X, [LABELS[i] for i in y])
    learner.save(tmp_path / "c")
    stored, meta = checkpoint.read(tmp_path / "c")
    assert name in meta and OnlineLearner.restored(stored, meta, "c").classes == learner.classes
    with pytest.raises(DamagedCheckpoint):
        OnlineLearner.restored(stored, meta | {name: value}, "c")
    stored["filler.known"] = stored["filler.known"] - 100
    with pytest.raises(DamagedCheckpoint):
        OnlineLearner.restored(stored, meta, "c")


@pytest.mark.parametrize("x", [{1.5: 2.0}, {("a",): 1.0}, {"a": [1.0, 2.0]}, {"a": "red"}])
def test_what_cannot_be_a_feature_changes_nothing(x: Any) -> None:
    learner = OnlineLearner("pepita", (1, 4, 2), features="grow", missing="zero", lr=0.01)
    learner.learn_one({"a": 1.0}, 0)
    before = bits(learner)
    for call in (lambda: learner.learn_one({**x, "new": 1.0}, 0), lambda: learner.predict_one(x)):
        with pytest.raises(BadSample):
            call()
    assert bits(learner) == before and learner.features == ("a",)


def test_pipelines_of_threads_grow_to_the_same_bits() -> None:
    X, y = samples(200)
    labels = [LABELS[i + (t > 100)] for t, i in enumerate(y)]
    one, other = growing("pepita"), growing("pepita", schedule="pipelined", workers=2)
    one.learn_many(X, labels)
    other.learn_many(X, labels)
    for a, b in zip(one.parameters()["W"], other.parameters()["W"], strict=True):
        assert np.array_equal(a, b)


def test_threads_may_predict_while_it_grows() -> None:
    learner = OnlineLearner(
        "pepita", (4, 16, 1), classes="grow", features="grow", missing="zero", lr=0.01
    )
    problems: list[BaseException] = []

    def watched(call: Callable[[int], Any], times: int) -> threading.Thread:
        def repeat() -> None:
            try:
                for t in range(times):
                    call(t)
            except BaseException as problem:
                problems.append(problem)

        return threading.Thread(target=repeat)

    def learn(t: int) -> None:
        learner.learn_one({f"f{t // 10 % 12}": float(t % 3), "g": 1.0}, f"c{t // 25 % 9}")

    def predict(t: int) -> None:
        learner.predict_one({"g": 1.0})
        learner.predict_proba_one({"g": 1.0})
        learner.predict_many([{"g": 1.0}, {"f3": 1.0}])
        learner.score_many([{"g": 1.0}], ["c1"])

    threads = [watched(learn, 250), watched(learn, 250), watched(predict, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert (learner.samples_seen, learner.sizes) == (500, (13, 16, 9))


def test_growth_refuses_what_the_rule_cannot_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = growing("pepita")
    learner.learn_one(samples(1)[0][0], "a")
    learner.learn_one(samples(1)[0][0], "b")
    before = bits(learner)

    def refuse(*_: Any) -> None:
        raise BadOption("sizes", got="too many")

    monkeypatch.setattr(implementation, "larger", refuse)
    with pytest.raises(BadOption, match="too many"):
        learner.learn_one(samples(1)[0][0], "c")
    assert bits(learner) == before and learner.classes == ("a", "b")
