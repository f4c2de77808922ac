"""Entry checks of the learner: what is no sample is refused, and nothing changes."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from learners import SIZES, bits, samples

from rate_models.errors import (
    BadSample,
    Diverged,
    UserError,
)
from streaming.learner.answers import CHUNK
from streaming.learner.entry import EntryChecks
from streaming.learner.learner import OnlineLearner


def as_dict(row: np.ndarray) -> dict[str, float]:
    return {f"f{i}": value for i, value in enumerate(row)}


def test_dicts(tmp_path: Path) -> None:
    X, y = samples()
    want, got = OnlineLearner(sizes=SIZES), OnlineLearner(sizes=SIZES)
    want.learn_many(X, y)
    got.predict_one(as_dict(X[0]))  # fixes the order
    rng = np.random.default_rng(0)
    for row, label in zip(X[:50], y[:50], strict=True):
        items = list(as_dict(row).items())
        rng.shuffle(items)
        got.learn_one({k: float(v) for k, v in items}, label)
    got.save(tmp_path / "c")
    got = OnlineLearner.load(tmp_path / "c")
    got.learn_many([as_dict(row) for row in X[50:]], y[50:])
    assert got.parameters()["W"][0].tobytes() == want.parameters()["W"][0].tobytes()
    backwards = dict(reversed(as_dict(X[3]).items()))
    assert got.predict_proba_one(backwards) == want.predict_proba_one(X[3])


NUMBERS = st.one_of(
    st.floats(width=32), st.floats(), st.integers(), st.sampled_from([1e18, 1e100, 10**400])
)
KINDS = ["<f8", ">f8", "<f4", "f2", "u1", "i8", "?", "c16"]


@given(numbers=st.lists(NUMBERS, min_size=2, max_size=4), dtype=st.sampled_from(KINDS),
       limit=st.sampled_from(["float64", "float32"]), data=st.data())  # fmt: skip
@settings(deadline=None)
def test_plain_samples_are_those_of_the_full_check(
    numbers: list[Any], dtype: str, limit: str, data: st.DataObject
) -> None:
    entry = EntryChecks((3, 2), (0, 1), limit, ("a", "b", 7))
    with np.errstate(all="ignore"), contextlib.suppress(OverflowError, ValueError):
        array = np.array([float(n) for n in numbers]).astype(dtype)
        numbers = data.draw(
            st.sampled_from([numbers, array, np.repeat(array, 2)[::2], array[None], array.tolist()])
        )
    names = data.draw(st.sampled_from([("a", "b", 7), (7, "a", "b"), ("a", "b", "c"), ("a", 7)]))
    for x in (numbers, dict(zip(names, numbers, strict=False))):
        seen = entry.plain_sample(x)
        if seen is not None:
            np.testing.assert_array_equal(seen.astype(np.float64), entry.sample(x))


def test_usual_kinds_are_plain_samples() -> None:
    entry = EntryChecks((3, 2), (0, 1), "float32", ("a", "b", "c"))
    usual: list[Any] = [[1, 2.5, 3], {"c": 1.0, "a": 2, "b": 3.0}]
    usual += [np.ones(3, dtype) for dtype in (np.float64, np.float32, np.uint8, np.int64, np.bool_)]
    assert all(entry.plain_sample(x) is not None for x in usual)


def test_dicts_refused() -> None:
    learner = OnlineLearner(sizes=(2, 4, 2))
    for bad in [{"a": 1.0}, {"a": 1.0, "b": np.nan}, {"a": 1, ("b", 2): 2}, {"a": "1", "b": 2}]:
        with pytest.raises(BadSample):
            learner.learn_one(bad, 0)
    with pytest.raises(BadSample, match="label: got 5"):
        learner.learn_one({"a": 1.0, "b": 2.0}, 5)
    assert learner._entry.features is None  # a refused sample fixes no order
    learner.learn_one({"b": 1.0, "a": 2.0}, 0)
    with pytest.raises(BadSample, match=r"missing 'b'; unknown 'c'.*these 2 features: 'b', 'a'"):
        learner.learn_one({"a": 1.0, "c": 2.0}, 0)
    with pytest.raises(BadSample, match="feature 'a': got inf"):
        learner.predict_one({"a": np.inf, "b": 2.0})
    with pytest.raises(BadSample, match="feature 'a': got None"):
        learner.predict_one({"a": None, "b": 2.0})


GOOD = np.ones(12)
BAD_X = [
    (np.r_[GOOD[:5], np.nan, GOOD[6:]], r"x\[5\]: got nan; expected a finite number.*on_bad"),
    (np.r_[GOOD[:11], -np.inf], r"x\[11\]: got -inf"),
    (GOOD * 1e101, r"x\[0\]: got 1e\+101; expected .* at most 1e\+100"),
    (GOOD[:4], r"got shape \(4,\); expected shape \(12,\)"),
    (GOOD.reshape(3, 4), r"got shape \(3, 4\).*flatten it"),
    (3.0, r"got shape \(\)"),
    (["1"] * 12, r"x\[0\]: got '1'; expected a number"),
    ([1.0] * 7 + ["n/a"] + [1.0] * 4, r"x\[7\]: got 'n/a'"),
    ([1.0] * 11 + [None], r"x\[11\]: got None"),
    ([1.0] * 11 + [[1.0, 2.0]], r"x\[11\]: got \[1.0, 2.0\]"),
    ([10**400] * 12, "got a number beyond all range"),
    (GOOD * 1j, "got an array of complex128"),
    (np.array(["2020-01-01"] * 12, "M8[ns]"), "datetime64"),
    (np.ma.masked_equal(np.r_[GOOD[:5], 7, GOOD[6:]], 7), r"x\[5\]: got nan"),
    (object(), "got <object"),
    (None, "got None"),
    ("text", "got 'text'"),
]
BAD_Y = [
    (3, r"label: got 3; expected one of 0, 1, 2"),
    (-1, "got -1"),
    (1.5, "got 1.5"),
    (None, "got nothing.*leave out samples without a label"),
    (np.nan, "got nothing"),
    ("1", "got '1'"),
    ([1], r"got \[1\]"),
    (np.array([1]), "got array"),
]


@pytest.mark.parametrize("scale", ["none", "running"])
@pytest.mark.parametrize(("x", "message"), BAD_X)
def test_bad_inputs(x: Any, message: str, scale: str) -> None:
    X, y = samples(10)
    learner = OnlineLearner(sizes=SIZES, scale=scale)
    learner.learn_many(X, y)
    before = bits(learner)
    with pytest.raises(BadSample, match=f"sample 10: .*{message}"):
        learner.learn_one(x, 0)
    with pytest.raises(BadSample, match=message):
        learner.predict_one(x)
    with pytest.raises(BadSample, match=f"row 1: .*{message}"):
        learner.predict_many([GOOD, x])
    assert bits(learner) == before


@pytest.mark.parametrize(("y", "message"), BAD_Y)
def test_bad_labels(y: Any, message: str) -> None:
    learner = OnlineLearner(sizes=SIZES)
    before = bits(learner)
    with pytest.raises(BadSample, match=f"sample 0: .*{message}"):
        learner.learn_one(GOOD, y)
    assert bits(learner) == before


def test_many_classes_are_shortened() -> None:
    learner = OnlineLearner(sizes=(2, 100))
    with pytest.raises(BadSample, match=r"0, 1, .*, 9, \.\.\. \(100 in all\)"):
        learner.learn_one([1, 2], 100)


@pytest.mark.parametrize("y", [None, "a", [1.0, 2.0], [1.0, 2.0, np.nan], 3.0])
def test_bad_targets(y: Any) -> None:
    learner = OnlineLearner("backprop", sizes=SIZES, loss="mse")
    before = bits(learner)
    with pytest.raises(BadSample, match="sample 0: y"):
        learner.learn_one(GOOD, y)
    assert bits(learner) == before


@pytest.mark.parametrize("at", [0, 5, CHUNK - 1, CHUNK, CHUNK + 40])
@pytest.mark.parametrize("kind", ["x", "y", "list"])
def test_a_bad_row_stops_the_call_there(at: int, kind: str) -> None:
    X, y = samples(CHUNK + 50)
    loop, many = (
        OnlineLearner(sizes=SIZES, scale="running"),
        OnlineLearner(sizes=SIZES, scale="running"),
    )
    loop.learn_many(X[:at], y[:at])
    rows: Any = X.copy()
    labels = y.copy()
    if kind == "y":
        labels[at] = 9
    elif kind == "x":
        rows[at, 3] = np.nan
    else:
        rows = [*rows[:at], {"a": 1}, *rows[at + 1 :]]
    with pytest.raises(BadSample, match=f"^sample {at}: ") as stopped:
        many.learn_many(rows, labels)
    assert bits(loop) == bits(many)
    learned = stopped.value.scored  # type: ignore[attr-defined]
    np.testing.assert_array_equal(learned.true, y[:at])
    many.learn_many(X[at:], y[at:])
    loop.learn_many(X[at:], y[at:])
    assert bits(loop) == bits(many)


def test_skip_and_count(tmp_path: Path) -> None:
    X, y = samples(CHUNK + 50)
    labels: list[Any] = y.tolist()
    X[3, 0], X[CHUNK, 1], labels[9] = np.nan, np.inf, "?"
    good = np.ones(len(y), bool)
    good[[3, 9, CHUNK]] = False
    make = {"sizes": SIZES, "scale": "running", "dropout": 0.3}
    want = OnlineLearner(**make)
    want.learn_many(X[good], y[good])
    learner = OnlineLearner(**make, on_bad="skip")
    predicted, losses = learner.learn_many(X, labels)
    assert len(predicted) == len(losses) == learner.samples_seen == len(y) - 3
    assert learner.skipped == 3
    assert learner.parameters()["W"][0].tobytes() == want.parameters()["W"][0].tobytes()
    loop = OnlineLearner(**make, on_bad="skip")
    for x, label in zip(X, labels, strict=True):
        loop.learn_one(x, label)
    assert bits(loop) == bits(learner)
    learner.save(tmp_path / "c")
    again = OnlineLearner.load(tmp_path / "c")
    assert (again.skipped, again.on_bad) == (3, "skip")
    with pytest.raises(BadSample, match=r"x\[0\]: got nan"):
        learner.predict_one(X[3])


def test_rows_and_labels_must_pair() -> None:
    learner = OnlineLearner(sizes=SIZES)
    X, y = samples(10)
    for bad_X, bad_y in [(X, y[:9]), (GOOD, 1), (X, 3), (5, y), (iter(X), y), ("X", "y")]:
        with pytest.raises(BadSample):
            learner.learn_many(bad_X, bad_y)
    with pytest.raises(BadSample, match=r"x: got shape \(\); expected shape \(12,\)"):
        learner.learn_many(GOOD, [0] * 12)
    assert learner.samples_seen == 0


@pytest.mark.parametrize("empty", [[], np.zeros((0, 12))])
def test_nothing_at_all(empty: Any) -> None:
    learner = OnlineLearner(sizes=SIZES)
    predicted, losses = learner.learn_many(empty, [])
    assert len(predicted) == len(losses) == len(learner.predict_many(empty)) == 0
    assert learner.predict_proba_many(empty).shape == (0, 3)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=3),
    st.complex_numbers(),
    st.binary(max_size=2),
)
ARRAYS = hnp.arrays(
    dtype=st.one_of(hnp.scalar_dtypes(), hnp.unicode_string_dtypes(max_len=3)),
    shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
THINGS = st.one_of(
    VALUES,
    st.lists(VALUES, min_size=3, max_size=4),
    st.lists(st.floats(-1e3, 1e3), min_size=4, max_size=4),
    st.dictionaries(st.sampled_from(["a", "b", "c", "d", 1]), VALUES, max_size=5),
    ARRAYS,
)


@settings(deadline=None, max_examples=300)
@given(x=THINGS, y=THINGS, regression=st.booleans(), dtype=st.sampled_from(["float64", "float32"]))
@example(x=None, y=[False, "", b"\x80"], regression=True, dtype="float64")  # no text at all
def test_entry_checks_of_one_sample(x: Any, y: Any, regression: bool, dtype: str) -> None:
    """Whatever comes is learned or refused in words; what is refused leaves no trace."""
    loss = "mse" if regression else "cross_entropy"
    learner = OnlineLearner("backprop", (4, 3, 2), loss=loss, dtype=dtype, scale="running")
    learner.learn_one([1, 2, 3, 4], [1.0, 2.0] if regression else 1)
    before = bits(learner)
    try:
        learner.learn_one(x, y)
    except Diverged:
        return
    except UserError:
        assert bits(learner) == before
    else:
        assert learner.samples_seen == 2
        learner.predict_one(x)


@settings(deadline=None, max_examples=200)
@given(X=st.one_of(THINGS, st.lists(THINGS, max_size=4)), y=st.one_of(THINGS, st.lists(THINGS)))
def test_entry_checks_of_many_samples(X: Any, y: Any) -> None:
    skip, strict = (OnlineLearner(sizes=(4, 3, 2), on_bad=p) for p in ("skip", "raise"))
    try:
        skip.learn_many(X, y)
    except UserError:
        assert skip.samples_seen + skip.skipped <= 1 or not skip.is_finite()
    else:
        assert skip.samples_seen + skip.skipped == len(y)
        if skip.skipped:
            with pytest.raises(UserError):
                strict.learn_many(X, y)
        else:
            strict.learn_many(X, y)
            assert strict.samples_seen == len(y)
