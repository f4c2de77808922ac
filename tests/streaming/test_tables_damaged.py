"""Tables that are large, damaged or change while they are read."""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_sets import joined
from hypothesis import given, settings
from hypothesis import strategies as st

from rate_models.errors import BadOption, BadSample, MissingData, UserError
from streaming.files.data_sets import DamagedData
from streaming.sources import Options, open_source
from streaming.tables import table_file


def write(folder: Path, text: str | bytes, name: str = "a.csv") -> str:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return f"csv:{folder / name}"


def read(folder: Path, text: str | bytes, name: str = "a.csv", **options: Any) -> Any:
    """The source, its X as lists and its y."""
    source: Any = open_source(write(folder, text, name), Options(**options))
    X, y = joined(source.chunks(0))
    return source, X.tolist(), y.tolist()


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


def test_a_missing_file_is_named_once(tmp_path: Path) -> None:
    missing = tmp_path / "none.csv"
    with pytest.raises(MissingData) as error:
        open_source(f"csv:{missing}")
    assert str(error.value) == f"csv: got no file {missing}; expected csv:FILE.csv"


def test_invalid_paths(tmp_path: Path) -> None:
    for path in ("~nobody_of_this_name/x.csv", "/" + "x" * 5000, tmp_path, f"{tmp_path}/\0"):
        with pytest.raises((BadOption, MissingData), match="csv"):
            open_source(f"csv:{path}")


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
