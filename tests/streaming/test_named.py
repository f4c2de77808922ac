"""Samples with names, and scalars of other libraries: pandas, torch, Decimal, NumPy."""

from __future__ import annotations

from collections import namedtuple
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from learners import SIZES, bits, samples

from rate_models.errors import BadOption, BadSample
from streaming.learner.learner import OnlineLearner
from streaming.scores.evaluate import progressive_val_score

pd = pytest.importorskip("pandas")
NAMES = [f"f{i}" for i in range(SIZES[0])]


def learner(**options: Any) -> OnlineLearner:
    return OnlineLearner(sizes=SIZES, **options)


def weights(one: OnlineLearner) -> bytes:
    return b"".join(w.tobytes() for w in one.parameters()["W"])


@pytest.fixture(scope="module")
def want() -> tuple[bytes, np.ndarray]:
    X, y = samples(60)
    one = learner()
    one.learn_many(X, y)
    return weights(one), one.predict_many(X)


def frames(backwards: bool = False) -> tuple[Any, Any]:
    X, y = samples(60)
    frame = pd.DataFrame(X, columns=NAMES)
    return (frame[NAMES[::-1]] if backwards else frame), pd.Series(y)


def test_a_frame_is_its_rows_whatever_the_order_of_its_columns(want: Any) -> None:
    one = learner()
    X, y = frames()
    one.learn_many(X[:20], y[:20])
    X, y = frames(backwards=True)
    one.learn_many(X[20:40], y[20:40])
    for (_, row), label in zip(X[40:].iterrows(), y[40:], strict=True):
        one.learn_one(row, label)
    assert weights(one) == want[0]
    assert (one.predict_many(X) == want[1]).all()
    assert [one.predict_one(row) for row in X.to_dict("records")] == want[1].tolist()
    assert [one.predict_one(row) for row in X.itertuples(index=False)] == want[1].tolist()
    assert one.predict_proba_many(X).shape == (60, SIZES[-1])
    assert one.activities(X)[-1].shape == (60, SIZES[-1])


@pytest.mark.parametrize(
    "change",
    [
        lambda X: X.rename(columns={"f3": "g3"}),
        lambda X: X.drop(columns="f3"),
        lambda X: X.assign(more=1.0),
        lambda X: pd.concat([X.drop(columns="f3"), X[["f2"]]], axis=1),
        lambda X: X.set_axis(pd.MultiIndex.from_tuples([(n, 0) for n in X.columns]), axis=1),
        lambda X: X.set_axis([1.5, *X.columns[1:]], axis=1),
    ],
)
def test_frames_with_other_columns_are_refused(change: Any) -> None:
    X, y = frames()
    for options in ({}, {"on_bad": "skip"}):
        one = learner(**options)
        one.learn_many(X, y)
        before = bits(one)
        with pytest.raises(BadSample, match=r"f3|f2|feature name"):
            one.learn_many(change(X), y)
        with pytest.raises(BadSample):
            one.predict_many(change(X))
        assert bits(one) == before
        if options:
            one.learn_one(change(X).iloc[0], 0)
            assert one.skipped == 1
        else:
            with pytest.raises(BadSample):
                one.learn_one(change(X).iloc[0], 0)


def test_frames_without_names_are_arrays(want: Any) -> None:
    X, y = samples(60)
    one = learner()
    one.learn_many(pd.DataFrame(X[:30]), pd.DataFrame({"y": y[:30]}))
    for (_, row), label in zip(pd.DataFrame(X[30:]).iterrows(), y[30:], strict=True):
        one.learn_one(row, label)
    assert weights(one) == want[0] and one._entry.features is None


@pytest.mark.parametrize("kind", ["Float64", "object", "float32"])
def test_kinds_of_columns(kind: str, want: Any) -> None:
    X, y = frames()
    exact = X.astype("float32").astype("float64") if kind == "float32" else X
    one, other = learner(), learner()
    one.learn_many(X.astype(kind), y.astype("Int64"))
    other.learn_many(exact.to_numpy(), y.to_numpy())
    assert weights(one) == weights(other)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["a"] * 60, "feature 'f3': got 'a'"),
        (pd.Series([1.0, None] * 30), "feature 'f3': got nan"),
        (pd.Series([1, None] * 30, dtype="Int64"), "feature 'f3': got <NA>"),
        (pd.date_range("2020-01-01", periods=60), "feature 'f3': got Timestamp"),
        (pd.Categorical(["x", "y"] * 30), "feature 'f3': got 'x'"),
        ([1e200] * 60, r"feature 'f3': got 1e\+200"),
    ],
)
def test_cells_that_are_no_numbers_are_named(column: Any, message: str) -> None:
    X, y = frames()
    one = learner()
    one.learn_many(X, y)
    before = bits(one)
    first = 0 if message.endswith("'x'") else 1
    with pytest.raises(BadSample, match=message):
        one.learn_many(X.assign(f3=column)[first:], y[first:])
    with pytest.raises(BadSample, match=message):
        one.predict_many(X.assign(f3=column))
    skipping = learner(on_bad="skip")
    skipping.learn_many(X.assign(f3=column), y)
    good = sum(isinstance(v, float) and v < 1e100 for v in column) + (message.endswith("<NA>")) * 30
    assert (skipping.samples_seen, skipping.skipped) == (good, 60 - good)
    assert bits(one) == before or one.samples_seen == 61


def test_rows_in_another_order_than_their_labels(want: Any) -> None:
    X, y = frames()
    with pytest.raises(BadSample, match="same rows in another order"):
        learner().learn_many(X, y.sample(frac=1, random_state=0))
    one = learner()
    one.learn_many(
        X.set_index(pd.Index(range(100, 160))), y
    )  # as after an operation that renumbers rows
    assert weights(one) == want[0]


@pytest.mark.parametrize("kind", ["str", "category", "object", "string"])
def test_text_labels_of_pandas(kind: str) -> None:
    X, y = frames()
    texts = np.array(["no", "yes", "may"])[y.to_numpy()]
    one, other = (learner(classes=("no", "yes", "may")) for _ in range(2))
    one.learn_many(X, pd.Series(texts).astype(kind))
    other.learn_many(X.to_numpy(), texts)
    assert weights(one) == weights(other)
    with pytest.raises(BadSample, match="label: got"):
        one.learn_many(X, pd.Series([None, *texts[1:]], dtype="object"))
    assert learner(classes=pd.Index(["no", "yes", "may"])).classes == ("no", "yes", "may")


def test_targets_of_a_regression() -> None:
    X, _ = samples(60)
    Y = X[:, :3] * 0.1
    one, other = (OnlineLearner("backprop", SIZES, loss="mse") for _ in range(2))
    one.learn_many(pd.DataFrame(X, columns=NAMES), pd.DataFrame(Y, columns=list("abc")))
    other.learn_many(X, Y)
    assert weights(one) == weights(other)
    one, other = (OnlineLearner("backprop", (SIZES[0], 4, 1), loss="mse") for _ in range(2))
    one.learn_many(pd.DataFrame(X, columns=NAMES), pd.Series(Y[:, 0]))
    other.learn_many(X, Y[:, 0])
    assert weights(one) == weights(other)


def test_tensors(want: Any) -> None:
    torch = pytest.importorskip("torch")
    X, y = samples(60)
    tensors = torch.tensor(X, requires_grad=True), torch.tensor(y)
    one, two = learner(), learner(classes=torch.arange(SIZES[-1]))
    for row, label in zip(*tensors, strict=True):
        one.learn_one(row, label)
    two.learn_many(*tensors)
    assert weights(one) == weights(two) == want[0]
    assert (one.predict_many(tensors[0]) == want[1]).all()
    assert one.predict_one(tensors[0][0]) == want[1][0]
    with pytest.raises(BadSample, match="label: got tensor"):
        one.learn_one(tensors[0][0], torch.tensor([1]))
    value = OnlineLearner("backprop", (SIZES[0], 4, 1), loss="mse")
    value.learn_one(tensors[0][0], torch.tensor(0.5, requires_grad=True))
    value.learn_one(tensors[0][0], Decimal("0.5"))
    assert value.samples_seen == 2


def test_exact_numbers() -> None:
    one, other = OnlineLearner(sizes=(3, 4, 2)), OnlineLearner(sizes=(3, 4, 2))
    one.learn_one([Decimal("1.5"), Fraction(1, 2), 2], Decimal(1))
    other.learn_one([1.5, 0.5, 2], 1)
    assert weights(one) == weights(other)
    for odd in ("NaN", "sNaN", "Infinity", "1E+999999"):
        with pytest.raises(BadSample, match="x"):
            one.learn_one([Decimal(odd), 1, 2], 0)
    with pytest.raises(BadSample, match="beyond all range"):
        one.learn_one([Fraction(10**400), 1, 2], 0)


def test_names_and_labels_of_numpy(tmp_path: Any) -> None:
    one = OnlineLearner(sizes=(3, 4, 2), classes=np.array(["no", "yes"]))
    one.learn_one({np.str_("a"): 1.0, np.str_("b"): 2.0, np.str_("c"): 3.0}, np.str_("yes"))
    one.learn_one({"c": 3.0, "b": 2.0, "a": 1.0}, np.array("no"))
    one.learn_one({np.str_("b"): 2.0, np.str_("c"): 3.0, np.str_("a"): 1.0}, "no")
    one.save(tmp_path / "c")
    assert OnlineLearner.load(tmp_path / "c")._entry.features == ("a", "b", "c")
    other = OnlineLearner(sizes=(3, 4, 2))
    other.learn_one(dict(zip(np.arange(3), [1.0, 2.0, 3.0], strict=True)), np.uint8(1))
    other.learn_one({2: 3.0, 0: 1.0, 1: 2.0}, np.True_)
    assert other._entry.features == (0, 1, 2)
    with pytest.raises(BadSample, match="missing 2; unknown 3"):
        other.learn_one(dict(zip(np.array([0, 1, 3]), [1.0, 2.0, 3.0], strict=True)), 0)
    for odd in (1.5, True, None, ("a", "b"), b"a"):
        with pytest.raises(BadSample, match="feature name"):
            OnlineLearner(sizes=(1, 4, 2)).learn_one({odd: 1.0}, 0)


def test_named_tuples_are_named() -> None:
    Point = namedtuple("Point", "a b")
    Turned = namedtuple("Turned", "b a")
    one, other = OnlineLearner(sizes=(2, 4, 2)), OnlineLearner(sizes=(2, 4, 2))
    one.learn_one(Point(1.0, 2.0), 0)
    one.learn_one(Turned(2.0, 1.0), 1)
    other.learn_many([[1.0, 2.0], [1.0, 2.0]], [0, 1])
    assert weights(one) == weights(other)
    with pytest.raises(BadSample, match="unknown 'c'"):
        one.predict_one(namedtuple("Point", "a c")(1.0, 2.0))


class Frame:
    """The attributes that polars and pyarrow share with pandas."""

    def __init__(self, columns: list[str], values: np.ndarray, called: str) -> None:
        self.values = values
        setattr(self, called, columns)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self.values


@pytest.mark.parametrize("called", ["columns", "column_names"])
def test_frames_of_others(called: str, want: Any) -> None:
    X, y = samples(60)
    one = learner()
    one.learn_many(Frame(NAMES, X[:30], called), y[:30])
    one.learn_many(Frame(NAMES[::-1], X[30:, ::-1], called), y[30:])
    assert weights(one) == want[0]


def test_a_table_of_pyarrow(want: Any) -> None:
    pa = pytest.importorskip("pyarrow")
    X, y = frames(backwards=True)
    one = learner()
    one.learn_many(frames()[0][:1], y[:1])
    one.learn_many(pa.Table.from_pandas(X[1:], preserve_index=False), y[1:].to_numpy())
    assert weights(one) == want[0]


def test_rivers_stream_of_a_data_set_of_scikit_learn() -> None:
    """The dicts have names of scikit-learn (numpy.str_) and values of type numpy.int64."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    stream = (
        (dict(zip(data.feature_names, x, strict=True)), y)
        for x, y in zip(data.data, data.target, strict=True)
    )
    one, other = (OnlineLearner(sizes=(30, 8, 2), scale="running") for _ in range(2))
    scores = progressive_val_score(stream, one).get()
    other.learn_many(data.data, data.target)
    assert scores["samples"] == 569 and scores["progressive_accuracy"] > 0.8
    assert weights(one) == weights(other)


def test_a_table_is_no_sample() -> None:
    X, y = frames()
    one = learner()
    with pytest.raises(BadSample, match="a table of 1 rows; expected one sample; take a row"):
        one.learn_one(X[:1], y[0])
    with pytest.raises(BadSample, match="a table of 60 rows"):
        one.predict_one(X)
    with pytest.raises(BadSample) as refused:
        one.predict_one(pd.date_range("2020-01-01", periods=100))
    assert "\n" not in str(refused.value)


def test_a_refused_frame_fixes_no_order() -> None:
    X, y = frames()
    one = learner()
    with pytest.raises(BadSample):
        one.learn_many(X.assign(f0=np.nan), y)
    assert one._entry.features is None
    with pytest.raises(BadOption):
        learner(classes=pd.Series([1.5, 2.5, 3.5]))
