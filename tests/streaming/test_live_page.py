"""The page of a run: its buffer, its control, its folder and its server; without a browser."""

from __future__ import annotations

import http.client
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from pipes import csv, standard_input
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from command_line import assert_one_error, called

from rate_models.errors import BadOption
from streaming import OnlineLearner
from streaming.files import checkpoint
from streaming.live_page.folder import FolderFeed
from streaming.live_page.ring import About, Frame, Point, Ring
from streaming.live_page.running import RunFeed
from streaming.live_page.watching import SHARE, Pace, Watcher
from streaming.runs.run import Hooks, RunConfig, resume, run
from streaming.sources import Options, open_source

pytest.importorskip("bokeh", reason="the extra live is not installed")
from streaming.live_page.server import served

ABOUT = About("pepita", "<digits>", (4, 3, 2), "accuracy", ("W1", "W2"), ("F",), (2, 2), False,
              False, "runs/<b>")  # fmt: skip
SMALL: dict[str, Any] = {
    "source": "synthetic", "hidden": 8, "lr": 0.01, "dtype": "float64", "interval": 500,
    "save_every": 100_000,
}  # fmt: skip


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def samples(feed: RunFeed) -> int:
    last = feed.ring.last
    return -1 if last is None else last.samples


class Running:
    """A run in a thread, with its feed."""

    def __init__(self, folder: Path, paused: bool = True, **options: Any) -> None:
        self.folder, self.stop = folder, threading.Event()
        self.feed = RunFeed(self.stop.is_set, paused)
        control = self.feed.control
        hooks = Hooks(self.stop.is_set, watch=control.watch, between=control.between, draw=False)
        config = RunConfig.checked(**{**SMALL, **options})
        self.summary: dict[str, Any] = {}
        self.thread = threading.Thread(
            target=lambda: self.summary.update(run(config, folder, hooks))
        )

    def __enter__(self) -> Running:
        self.thread.start()
        until(lambda: samples(self.feed) >= 0)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()

    def config(self) -> Any:
        return json.loads((self.folder / "config.json").read_text())


def test_the_buffer_is_bounded_and_gives_each_point_once() -> None:
    ring, seen, count = Ring(size=50), list[int](), 0
    for n in range(10_000):
        ring.add(Point(n), Frame(epoch=n))
        if n % 30 == 0:
            count, new = ring.after(count)
            seen += [p.samples for p in new]
    assert seen == [*range(9991)]
    count, new = ring.after(0)
    assert count == 10_000 and [p.samples for p in new] == [*range(9950, 10_000)]
    assert ring.frame.epoch == 9999 and ring.last == Point(9999)


def test_what_takes_long_is_done_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    for clock in ("perf_counter", "thread_time"):
        monkeypatch.setattr(time, clock, lambda: now[0])
    pace, spent = Pace(0.25), 0.0
    for _ in range(100_000):  # 1,000 s
        now[0] += 0.01
        if pace.due():
            pace.begin()
            now[0] += 0.1
            spent += 0.1
            pace.done()
    assert 0.8 * SHARE < spent / (now[0] - 100) < 1.2 * SHARE


def test_a_paused_run_learns_one_sample_for_each_step(tmp_path: Path) -> None:
    with Running(tmp_path / "r", samples=2000) as it:
        control = it.feed.control
        until(lambda: it.feed.ring.state == "paused")
        time.sleep(0.3)
        assert samples(it.feed) == 0
        for n in range(1, 4):
            control.step()
            until(lambda n=n: samples(it.feed) == n)  # type: ignore[misc]
            time.sleep(0.1)
            assert samples(it.feed) == n and control.paused
        control.pause(False)
        it.thread.join(60)
    assert it.summary["samples_seen"] == 2000 and it.summary["stopped"] == "samples"
    other = run(RunConfig.checked(**SMALL, samples=2000), tmp_path / "plain", Hooks(draw=False))
    assert other["loss"] == it.summary["loss"]
    a, b = (OnlineLearner.load(tmp_path / n / "checkpoint").parameters() for n in ("r", "plain"))
    assert all(np.array_equal(x, y) for x, y in zip(a["W"], b["W"], strict=True))


def test_pause_stops_a_run_and_ending_it_saves(tmp_path: Path) -> None:
    with Running(tmp_path / "r", paused=False) as it:
        until(lambda: samples(it.feed) > 2000)
        it.feed.control.pause()
        until(lambda: it.feed.ring.state == "paused")
        before = samples(it.feed)
        time.sleep(0.5)
        assert samples(it.feed) == before
        it.feed.control.step()
        until(lambda: samples(it.feed) == before + 1)
        it.feed.control.pause(False)
        until(lambda: samples(it.feed) > before + 2000)
        it.feed.control.pause()
    assert it.summary["stopped"] == "interrupted"
    assert resume(tmp_path / "r", Hooks(lambda: True, draw=False))["samples_seen"] > before + 2000


def test_rate_and_drift_are_options_of_the_run_from_then_on(tmp_path: Path) -> None:
    with Running(tmp_path / "r", source="synthetic:features=6") as it:
        control = it.feed.control
        for n in range(1, 6):
            control.step()
            until(lambda n=n: samples(it.feed) == n)  # type: ignore[misc]
        control.set_rate(0.05)
        until(lambda: it.feed.ring.frame.rate == 0.05)
        assert it.config()["lr"] == 0.05 and "0.05" in it.feed.ring.note
        assert checkpoint.read(tmp_path / "r" / "checkpoint")[1]["learner"]["lr"] == 0.05
        assert it.feed.ring.frame.can_drift
        control.drift()
        until(lambda: it.feed.ring.note.startswith("the stream drifts"))
        assert it.config()["source"] == "synthetic:features=6,also=256"
        control.set_rate(-1.0)
        until(lambda: it.feed.ring.note.startswith("not done: --lr: got -1"))
        control.drift()
        until(lambda: it.feed.ring.note.startswith("not done: drift: got a second one before"))
    lines = (tmp_path / "r" / "interventions.jsonl").read_text().splitlines()
    assert [json.loads(line)["samples"] for line in lines] == [5, 5]

    positions = list[int]()
    resume(tmp_path / "r", Hooks(
        lambda: bool(positions) and positions[-1] >= 1000,
        watch=lambda run: positions.append(run.position), draw=False,
    ))  # fmt: skip
    learned = OnlineLearner.load(tmp_path / "r" / "checkpoint")
    alone = OnlineLearner(**{**checkpoint.read(tmp_path / "r" / "checkpoint")[1]["learner"],
                             "lr": 0.01})  # fmt: skip
    before = open_source("synthetic:features=6", Options(seed=0))
    X = next(chunks(before, 256))[0]
    drifted = open_source("synthetic:features=6,also=256", Options(seed=0))
    X2, y2 = (np.concatenate(p) for p in zip(*chunks(drifted, positions[-1]), strict=True))
    assert np.array_equal(X, X2[:256]) and len(X2) >= 1000
    alone.learn_many(X2[:5], y2[:5])
    alone.set(lr=0.05)
    alone.learn_many(X2[5:], y2[5:])
    for one, other in zip(alone.parameters()["W"], learned.parameters()["W"], strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("source", [
    "synthetic:features=6,samples=3000", "drift:at=700:synthetic:samples=3000,features=6",
    "drift:kind=recurring,change=rotate,at=2000:digits",
])  # fmt: skip
def test_several_drifts_and_a_resumed_run_are_the_stream_with_their_name(
    source: str, tmp_path: Path
) -> None:
    feed, asked, at = RunFeed(lambda: False), [300, 1200, 2300], [0]

    def between(this: Any) -> None:
        at[0] = this.position
        if asked and this.position >= asked[0]:
            asked.pop(0)
            feed.control.drift()
        feed.control.between(this)

    config = RunConfig.checked(**{**SMALL, "source": source, "epochs": 2})
    run(config, tmp_path / "r", Hooks(lambda: at[0] >= 2500, between=between, draw=False))
    assert not asked and feed.ring.note.startswith("the stream drifts")
    name = json.loads((tmp_path / "r" / "config.json").read_text())["source"]
    assert "also=" in name
    resumed = resume(tmp_path / "r", Hooks(draw=False))
    plain = run(RunConfig.checked(**{**SMALL, "source": name, "epochs": 2}), tmp_path / "plain",
                Hooks(draw=False))  # fmt: skip
    a, b = (OnlineLearner.load(tmp_path / n / "checkpoint").parameters() for n in ("r", "plain"))
    assert all(np.array_equal(x, y) for x, y in zip(a["W"], b["W"], strict=True))
    assert resumed["loss"] == plain["loss"] and resumed["known_drifts"] == plain["known_drifts"]
    also = re.search(r"also=([0-9+]+)", name)
    assert also and {*map(int, also[1].split("+"))} <= {*resumed["known_drifts"]}


def chunks(source: Any, n: int) -> Iterator[Any]:
    for X, y in source.chunks(0, size=n):
        yield X, y
        return


def test_save_writes_a_checkpoint_at_once(tmp_path: Path) -> None:
    with Running(tmp_path / "r") as it:
        for n in range(1, 4):
            it.feed.control.step()
            until(lambda n=n: samples(it.feed) == n)  # type: ignore[misc]
        assert checkpoint.read(tmp_path / "r" / "checkpoint")[1]["run"]["position"] == 0
        it.feed.control.save()
        until(lambda: it.feed.ring.note == "saved after sample 3")
        assert checkpoint.read(tmp_path / "r" / "checkpoint")[1]["run"]["position"] == 3


@pytest.mark.parametrize("samples", [400, 401, 257])  # scratch is used in turn
def test_what_a_run_shows(samples: int, tmp_path: Path) -> None:
    ring = Ring()
    watcher, shown = Watcher(ring), list[Any]()

    def look(run: Any) -> None:
        if not shown:
            watcher.begin(run)
        watcher.look(run)
        shown.append(run)

    config = RunConfig.checked(hidden=(16, 9), samples=samples, seed=1)  # two chunks
    run(config, tmp_path / "r", Hooks(watch=look, draw=False))
    frame, point, last = ring.frame, ring.last, shown[-1]
    assert point is not None and point.samples == samples and 0 < point.score < 1 and point.pace > 0
    W = last.learner.parameters()["W"]
    assert len(point.norms) == 3
    assert ring.about is not None and ring.about.links == ("F",) and 0 < point.angles[0] < 180
    assert frame.x is not None and frame.x.shape == (64,) and ring.about.image_shape == (8, 8)
    assert frame.truth == str(last.last.true[-1]) and frame.truth in "0123456789"
    assert {k: [*v] for k, v in frame.activities.items()} == {
        "layer 1": ["soma", "dendrite"], "layer 2": ["soma", "dendrite"],
        "output": ["soma", "teaching signal"],
    }  # fmt: skip
    # the answer of the last sample was given with the weights from before it
    truth = np.zeros(10)
    truth[int(frame.truth)] = 1
    output = frame.activities["output"]
    assert np.allclose(output["soma"] - truth, output["teaching signal"], atol=1e-6)
    assert int(output["soma"].argmax()) == int(last.last.predicted[-1])
    watcher._weights = Pace(0)  # look at the weights now
    watcher.look(last)
    assert np.allclose(ring.last.norms, [np.linalg.norm(w) for w in W])  # type: ignore[union-attr]
    assert ring.frame.confusion is not None and ring.frame.confusion.sum() == samples


def looking(always: bool = False) -> tuple[Ring, Callable[[Any], None]]:
    """A ring, and a hook that fills it from a run; always: the weights too, at every look."""
    ring = Ring()
    watcher = Watcher(ring)

    def look(run: Any) -> None:
        if ring.about is None:
            watcher.begin(run)
        if always:
            watcher._weights = Pace(0)
        watcher.look(run)

    return ring, look


def test_a_live_stream_shows_its_latency(tmp_path: Path) -> None:
    ring, look = looking()

    options = {**SMALL, "source": "stdin"}
    with standard_input([csv(600)]):
        run(RunConfig.checked(**options), tmp_path / "r", Hooks(watch=look, draw=False))
    assert ring.about is not None and ring.about.live and ring.last is not None
    assert ring.last.samples == 600 and 0 < ring.last.p50 <= ring.last.p99 < 60_000


def test_a_stream_whose_classes_appear(tmp_path: Path) -> None:
    ring, look = looking(always=True)

    options = {**SMALL, "source": "stdin", "classes": "grow"}
    with standard_input([csv(600)]):
        run(RunConfig.checked(**options), tmp_path / "r", Hooks(watch=look, draw=False))
    assert ring.about is not None and ring.about.sizes == (4, 8, 3)
    assert ring.frame.labels and {*ring.frame.labels} == {"0", "1", "2"}
    assert ring.frame.confusion is not None and ring.frame.confusion.sum() == 599


def test_a_schedule_shows_its_workers(tmp_path: Path) -> None:
    ring, look = looking()

    options = {**SMALL, "hidden": (8, 8), "schedule": "delayed:2", "workers": 2, "samples": 512}
    run(RunConfig.checked(**options), tmp_path / "r", Hooks(watch=look, draw=False))
    assert ring.about is not None and ring.about.threads and len(ring.frame.busy) == 2
    assert all(0 < share <= 1 for share in ring.frame.busy)


def test_a_folder_is_shown_and_not_changed(tmp_path: Path) -> None:
    summary = run(RunConfig.checked(**SMALL, samples=1200), tmp_path / "r", Hooks(draw=False))
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "r").rglob("*")}
    feed = FolderFeed(tmp_path / "r")
    feed.refresh()
    _, points = feed.ring.after(0)
    assert [p.samples for p in points] == [500, 1000, 1200] and feed.ring.state == "ended"
    assert points[-1].score == summary["progressive_accuracy"] and feed.control is None
    frame = feed.ring.frame
    assert frame.confusion is not None and frame.confusion.tolist() == summary["confusion"]
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "r").rglob("*")} == before
    with open(tmp_path / "r" / "metrics.jsonl", "a") as file:
        file.write('{"samples": 1300, "windowed_loss": 0.5}\n{"samples": 14')
        file.flush()
        feed.refresh()
        assert [p.samples for p in feed.ring.after(3)[1]] == [1300]
        file.write("00}\nno JSON\n")
        file.flush()
        feed.refresh()
    assert [p.samples for p in feed.ring.after(4)[1]] == [1400]


def test_a_folder_shows_its_last_sample(tmp_path: Path) -> None:
    seen = list[Any]()
    hooks = Hooks(watch=lambda this: seen.append(this.recent[-1].copy()), draw=False)
    run(RunConfig.checked(hidden=(16, 9), samples=400), tmp_path / "r", hooks)
    feed = FolderFeed(tmp_path / "r")
    feed.refresh()
    frame, learner = feed.ring.frame, OnlineLearner.load(tmp_path / "r" / "checkpoint")
    assert feed.ring.about is not None and feed.ring.about.image_shape == (8, 8)
    assert frame.x is not None and np.array_equal(frame.x, seen[-1])
    assert frame.predicted == str(learner.predict_one(seen[-1])) and frame.truth == ""
    assert [*frame.activities] == ["layer 1", "layer 2", "output"]
    proba = [*learner.predict_proba_one(seen[-1]).values()]
    assert np.allclose(frame.activities["output"]["soma"], proba)
    assert "number 400" in frame.remark


def test_a_folder_without_a_sample_gives_the_reason(tmp_path: Path) -> None:
    run(RunConfig.checked(**SMALL), tmp_path / "r", Hooks(lambda: True, draw=False))
    arrays, meta = checkpoint.read(tmp_path / "r" / "checkpoint")
    for crafted in (np.zeros((0, 20)), np.zeros((3, 7)), np.full((1, 20), np.nan)):
        meta["run"]["image_shape"] = [-4, -5]
        checkpoint.write(tmp_path / "r" / "checkpoint", arrays | {"run.recent": crafted}, meta)
        feed = FolderFeed(tmp_path / "r")
        frame = feed._frame
        assert frame.x is None and not frame.activities
        assert "no sample" in frame.remark or "no answer" in frame.remark
        assert feed.ring.about is not None and feed.ring.about.image_shape is None


def test_a_folder_of_a_circuit_shows_its_compartments(tmp_path: Path) -> None:
    options = {"circuit": "pepita", "source": "synthetic", "hidden": 6, "samples": 60}
    run(RunConfig.checked(**options), tmp_path / "r", Hooks(draw=False))
    feed = FolderFeed(tmp_path / "r")
    assert feed._frame.activities["hidden_1"].keys() == {"dendrite", "soma", "rate"}
    assert feed._frame.activities["hidden_1"]["rate"].any()


@pytest.fixture(scope="module")
def page() -> Iterator[tuple[str, RunFeed]]:
    feed = RunFeed(lambda: False)
    feed.ring.about = ABOUT
    soma = {"layer 1": {"soma": np.ones(3), "dendrite": np.zeros(3)}}
    frame = Frame(1, 0.1, True, "1", "0", np.arange(4.0), np.eye(2), ("0", "1"), soma, (0.5, 0.25))
    feed.ring.add(Point(7, 1.0, 0.5, 0.75, 2.0, 1.0, 99.0, norms=(1.0, 2.0), angles=(88.0,)), frame)
    with served(feed) as address:
        yield address, feed


def asked(address: str, path: str | None = None, **headers: str) -> tuple[int, str]:
    """Status and text of the answer to a request; underscores in the names stand for hyphens."""
    to = urlsplit(address)
    connection = http.client.HTTPConnection("127.0.0.1", to.port, timeout=20)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", to.path if path is None else path, headers=named)
        answer = connection.getresponse()
        return answer.status, "" if answer.status == 101 else answer.read().decode()
    finally:
        connection.close()


def test_the_page_is_there_and_asks_no_other_host(page: tuple[str, RunFeed]) -> None:
    address, _ = page
    status, text = asked(address)
    own = urlsplit(address).netloc
    assert status == 200 and "&lt;digits&gt;" in text and "runs/&lt;b&gt;" in text
    assert "<digits>" not in text and len(urlsplit(address).path) > 40
    hosts = {*re.findall(r"(?:https?|wss?):\\?/\\?/([^/\\\"'\s<>)]+)", text)}
    assert hosts <= {own}, hosts
    linked = re.findall(r"(?:src|href)=\"([^\"]+)\"", text)
    assert any("bokeh" in one for one in linked)
    for one in linked:
        assert not one.startswith("//")
        if "static" in one:
            assert asked(address, urlsplit(one).path if "://" in one else one)[0] == 200


def test_a_page_from_before_the_run_loads_again_by_itself() -> None:
    feed = RunFeed(lambda: False)
    with served(feed) as address:
        status, text = asked(address)
    assert status == 200 and 'http-equiv="refresh"' in text and "compiling" in text


@pytest.mark.parametrize("path", ["/", "/wrong/", "/static/js/bokeh.min.js", "/wrong/ws", "/ws"])
def test_nothing_without_the_token(page: tuple[str, RunFeed], path: str) -> None:
    address, _ = page
    token = urlsplit(address).path.strip("/")
    for one in (path, path.replace("wrong", token[:-1]), path.replace("wrong", token + "x")):
        status, text = asked(address, one)
        assert status == 403 and "digits" not in text and len(text) < 200


def upgrade(address: str, session: str, **headers: str) -> int:
    """The status of a request for a web socket, with a session that the page has given."""
    ask = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec_WebSocket_Protocol": f"bokeh, {session}", **headers,
    }  # fmt: skip
    return asked(address, urlsplit(address).path + "ws", **ask)[0]


def test_other_hosts_and_origins_get_nothing(page: tuple[str, RunFeed]) -> None:
    address, _ = page
    own = urlsplit(address).netloc
    assert asked(address, Host=own.replace("127.0.0.1", "localhost"))[0] == 200
    assert asked(address, Origin=f"http://{own}")[0] == 200
    found = re.search(r'"token":"([^"]+)"', asked(address)[1])
    assert found is not None
    session = found[1]
    assert upgrade(address, session, Origin=f"http://{own}") == 101
    port = urlsplit(address).port
    for bad in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1.evil:{port}"):
        assert asked(address, Host=bad)[0] == 403
        assert asked(address, Origin=f"http://{bad}")[0] == 403
        assert upgrade(address, session, Origin=f"http://{bad}") == 403
        assert upgrade(address, session, Origin=f"http://{own}", Host=bad) == 403
    for bad in ("null", f"https://{own}", f"http://{own}/", "http://[::1]"):
        assert upgrade(address, session, Origin=bad) == 403


def test_only_this_machine_reaches_it(page: tuple[str, RunFeed]) -> None:
    port = urlsplit(page[0]).port
    assert port is not None
    others = {socket.gethostbyname(socket.gethostname()), "127.0.0.2"} - {"127.0.0.1"}
    for other in others:
        with pytest.raises(OSError), socket.create_connection((other, port), timeout=5):
            pass


def test_a_port_that_is_taken(page: tuple[str, RunFeed]) -> None:
    port = urlsplit(page[0]).port
    with pytest.raises(BadOption, match="in use"), served(page[1], port or 0):
        pass


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "r"
    options = ("--source", "synthetic", "--hidden", 8, "--samples", 700, "--no-stay", "--json")
    before = sys.getswitchinterval()
    result = called(capsys, "live", *options, "--out", out)
    assert result.code == 0 and json.loads(result.out)["samples_seen"] == 700
    assert re.search(r"page: http://127\.0\.0\.1:\d+/\S{40,}/\n", result.err)
    assert sys.getswitchinterval() == before
    assert_one_error(called(capsys, "live", "--open", out, "--lr", 0.1), "--lr", "--open")
    assert_one_error(called(capsys, "live", "--open", tmp_path), "--open: got no", "config.json")


def test_without_bokeh(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [n for n in sys.modules if n.startswith("streaming.live_page.")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [n for n in sys.modules if n.partition(".")[0] == "bokeh"]:
        monkeypatch.setitem(sys.modules, name, None)
    result = called(capsys, "live", "--out", tmp_path / "r")
    assert_one_error(result, 'pip install "dendrostream[live]"')
    assert not (tmp_path / "r").exists()
