"""CSV files as streams: labels, held-out rows, bad rows."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from data_sets import assert_same, joined
from hypothesis import given, settings
from hypothesis import strategies as st

from rate_models.errors import BadOption, BadSample, MissingData, UserError
from streaming.sources import Options, open_source


def csv_file(folder: Path, text: str) -> str:
    (folder / "file.csv").write_text(text)
    return f"csv:{folder / 'file.csv'}"


def test_csv_label_column_and_kinds_of_label(tmp_path: Path) -> None:
    def read(text: str):
        source = open_source(csv_file(tmp_path, text))
        return source.classes, *joined(source.chunks(0))

    classes, X, y = read("label,a,b\n3,1,2\n-1,3,4\n")
    assert classes == (-1, 3) and X.tolist() == [[1, 2], [3, 4]] and y.tolist() == [3, -1]
    assert read("\ufeffa,c\n1,1.0\n\n2,2.0\n")[0] == (1, 2)
    assert read('a,c\n1," x, y"\n2,1.5\n')[0] == ("1.5", "x, y")
    classes, _, y = read("a,c\n1,1\n2,0.25\n")
    assert classes is None and y.tolist() == [1.0, 0.25]


def test_csv_keeps_the_order_and_holds_nothing_out_unless_asked(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).choice(["a", "b", "c"], 997, p=[0.7, 0.29, 0.01])
    name = csv_file(tmp_path, "t,x\n" + "".join(f"{t},{c}\n" for t, c in enumerate(labels)))
    source = open_source(name)
    X, y = joined(source.chunks(0))
    assert X[:, 0].tolist() == [*range(997)] and y.tolist() == labels.tolist()
    assert source.test() is None and source.length == 997
    last = open_source(name, Options(held_out=0.2))
    train, test = joined(last.chunks(0)), joined(last.test())
    assert train[0][:, 0].tolist() == [*range(798)] and last.length == 798
    assert test[0][:, 0].tolist() == [*range(798, 997)]


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_a_stratified_share_of_every_class(tmp_path: Path, share: float) -> None:
    labels = np.random.default_rng(0).choice(["a", "b", "c"], 1997, p=[0.7, 0.29, 0.01])
    name = csv_file(tmp_path, "t,x\n" + "".join(f"{t},{c}\n" for t, c in enumerate(labels)))
    source = open_source(name, Options(held_out=share, stratify=True))
    train, test = joined(source.chunks(0)), joined(source.test())
    assert (np.diff(train[0][:, 0]) > 0).all() and (np.diff(test[0][:, 0]) > 0).all()
    assert sorted([*train[0][:, 0], *test[0][:, 0]]) == list(range(1997))
    held = Counter(test[1].tolist())
    assert all(held[c] == round(share * n) for c, n in Counter(labels.tolist()).items())
    # uniform over the stream: the mean position is 1/2, within 4 standard errors
    assert abs(test[0].mean() / 1996 - 0.5) < 4 / np.sqrt(12 * len(test[0]))


def test_a_stratified_regression_is_a_random_sample(tmp_path: Path) -> None:
    name = csv_file(tmp_path, "t,y\n" + "".join(f"{t},{t + 0.5}\n" for t in range(1000)))
    source = open_source(name, Options(held_out=0.3, stratify=True))
    test = joined(source.test())
    assert source.classes is None and len(test[1]) == 300 and source.length == 700
    assert abs(test[0].mean() / 999 - 0.5) < 4 / np.sqrt(12 * 300)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", BadOption, "empty stream"),
        ("a,label\n", BadOption, "empty stream"),
        ("1.5,2.5\n1,2\n", BadOption, "names of the columns"),
        ("a b\n1 2\n", BadOption, "one column.*--sep"),
        ("a,label\n1,0\noops,1\n", BadSample, "line 3, column 'a': got 'oops'"),
        ("a,label\n1,0\n,1\n", BadSample, "line 3, column 'a': got ''"),
        ("a,a,label\n1,nan,0\n", BadSample, "line 2, column 'a': got 'nan'"),
        ("a,label\n-inf,0\n", BadSample, "line 2, column 'a'"),
        ("a,label\n1,0\n1\n", BadSample, "line 3: got 1 cells"),
        ("a,label\n1,0,0\n", BadSample, "line 2: got 3 cells"),
        ("a,label\n1,\n", BadSample, "line 2, column 'label'"),
        ("a,label\n1,nan\n", BadSample, "line 2, column 'label'"),
        ("a,label\n1,0.5\n1,x\n", BadSample, "line 3, column 'label'"),
        ('a,label\n1,"0\n', BadSample, "well-formed"),
        ("a,label\n1,\xff\x00\n2,0\n\x00,1\n", BadSample, "line 4"),
    ],
)
def test_bad_csv(tmp_path: Path, text: str, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        open_source(csv_file(tmp_path, text))


def test_csv_skips_bad_rows_by_option(tmp_path: Path) -> None:
    good = [f"{i},{i % 2}" for i in range(30)]
    bad = ["x,0", "1", "nan,1", "3,"]
    mixed = [row for pair in itertools.zip_longest(good, bad) for row in pair if row]
    source = open_source(csv_file(tmp_path, "\n".join(["a,label", *mixed])), Options(on_bad="skip"))
    assert source.skipped == 4
    clean = open_source(csv_file(tmp_path, "\n".join(["a,label", *good])))
    with pytest.raises(BadOption, match="changed"):
        next(source.chunks(0))
    (tmp_path / "file.csv").unlink()
    with pytest.raises(MissingData, match=r"no file .*file\.csv"):
        open_source(clean.name)
    with pytest.raises(BadOption, match="4 bad ones"):
        open_source(csv_file(tmp_path, "\n".join(["a,label", *bad])), Options(on_bad="skip"))


@pytest.mark.parametrize("stratify", [True, False])
def test_skipped_rows_leave_the_rest_as_it_is(tmp_path: Path, stratify: bool) -> None:
    rows = [f"{i},{i % 2}" for i in range(30)]
    how = {"held_out": 0.2, "stratify": stratify}
    clean = open_source(csv_file(tmp_path, "\n".join(["a,label", *rows])), Options(**how))
    want = joined(clean.chunks(0)), joined(clean.test())
    rows.insert(7, "x,0")
    dirty = open_source(
        csv_file(tmp_path, "\n".join(["a,label", *rows])), Options(on_bad="skip", **how)
    )
    assert_same(want[0], joined(dirty.chunks(0)))
    assert_same(want[1], joined(dirty.test()))


def test_csv_needs_a_file() -> None:
    for name in ("csv", "csv:"):
        with pytest.raises(BadOption, match=r"csv:FILE\.csv"):
            open_source(name)


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(deadline=None, max_examples=60)
@given(text=st.text(alphabet='01.,-ena"\n\r x', max_size=60))
def test_any_csv_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    name = csv_file(tmp_path_factory.getbasetemp(), "a,label\n" + text)
    asked = [{"on_bad": "skip"}, {"missing": "mean"}, {"header": False}, {"missing": "skip"}, {}]
    for options in asked:
        try:
            source = open_source(name, Options(**options))
        except UserError:
            continue
        X, y = joined(source.chunks(0))
        assert np.isfinite(X).all() and len(y) == source.length
