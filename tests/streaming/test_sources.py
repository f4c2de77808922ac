"""The contract of all sources, and the specific properties of each."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import recordings
from data_sets import assert_same, joined, write_data_sets
from hypothesis import given, settings
from hypothesis import strategies as st

from rate_models.errors import BadOption, BadSample, UnknownName, UserError
from rate_models.support import lookup
from streaming.samples.retargeted import Retargeted
from streaming.samples.source import Chunk
from streaming.samples.split import hold_out
from streaming.sources import SOURCES, ArraySource, Options, Source, get, open_source

NAMES = lookup.names(SOURCES)
AGAIN = [name for name in NAMES if not get(name).live]  # those that can be read again
IN_MEMORY = ("digits", "mnist", "fashion_mnist", "cifar10", "cifar100")


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with small data sets in the real formats, and a CSV file."""
    root = tmp_path_factory.mktemp("sets")
    with pytest.MonkeyPatch.context() as patch:
        write_data_sets(root, patch)
        rows = [f"{i},{i * 0.5},{'abc'[i % 3]}" for i in range(101)]
        for label in range(3):
            (root / "events" / str(label)).mkdir(parents=True)
            for i in range(5):
                some = recordings.events(60, seed=5 * label + i)
                recordings.nmnist(root / "events" / str(label) / f"{i}.bin", some)
        (root / "rows.csv").write_text("\n".join(["u,v,label", *rows]) + "\n")
        yield root


def open_one(name: str, sets: Path, seed: int = 0) -> Source:
    asked = {"csv": f"csv:{sets / 'rows.csv'}", "synthetic": "synthetic:samples=700,seed=3"}
    asked["drift"] = "drift:kind=gradual,at=300,width=300,change=rotate:synthetic:samples=700"
    asked["class_incremental"] = "class_incremental:passes=2,order=random:digits"
    asked["events"] = f"events:{sets / 'events'}?window=0.02&pool=4"
    try:
        held_out = 0.2 if name == "csv" else 0.0
        return open_source(asked.get(name, name), Options(data=sets, seed=seed, held_out=held_out))
    except UserError as error:  # a live source without its extra or its device
        pytest.skip(str(error))


def taken(source: Source, epoch: int, start: int, size: int, n: int):
    """The first n samples from ``start`` on, read in chunks of ``size``."""
    chunks = source.chunks(epoch, start, size)
    X, y = joined(itertools.islice(chunks, -(-n // size)))
    return X[:n], y[:n]


def test_every_file_defines_one_source_by_its_name() -> None:
    assert {get(name).module.rpartition(".")[2] for name in NAMES} == set(NAMES)
    assert [name for name in NAMES if get(name).table] == [
        *("class_incremental", "csv", "drift", "follow", "stdin")
    ]


def test_a_file_without_a_source_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup.module(SOURCES, "digits"), "SOURCE", print)
    with pytest.raises(
        BadOption, match=r"file of source digits: got .*expected SOURCE = SourceFile"
    ):
        open_source("digits")


class Few(Source):
    """A source with the required attributes only."""

    name, n_features, classes, length = "few", 2, ("a", "b"), 3

    def chunks(self, epoch: int, start: int = 0, size: int = 256) -> Iterator[Chunk]:
        yield np.eye(3, 2)[start:], np.array(["a", "b", "a"])[start:]


def test_optional_attributes_have_defaults() -> None:
    few = Few()
    assert few.test() is None and few.power is None and few.content() == ""
    assert (few.scale, few.skipped, few.outputs, few.guess) == ("running", 0, 2, "")
    with pytest.raises(TypeError, match="abstract"):
        Source()  # type: ignore[abstract]
    numbers = Numbers(few)
    assert (numbers.classes, numbers.outputs, numbers.length) == (None, 1, 3)
    assert next(numbers.chunks(0))[1].tolist() == [0, 1, 0]


class Numbers(Retargeted):
    def targets(self, X: Any, y: Any) -> Any:
        return (y == "b").astype(float)


@pytest.mark.parametrize("name", AGAIN)
def test_contract(name: str, sets: Path) -> None:
    source = open_one(name, sets)
    assert isinstance(source, Source)
    assert source.name.partition(":")[0] == name
    assert source.scale in ("none", "range", "running", "global") and source.maximum > 0
    n = source.length or 600
    X, y = taken(source, 0, 0, 64, n)
    assert X.shape == (n, source.n_features) and y.shape == (n,)
    assert X.dtype.kind in "buif" and np.isfinite(X).all()
    if source.length is not None:
        assert_same((X, y), joined(source.chunks(0)))
        assert list(source.chunks(0, start=source.length)) == []
    test = source.test()
    for labels in [y] + [part for _, part in test or []]:
        if source.classes is None:
            assert labels.dtype.kind == "f"
        else:
            assert set(labels.tolist()) <= set(source.classes)
    if source.scale == "range":
        assert X.max() <= source.maximum


@pytest.mark.parametrize("name", AGAIN)
def test_the_order_is_a_function_of_seed_and_epoch(name: str, sets: Path) -> None:
    source = open_one(name, sets)
    first = joined(source.chunks(1)) if source.length else taken(source, 1, 0, 50, 500)
    again = open_one(name, sets)
    assert_same(first, taken(source, 1, 0, 50, len(first[1])))
    assert_same(first, taken(again, 1, 0, 50, len(first[1])))
    if name in IN_MEMORY:
        for other in (joined(source.chunks(2)), joined(open_one(name, sets, seed=1).chunks(1))):
            assert not np.array_equal(first[0], other[0])
            assert sorted(map(bytes, first[0])) == sorted(map(bytes, other[0]))


@pytest.mark.parametrize("name", AGAIN)
@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_chunks_do_not_matter(name: str, sets: Path, data: st.DataObject) -> None:
    source = open_one(name, sets)
    n = min(source.length or 600, 600)
    epoch = data.draw(st.integers(0, 3))
    start = data.draw(st.integers(0, n - 1))
    size = data.draw(st.integers(1, 300))
    X, y = taken(source, epoch, 0, 97, n)
    assert_same((X[start:], y[start:]), taken(source, epoch, start, size, n - start))
    if (test := source.test()) is not None:
        assert_same(joined(test), joined(source.test(size)))


@pytest.mark.parametrize("name", [n for n in AGAIN if n not in IN_MEMORY or n == "digits"])
def test_train_and_test_are_disjoint(name: str, sets: Path) -> None:
    source = open_one(name, sets)
    test = source.test()
    if test is None:
        pytest.skip("nothing is held out")
    train = {X.tobytes() for X in joined(source.chunks(0))[0]}
    assert not train & {X.tobytes() for X in joined(test)[0]}


def test_digits_hold_out_is_stratified_and_the_same_for_every_seed() -> None:
    a, b = (open_source("digits", Options(seed=s)) for s in (0, 1))
    assert isinstance(a, ArraySource) and isinstance(b, ArraySource)
    assert_same(a.test_arrays(), b.test_arrays())
    train, test = (Counter(part[1].tolist()) for part in (a.train_arrays(), a.test_arrays()))
    assert sum(train.values()) + sum(test.values()) == 1797
    assert all(abs(test[c] / (train[c] + test[c]) - 0.2) < 0.01 for c in range(10))


@settings(deadline=None)
@given(st.lists(st.integers(2, 40), min_size=2, max_size=12), st.integers(0, 9))
def test_hold_out_is_that_of_scikit_learn(counts: list[int], seed: int) -> None:
    from sklearn.model_selection import train_test_split

    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    for labels in (y, None):
        if labels is not None and len(y) // 5 < len(counts):
            continue  # scikit-learn requires every class in both parts
        _, theirs = train_test_split(
            np.arange(len(y)), test_size=0.2, stratify=labels, random_state=0
        )
        ours = hold_out(y, 0.2, stratify=labels is not None)
        assert np.array_equal(np.flatnonzero(ours), np.sort(theirs))


def test_digits_do_not_import_scikit_learn() -> None:
    code = (
        "import sys; from streaming.sources import open_source; open_source('digits');"
        "assert 'sklearn' not in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("name", IN_MEMORY)
def test_no_argument_where_none_belongs(name: str, sets: Path) -> None:
    with pytest.raises(BadOption, match="takes no argument"):
        open_source(f"{name}:x", Options(data=sets))


def test_unknown_source_lists_the_known() -> None:
    with pytest.raises(UnknownName, match=r"cifar10.*did you mean 'mnist'"):
        open_source("mnits")


@pytest.mark.parametrize("bad", [{"seed": -1}, {"on_bad": "ignore"}])
def test_options_are_checked(bad: dict) -> None:
    with pytest.raises(BadOption, match="expected"):
        Options(**bad)


# --- arrays in memory


def test_arrays_with_strings_with_numbers_and_with_a_test_set() -> None:
    X = np.arange(40.0).reshape(20, 2)
    strings = ArraySource(X, np.array(["no", "yes"] * 10))
    assert (strings.classes, strings.length) == (("no", "yes"), 16)
    whole = ArraySource(X, [0.0, 2.0] * 10)
    assert whole.classes == (0, 2)
    regression = ArraySource(X, np.linspace(0, 1, 20))
    assert regression.classes is None and len(regression.test_arrays()[1]) == 4
    split = ArraySource(X, [0, 1] * 10, X[:3], [0, 1, 0], classes=(0, 1, 2))
    assert split.length == 20 and split.classes == (0, 1, 2)
    everything = ArraySource(X, [0, 1] * 10, held_out=0)
    assert everything.length == 20 and everything.test() is None


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (([[1.0], [2.0]], [0]), BadOption),
        (([1.0, 2.0], [0, 1]), BadOption),
        ((np.zeros((0, 3)), []), BadOption),
        (([["a"]], [0]), BadOption),
        (([[1.0]], [0], [[1.0, 2.0]], [0]), BadOption),
        (([[1.0]], [0], [[1.0]]), BadOption),
        (([[1.0]], [0], [[1.0]], [5]), BadSample),
    ],
)
def test_arrays_that_do_not_fit(arguments: tuple, error: type) -> None:
    with pytest.raises(error, match=r"got .*expected"):
        ArraySource(*arguments)


# --- csv


def accuracy_of_centres(source: Source, start: int, n: int, known: tuple) -> float:
    """Accuracy of nearest neighbours among ``known`` samples, on n samples from ``start`` on."""
    X, y = taken(source, 0, start, 256, n)
    nearest = ((X[:, None] - known[0][None]) ** 2).sum(-1).argmin(1)
    return float((known[1][nearest] == y).mean())


def test_a_drift_makes_old_knowledge_useless() -> None:
    abrupt = open_source("synthetic:drift=abrupt,at=3000")
    known = taken(abrupt, 0, 0, 256, 500)
    assert abrupt.length is None and abrupt.test() is None
    assert accuracy_of_centres(abrupt, 2700, 300, known) > 0.9
    assert accuracy_of_centres(abrupt, 3000, 300, known) < 0.6
    gradual = open_source("synthetic:drift=gradual,at=3000,width=3000")
    assert_same(taken(gradual, 0, 0, 256, 500)[:1] * 2, taken(gradual, 0, 0, 7, 500)[:1] * 2)
    known = taken(gradual, 0, 0, 256, 500)
    before, half, after = (accuracy_of_centres(gradual, at, 300, known) for at in (0, 4350, 6000))
    assert before > half + 0.1 > after + 0.2


def test_synthetic_classes_are_balanced_and_the_seed_key_wins() -> None:
    source = open_source("synthetic:samples=8000,classes=5,features=3", Options(seed=1))
    _, y = joined(source.chunks(0))
    assert np.bincount(y).min() > 1400 and len(joined(source.test())[1]) == 2000
    same = [taken(open_source("synthetic:seed=4", Options(seed=s)), 0, 0, 10, 10) for s in (0, 1)]
    assert_same(*same)
    assert not np.array_equal(same[0][0], taken(open_source("synthetic"), 0, 0, 10, 10)[0])


@pytest.mark.parametrize(
    ("argument", "error", "message"),
    [
        ("speed=3", UnknownName, "features, classes, clusters, noise, samples, drift, at, width"),
        ("features", BadOption, "whole number"),
        ("features=0", BadOption, "at least 1"),
        ("features=2.5", BadOption, "whole number"),
        ("classes=1", BadOption, "at least 2"),
        ("noise=nan", BadOption, "finite number"),
        ("noise=inf", BadOption, "finite number"),
        ("samples=0", BadOption, "at least 1"),
        ("drift=sudden", BadOption, "abrupt"),
        ("at=5", BadOption, "drift=abrupt or drift=gradual"),
        ("drift=abrupt,width=5", BadOption, "drift=gradual"),
        ("seed=-1", BadOption, "at least 0"),
    ],
)
def test_bad_synthetic(argument: str, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        open_source(f"synthetic:{argument}")
