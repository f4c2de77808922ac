"""Crafted checkpoints with correct digests and wrong numbers are refused or harmless.

Each one is loaded and trained in a child process, so that a crash is a failure of the test and does
not end all tests.
"""

from __future__ import annotations

import json
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rate_models.errors import BadOption, DamagedCheckpoint, Diverged
from rate_models.kernels.input_synapses import ROOM
from streaming import OnlineLearner
from streaming.files import checkpoint

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(300, 12)), RNG.integers(0, 3, 300)
TARGETS = 50 + 10 * X[:, :3]
KINDS: dict[str, dict[str, Any]] = {
    "structured": {},
    "momentum": {"momentum": 0.9, "lr": 0.003},
    "mirroring": {"init": "he_normal", "sign": -1, "mirror_before": 90},
    "plain": {"rule": "backprop"},
    "learned feedback": {"rule": "node_perturbation"},
    "pipelined": {"schedule": "pipelined"},  # the state is the same with more workers
    "delayed": {"schedule": "delayed:2"},
    "batches": {"batch": 4},
    "batches with momentum": {"batch": 4, "momentum": 0.9, "lr": 0.003},
    "circuit": {"circuit": "pepita", "mode": "continuous"},
    "regression": {"task": "regression"},
    "rate that follows": {"lr": None, "scale": "none"},
}
EXTREME = (-1, 2**31, 2**63 - 1)
MORE = (-(2**63), 2**15, 2**62)
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*(worker|thread)", "ignore:.*fork.*:DeprecationWarning"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here"),
]


def stored(kind: str, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    options = {"sizes": (12, 8, 6, 3), "scale": "running", "lr": 0.01, **KINDS[kind]}
    learner = OnlineLearner(**options)
    learner.learn_many(X[:41], (TARGETS if learner.classes is None else Y)[:41])
    learner.save(folder)
    return checkpoint.read(folder)


def tried(folder: Path) -> str:
    """The result of loading, learning and predicting in a child process."""
    try:  # without compiled code: most are refused at once
        OnlineLearner.load(folder)
    except DamagedCheckpoint:
        return "refused"
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        if os.WIFSIGNALED(status):
            return f"signal {os.WTERMSIG(status)}"
        return "traceback" if os.WEXITSTATUS(status) else "fine"
    signal.alarm(30)
    try:
        learner = OnlineLearner.load(folder)
        try:
            with np.errstate(all="ignore"):
                learner.predict_many(X[:3])
                learner.learn_many(X[:150], (TARGETS if learner.classes is None else Y)[:150])
                learner.parameters()
        except Diverged:
            pass
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def integers(arrays: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Every integer array, with its first and last index."""
    for name, array in arrays.items():
        if array.dtype.kind in "iu" and array.size:
            for at in sorted({0, array.size - 1}):
                yield name, at


@pytest.mark.parametrize("values", [EXTREME, pytest.param(MORE, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", KINDS)
def test_whole_numbers_of_the_state_are_in_bounds_or_refused(
    kind: str, values: tuple[int, ...], tmp_path: Path
) -> None:
    arrays, meta = stored(kind, tmp_path / "c")
    assert tried(tmp_path / "c") == "fine"
    refused, found = 0, {}
    for name, at in integers(arrays):
        for value in values:
            changed = arrays[name].copy()
            changed.flat[at] = value
            checkpoint.write(tmp_path / "c", arrays | {name: changed}, meta)
            found[name, at, value] = tried(tmp_path / "c")
            refused += found[name, at, value] == "refused"
    wrong = {what: end for what, end in found.items() if end not in ("fine", "refused")}
    assert not wrong
    assert refused > 0.6 * len(found)
    for name in {name for name, *_ in found}:
        assert found[name, 0, values[0]] == "refused", name  # below 0


def test_no_more_updates_are_pending_than_there_is_room_for(tmp_path: Path) -> None:
    arrays, meta = stored("momentum", tmp_path / "c")
    arrays["network.input.pending"][0] = ROOM + 1
    checkpoint.write(tmp_path / "c", arrays, meta)
    with pytest.raises(DamagedCheckpoint, match=f"pending: got {ROOM + 1}; expected 0 to {ROOM}"):
        OnlineLearner.load(tmp_path / "c")


def test_a_mini_batch_holds_no_more_than_its_samples(tmp_path: Path) -> None:
    """After 41 samples in batches of 4 one sample is pending; a larger count would overflow."""
    arrays, meta = stored("batches", tmp_path / "c")
    assert arrays["network.layers.changes"].tolist() == [0, 1, 1, 1]
    arrays["network.layers.changes"][1] = 3
    checkpoint.write(tmp_path / "c", arrays, meta)
    with pytest.raises(DamagedCheckpoint, match="changes: got 3; expected 0 to 1"):
        OnlineLearner.load(tmp_path / "c")


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_and_kinds_of_numbers(kind: str, tmp_path: Path) -> None:
    arrays, meta = stored(kind, tmp_path / "c")
    for name, array in arrays.items():
        others = [np.append(array.ravel(), array.ravel()[:1]), array.astype(np.complex128)]
        others += [array[None], array.astype(np.float64 if array.dtype.kind == "i" else np.int64)]
        others += [np.zeros(0, array.dtype)] if array.size else []
        for changed in others[: 5 if array.size else 0]:
            if changed.dtype.kind == "c":
                continue  # safetensors has none
            checkpoint.write(tmp_path / "c", {**arrays, name: changed}, meta)
            with pytest.raises(DamagedCheckpoint):
                OnlineLearner.load(tmp_path / "c")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e250])
@pytest.mark.parametrize("kind", ["structured", "delayed", "circuit"])
def test_numbers_that_are_not_finite(kind: str, value: float, tmp_path: Path) -> None:
    arrays, meta = stored(kind, tmp_path / "c")
    for name, array in arrays.items():
        if array.dtype.kind == "f" and array.size and not name.startswith("scaler"):
            changed = array.copy()
            changed.flat[-1] = value
            checkpoint.write(tmp_path / "c", arrays | {name: changed}, meta)
            with pytest.raises(DamagedCheckpoint):
                OnlineLearner.load(tmp_path / "c")


@pytest.mark.parametrize(
    "power",
    [[-1, 1.0], [256, 1.0], [2.5, 1.0], [1, -1.0], [1, np.nan], [np.inf, 1.0], [1, 1, 1], [[1, 1]]],
)
def test_an_invalid_mean_square_of_the_input(power: Any, tmp_path: Path) -> None:
    """The state of the rate: a sample count below `MEASURED`, and a sum of squares."""
    arrays, meta = stored("rate that follows", tmp_path / "c")
    assert arrays["rate.power"][0] == 41
    checkpoint.write(tmp_path / "c", {**arrays, "rate.power": np.array(power, float)}, meta)
    with pytest.raises(DamagedCheckpoint, match=r"rate\.power: got"):
        OnlineLearner.load(tmp_path / "c")


@pytest.mark.parametrize(
    "names", [["x"], "lr", ["lr", "lr"], ["momentum"], [["lr"]], [None], 5, None]
)
def test_invalid_names_of_adapting_options(names: Any, tmp_path: Path) -> None:
    arrays, meta = stored("rate that follows", tmp_path / "c")
    assert meta["follows"] == ["lr"]
    checkpoint.write(tmp_path / "c", arrays, meta | {"follows": names})
    with pytest.raises(DamagedCheckpoint, match="checkpoint"):
        OnlineLearner.load(tmp_path / "c")


def without(meta: dict[str, Any], name: str) -> dict[str, Any]:
    return {k: v for k, v in meta.items() if k != name}


def learner_with(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda meta: meta | {"learner": meta["learner"] | changes}


WRONG: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no learner": lambda meta: without(meta, "learner"),
    "no skipped": lambda meta: without(meta, "skipped"),
    "no features": lambda meta: without(meta, "features"),
    "learner a list": lambda meta: meta | {"learner": [1]},
    "learner null": lambda meta: meta | {"learner": None},
    "another option": learner_with(nonsense=1),
    "no sizes": lambda meta: meta | {"learner": without(meta["learner"], "sizes")},
    "sizes text": learner_with(sizes="12"),
    "sizes beyond memory": learner_with(sizes=[12, 10**12, 3]),
    "sizes beyond numbers": learner_with(sizes=[12, 10**400, 3]),
    "large sizes": learner_with(sizes=[12, 50_000, 50_000, 3]),
    "sizes below 0": learner_with(sizes=[12, -8, -6, 3]),
    "batch beyond memory": learner_with(batch=10**12),
    "workers without end": learner_with(workers=10**9),
    "delay without end": learner_with(schedule="delayed:100000000000"),
    "schedule a number": learner_with(schedule=7),
    "classes nested": learner_with(classes=[[1], [2], [3]]),
    "classes an object": learner_with(classes={"a": {}}),
    "seed text": learner_with(seed="x"),
    "seed beyond numbers": learner_with(seed=10**5000),
    "lr a list": learner_with(lr=[1]),
    "rule a path": learner_with(rule="../../etc/passwd"),
    "dtype a list": learner_with(dtype=[]),
    "features too few": lambda meta: meta | {"features": ["a"]},
    "features nested": lambda meta: meta | {"features": [["a"]] * 12},
    "features a number": lambda meta: meta | {"features": 12},
    "skipped below 0": lambda meta: meta | {"skipped": -1},
    "skipped text": lambda meta: meta | {"skipped": "x"},
    "deep": learner_with(classes=json.loads("[" * 900 + "]" * 900)),
}


@pytest.mark.parametrize("what", WRONG)
def test_invalid_meta_is_refused(what: str, tmp_path: Path) -> None:
    arrays, meta = stored("structured", tmp_path / "c")
    try:
        checkpoint.write(tmp_path / "d", arrays, WRONG[what](meta))
    except ValueError:  # too large a number for JSON
        pytest.skip("cannot be written")
    with pytest.raises(DamagedCheckpoint, match=r"checkpoint"):
        OnlineLearner.load(tmp_path / "d")


def rewritten(folder: Path, content: Any) -> None:
    """A side file with a correct digest."""
    text = json.dumps({"content": content, "sha256": checkpoint._digest(content)})
    (folder / checkpoint.SIDECAR).write_text(text)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: [],
        lambda c: None,
        lambda c: without(c, "arrays"),
        lambda c: without(c, "meta"),
        lambda c: c | {"meta": [1]},
        lambda c: c | {"arrays": None},
        lambda c: c | {"arrays": []},
        lambda c: c | {"format": "1"},
        lambda c: c | {"format": None},
        lambda c: without(c, "format"),
    ],
)
def test_invalid_side_files_are_refused(tmp_path: Path, change: Callable[[Any], Any]) -> None:
    stored("structured", tmp_path / "c")
    content = json.loads((tmp_path / "c" / checkpoint.SIDECAR).read_text())["content"]
    rewritten(tmp_path / "c", change(content))
    with pytest.raises(DamagedCheckpoint, match=r"checkpoint\.json"):
        OnlineLearner.load(tmp_path / "c")


@pytest.mark.parametrize(
    "text", ["[" * 200_000, "1" * 5000, "\x00", "", '{"content": {}}', "NaN", '"\\ud800"', "{}"]
)
def test_side_files_with_other_json_are_refused(tmp_path: Path, text: str) -> None:
    stored("structured", tmp_path / "c")
    (tmp_path / "c" / checkpoint.SIDECAR).write_text(text)
    with pytest.raises(DamagedCheckpoint, match=r"checkpoint\.json"):
        OnlineLearner.load(tmp_path / "c")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00" * 8,
        b"\xff" * 16,
        (2**40).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"{]",
        (63).to_bytes(8, "little")
        + b'{"a":{"dtype":"F64","shape":[9223372036854775807],"data_offsets":[0,8]}}'[:63],
    ],
)
def test_invalid_array_files_are_refused(tmp_path: Path, data: bytes) -> None:
    import hashlib

    stored("structured", tmp_path / "c")
    (tmp_path / "c" / checkpoint.ARRAYS).write_bytes(data)
    content = json.loads((tmp_path / "c" / checkpoint.SIDECAR).read_text())["content"]
    content["arrays"] |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    rewritten(tmp_path / "c", content)
    with pytest.raises(DamagedCheckpoint, match=r"safetensors|arrays"):
        OnlineLearner.load(tmp_path / "c")


def test_no_fallback_to_the_previous_checkpoint(tmp_path: Path) -> None:
    """A crafted checkpoint with correct digests is refused; no other one is loaded instead."""
    arrays, meta = stored("structured", tmp_path / "c")
    changed = arrays["network.input.pending"].copy()
    changed[0] = 10**6
    checkpoint.write(tmp_path / "c", arrays | {"network.input.pending": changed}, meta)
    with pytest.raises(DamagedCheckpoint, match=f"pending: got 1000000; expected 0 to {ROOM}"):
        OnlineLearner.load(tmp_path / "c")


def test_load_parameters_refuses_what_is_not_finite() -> None:
    learner = OnlineLearner(sizes=(4, 3, 2))
    weights = learner.parameters()["W"]
    weights[1][0, 0] = np.nan
    with pytest.raises(BadOption, match="W: got NaN or infinite numbers"):
        learner.load_parameters({"W": weights})
    assert learner.is_finite()


@pytest.mark.parametrize(
    ("dtype", "value"), [("float64", np.inf), ("float64", 1e220), ("float32", 1e32)]
)
def test_save_does_not_replace_a_good_checkpoint_by_a_diverged_one(
    tmp_path: Path, dtype: str, value: float
) -> None:
    learner = OnlineLearner(sizes=(4, 3, 2), dtype=dtype)
    learner.save(tmp_path / "c")
    before = (tmp_path / "c" / checkpoint.SIDECAR).read_bytes()
    learner._network._net.W[0] = value
    with pytest.raises(Diverged, match=r"layers\.W after 0 samples: got infinite, NaN or huge"):
        learner.save(tmp_path / "c")
    assert (tmp_path / "c" / checkpoint.SIDECAR).read_bytes() == before
    assert not (tmp_path / "c.previous").exists()
