"""Tables of very many columns: opened in a time that grows with their width, and no faster."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from rate_models.errors import BadOption
from rate_models.support import estimates
from streaming.samples.cutting import cut
from streaming.sources.csv import CsvSource
from streaming.tables import columns
from streaming.tables.table_file import Record

HEADERS = {
    "named": "c{}", "nameless": "", "numbered": "{}", "of pandas": "Unnamed: {}", "ids": "c{}_id",
    "alike": "c",
}  # fmt: skip


def table(path: Path, header: str, width: int, rows: int = 4) -> Path:
    names = [*(header.format(i) for i in range(width)), "x", "label"]
    row = ",".join(["1"] * (width + 1))
    path.write_text("\n".join([",".join(names), *(f"{row},{i % 2}" for i in range(rows)), ""]))
    return path


def seconds(path: Path) -> float:
    """Of this thread, the least of three, so that other work on the machine does not count."""
    times = []
    for _ in range(3):
        start = time.thread_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            CsvSource(path)
        times.append(time.thread_time() - start)
    return min(times)


@pytest.mark.parametrize("kind", HEADERS)
def test_ten_times_the_columns_take_ten_times_as_long(kind: str, tmp_path: Path) -> None:
    narrow = table(tmp_path / "narrow.csv", HEADERS[kind], 3000)
    wide = table(tmp_path / "wide.csv", HEADERS[kind], 30_000)
    assert seconds(wide) < 30 * seconds(narrow)


@pytest.mark.parametrize("kind", ["nameless", "of pandas", "ids"])
def test_a_line_names_ten_of_many_columns_that_are_left_out(kind: str, tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        rising = "\n".join(",".join([str(i)] * 500 + ["1", str(i % 2)]) for i in range(5))
        names = [*(HEADERS[kind].format(i) for i in range(500)), "x", "label"]
        (tmp_path / "t.csv").write_text(f"{','.join(names)}\n{rising}\n")
        source = CsvSource(tmp_path / "t.csv")
    texts = [str(one.message) for one in warned]
    assert len(texts) == (kind != "ids") and source.feature_names == ("x",)
    assert "and 490 more; " in source.reading and len(source.reading) < 700


def test_columns_of_text_are_named_in_a_line_that_can_be_read(tmp_path: Path) -> None:
    header = ",".join(f"c{i}" for i in range(5000))
    row = ",".join(["a"] * 5000)
    (tmp_path / "t.csv").write_text(f"{header},label\n{row},0\n{row},1\n")
    with pytest.raises(BadOption, match=r"'c9' holds text, e\.g\. 'a' and 4990 more") as raised:
        CsvSource(tmp_path / "t.csv")
    assert len(str(raised.value)) < 1000


def test_a_wide_table_is_judged_by_fewer_rows() -> None:
    def records(width: int) -> Iterator[Record]:
        for line in range(10_000):
            yield line, ["1"] * width

    assert len(columns.beginning(records(10))) == columns.SAMPLE
    assert len(columns.beginning(records(columns.CELLS // 20))) == 21
    assert len(columns.beginning(records(columns.CELLS))) == columns.LEAST


def test_rows_too_wide_for_the_memory_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = table(tmp_path / "t.csv", "c{}", 999)
    needed = 3 * 256 * 8 * 1000
    monkeypatch.setattr(estimates, "free_memory", lambda: needed)
    assert CsvSource(path).n_features == 1000
    monkeypatch.setattr(estimates, "free_memory", lambda: needed - 1)
    with pytest.raises(BadOption, match=r"t\.csv: got 1,000 features, which takes .* --drop"):
        CsvSource(path)


@pytest.mark.parametrize("start", [0, 3, 11, 29, 30])
@pytest.mark.parametrize("size", [1, 4, 7, 100])
def test_chunks_are_cut_anew(start: int, size: int) -> None:
    X, y = np.arange(60.0).reshape(30, 2), np.arange(30)
    edges = [0, 1, 1, 9, 10, 24, 30]
    chunks = ((X[a:b], y[a:b]) for a, b in pairwise(edges))
    found = list(cut(chunks, start, size))
    assert [len(labels) for _, labels in found[:-1]] == [size] * (len(found) - 1)
    if start == 30:
        assert not found
        return
    np.testing.assert_array_equal(np.vstack([part for part, _ in found]), X[start:])
    np.testing.assert_array_equal(np.hstack([labels for _, labels in found]), y[start:])
