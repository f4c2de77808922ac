"""Tables as UCI, Kaggle, pandas, R and Excel write them: read, warned of, or refused."""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path
from typing import Any

import pytest
from data_sets import joined

from rate_models.errors import BadOption, BadSample
from streaming.sources import Options, open_source

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
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        source, _, _ = read(tmp_path, text, **options)
    texts = [str(one.message) for one in warned]
    index = "(without" in left_out
    assert sum("left out of the features" in text for text in texts) == index
    assert all("features" in text or "has a number" in text for text in texts)
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


def test_drop_is_one_name_or_several(tmp_path: Path) -> None:
    for drop in ("id", ["id"], ("id",)):
        source, _, _ = read(tmp_path, "id,a,label\n1,2,x\n", drop=drop)
        assert source.feature_names == ("a",)
    assert Options(drop=[]).of_a_table() == []


def test_no_warning_of_a_plain_table(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(tmp_path, "t,x,label\n0,1.5,cat\n1,2.5,dog\n2,2.0,cat\n")
