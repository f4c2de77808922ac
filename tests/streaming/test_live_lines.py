"""Runs on standard input and on a growing file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from pipes import adds_up, csv, rows, standard_input
from typing import Any

import numpy as np
import pytest
from command_line import assert_one_error, called
from project import ROOT

from rate_models.errors import (
    BadOption,
    BadSample,
    DamagedCheckpoint,
    MissingData,
    UserError,
)
from streaming import OnlineLearner
from streaming.files import checkpoint
from streaming.live import lines
from streaming.live.source import LiveSource
from streaming.runs.run import Hooks, RunConfig, resume, run
from streaming.sources import Options, open_source

SMALL: dict[str, Any] = {"hidden": 8, "lr": 0.01, "interval": 200, "save_every": 400}


def config(source: str = "stdin", **options: Any) -> RunConfig:
    return RunConfig.checked(source=source, **{**SMALL, **options})


def piped(parts: list[bytes], folder: Path, hooks: Hooks | None = None, **options: Any) -> Any:
    with standard_input(parts):
        return run(config(**options), folder, hooks or Hooks(draw=False))


def same_weights(a: Path, b: Path) -> bool:
    one, other = (OnlineLearner.load(f / "checkpoint").parameters()["W"] for f in (a, b))
    return all(np.array_equal(x, y) for x, y in zip(one, other, strict=True))


@pytest.mark.parametrize("cuts", [[], [1, 7, 333, 334, 5000]])
def test_a_pipe_is_learned_as_the_same_file(cuts: list[int], tmp_path: Path) -> None:
    data = csv(1500)
    (tmp_path / "d.csv").write_bytes(data)
    file = run(config(f"csv:{tmp_path / 'd.csv'}"), tmp_path / "file", Hooks(draw=False))
    parts = [data[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)]
    pipe = piped(parts, tmp_path / "pipe")
    assert same_weights(tmp_path / "file", tmp_path / "pipe")
    assert pipe["progressive_accuracy"] == file["progressive_accuracy"] and pipe["loss"]
    live = pipe["live"]
    assert live["received"] == live["learned"] == 1500 == pipe["samples_seen"] and adds_up(live)
    for name in ("predicted", "learned"):
        times = live["latency"][name]
        assert 0 < times["p50_ms"] <= times["p99_ms"] <= times["max_ms"] < 60_000
    last = json.loads((tmp_path / "pipe" / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["live"]["learned"] == 1500 and last["live"]["latency"]["learned"]["p99_ms"] > 0
    assert json.loads((tmp_path / "pipe" / "config.json").read_text())["labels"] == [0, 1, 2]


def test_lines_of_json_with_labels_before_after_and_never(tmp_path: Path) -> None:
    X, y = rows(600)
    first = [{"x": x, "label": int(k)} for x, k in zip(X[:100].tolist(), y, strict=False)]
    later = [{"x": x, "key": i} for i, x in enumerate(X[100:].tolist())]
    late = [{"key": i, "label": int(k)} for i, k in enumerate(y[100:])]
    messages = [*first, *late[:50], *later[:400], *late[50:300], *later[400:], *late[300:450]]
    lines = "".join(json.dumps(m) + "\n" for m in messages).encode()
    out = tmp_path / "predictions.jsonl"
    summary = piped([lines], tmp_path / "r", publish=str(out))
    live = summary["live"]
    assert live["learned"] == 550 and live["unlabelled"] == 50 and live["received"] == 600
    assert adds_up(live) and live["labels_unmatched"] == 0 and live["waiting"] == 0
    published = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(published) == 600 and {p["prediction"] for p in published} <= {0, 1, 2}
    assert [p["key"] for p in published if "key" in p] == [*range(500)]


def test_a_late_label_scores_the_prediction_made_on_arrival(tmp_path: Path) -> None:
    X, y = rows(300)
    start = [{"x": X[0].tolist(), "label": int(k)} for k in (0, 1, 2)]
    samples = [{"x": x, "key": i} for i, x in enumerate(X.tolist())]
    labels = [{"key": i, "label": int(k)} for i, k in enumerate(y)]
    lines = "".join(json.dumps(m) + "\n" for m in [*start, *samples, *labels]).encode()
    out = tmp_path / "p.jsonl"
    summary = piped([lines], tmp_path / "r", publish=str(out))
    predicted = [json.loads(line)["prediction"] for line in out.read_text().splitlines()]
    right = sum(p == k for p, k in zip(predicted, [0, 1, 2, *y], strict=True))
    assert summary["progressive_accuracy"] == right / 303
    # all were predicted before any of them was learned
    learner = OnlineLearner(sizes=(4, 8, 3), lr=0.01, scale="running", dtype="float32")
    learner.learn_many([X[0]] * 3, [0, 1, 2])
    assert learner.predict_many(X).tolist() == predicted[3:]
    learner.learn_many(X, y)
    learner.save(tmp_path / "own" / "checkpoint")
    assert same_weights(tmp_path / "own", tmp_path / "r")


BAD = [
    b"1,2,x,4,0",
    b"1,2,3,0",
    b"1,2,nan,4,1",
    b"1,2,3,1e300,1",
    b"1,2,3,4,7",
    b"\xff\xfe,1,1,1,1",
    b'"1,2,3,4,0',
    b"1,2,,4,0",
    b"1,2,3,\x00,0",
]


@pytest.mark.parametrize("bad", BAD[:3])
def test_a_malformed_line_stops_the_run(bad: bytes, tmp_path: Path) -> None:
    data = csv(300) + bad + b"\n" + csv(100, seed=1, header=False)
    with pytest.raises(BadSample, match="the line that ends at byte"):
        piped([data], tmp_path / "r", labels="0,1,2")
    stopped = json.loads((tmp_path / "r" / "summary.json").read_text())
    assert stopped["samples_seen"] == 300 and stopped["live"]["learned"] == 300


def test_malformed_lines_are_counted_and_change_nothing(tmp_path: Path) -> None:
    first, second = csv(300), csv(100, seed=1, header=False)
    data = [first, *(bad + b"\n" for bad in BAD), second]
    live = piped(data, tmp_path / "skipped", on_bad="skip", labels="0,1,2")["live"]
    assert live["learned"] == 400 and live["malformed"] == len(BAD) and adds_up(live)
    piped([first, second], tmp_path / "good")
    assert same_weights(tmp_path / "good", tmp_path / "skipped")


@pytest.mark.parametrize(
    "names", [b"b,a,c,d,label", b"label,d,c,b,a", b"p,q,r,s,label,t", b"label"]
)
def test_a_sender_that_restarts_with_other_columns_ends_the_run(
    names: bytes, tmp_path: Path
) -> None:
    """What follows would be taken for something else, so no policy skips it."""
    data = csv(300) + names + b"\n" + csv(100, seed=1, header=False)
    with pytest.raises(
        BadSample, match=r"got the names .*; expected those of the first line, a, b"
    ):
        piped([data], tmp_path / "r", on_bad="skip")
    stopped = json.loads((tmp_path / "r" / "summary.json").read_text())
    assert stopped["live"]["learned"] == 300 and adds_up(stopped["live"])


def test_predictions_that_cannot_be_published_are_refused_in_advance(tmp_path: Path) -> None:
    for target in ("lsl:", "mqtt://", str(tmp_path), str(tmp_path / "none" / "p.jsonl")):
        with pytest.raises(BadOption, match="--publish"):
            piped([csv(20)], tmp_path / "r", publish=target)
        assert not (tmp_path / "r").exists()
    path = tmp_path / "d.csv"
    path.write_bytes(csv(20))
    with pytest.raises(BadOption, match="from which the samples come"):
        run(config(f"follow:{path}", publish=str(path)), tmp_path / "r")
    assert path.read_bytes() == csv(20)


def test_blank_lines_second_headers_and_windows_line_ends_do_not_count(tmp_path: Path) -> None:
    one, two = csv(200), csv(100, seed=1)
    data = b"\xef\xbb\xbf" + one.replace(b"\n", b"\r\n") + b"\r\n" + two.replace(b"\n", b"\r\n")
    live = piped([data[:-2]], tmp_path / "r")["live"]  # the last line has no end
    assert live["received"] == live["learned"] == 300


def test_rows_without_a_label_are_predicted_only(tmp_path: Path) -> None:
    lines = csv(300).split(b"\n")
    lines[50:60] = [line[: line.rindex(b",") + 1] for line in lines[50:60]]
    live = piped([b"\n".join(lines)], tmp_path / "r")["live"]
    assert (live["learned"], live["unlabelled"], live["malformed"]) == (290, 10, 0)


def test_a_stream_without_labels_is_predicted_only(tmp_path: Path) -> None:
    X, _ = rows(40)
    data = "".join(json.dumps({"x": x}) + "\n" for x in X.tolist()).encode()
    out = tmp_path / "p.jsonl"
    summary = piped([data], tmp_path / "r", Hooks(), labels="0,1,2", publish=str(out))
    assert summary["samples_seen"] == 0 and summary["live"]["unlabelled"] == 40
    assert len(out.read_text().splitlines()) == 40


def test_numbers_to_predict(tmp_path: Path) -> None:
    X, _ = rows(2000)
    target = (X @ [1.0, -1.0, 0.5, 0.0]).round(4)
    lines = [",".join(map(str, [*x, t])) for x, t in zip(X.tolist(), target.tolist(), strict=True)]
    data = "\n".join(["a,b,c,d,load", *lines, ""]).encode()
    summary = piped([data], tmp_path / "r", rule="backprop")
    assert summary["r2"] > 0.5 and summary["live"]["learned"] == 2000


@pytest.mark.parametrize("policy", ["block", "drop_oldest", "drop_newest"])
def test_a_sender_ten_times_as_fast_as_learning(policy: str, tmp_path: Path) -> None:
    data = csv(2000)
    most = [0]

    def watch(this: Any) -> None:
        time.sleep(0.004)
        most[0] = max(most[0], this.live.queue.waiting)

    options = {"queue": 100, "interval": 20, "save_every": 1000, "labels": "0,1,2"}
    hooks = Hooks(watch=watch, draw=False)
    summary = piped([data], tmp_path / "r", hooks, when_full=policy, **options)
    live = summary["live"]
    assert live["received"] == 2000 and adds_up(live) and live["waiting"] == 0
    assert most[0] <= live["queued_most"] == 100
    assert (live["dropped"] == 0) == (policy == "block")
    if policy != "block":
        assert live["learned"] < 1000
    if policy == "drop_newest":  # the first samples are consecutive
        assert live["learned"] >= 100


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["block", "drop_oldest", "drop_newest"])
def test_memory_does_not_grow_with_the_stream(policy: str, tmp_path: Path) -> None:
    """40 times the queue, ten times as fast as learning: less than a tenth of it stays."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(1000, 200)).round(3), rng.integers(3, size=1000)
    lines = [",".join([*map(str, x), str(k)]) for x, k in zip(X.tolist(), y, strict=True)]
    part = "\n".join([*lines, ""]).encode()
    header = ",".join([f"f{i}" for i in range(200)] + ["label"]).encode() + b"\n"
    sizes = list[int]()

    def watch(this: Any) -> None:
        time.sleep(0.01)
        if policy != "block" or this.position % 1000 == 0:
            sizes.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4096)

    options = {"queue": 1000, "interval": 100, "save_every": 100_000, "labels": "0,1,2"}
    hooks = Hooks(watch=watch, draw=False)
    live = piped([header, *[part] * 40], tmp_path / "r", hooks, when_full=policy, **options)["live"]
    assert live["received"] == 40_000 and adds_up(live) and live["queued_most"] <= 1000
    stream = 40_000 * 200 * 8
    assert max(sizes) - sizes[len(sizes) // 4] < stream / 10, (sizes[::10], stream)


@pytest.mark.parametrize(
    ("data", "options", "expected"),
    [
        (b"", {}, "an empty stream"),
        (b"\xff\xfe\xfa\n\xff\xff\n", {}, "bytes that are no text in utf-8; expected lines of"),
        (b"\0,label\n1,2\n", {}, "zero bytes; expected lines of CSV or JSON"),
        (b"a,b\n1,x\n2,y\n", {"labels": "x,,y"}, "an empty label"),
        (b"a,label\n", {}, "no label among the first rows"),
        (b"a,b\n1,x\n2,x\n", {}, "alone in the first rows"),
        (b"a,b\n1,x\n2,y\n", {"held_out": 0.2}, "--held-out"),
        (b"a,b\n1,x\n2,y\n", {"missing": "mean"}, "--missing"),
        (b"a,b\n1,x\n2,y\n", {"epochs": 2}, "--epochs"),
        (b"a,b\n1,x\n2,y\n", {"target": "input"}, "--target"),
        (b"a,b\n1,x\n2,y\n", {"label": "c"}, "--label"),
        (b'{"x": []}\n', {}, "without features"),
        (b'{"label": 1}\n', {}, "no sample"),
        (b'{"x": [1], "label": {}}\n', {}, "labels of the types"),
        (b"a,b\n1,x\n2,y\n", {"record": ["weight_norms"]}, "read again"),
        (b"a,b\n1,x\n2,y\n", {"signal": ["smooth:3"]}, "smooth"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(
    data: bytes, options: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=expected):
        piped([data], tmp_path / "r", **options)
    assert not (tmp_path / "r" / "checkpoint").exists()


def test_options_of_live_sources_are_refused_elsewhere() -> None:
    with pytest.raises(BadOption, match="--when-full: got beside the source digits"):
        open_source("digits", Options(when_full="drop_oldest"))
    with pytest.raises(BadOption, match="--labels"):
        Options(labels="a,a")
    with pytest.raises(MissingData, match="no file"):
        open_source("follow:/nowhere/at/all.csv")


def test_what_reads_twice_refuses_live_sources(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = ("sweep", "--over", "seed=0,1", "--source", "stdin", "--samples", 9, "--out", tmp_path)
    for words in (("check", "stdin"), ("check", "follow:x.csv"), sweep):
        assert_one_error(called(capsys, *words), "live source", "can be read again")


class Writer:
    """Changes a file, one part after the other, each once the samples before it were received."""

    def __init__(self, path: Path, parts: Iterator[Any], until: int) -> None:
        self._path, self._parts, self._until, self._done = path, parts, until, 0
        self.received = 0

    def __call__(self, this: Any) -> None:
        self.received = this.counts.received
        if self.received >= self._done and (part := next(self._parts, None)):
            self._done += part(self._path)

    def stop(self) -> bool:
        return self.received >= self._until


def append(n: int, seed: int, header: bool = False) -> Any:
    def add(path: Path) -> int:
        with path.open("ab") as file:
            file.write(csv(n, seed, header))
        return n

    return add


def rotate(n: int, seed: int) -> Any:
    def add(path: Path) -> int:
        with path.open("ab") as file:  # the last lines of the old file
            file.write(csv(7, 50 + seed, header=False))
        path.rename(path.with_name(f"{path.name}.{seed}"))
        path.write_bytes(csv(n, seed))
        return n + 7

    return add


def truncate(n: int, seed: int) -> Any:
    def add(path: Path) -> int:
        with path.open("r+b") as file:
            file.truncate(0)
        time.sleep(0.1)
        return append(n, seed, header=True)(path)

    return add


def test_a_file_that_grows_is_rotated_and_truncated(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(csv(1200))
    parts = [append(300, 1), rotate(400, 2), append(100, 3), truncate(50, 4), rotate(60, 5)]
    writer = Writer(path, iter(parts), total := 1200 + 300 + 407 + 100 + 50 + 67)
    writer._done = 1200
    hooks = Hooks(watch=writer, stop=writer.stop, draw=False)
    summary = run(config(f"follow:{path}", seconds=30), tmp_path / "r", hooks)
    assert summary["stopped"] == "interrupted" and summary["live"]["learned"] == total
    together = [csv(1200), csv(300, 1, False), csv(7, 52, False), csv(400, 2, False)]
    together += [csv(100, 3, False), csv(50, 4, False), csv(7, 55, False), csv(60, 5, False)]
    piped(together, tmp_path / "all")
    assert same_weights(tmp_path / "r", tmp_path / "all")


def test_a_file_with_the_names_alone_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(csv(0))
    writer = Writer(path, iter([append(300, 1)]), 300)
    hooks = Hooks(watch=writer, stop=writer.stop, draw=False)
    live = run(config(f"follow:{path}", labels="0,1,2", seconds=30), tmp_path / "r", hooks)["live"]
    assert live["learned"] == 300


def test_the_first_samples_may_come_long_after_the_names(tmp_path: Path) -> None:
    def parts() -> Iterator[bytes]:
        names, _, rest = csv(100).partition(b"\n")
        yield names + b"\n"
        time.sleep(0.5)
        yield rest

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "SECONDS", 0.1)
        live = piped(parts(), tmp_path / "r")["live"]  # type: ignore[arg-type]
    assert live["learned"] == 100


@pytest.mark.parametrize("meanwhile", ["grown", "rotated", "gone"])
def test_a_stopped_run_reads_on_where_it_stopped(meanwhile: str, tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(csv(1200))
    seen = [0]
    hooks = Hooks(watch=lambda this: seen.__setitem__(0, this.position),
                  stop=lambda: seen[0] >= 700, draw=False)  # fmt: skip
    first = run(config(f"follow:{path}"), tmp_path / "r", hooks)
    assert first["live"]["learned"] == seen[0] < 1200 and adds_up(first["live"])
    shown = list[str]()
    if meanwhile == "gone":
        path.write_bytes(b"")
        path.write_bytes(csv(100, 1))
        total = seen[0] + 100
    else:
        (append if meanwhile == "grown" else rotate)(100, 1)(path)
        total = 1300 + 7 * (meanwhile == "rotated")
    hooks = Hooks(watch=lambda this: seen.__setitem__(0, this.position),
                  stop=lambda: seen[0] >= total, notify=shown.append, draw=False)  # fmt: skip
    summary = resume(tmp_path / "r", hooks)
    assert summary["live"]["learned"] == total and adds_up(summary["live"])
    assert any("cannot tell how many" in line for line in shown) == (meanwhile == "gone")
    if meanwhile != "gone":
        extra = [csv(7, 51, False)] * (meanwhile == "rotated")
        piped([csv(1200), *extra, csv(100, 1, False)], tmp_path / "all")
        assert same_weights(tmp_path / "r", tmp_path / "all")


def command(*words: str) -> list[str]:
    small = ["--hidden", "8", "--lr", "0.01", "--interval", "200", "--save-every", "400", "--quiet"]
    return [sys.executable, "-m", "dendrostream", "run", *words, *small * (words[0] != "--resume")]


@pytest.mark.slow
def test_ctrl_c_saves_and_adds_up(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    process = subprocess.Popen(
        command("--source", "stdin", "--labels", "0,1,2", "--out", str(folder)),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(csv(1000))
    process.stdin.flush()
    deadline = time.monotonic() + 60
    metrics = folder / "metrics.jsonl"
    while not metrics.exists() or len(metrics.read_bytes().splitlines()) < 5:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM
    process.communicate()
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["stopped"] == "interrupted" and summary["live"]["learned"] == 1000
    assert adds_up(summary["live"])
    assert OnlineLearner.load(folder / "checkpoint").samples_seen == 1000


@pytest.mark.slow
def test_a_terminal_that_is_closed_loses_nothing(tmp_path: Path) -> None:
    folder, (terminal, inside) = tmp_path / "r", os.openpty()
    words = command("--source", "stdin", "--labels", "0,1,2", "--out", str(folder))
    words.remove("--quiet")  # there is a progress bar
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it, for children too
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=inside, stderr=inside, cwd=ROOT)
    signal.signal(signal.SIGHUP, before)
    os.close(inside)
    assert process.stdin is not None
    process.stdin.write(csv(1300))
    process.stdin.flush()
    deadline, metrics = time.monotonic() + 60, folder / "metrics.jsonl"
    while not metrics.exists() or len(metrics.read_bytes().splitlines()) < 6:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    os.close(terminal)
    process.stdin.write(csv(500, 1, header=False))  # its bar has nowhere to be shown
    process.stdin.flush()
    while len(metrics.read_bytes().splitlines()) < 9:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGHUP)
    assert process.wait(30) in (1, 128 + signal.SIGHUP)  # 1: the report could not be written
    process.stdin.close()
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["stopped"] == "interrupted" and summary["live"]["learned"] == 1800
    assert OnlineLearner.load(folder / "checkpoint").samples_seen == 1800


@pytest.mark.slow
def test_a_killed_run_goes_on_from_its_checkpoint_bit_for_bit(tmp_path: Path) -> None:
    path, folder = tmp_path / "d.csv", tmp_path / "r"
    path.write_bytes(csv(2600))
    process = subprocess.Popen(
        command("--source", f"follow:{path}", "--signal", "standardise:half_life=100",
                "--signal", "window:2", "--out", str(folder)),
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (folder / "checkpoint.previous").exists() or (
        OnlineLearner.load(folder / "checkpoint").samples_seen < 800
    ):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    at = OnlineLearner.load(folder / "checkpoint").samples_seen
    steps = {"signal": ("standardise:half_life=100", "window:2")}
    first = b"\n".join(csv(2600).split(b"\n")[: at + 2])  # the first sample completes no window
    piped([first], tmp_path / "upto", **steps)
    assert same_weights(folder, tmp_path / "upto")
    seen = [0]
    hooks = Hooks(watch=lambda this: seen.__setitem__(0, this.position),
                  stop=lambda: seen[0] >= 2599, draw=False)  # fmt: skip
    live = resume(folder, hooks)["live"]
    assert live["received"] == 2600 and live["learned"] == 2599 and live["merged"] == 1
    piped([csv(2600)], tmp_path / "all", **steps)
    assert same_weights(folder, tmp_path / "all")


def test_a_resumed_pipe_reports_what_it_missed(tmp_path: Path) -> None:
    seen = [0]
    hooks = Hooks(watch=lambda this: seen.__setitem__(0, this.position),
                  stop=lambda: seen[0] >= 400, draw=False)  # fmt: skip
    first = piped([csv(1500)], tmp_path / "r", hooks)["live"]
    assert first["waiting"] == first["received"] - 400 > 0 and adds_up(first)
    shown = list[str]()
    with standard_input([csv(200, 7)]):
        second = resume(tmp_path / "r", Hooks(notify=shown.append, draw=False))["live"]
    assert second["learned"] == 600 and adds_up(second)
    assert f"stdin: {first['waiting']:,} samples were missed since the run stopped" in shown


@pytest.mark.parametrize(
    "change",
    [
        {"counts": {}},
        {"counts": {"received": -1}},
        {"position": {"mark": 1.5, "origin": 0, "queued": 0}},
        {"position": None},
    ],
)
def test_a_crafted_state_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    piped([csv(300)], tmp_path / "r", Hooks(stop=lambda: True, draw=False))
    arrays, meta = checkpoint.read(tmp_path / "r" / "checkpoint")
    meta["run"]["live"] |= change
    checkpoint.write(tmp_path / "r" / "checkpoint", arrays, meta)
    with standard_input([csv(10)]), pytest.raises(DamagedCheckpoint, match="checkpoint in"):
        resume(tmp_path / "r", Hooks(draw=False))


def test_going_on_from_another_run_keeps_its_labels(tmp_path: Path) -> None:
    from streaming.runs.going_on import go_on

    piped([csv(500)], tmp_path / "r")
    data = b"\n".join(line for line in csv(400, 3).split(b"\n") if not line.endswith(b",2"))
    with standard_input([data]):
        summary = go_on(tmp_path / "r", {}, tmp_path / "on", Hooks(draw=False))
    assert summary["classes"] == [0, 1, 2] and summary["live"]["learned"] < 400
    with standard_input([csv(200, 4)]):  # the order of the option is not that of the units
        summary = go_on(tmp_path / "r", {"labels": "2,0,1"}, tmp_path / "more", Hooks(draw=False))
    assert summary["classes"] == [0, 1, 2] and np.trace(summary["confusion"]) > 150
    with standard_input([csv(9)]), pytest.raises(BadOption, match="--labels: got 7 beside --from"):
        go_on(tmp_path / "r", {"labels": "0,7"}, tmp_path / "odd", Hooks(draw=False))


def test_a_reader_that_fails_is_called_again(tmp_path: Path) -> None:
    from streaming.live.reconnecting import ConnectionGone
    from streaming.sources.stdin import Stdin

    calls, shown = [0], list[str]()
    read = Stdin.read

    def failing(self: Stdin) -> None:
        calls[0] += 1
        if calls[0] < 3:
            self.connected()
            raise ConnectionGone("the cable came off")
        read(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stdin, "read", failing)
        live = piped([csv(200)], tmp_path / "r", Hooks(notify=shown.append, draw=False))["live"]
    assert live["learned"] == 200 and live["reconnects"] == 2
    assert sum("the cable came off; connecting again in 0.1 s" in line for line in shown) == 2
    assert not any(t.name.startswith("reader of") for t in threading.enumerate())
    assert issubclass(Stdin, LiveSource)
