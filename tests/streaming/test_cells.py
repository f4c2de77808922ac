"""Finished cells of sweeps and papers: used only if they are verified."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import assert_one_error
from data_sets import write_data_sets

from rate_models.errors import BadOption, UserError
from streaming.papers.cells import Store, digest
from streaming.sweeps import sweep, table
from streaming.sweeps.sweep import parse_over

RUN = {"experiment": "an example", "lr": 0.1, "sizes": [4, 3]}
MORE = {"machine": {"cpu": "a cpu"}, "date": "2026-01-01", "command": "a command"}
SMALL: dict[str, Any] = {"source": "synthetic:samples=300,features=5", "hidden": 6}


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sweeps compute in this process; returns the number of cells of each call."""
    counts: list[int] = []

    def computed(client: Any, task: Any, every: Any) -> Iterator[tuple[int, Any]]:
        counts.append(len(every))
        for i, arguments in enumerate(every):
            yield i, task(*arguments)

    monkeypatch.setattr(sweep, "cluster", lambda *_, **__: contextlib.nullcontext())
    monkeypatch.setattr(sweep, "computed", computed)
    monkeypatch.setattr(sweep, "scratch", scratch)
    return counts


def new_store(tmp_path: Path) -> tuple[Store, list[str]]:
    messages: list[str] = []
    return Store(tmp_path / "cells", "a command", messages.append), messages


def test_a_cell_is_read_back(tmp_path: Path) -> None:
    store, messages = new_store(tmp_path)
    result = {"accuracy": [0.1, 0.2], "loss": None, "angle": float("nan")}
    store.keep(RUN, 3, result, notes=["odd"])
    store.keep(RUN, 4, None)  # diverged
    kept = store.kept(RUN, range(6))
    assert kept.keys() == {3, 4} and kept[4]["result"] is None
    assert kept[3]["result"] == {**result, "angle": None} and kept[3]["notes"] == ["odd"]
    assert messages == []


def test_a_cell_without_a_digest_is_an_older_one(tmp_path: Path) -> None:
    store, messages = new_store(tmp_path)
    store.write({"run": RUN, "seed": 0, "result": {"accuracy": 1}, **MORE})
    assert store.read(RUN, 0) is not None and messages == []


def changed(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda cell: {**cell, **changes}


DAMAGE = {
    "of another rate": changed(run={**RUN, "lr": 0.2}),
    "of more than was asked": changed(run={**RUN, "momentum": 0.9}),
    "of another seed": changed(seed=1),
    "of no seed": changed(seed=None),
    "true for a seed": changed(seed=False),
    "another result": changed(result={"accuracy": 0.99}),
    "a text for a result": changed(result="0.99"),
    "no result": lambda cell: {k: v for k, v in cell.items() if k != "result"},
    "no run": lambda cell: {k: v for k, v in cell.items() if k != "run"},
    "a number for a machine": changed(machine=3),
    "a list": lambda cell: [cell],
    "null": lambda cell: None,
}


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("digested", [True, False])
def test_a_cell_of_something_else_is_not_used(kind: str, digested: bool, tmp_path: Path) -> None:
    store, messages = new_store(tmp_path)
    store.keep(RUN, 0, {"accuracy": 0.5})
    path = store.path(RUN, 0)
    cell = json.loads(path.read_text())
    if not digested:
        if kind == "another result":
            pytest.skip("older cells have no digest")
        del cell["digest"]
    path.write_text(json.dumps(DAMAGE[kind](cell)))
    assert store.read(RUN, 0) is None
    assert len(messages) == 1 and str(path) in messages[0] and "computed again" in messages[0]


def test_a_forged_digest_does_not_make_it_another_run(tmp_path: Path) -> None:
    store, messages = new_store(tmp_path)
    other = {"run": {**RUN, "lr": 0.2}, "seed": 0, "result": {"accuracy": 1}, **MORE}
    text = json.dumps({**other, "digest": digest(other)})
    store.path(RUN, 0).write_text(text)
    assert store.read(RUN, 0) is None and "the result of another run" in messages[0]


TEXTS = {
    "empty": b"",
    "cut": b'{"run": {"experiment": "an ex',
    "no text": b"\xff\xfe\x00\xd8",
    "zeros": bytes(100),
    "deep lists": b"[" * 200_000,
    "deep objects": b'{"run":' * 200_000,
    "deep and whole": b"[" * 100_000 + b"]" * 100_000,
    "a huge number": b'{"seed": ' + b"9" * 10_000 + b"}",
    "a byte order mark": b"\xef\xbb\xbf{}",
}


@pytest.mark.parametrize("kind", TEXTS)
def test_files_that_are_no_cells_are_ignored(kind: str, tmp_path: Path) -> None:
    store, messages = new_store(tmp_path)
    store.path(RUN, 0).write_bytes(TEXTS[kind])
    assert store.read(RUN, 0) is None and "not a whole cell" in messages[0]
    store.keep(RUN, 0, {"accuracy": 0.5})
    assert store.read(RUN, 0) is not None


def test_random_damage_is_always_detected(tmp_path: Path) -> None:
    store, _ = new_store(tmp_path)
    store.keep(RUN, 0, {"accuracy": [0.5, 0.25]})
    path, rng = store.path(RUN, 0), np.random.default_rng(0)
    raw = path.read_bytes()
    whole = json.loads(raw)
    for _ in range(300):
        at = int(rng.integers(len(raw)))
        cut = rng.random() < 0.3
        path.write_bytes(raw[:at] if cut else raw[:at] + rng.bytes(1) + raw[at + 1 :])
        kept = store.read(RUN, 0)
        assert kept is None or all(kept[k] == whole[k] for k in ("run", "seed", "result"))


def test_an_existing_folder_is_refused_before_anything_is_computed(
    tmp_path: Path, here: list[int], call: Any
) -> None:
    result = sweep.sweep(SMALL, {"seed": [0]}, tmp_path / "o")
    (path,) = (tmp_path / "o" / "cells").iterdir()
    path.unlink()
    path.mkdir()
    with pytest.raises(UserError, match=r"got a folder.*move it away") as error:
        sweep.sweep(SMALL, {"seed": [0]}, tmp_path / "o")
    assert str(path) in str(error.value)
    assert result["cells"] == 1 and here == [1]
    output = call("sweep", "--source", SMALL["source"], "--hidden", 6, "--over", "seed=0",
                "--out", tmp_path / "o", "--quiet")  # fmt: skip
    assert_one_error(output, "a folder")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_a_cell_that_cannot_be_read_is_computed_again(tmp_path: Path) -> None:
    store, messages = new_store(tmp_path)
    store.keep(RUN, 0, {"accuracy": 0.5})
    store.path(RUN, 0).chmod(0)
    assert store.read(RUN, 0) is None and "Permission denied" in messages[0]


FORGED: list[Any] = [
    {},
    {"stopped": 3},
    {"stopped": "epochs", "test_accuracy": "0.99"},
    {"stopped": "epochs", "seconds": [1]},
    {"stopped": "epochs", "samples_seen": True},
    None,
]


@pytest.mark.parametrize("result", FORGED)
def test_a_sweep_computes_again_a_cell_without_a_result(
    result: Any, tmp_path: Path, here: list[int]
) -> None:
    assert not table.is_result(result)
    first = sweep.sweep(SMALL, {"seed": [0, 1]}, tmp_path)
    path = sorted((tmp_path / "cells").iterdir())[0]
    cell = {**json.loads(path.read_text()), "result": result}
    path.write_text(json.dumps({**cell, "digest": digest(cell)}))
    messages: list[str] = []
    again = sweep.sweep(SMALL, {"seed": [0, 1]}, tmp_path, notify=messages.append)
    assert any("not the result of a run, computed again" in line for line in messages)
    assert again["kept"] == 1 and here == [2, 1]
    scores = [[row[name] for name in table.SCORES] for row in first["rows"]]
    assert [[row[name] for name in table.SCORES] for row in again["rows"]] == scores


def test_swapped_cells_are_computed_again(tmp_path: Path, here: list[int]) -> None:
    over = {"lr": [0.01, 0.1]}
    first = sweep.sweep(SMALL, over, tmp_path)
    a, b = (tmp_path / "cells").iterdir()
    texts = a.read_text(), b.read_text()
    a.write_text(texts[1])
    b.write_text(texts[0])
    again = sweep.sweep(SMALL, over, tmp_path)
    assert here == [2, 2]
    for one, other in zip(first["rows"], again["rows"], strict=True):
        assert one["test_loss"] == other["test_loss"] and one["lr"] == other["lr"]


def test_other_data_of_the_same_name_is_another_result(
    tmp_path: Path, here: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    write_data_sets(data, monkeypatch)
    options = {"source": "mnist", "hidden": 4, "data": data}
    sweep.sweep(options, {"seed": [0]}, tmp_path / "o")
    assert sweep.sweep(options, {"seed": [0]}, tmp_path / "o")["kept"] == 1
    path = data / "MNIST" / "raw" / "train-images-idx3-ubyte"
    raw = bytearray(path.read_bytes())
    raw[5000] ^= 1
    path.write_bytes(raw)
    messages: list[str] = []
    result = sweep.sweep(options, {"seed": [0]}, tmp_path / "o", notify=messages.append)
    assert result["kept"] == 0 and any("other data of this name" in line for line in messages)


@pytest.mark.parametrize(
    ("items", "words"),
    [
        (["seed=0..99999999999"], ["seed=0..99999999999", "100,000,000,000 runs", "at most"]),
        (["seed=0..99999,0..99999"], ["200,000 runs"]),
        ([f"seed=0..{'9' * 5000}"], ["at most 40 digits"]),
        ([f"seed=-{'9' * 30}..{'9' * 30}"], ["runs"]),
    ],
)
def test_a_range_without_end_is_refused_at_once(items: list[str], words: list[str]) -> None:
    with pytest.raises(BadOption) as error:
        parse_over(items)
    assert all(word in str(error.value) for word in words) and len(str(error.value)) < 300


def test_combinations_without_end_are_refused_at_once(call: Any, tmp_path: Path) -> None:
    output = call(
        "sweep", "--out", tmp_path, "--over", "seed=0..999", "--over", "lr=0.1,0.2",
        "--over", "momentum=" + ",".join(f"0.{i}" for i in range(100, 200)), "--quiet",
    )  # fmt: skip
    assert_one_error(output, "seed (1,000) x lr (2) x momentum (100)", "200,000 runs", "at most")


@pytest.mark.parametrize("text", ["[" * 100_000, "lr=" + "[" * 100_000])
def test_nesting_without_end_is_no_value(text: str) -> None:
    with pytest.raises(BadOption):
        sweep.cells(SMALL, parse_over([text if "=" in text else f"hidden={text}"]))
