"""MQTT against a real broker on loopback."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from pipes import adds_up, csv, rows, standard_input
from typing import Any

import brokers
import numpy as np
import pytest
from deaths import killed_after
from project import ROOT

from rate_models.errors import BadOption, BadSample, MissingData
from streaming import OnlineLearner
from streaming.files import checkpoint
from streaming.runs.run import Hooks, RunConfig, resume, run
from streaming.sources import Options, open_source

pytest.importorskip("paho.mqtt.client")
if brokers.program() is None:
    pytest.skip("no mosquitto: apt-get install mosquitto", allow_module_level=True)

SMALL: dict[str, Any] = {"hidden": 8, "lr": 0.01, "interval": 200, "save_every": 200}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    number = brokers.free_port()
    with brokers.broker(tmp_path_factory.mktemp("broker"), number):
        yield number


@pytest.fixture
def topic() -> str:
    return f"t/{uuid.uuid4()}"


class Sending:
    """Hooks of a run that send messages once the source reads, and stop after ``total``."""

    def __init__(self, port: int, topic: str, payloads: list[Any], total: int) -> None:
        self._how, self._total, self.done = (port, topic, payloads), total, 0
        self.shown: list[str] = []
        self._thread: threading.Thread | None = None
        self.hooks = Hooks(watch=self._watch, stop=self._stop, notify=self.shown.append, draw=False)

    def _watch(self, this: Any) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._send)
            self._thread.start()
        live = this.report()
        self.done = live["received"] - live["waiting"]

    def _stop(self) -> bool:
        return self.done >= self._total

    def _send(self) -> None:
        port, topic, payloads = self._how
        with brokers.sender(port) as client:
            sent = None
            for payload in payloads:
                to, content = payload if isinstance(payload, tuple) else (topic, payload)
                sent = client.publish(to, content, qos=1)
            if sent is not None:
                sent.wait_for_publish(30)


def first(port: int, topic: str, payloads: list[Any]) -> threading.Thread:
    """Send the messages from which a source learns the features, a moment later."""

    def send() -> None:
        with brokers.sender(port) as client:
            time.sleep(0.3)
            for payload in payloads:
                client.publish(topic, payload, qos=1).wait_for_publish(10)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def as_json(n: int, **more: Any) -> list[str]:
    X, y = rows(n)
    return [
        json.dumps({"x": x, "label": int(k), "seq": i, **more})
        for i, (x, k) in enumerate(zip(X.tolist(), y, strict=True))
    ]


def config(port: int, topic: str, query: str = "", **options: Any) -> RunConfig:
    chosen = {"labels": "0,1,2", **SMALL, **options}
    return RunConfig.checked(source=f"mqtt://127.0.0.1:{port}/{topic}{query}", **chosen)


def same_as_a_pipe(folder: Path, n: int, tmp_path: Path) -> bool:
    with standard_input([csv(n)]):
        run(RunConfig.checked(source="stdin", **SMALL), tmp_path / "pipe", Hooks(draw=False))
    one, other = (
        OnlineLearner.load(f / "checkpoint").parameters()["W"] for f in (folder, tmp_path / "pipe")
    )
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_json_is_learned_in_order_and_predictions_come_back(
    port: int, topic: str, tmp_path: Path
) -> None:
    messages, got = as_json(1000), list[Any]()
    with brokers.sender(port) as reader:
        reader.on_message = lambda client, data, one: got.append(json.loads(one.payload))
        reader.subscribe(f"{topic}/predicted", 1)
        thread = first(port, topic, messages[:1])
        sending = Sending(port, topic, messages[1:], 1000)
        publish = f"mqtt://127.0.0.1:{port}/{topic}/predicted"
        summary = run(config(port, topic, publish=publish), tmp_path / "r", sending.hooks)
        thread.join()
        deadline = time.monotonic() + 10
        while len(got) < 1000 and time.monotonic() < deadline:
            time.sleep(0.01)
    live = summary["live"]
    assert live["learned"] == live["received"] == 1000 and adds_up(live)
    assert live["missed"] == live["malformed"] == 0
    assert len(got) == 1000 and {one["prediction"] for one in got} == {0, 1, 2}
    assert same_as_a_pipe(tmp_path / "r", 1000, tmp_path)
    assert live["latency"]["learned"]["p99_ms"] is not None


def packed(n: int, label: bool = True, width: int = 4) -> np.ndarray:
    X, y = rows(n)
    kind = [("seq", "<i8"), ("time", "<f8"), ("label", "<f8"), ("x", "<f4", (width,))]
    records = np.zeros(n, np.dtype(kind))
    records["seq"], records["time"], records["x"] = np.arange(n), np.arange(n) / 100, X
    records["label"] = y if label else np.nan
    return records


def test_packed_records_with_gaps_and_labels_by_another_topic(
    port: int, topic: str, tmp_path: Path
) -> None:
    records, (_, y) = packed(500, label=False), rows(500)
    payloads: list[Any] = [records[i : i + 5].tobytes() for i in range(0, 500, 5)]
    payloads[10:14] = []  # 20 samples that are never sent
    payloads += [
        (f"{topic}/labels", json.dumps({"key": i, "label": int(k)})) for i, k in enumerate(y)
    ]
    payloads += [(f"{topic}/labels", b"no label"), (f"{topic}/labels", b'{"x": [1, 2, 3, 4]}')]
    sending = Sending(port, topic, payloads, 10**9)
    options = {"on_bad": "skip", "samples": 480, "label_wait": 30, "seconds": 30}
    summary = run(config(port, topic, f"?packed=4&labels={topic}/labels", **options),
                  tmp_path / "r", sending.hooks)  # fmt: skip
    live = summary["live"]
    assert live["learned"] == 480 and live["missed"] == 20 and adds_up(live)
    assert live["dropped"] == live["malformed"] == live["unlabelled"] == 0


def test_classes_appear_in_json_in_packed_records_and_in_late_labels(
    port: int, topic: str, tmp_path: Path
) -> None:
    X, _ = rows(300)
    kinds = ["ab"[i % 2] if i < 150 else "abc"[i % 3] for i in range(300)]
    messages: list[Any] = [json.dumps({"x": x, "key": i}) for i, x in enumerate(X.tolist())]
    messages += [
        (f"{topic}/labels", json.dumps({"key": i, "label": k})) for i, k in enumerate(kinds)
    ]
    first(port, topic, messages[:1])
    sending = Sending(port, topic, messages[1:], 300)
    how = {"classes": "grow", "labels": None, "seconds": 60}
    summary = run(config(port, topic, f"?labels={topic}/labels", **how), tmp_path / "late",
                  sending.hooks)  # fmt: skip
    assert summary["classes"] == ["a", "b", "c"] and summary["live"]["learned"] == 300
    assert summary["live"]["labels_unmatched"] == 0 and adds_up(summary["live"])
    records = packed(300)
    records["label"] += 7.0 * (np.arange(300) >= 150)
    sending = Sending(port, topic, [one.tobytes() for one in records], 300)
    summary = run(config(port, topic, "?packed=4", **how), tmp_path / "packed", sending.hooks)
    assert sorted(summary["classes"]) == [0, 1, 2, 7, 8, 9] and summary["live"]["learned"] == 300
    labelled = {**how, "labels": "a,b,c", "on_bad": "skip"}  # then they are numbers of labels
    sending = Sending(port, topic, [one.tobytes() for one in records], 300)
    summary = run(config(port, topic, "?packed=4", **labelled), tmp_path / "named", sending.hooks)
    assert sorted(summary["classes"]) == ["a", "b", "c"]
    assert summary["live"]["malformed"] == 150 and adds_up(summary["live"])


@pytest.mark.slow
def test_a_broker_that_is_restarted(topic: str, tmp_path: Path) -> None:
    number, shown = brokers.free_port(), list[str]()
    messages, state = as_json(600), {"received": 0, "restarted": False}
    with contextlib.ExitStack() as running:
        process = running.enter_context(brokers.broker(tmp_path, number))
        first(number, topic, messages[:300])

        def watch(this: Any) -> None:
            state["received"] = this.report()["received"]
            if state["received"] >= 300 and not state["restarted"]:
                state["restarted"] = True
                process.kill()
                process.wait()
                running.enter_context(brokers.broker(tmp_path, number))
            if this.live.reconnects and not state.get("again"):
                state["again"] = first(number, topic, messages[310:])

        hooks = Hooks(watch=watch, notify=shown.append, draw=False,
                      stop=lambda: state["received"] >= 590)  # fmt: skip
        summary = run(config(number, topic, seconds=60), tmp_path / "r", hooks)
        live = summary["live"]
        assert (live["learned"], live["missed"], live["reconnects"]) == (590, 10, 1)
        assert any("connecting again in" in line for line in shown)


def test_a_resumed_run_knows_what_it_missed(port: int, topic: str, tmp_path: Path) -> None:
    messages = as_json(900)
    first(port, topic, messages[:1])
    sending = Sending(port, topic, messages[1:400], 400)
    run(config(port, topic), tmp_path / "r", sending.hooks)
    thread = first(port, topic, messages[650:651])
    sending = Sending(port, topic, messages[651:], 650)
    live = resume(tmp_path / "r", sending.hooks)["live"]
    thread.join()
    assert live["learned"] == 650 and live["missed"] == 250 and adds_up(live)
    assert any("250 samples were missed since the run stopped" in line for line in sending.shown)


def test_a_broker_keeps_messages_for_a_name(port: int, topic: str, tmp_path: Path) -> None:
    messages, query = as_json(300), f"?id={uuid.uuid4()}"
    first(port, topic, messages[:1])
    sending = Sending(port, topic, messages[1:100], 100)
    run(config(port, topic, query), tmp_path / "r", sending.hooks)
    first(port, topic, messages[100:150]).join()  # while nobody reads
    sending = Sending(port, topic, messages[150:], 300)
    live = resume(tmp_path / "r", sending.hooks)["live"]
    assert live["learned"] == 300 and live["missed"] == live["malformed"] == 0
    assert same_as_a_pipe(tmp_path / "r", 300, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kept", [False, True])
def test_a_killed_run_goes_on_from_its_checkpoint_and_counts_the_gap(
    kept: bool, port: int, topic: str, tmp_path: Path
) -> None:
    """kept: whether the broker keeps messages while the run is not there."""
    folder, n = tmp_path / "r", 20_000
    (X, y), messages, query = rows(n), as_json(n), f"?id={uuid.uuid4()}" if kept else ""
    command = [
        sys.executable, "-m", "dendrostream", "run", "--labels", "0,1,2", "--hidden", "8",
        "--source", f"mqtt://127.0.0.1:{port}/{topic}{query}", "--lr", "0.01", "--quiet",
        "--interval", "200", "--save-every", "200", "--out", folder,
    ]  # fmt: skip
    ended, begun, state = threading.Event(), list[Any](), [0, 0]

    def send() -> None:
        with brokers.sender(port) as client:
            for message in messages:
                client.publish(topic, message, qos=1)
                if ended.wait(0.002):
                    break

    def between(this: Any) -> None:
        if not begun:
            begun.extend([this.position, *this.learner.parameters()["W"]])

    def watch(this: Any) -> None:
        state[:] = this.position, this.live.position().mark

    process, sender = (
        subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT),
        (threading.Thread(target=send)),
    )
    sender.start()
    try:
        killed_after(process, folder, 1000)
        arrays, meta = checkpoint.read(folder / "checkpoint")
        at, mark = meta["samples_seen"], meta["run"]["live"]["position"]["mark"]
        time.sleep(1)
        hooks = Hooks(stop=lambda: state[0] >= at + 1000, watch=watch, between=between, draw=False)
        live = resume(folder, hooks)["live"]
    finally:
        ended.set()
        sender.join(30)
    start = mark + 1 - at  # it subscribed in mid-stream
    learner = OnlineLearner(sizes=(4, 8, 3), lr=0.01, scale="running", dtype="float32")
    learner.learn_many(X[start : mark + 1], y[start : mark + 1])
    stored = OnlineLearner.restored(arrays, meta, folder).parameters()["W"]
    assert begun[0] == at
    for one, before, after in zip(learner.parameters()["W"], stored, begun[1:], strict=True):
        assert np.array_equal(one, before) and np.array_equal(before, after)
    assert adds_up(live) and live["malformed"] == live["dropped"] == live["unlabelled"] == 0
    taken = live["received"] - live["waiting"]
    assert taken == live["learned"] and start + taken + live["missed"] == state[1] + 1
    # without a name also those sent while no run was there, a second at least
    assert live["missed"] > 0 and (kept or live["missed"] > 300)


def fuzzed(rng: np.random.Generator, n: int) -> tuple[list[bytes], int, int]:
    """Messages, how many are good, and how many are malformed late labels."""
    good = [message.encode() for message in as_json(n)]
    payloads, fine, labels = list[bytes](), 0, 0
    for i in range(n):
        one = good[i].replace(b'"seq": %d' % i, b'"seq": %d' % (i + 1))
        kind = rng.integers(12)
        if kind == 0:
            one = one[: rng.integers(1, len(one))]
        elif kind == 1:
            one = bytes(rng.integers(256, size=rng.integers(1, 60), dtype=np.uint8))
        elif kind == 2:
            one = one.replace(b'"x": [', b'"x": [NaN, ')
        elif kind == 3:
            one = json.dumps({"x": [1, 2, 3, 4][: rng.integers(4)], "label": 0}).encode()
        elif kind == 4:
            one = b'{"x": [1, 2, "3", 4], "label": 1}'
        elif kind == 5:
            one = b'{"x": [1, 2, 3, 1e400], "label": 1}'
        elif kind == 6:
            one = b'{"x": [1, 2, 3, 4], "label": "' + b"9" * 3000 + b'"}'
        elif kind == 7:
            one = rng.choice([b"[" * 100_000, b'{"x": ' + b"9" * 5000 + b"}", b"null", b"7", b"{}"])
        elif kind == 8:
            one = b'{"x": [1, 2, 3, 4], "label": 1, "key": {"a": 1}}'
        elif kind == 9:
            one, labels = b'{"label": "none of them", "key": 3}', labels + 1
        else:
            fine += 1
        payloads.append(bytes(one))
    return payloads, fine, labels


@pytest.mark.parametrize("n", [500, pytest.param(10_000, marks=pytest.mark.slow)])
def test_fuzzed_messages_are_counted(n: int, port: int, topic: str, tmp_path: Path) -> None:
    payloads, fine, labels = fuzzed(np.random.default_rng(1), n)
    first(port, topic, ['{"x": [1, 2, 3, 4], "label": 0, "seq": 0}'])
    sending = Sending(port, topic, payloads, n - labels + 1)
    summary = run(config(port, topic, "?most=50000", on_bad="skip", interval=5000, seconds=60),
                  tmp_path / "r", sending.hooks)  # fmt: skip
    live = summary["live"]
    assert live["learned"] == fine + 1 and adds_up(live) and live["labels_malformed"] == labels
    assert live["malformed"] == n - fine - labels == live["received"] - fine - 1
    assert 0.8 * labels < live["missed"] <= labels  # labels took the place of numbered samples


def test_fuzzed_records_are_counted(port: int, topic: str, tmp_path: Path) -> None:
    rng, records = np.random.default_rng(2), packed(2000)
    size = records.itemsize
    bad = rng.random(2000) < 0.3
    odd = np.array([np.nan, np.inf, -np.inf, 1e30])
    records["x"][bad, rng.integers(4, size=bad.sum())] = rng.choice(odd, bad.sum())
    records["label"][::97], bad[::97] = [3, -1, 0.5, 1e300, np.inf, 7][1], True
    payloads = [records[i : i + 1].tobytes() for i in range(2000)]
    cut = [p[: rng.integers(size)] for p in payloads[:200]] + [payloads[0] * 3 + b"x"]
    sending = Sending(port, topic, [*payloads, *cut], 2201)
    options = {"on_bad": "skip", "interval": 1000, "seconds": 30}
    live = run(config(port, topic, "?packed=4", **options), tmp_path / "r", sending.hooks)["live"]
    assert live["learned"] == 2000 - bad.sum() and live["malformed"] == bad.sum() + 201
    assert adds_up(live) and live["missed"] == 0  # the malformed ones were received


def test_a_bad_message_can_stop_the_run(port: int, topic: str, tmp_path: Path) -> None:
    messages = as_json(100)
    first(port, topic, messages[:1])
    sending = Sending(port, topic, [*messages[1:50], "{", *messages[50:]], 10**9)
    with pytest.raises(BadSample, match="a message of 1 bytes: got no JSON"):
        run(config(port, topic), tmp_path / "r", sending.hooks)
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    assert summary["live"]["learned"] == 50 and summary["stopped"] == "error"


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["block", "drop_oldest", "drop_newest"])
def test_a_sender_faster_than_learning(port: int, topic: str, policy: str, tmp_path: Path) -> None:
    messages = as_json(1500)
    first(port, topic, messages[:1])
    sending, most = Sending(port, topic, messages[1:], 1500), [0]

    def watch(this: Any) -> None:
        sending._watch(this)
        most[0] = max(most[0], this.live.queue.waiting)
        time.sleep(0.002)

    hooks = Hooks(watch=watch, stop=sending._stop, draw=False)
    options = {"queue": 40, "interval": 10, "save_every": 500, "when_full": policy, "seconds": 60}
    live = run(config(port, topic, **options), tmp_path / "r", hooks)["live"]
    assert live["received"] == 1500 and live["missed"] == live["malformed"] == 0 and adds_up(live)
    assert most[0] <= live["queued_most"] <= 40
    assert policy != "block" or live["dropped"] == 0


def test_connections_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match="expected a broker that answers"):
        open_source(f"mqtt://127.0.0.1:{brokers.free_port()}/t", Options(labels="a,b"))
    for text in ("mqtt:host", "mqtt://host", "mqtt://host/+", "mqtt://h:x/t", "mqtt://u:p@h/t",
                 "mqtt://h/t?qos=2", "mqtt://h/t?a=b", "mqtt://h/t?packed=no"):  # fmt: skip
        with pytest.raises(BadOption, match="mqtt"):
            open_source(text, Options(labels="a,b"))
    number = brokers.free_port()
    with (
        brokers.broker(tmp_path, number, "allow_anonymous false"),
        pytest.raises(MissingData, match="refused"),
    ):
        open_source(f"mqtt://127.0.0.1:{number}/t", Options(labels="a,b"))
