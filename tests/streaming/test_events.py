"""Address-event recordings: the formats against other readers, bins against loops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import recordings
from hypothesis import given, settings
from hypothesis import strategies as st

from rate_models.errors import BadOption, BadSample, MissingData, UserError
from streaming.checks import check_source
from streaming.events.binning import Form, bins
from streaming.events.recording import read
from streaming.files.data_sets import DamagedData
from streaming.runs.run import Hooks, RunConfig, run
from streaming.sources import Options, open_source


def all_of(path: Path) -> Any:
    return np.concatenate([piece for piece in read(path)])


def write(kind: str, path: Path, some: Any) -> Path:
    if kind == "nmnist":
        path = path.with_suffix(".bin")
        recordings.nmnist(path, some)
    elif kind == "aedat3":
        recordings.aedat3(path, some)
    else:
        pytest.importorskip("flatbuffers")
        recordings.aedat4(path, some)
    return path


@pytest.mark.parametrize("kind", ["nmnist", "aedat3", "aedat4"])
def test_events_come_back_as_they_were_written(kind: str, tmp_path: Path) -> None:
    some = recordings.events(230)
    np.testing.assert_array_equal(all_of(write(kind, tmp_path / "r.aedat", some)), some)


@pytest.mark.parametrize("compression", [0, 1, 3])
def test_aedat4_against_its_own_library(compression: int, tmp_path: Path) -> None:
    aedat, path = pytest.importorskip("aedat"), tmp_path / "r.aedat4"
    pytest.importorskip("flatbuffers")
    if compression:
        pytest.importorskip({1: "lz4", 3: "zstandard"}[compression])
    recordings.aedat4(path, recordings.events(230, width=346, height=260), compression)
    theirs = np.concatenate([p["events"] for p in aedat.Decoder(path) if "events" in p])
    ours = all_of(path)
    for name in ("t", "x", "y", "on"):
        np.testing.assert_array_equal(ours[name], theirs[name])


def test_the_overflow_of_time_counts(tmp_path: Path) -> None:
    some = recordings.events(60)
    recordings.aedat3(tmp_path / "r.aedat", some, overflow=3)
    np.testing.assert_array_equal(all_of(tmp_path / "r.aedat")["t"], some["t"] + 3 * 2**31)


@given(
    n=st.integers(1, 40), window=st.integers(400, 20_000), cuts=st.integers(1, 20),
    pool=st.integers(1, 4), merge=st.booleans(), kind=st.sampled_from(["frame", "surface"]),
)  # fmt: skip
@settings(deadline=None, max_examples=40)
def test_bins_are_those_of_a_loop(
    n: int, window: int, cuts: int, pool: int, merge: bool, kind: str
) -> None:
    some = recordings.events(n, seed=n, width=7, height=5, step=500)
    form = Form(7, 5, window, kind, tau=3000, pool=pool, merge=merge)
    got = list(bins(np.array_split(some, min(cuts, n)), form))
    start = int(some["t"][0])
    assert len(got) == (int(some["t"][-1]) - start) // window + 1
    for k, one in enumerate(got):
        first, end = start + k * window, start + (k + 1) * window
        expected = np.zeros(form.shape)
        for e in some:
            pixel = 0 if merge else int(e["on"]), e["y"] // pool, e["x"] // pool
            if kind == "frame" and first <= e["t"] < end:
                expected[pixel] += 1
            elif kind == "surface" and e["t"] < end:
                expected[pixel] = np.exp((e["t"] - end) / 3000)
        assert (one.begin, one.end) == (first, end)
        np.testing.assert_allclose(one.x, expected.ravel(), rtol=1e-6)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Recordings of three classes, which differ in where the events are."""
    for label in range(3):
        (tmp_path / "n" / str(label)).mkdir(parents=True)
        for i in range(10):
            some = recordings.events(80, seed=10 * label + i, width=10)
            some["x"] += 10 * label
            recordings.nmnist(tmp_path / "n" / str(label) / f"{i:05}.bin", some)
    return tmp_path / "n"


@pytest.mark.parametrize("query", ["", "?window=0.02&pool=2", "?kind=surface&window=0.03&merge=1"])
def test_the_contract_of_a_source(query: str, folder: Path) -> None:
    report = check_source(f"events:{folder}{query}")
    assert report.ok, report


def test_a_folder_of_classes_is_learned(folder: Path, tmp_path: Path) -> None:
    source = open_source(f"events:{folder}?pool=2")
    assert (source.n_features, source.classes, source.length) == (2 * 17 * 17, (0, 1, 2), 24)
    config = RunConfig.checked(source=f"events:{folder}?pool=5", hidden=16, epochs=40, scale="none")
    summary = run(config, tmp_path / "r", Hooks(draw=False))
    assert summary["test_accuracy"] == 1.0


def test_train_and_test_folders(folder: Path) -> None:
    whole = folder.parent / "whole"
    (whole / "Test").mkdir(parents=True)
    folder.rename(whole / "Train")
    for label in range(3):
        (whole / "Train" / str(label)).joinpath("00003.bin").rename(whole / "Test" / f"{label}.bin")
        (whole / "Test" / str(label)).mkdir()
        (whole / "Test" / f"{label}.bin").rename(whole / "Test" / str(label) / "3.bin")
    source = open_source(f"events:{whole}")
    test = source.test()
    assert test is not None and source.length == 27
    assert sorted(np.concatenate([y for _, y in test]).tolist()) == [0, 1, 2]


@pytest.mark.parametrize("kind", ["aedat3", "aedat4"])
def test_a_recording_with_intervals_of_labels(kind: str, tmp_path: Path) -> None:
    some = recordings.events(1000)
    path = write(kind, tmp_path / "r.aedat", some)
    start, end = int(some["t"][0]), int(some["t"][-1])
    middle = (start + end) // 2
    lines = ["class, startTime_usec, endTime_usec", f"1, {start}, {middle - 100_000}",
             f"2, {middle}, {end}"]  # fmt: skip
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    name = f"events:{path}?window=0.01&labels={tmp_path / 'labels.csv'}&size=34x34"
    source = open_source(name)
    y = np.concatenate([y for _, y in source.chunks(0)])
    assert source.classes == (1, 2) and (np.diff(y) >= 0).all() and source.test() is None
    moments = start + (np.arange((end - start) // 10_000 + 1) + 0.5) * 10_000
    assert len(y) == sum(m <= middle - 100_000 or middle <= m <= end for m in moments)
    assert check_source(name).ok


@pytest.mark.parametrize("kind", ["nmnist", "aedat3", "aedat4"])
def test_damaged_files_are_refused(kind: str, tmp_path: Path) -> None:
    path = write(kind, tmp_path / "r.aedat", recordings.events(230))
    data, rng = path.read_bytes(), np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        changed = bytearray(data)
        for at in rng.integers(len(data), size=rng.integers(1, 6)):
            changed[at] = rng.integers(256)
        path.write_bytes(changed[: rng.integers(1, len(data) + 1)])
        try:
            all_of(path)
        except (DamagedData, BadOption):
            refused += 1
        except ValueError as nothing:
            assert "need at least one array" in str(nothing)
    assert refused > 40


def test_sources_that_cannot_be(folder: Path, tmp_path: Path) -> None:
    file = folder / "0" / "00000.bin"
    for name, kind in {
        "events:": BadOption, "events:/nowhere": MissingData, f"events:{file}": BadOption,
        f"events:{folder}?bin=3": BadOption, f"events:{folder}?kind=x": BadOption,
        f"events:{folder}?window=-1": BadOption, f"events:{folder}?size=34": BadOption,
        f"events:{tmp_path}": MissingData, f"events:{folder}?size=99999x99999": UserError,
        f"events:{file}?labels=/nowhere.csv": MissingData,
    }.items():  # fmt: skip
        with pytest.raises(kind):
            open_source(name, Options())
    with pytest.raises(BadSample, match="a sensor of 5 x 5"):
        next(open_source(f"events:{folder}?size=5x5").chunks(0))
    pause = recordings.events(3)
    pause["t"] = [0, 1, 2**40]
    with pytest.raises(BadSample, match="without an event"):
        list(bins([pause], Form(34, 34, window=10)))
