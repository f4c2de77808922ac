"""Values of tables: missing cells, numbers, records, in any chunks."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_sets import assert_same, joined
from hypothesis import given, settings
from hypothesis import strategies as st

from rate_models.errors import BadOption, BadSample
from streaming.samples.missing import Filler
from streaming.sources import Options, open_source
from streaming.tables import table_file
from streaming.tables.numbers import numbers

GAPS = "a,b,label\n1,,x\n,2,y\n3,NA,x\n5,6,y\n"


def write(folder: Path, text: str | bytes, name: str = "a.csv") -> str:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return f"csv:{folder / name}"


def read(folder: Path, text: str | bytes, name: str = "a.csv", **options: Any) -> Any:
    """The source, its X as lists and its y."""
    source: Any = open_source(write(folder, text, name), Options(**options))
    X, y = joined(source.chunks(0))
    return source, X.tolist(), y.tolist()


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
