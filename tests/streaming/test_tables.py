"""Tables as UCI, Kaggle, pandas, R and Excel write them: read, warned of, or refused."""

from __future__ import annotations

import csv
import gzip
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_sets import assert_same, joined
from hypothesis import given, settings
from hypothesis import strategies as st

from rate_models.errors import BadOption, BadSample, MissingData, UserError
from streaming.files.data_sets import DamagedData
from streaming.samples.missing import Filler
from streaming.sources import Options, open_source
from streaming.tables import table_file
from streaming.tables.numbers import numbers

IRIS = "5.1,3.5,1.4,0.2,Iris-setosa\n4.9,3.0,1.4,0.2,Iris-setosa\n6,2,3,4,Iris-virginica\n\n"
GAPS = "a,b,label\n1,,x\n,2,y\n3,NA,x\n5,6,y\n"
NA = "a,b,label\n1,1,0\n1,2,1\n3,4,NA\n2,2,1\n"
CITIES = "a,b,label\n1,1,Köln\n1,2,Käln\n3,4,Kiel\n"
GERMAN = "a;b;label\n1,5;2,25;x\n1,0;3;y\n"


def write(folder: Path, text: str | bytes, name: str = "a.csv") -> str:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return f"csv:{folder / name}"


def read(folder: Path, text: str | bytes, name: str = "a.csv", **options: Any) -> Any:
    """The source, its X as lists and its y."""
    source: Any = open_source(write(folder, text, name), Options(**options))
    X, y = joined(source.chunks(0))
    return source, X.tolist(), y.tolist()


@pytest.mark.parametrize(
    ("text", "options", "features", "X", "y"),
    [
        (IRIS, {"header": False}, "1 2 3 4",
         [[5.1, 3.5, 1.4, 0.2], [4.9, 3.0, 1.4, 0.2], [6, 2, 3, 4]],
         ["Iris-setosa", "Iris-setosa", "Iris-virginica"]),
        ("1,14.2\n2,13.2\n", {"header": False, "label": "1"}, "2", [[14.2], [13.2]], [1, 2]),
        ("0,1,2\n1.5,2,x\n3,4,y\n", {}, "0 1", [[1.5, 2], [3, 4]], ["x", "y"]),
        (GERMAN, {"decimal": ","}, "a b", [[1.5, 2.25], [1, 3]], ["x", "y"]),
        ("sep=;\na;label\n1;x\n2;y\n", {}, "a", [[1], [2]], ["x", "y"]),
        ("a\tb\tlabel\n1\t2\tx\n2\t3\ty\n", {}, "a b", [[1, 2], [2, 3]], ["x", "y"]),
        ("a|label\n1|x\n", {}, "a", [[1]], ["x"]),
        ("a,b;label\n1,2;x\n", {"sep": ";", "decimal": ","}, "a,b", [[1.2]], ["x"]),
        ("a b label\n1  2 x\n2 3   y\n", {"sep": "space"}, "a b", [[1, 2], [2, 3]], ["x", "y"]),
        ("a,b,label,\n1,2,x,\n3,4,y,\n", {}, "a b", [[1, 2], [3, 4]], ["x", "y"]),
        ("a,b,label\n1,2,x,\n3,4,y,\n", {}, "a b", [[1, 2], [3, 4]], ["x", "y"]),
        ("a,label\n1,x\n,\n  \n,\n", {}, "a", [[1]], ["x"]),
        ("\ufeffa,label\r\n1,x\r\n\r\n2,y\r\n", {}, "a", [[1], [2]], ["x", "y"]),
        ("a,label\r1,x\r2,y\r", {}, "a", [[1], [2]], ["x", "y"]),
        ('a,label\n1,"x\ny"\n2,"x,y"\n3,"say ""hi"""\n', {}, "a", [[1], [2], [3]],
         ["x\ny", "x,y", 'say "hi"']),
        ("a,b,label\nTrue,TRUE,x\nFalse,false,y\n", {}, "a b", [[1, 1], [0, 0]], ["x", "y"]),
        ("a,label\n1.,x\n.5,y\n+3e-2,z\n 7 ,z\n", {}, "a", [[1], [0.5], [0.03], [7]], None),
        ("time,who,v,label\n2020-01-02,Bo,1,x\n2020-01-03,Al,2,y\n", {"drop": ("time", "who")},
         "v", [[1], [2]], ["x", "y"]),
        ("y,a\n0,1\n1,2\n", {"label": "y"}, "a", [[1], [2]], [0, 1]),
        (CITIES.encode("latin-1"), {"encoding": "latin-1"}, "a b", None, ["Köln", "Käln", "Kiel"]),
        (CITIES.encode("utf-16"), {}, "a b", None, ["Köln", "Käln", "Kiel"]),
        (CITIES.encode("utf-8-sig"), {"encoding": "UTF8"}, "a b", None, ["Köln", "Käln", "Kiel"]),
        (gzip.compress(CITIES.encode(), mtime=0), {}, "a b", None, ["Köln", "Käln", "Kiel"]),
    ],
)  # fmt: skip
def test_tables_are_read(
    tmp_path: Path, text: Any, options: Any, features: str, X: Any, y: Any
) -> None:
    source, got_X, got_y = read(tmp_path, text, **options)
    assert source.feature_names == tuple(features.split(" "))
    assert X is None or got_X == X
    assert y is None or got_y == y


@pytest.mark.parametrize(
    ("labels", "options", "classes"),
    [
        (["1", "0", "-3"], {}, (-3, 0, 1)),
        (["0.0", "1.0"], {}, (0, 1)),
        (["01234", "55555"], {}, ("01234", "55555")),
        (["1_1", "1_2", "11", "12"], {}, ("11", "12", "1_1", "1_2")),
        (["+", "-"], {}, ("+", "-")),
        (["+", "-"], {"missing": "skip"}, ("+", "-")),
        (["+1", "-1"], {}, ("+1", "-1")),
        (["True", "False"], {}, ("False", "True")),
        (["0.5", "1"], {"task": "classification"}, ("0.5", "1")),
        (["0.5", "1"], {}, None),
        (["5", "1"], {"task": "regression"}, None),
        (["007", "1e3", "+1"], {"task": "regression"}, None),
        ([str(i) for i in range(100)], {}, None),
        ([str(i) for i in range(100)], {"task": "classification"}, tuple(range(100))),
        (["x", "NA"], {"missing": "skip"}, ("x",)),
        (["1", "-", "2"], {"missing": "skip"}, (1, 2)),
    ],
)
def test_kinds_of_label(tmp_path: Path, labels: list[str], options: Any, classes: Any) -> None:
    text = "a,label\n" + "".join(f"{i},{label}\n" for i, label in enumerate(labels))
    source, _, y = read(tmp_path, text, **options)
    assert source.classes == classes
    if classes is None:
        assert y == [float(label) for label in labels]


@pytest.mark.parametrize(
    ("text", "options", "warning", "features", "classes"),
    [
        ("Label,a,b\n0,1,2\n1,3,4\n", {}, "'Label' is taken for the label", "a b", (0, 1)),
        ("target,a,b\n0,1,2\n1,3,4\n", {}, "last column.*--label target", "target a", (2, 4)),
        ("id,a,label\n7,2,x\n3,5,y\n", {}, "'id'.*--drop id", "id a", ("x", "y")),
        ("a,a,label\n1,2,x\n3,4,y\n", {}, "several columns are called 'a'", "a a", ("x", "y")),
        ("city,1990,label\n1,2,x\n2,3,y\n", {}, "'1990'.*--no-header", "city 1990", ("x", "y")),
        ("a,label\n1,x\n2,NA\n", {}, "'NA' is taken for a class.*skip", "a", ("NA", "x")),
        ("a,label\n1,007\n2,7\n", {}, "'007' and '7' are the same number", "a", ("007", "7")),
        ("a,label\n1,1e3\n2,1000\n", {}, "same number", "a", ("1000", "1e3")),
    ],
)
def test_warnings(
    tmp_path: Path, text: str, options: Any, warning: str, features: str, classes: Any
) -> None:
    with pytest.warns(UserWarning, match=warning):
        source, _, _ = read(tmp_path, text, **options)
    assert source.feature_names == tuple(features.split())
    assert source.classes == classes


TIMED = "time,v,label\n2020-01-02,1,x\n2020-01-03,2,y\n"


@pytest.mark.parametrize(
    ("text", "options", "left_out", "features", "label"),
    [
        (",a,label\n0,1,x\n1,3,y\n", {}, "column 1 (without a name, as an index)", "a", "label"),
        ("Unnamed: 0,a,k\n0,1,x\n1,3,y\n", {}, "'Unnamed: 0' (without a name", "a", "k"),
        ('"","a","k"\n"1",1,"x"\n"2",3,"y"\n', {}, "column 1 (without", "a", "k"),
        ('"a" "k"\n"1" 1 "x"\n"2" 3 "y"\n', {"sep": " "}, "column 1 (without", "a", "k"),
        ("a,label\nMazda,1,x\nFiat,3,y\n", {}, "column 1 (without", "a", "label"),
        ("id,a,k\n7,1,x\n8,1,y\n9,1,y\n", {}, "'id' (it counts the rows)", "a", "k"),
        (TIMED, {}, "'time' (timestamps)", "v", "label"),
        ("v,k,at\n1,x,02/01/20 12:30\n2,y,03/01/20 12:31\n", {}, "'at' (timestamps)", "v", "k"),
        ("Time,v,k\n3,1,x\n3.5,2,x\n4,3,y\n", {}, "'Time' (a time: it never falls)", "v", "k"),
        ("ride_time,v,k\n3,1,x\n2,2,x\n4,3,y\n", {}, "", "ride_time v", "k"),
        ("time,v,k\n3,1,x\n4,2,x\n5,3,y\n", {"time": "none"}, "", "time v", "k"),
        ("time,v,k\n3,1,x\n4,2,x\n5,3,y\n", {"time": "v"}, "", "time", "k"),
        ("time,k\n3,x\n4,x\n5,y\n", {}, "", "time", "k"),  # there is no other feature
        ("id,at,k\n1,2020-01-02,x\n2,2020-01-03,y\n", {}, "'at' (timestamps)", "id", "k"),
        ('t,a,k\n1,"1","x, or y"\n2,"3",z\n', {}, "", "t a", "k"),
    ],
)
def test_a_table_is_read_as_a_person_would(
    tmp_path: Path, text: str, options: Any, left_out: str, features: str, label: str
) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "column 'id' has a number")
        warnings.filterwarnings("ignore", ".*column 'id' has a number")
        source, _, _ = read(tmp_path, text, **options)
    assert source.feature_names == tuple(features.split())
    expected = f"label {label!r}, features {', '.join(map(repr, features.split()))}"
    if left_out:
        assert f"{expected}; left out: {left_out}" in source.reading
    elif label == "label":
        assert source.reading == ""
    else:
        assert source.reading.endswith(f"{expected}; --label, --drop and --time change this")
    assert len(source.reading.splitlines()) <= 1


@pytest.mark.parametrize(
    "times",
    [("2024-01-02", "2024-01-03", "2024-01-01"), ("5", "6", "4"), ("2024-01-02T10:00:01",) * 2
     + ("2024-01-02T10:00:00",)],
)  # fmt: skip
def test_rows_that_go_back_in_time_give_a_warning(tmp_path: Path, times: tuple[str, ...]) -> None:
    text = "when,v,label\n" + "".join(f"{t},{i},{i % 2}\n" for i, t in enumerate(times))
    with pytest.warns(UserWarning, match="line 4 is earlier than the line before it.*'when'"):
        read(tmp_path, text, time="when")


def test_what_was_stated_is_not_reported(tmp_path: Path) -> None:
    source, _, _ = read(tmp_path, TIMED, time="time")
    assert source.reading == "" and source.feature_names == ("v",)


@pytest.mark.parametrize(
    ("text", "options", "error", "message"),
    [
        (IRIS, {}, BadOption, "line 1: got '5.1' for a name.*--no-header"),
        ("5,3,a\n4,3,a\n6,2,b\n", {}, BadOption, "--no-header"),
        ("5,3,1\n4,3,1\n6,2,0\n", {}, BadOption, "--no-header"),
        ("label,a,label\n0,1,2\n", {}, BadOption, "2 columns called 'label'"),
        (NA, {}, BadSample, "line 4, column 'label': got 'NA', a missing label.*--missing skip"),
        (NA, {"missing": "mean"}, BadSample, "line 4, column 'label'"),
        (TIMED, {"time": "none"}, BadOption,
         r"column 'time' holds timestamps, e.g. '2020-01-02': --drop time$"),
        (TIMED, {"time": "Time"}, BadOption, "--time: got 'Time'.*did you mean 'time'"),
        (TIMED, {"time": "label"}, BadOption, "--time: got 'label', the label"),
        ("a,class,note\n1,x,fine\n2,y,fine\n", {}, BadOption, "--label class if it is the label"),
        ("a a,who,label\nx,Bo,1\ny,Al,2\n", {}, BadOption, "--drop 'a a,who'$"),
        ("day,b,label\n2020_01_02,1,x\n2020_01_03,2,y\n", {}, BadOption, "--drop day"),
        ("a,b,label\n1,,x\n2,,y\n", {}, BadOption, "'b' holds nothing: --drop b"),
        (GERMAN, {}, BadOption, "'a' holds decimal commas, e.g. '1,5': --decimal ,$"),
        ('a,label\n"1,234",x\n"2,345",y\n', {}, BadOption, "thousands separators"),
        ("a;b;label\n1,5;2.25;x\n1,0;3;y\n2;3;x", {"decimal": ","}, BadSample, "got '2.25'"),
        ("a,label\n1,x\n1_000,y\n3,z\n", {}, BadSample, "line 3, column 'a': got '1_000'"),
        ("a,label\n1,x\n１２,y\n3,z\n", {}, BadSample, "line 3, column 'a': got '１２'"),
        ("a,label\n1,x\nInfinity,y\n3,z\n", {}, BadSample, "line 3, column 'a': got 'Infinity'"),
        ("a,label\n1,x\n1e999,y\n3,z\n", {}, BadSample, "line 3, column 'a': got '1e999'"),
        ("a,label\n1,x\n0x1p3,y\n3,z\n", {}, BadSample, "line 3, column 'a': got '0x1p3'"),
        ("a,label\n1,1.5\n2,inf\n", {}, BadSample, "line 3, column 'label': got 'inf'"),
        ("a,label\n1,5\n2,z\n", {"task": "regression"}, BadSample, "line 3.*for a regression"),
        (CITIES.encode("latin-1"), {}, BadSample, r"line 2, column 'label'.*K\\xf6ln.*latin-1"),
        (CITIES.encode("latin-1"), {"on_bad": "skip"}, BadSample, "--encoding latin-1"),
        ("a,Größe,label\n1,1,0\n".encode("latin-1"), {}, BadSample, "line 1.*latin-1"),
        ("a,label\n1,0\nö,1\n2,0\n".encode("latin-1"), {}, BadSample, "line 3.*latin-1"),
        (CITIES.encode("utf-16-le"), {}, BadOption, "--encoding utf-16-le"),
        (CITIES, {"sep": "::"}, BadOption, "--sep: got '::'"),
        (CITIES, {"sep": ""}, BadOption, "--sep: got ''"),
        (CITIES, {"sep": '"'}, BadOption, "--sep"),
        (CITIES, {"sep": "1"}, BadOption, "--sep"),
        (CITIES, {"encoding": "rot13"}, BadOption, "--encoding: got rot13"),
        (CITIES, {"encoding": "utf-16"}, BadSample, "text in utf-16"),
        (b"PK\3\4aaaa", {}, BadOption, "Excel"),
        (b"PAR1aaa", {}, BadOption, "Parquet"),
        (b"\x89PNG\r\n\x1a\n\0\0", {}, BadSample, "line 1"),
        (GAPS, {}, BadSample, "line 2, column 'b': got '', a missing cell.*--missing mean"),
        ("id,a,label\n1,2,x\n", {"drop": ("ID",)}, BadOption, "--drop: got 'ID'.*mean 'id'"),
        ("id,a,label\n1,2,x\n", {"label": "Label"}, BadOption, "--label: got 'Label'.*'label'"),
        ("id,a,label\n1,2,x\n", {"drop": ("label",)}, BadOption, "--drop: got 'label', the label"),
        ("id,a,label\n1,2,x\n", {"drop": ("id", "a")}, BadOption, "no feature"),
        ("a,label\n1,x\n", {"held_out": 0.9}, BadOption, "--held-out: got 0.9, all 1 rows"),
    ],
)  # fmt: skip
def test_errors(tmp_path: Path, text: Any, options: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        read(tmp_path, text, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"missing": "fill"}, {"missing_indicator": True}, {"decimal": ";"}, {"held_out": 1.0},
        {"held_out": -0.1}, {"stratify": True}, {"held_out": float("nan")},
    ],
)  # fmt: skip
def test_invalid_options(options: Any) -> None:
    with pytest.raises(BadOption, match="--"):
        Options(**options)


def test_other_sources_take_no_options_of_tables() -> None:
    for options in ({"label": "x"}, {"header": False}, {"held_out": 0.5}):
        with pytest.raises(BadOption, match="beside the source digits"):
            open_source("digits", Options(**options))


def test_missing_cells_are_filled_from_earlier_rows(tmp_path: Path) -> None:
    want = {
        "mean": [[1, 0], [1, 2], [3, 2], [5, 6]],
        "last": [[1, 0], [1, 2], [3, 2], [5, 6]],
        "zero": [[1, 0], [0, 2], [3, 0], [5, 6]],
        "skip": [[5, 6]],
    }
    for kind, X in want.items():
        source, got, _ = read(tmp_path, GAPS, missing=kind)
        assert got == X and source.skipped == 4 - len(X)
    source, got, _ = read(tmp_path, GAPS, missing="zero", missing_indicator=True)
    assert source.feature_names == ("a", "b", "a missing", "b missing")
    assert [row[2:] for row in got] == [[0, 1], [1, 0], [0, 1], [0, 0]]
    assert source.n_features == 4
    whole, _, _ = read(tmp_path, "a,label\n1,x\n", missing="mean", missing_indicator=True)
    assert whole.feature_names == ("a",)


def test_held_out_rows_do_not_leak_into_fill_values(tmp_path: Path) -> None:
    values = np.random.default_rng(1).random(400).tolist()
    rows = [f"{i},{'' if i % 3 == 2 else values[i]},{i % 2}" for i in range(400)]
    how = Options(missing="mean", held_out=0.25, stratify=True)
    source = open_source(write(tmp_path, "\n".join(["t,a,label", *rows])), how)
    X, _ = joined(source.chunks(0))
    seen: list[float] = []
    for t, value in X.tolist():
        if t % 3 == 2:
            assert value == (np.cumsum(seen)[-1] / len(seen) if seen else 0)
        else:
            assert value == values[int(t)]
            seen.append(value)
    assert len(X) == 300 and 150 < len(seen) < 250
    last, _ = joined(open_source(source.name, Options(missing="mean", held_out=0.25)).test())
    known = [v for i, v in enumerate(values[:300]) if i % 3 != 2]
    filled = {value for t, value in last.tolist() if t % 3 == 2}
    assert filled == {np.cumsum(known)[-1] / len(known)}


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_filling_is_that_of_a_loop_for_any_chunks(data: st.DataObject) -> None:
    n, d = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 3))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    values = np.where(rng.random((n, d)) < 0.4, np.nan, rng.normal(size=(n, d)))
    learned = rng.random(n) < 0.7
    cut = data.draw(st.integers(0, n))
    for kind in ("mean", "last", "zero"):
        fill = Filler(kind, d, np.array([0]))
        parts = [fill(values[a:b].copy(), learned[a:b]) for a, b in ((0, cut), (cut, n)) if a < b]
        got = np.vstack(parts)
        for j in range(d):
            before: list[float] = []
            for i in range(n):
                value = values[i, j]
                if np.isnan(value):
                    total = 0.0
                    for one in before:
                        total += one
                    value = {
                        "mean": total / max(len(before), 1),
                        "last": before[-1] if before else 0.0,
                        "zero": 0.0,
                    }[kind]
                elif learned[i]:
                    before.append(value)
                assert got[i, j] == value
        assert np.array_equal(got[:, d], np.isnan(values[:, 0]))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**30), 10**30)))
def test_numbers_are_those_of_python(values: list[float]) -> None:
    cells = [repr(value) for value in values]
    got = numbers(cells)
    assert got is not None and got.tolist() == [float(cell) for cell in cells]


def test_every_epoch_every_start_and_every_size_are_the_same_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [f"{'' if rng.random() < 0.1 else rng.normal()},{i},{'xyz'[i % 3]}" for i in range(3000)]
    rows[700] = "oops,1,x"
    name = write(tmp_path, "\n".join(["a,b,label", *rows]))
    how = Options(missing="mean", on_bad="skip", held_out=0.2, stratify=True)
    source = open_source(name, how)
    X, y = joined(source.chunks(0))
    assert len(y) == source.length == 2399
    for start, size in ((0, 7), (1500, 1000), (2398, 5000)):
        assert_same((X[start:], y[start:]), joined(source.chunks(1, start, size)))
    assert list(source.chunks(0, 2399)) == []


class Form:
    """A comma-separated file in UTF-8."""

    sep, encoding = ",", None


@settings(deadline=None, max_examples=200)
@given(text=st.text(alphabet='a1,"\n\r é', max_size=60), piece=st.integers(1, 20))
def test_records_are_those_of_the_csv_module(
    tmp_path_factory: pytest.TempPathFactory, text: str, piece: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "records.csv"
    path.write_bytes(text.encode())
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        reader = csv.reader(io.StringIO(lines, newline=""), strict=True)
        want = [(reader.line_num, row) for row in reader if row]
    except csv.Error:
        want = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_file, "PIECE", piece)
        patch.setattr(table_file, "ROWS", piece)
        try:
            got = list(table_file.TableFile(path, Form()).records())
        except BadSample:
            got = None
    assert got == want


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_numpy_and_the_csv_module_read_the_same(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """NumPy reads plain pieces; one quote makes the csv module read a piece."""
    cell = st.sampled_from(["1", "-2.5", " 7", "1e3", "", "NA", "1_0", "inf", "x", "１", "True"])
    number = st.floats(allow_nan=False, allow_infinity=False).map(repr)
    row = st.tuples(number, cell | number, st.sampled_from(["a", "b_1", "ö", ""]))
    rows = [("1", "1", "a")] * 3 + data.draw(st.lists(row, min_size=1, max_size=12))
    options = data.draw(st.sampled_from([{}, {"on_bad": "skip"}, {"missing": "last"}]))
    order = data.draw(st.permutations([0, 1, 2]))
    names = ("u", "v", "label")
    results = []
    for quote in ("", '"'):
        lines = [",".join(names[i] for i in order)]
        for cells in rows:
            shown = (cells[0], cells[1], f"{quote}{cells[2]}{quote}")
            lines.append(",".join(shown[i] for i in order))
        path = tmp_path_factory.getbasetemp() / "same.csv"
        path.write_text("\n".join(lines), encoding="utf-8")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(table_file, "PIECE", 16)  # the csv module always reads the first piece
            try:
                source: Any = open_source(f"csv:{path}", Options(**options))
                X, y = joined(source.chunks(0))
                results.append((X.tolist(), y.tolist(), source.classes, source.skipped))
            except (BadSample, BadOption) as error:
                results.append(str(error))
    assert results[0] == results[1]


# --- files that are large, damaged or change


@pytest.mark.parametrize("what", ["cut", "flipped", "none", "garbage"])
def test_damaged_gzip(tmp_path: Path, what: str) -> None:
    rng = np.random.default_rng(0)
    text = "a,label\n" + "".join(f"{value},{i % 3}\n" for i, value in enumerate(rng.random(5000)))
    whole = gzip.compress(text.encode())
    half = len(whole) // 2
    damaged = {
        "cut": whole[:half],
        "flipped": whole[:half] + bytes(4) + whole[half + 4 :],
        "none": text.encode(),
        "garbage": b"\x1f\x8b" + bytes(50),
    }[what]
    with pytest.raises(DamagedData, match=r"a\.csv\.gz: got .*gzip"):
        read(tmp_path, damaged, "a.csv.gz")


@pytest.mark.parametrize("text", [b"a,label\n1,", b"", b'a,label\n1,"0\n'])
def test_a_line_without_an_end_does_not_fill_the_memory(
    tmp_path: Path, text: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small gzip file with a line of a gigabyte."""
    monkeypatch.setattr(table_file, "LONGEST", 1 << 12)
    bomb = gzip.compress(text + b"1" * (1 << 20))
    with pytest.raises((BadSample, BadOption), match="line"):
        read(tmp_path, bomb, "a.csv.gz")
    many = gzip.compress(b"a,label\n" + b'1,"\n",' * 5000, mtime=0)  # cells without an end
    with pytest.raises(BadSample, match="a row of more than 4,096 characters"):
        read(tmp_path, many, "a.csv.gz")


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(MissingData, match="a pipe, which can be read once only"):
        open_source(f"csv:{tmp_path / 'pipe'}")


def test_invalid_paths(tmp_path: Path) -> None:
    for path in ("~nobody_of_this_name/x.csv", "/" + "x" * 5000, tmp_path, f"{tmp_path}/\0"):
        with pytest.raises((BadOption, MissingData), match="csv"):
            open_source(f"csv:{path}")


def test_drop_is_one_name_or_several(tmp_path: Path) -> None:
    for drop in ("id", ["id"], ("id",)):
        source, _, _ = read(tmp_path, "id,a,label\n1,2,x\n", drop=drop)
        assert source.feature_names == ("a",)
    assert Options(drop=[]).of_a_table() == []


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    rows = [f"{i},{i % 2}" for i in range(5000)]
    for more in ("\n9,7\n", "\n9,1\n"):
        name = write(tmp_path, "\n".join(["a,label", *rows]))
        source = open_source(name)
        chunks = source.chunks(0)
        next(chunks)
        with open(tmp_path / "a.csv", "a") as file:
            file.write(more)
        with pytest.raises(BadOption, match="a file that changed since it was opened"):
            list(chunks)
        with pytest.raises(BadOption, match="changed"):
            next(source.chunks(1))
    source = open_source(name)
    (tmp_path / "a.csv").unlink()
    with pytest.raises(BadOption, match="changed"):
        next(source.chunks(0))


BYTES = b'a,b,label\n1,2,x\n3,,y\n;\t "\r\0\xf6\xef\xbb\xbf\xff\xfe_N\xc3\xbc.-e5'


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Only errors and warnings of the project occur, and all numbers are finite."""
    head = data.draw(st.sampled_from([b"", b"a,b,label\n1,2,x\n", b"a;label\n1;0\n", b"\x1f\x8b"]))
    raw = head + bytes(data.draw(st.lists(st.sampled_from(BYTES), max_size=60)))
    options = {
        "sep": data.draw(st.sampled_from([None, ";", " ", "tab"])),
        "encoding": data.draw(st.sampled_from([None, "latin-1", "utf-16-le", "ascii", "utf-7"])),
        "decimal": data.draw(st.sampled_from([".", ","])),
        "header": data.draw(st.booleans()),
        "missing": data.draw(st.sampled_from(["raise", "skip", "mean", "last", "zero"])),
        "on_bad": data.draw(st.sampled_from(["raise", "skip"])),
        "held_out": data.draw(st.sampled_from([0, 0.3])),
        "task": data.draw(st.sampled_from([None, "regression", "classification"])),
    }
    path = tmp_path_factory.getbasetemp() / "bytes.csv"
    path.write_bytes(gzip.compress(raw, mtime=0) if data.draw(st.booleans()) else raw)
    with warnings.catch_warnings(record=True) as warned, pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("always")
        patch.setattr(table_file, "PIECE", data.draw(st.sampled_from([3, 16, 1 << 18])))
        try:
            source: Any = open_source(f"csv:{path}", Options(**options))
        except UserError:
            return
        chunks = [*source.chunks(0), *(source.test() or ())]
    assert all(str(path) in str(one.message) for one in warned)
    X, y = joined(chunks)
    assert len(y) >= source.length and X.shape[1] == source.n_features == len(source.feature_names)
    assert np.isfinite(X).all() and source.skipped >= 0
    if source.classes is not None:
        assert set(y.tolist()) == set(source.classes)


def test_no_warning_of_a_plain_table(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(tmp_path, "t,x,label\n0,1.5,cat\n1,2.5,dog\n2,2.0,cat\n")
