"""The page in a real browser: Debian's Chromium without a window, driven through the keyboard."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from project import ROOT

from streaming.files import checkpoint

pytest.importorskip("bokeh", reason="the extra live is not installed")
webdriver = pytest.importorskip("selenium.webdriver", reason="no selenium")
BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None or DRIVER is None, reason="no chromium or no chromedriver"),
]

# Bokeh's elements lie in shadow roots, which document.querySelectorAll does not enter.
DEEP = """
    const found = [], look = (root) => {
        for (const e of root.querySelectorAll("*")) {
            if (e.matches(arguments[0])) found.push(e);
            if (e.shadowRoot) look(e.shadowRoot);
        }
    };
    look(document);
"""


class Page:
    """``dendrostream live`` in a process of its own, and a browser at its address."""

    def __init__(self, folder: Path, width: int, *options: object) -> None:
        command = [sys.executable, "-m", "dendrostream", "live", *map(str, options)]
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE,
                                        stdout=subprocess.DEVNULL, text=True)  # fmt: skip
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if found := re.search(r"page: (http\S+)", line):
                self.address = found[1]
                break
        settings = webdriver.ChromeOptions()
        settings.binary_location = BROWSER or ""
        for option in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                       f"--user-data-dir={folder}"):  # fmt: skip
            settings.add_argument(option)
        settings.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        self.browser = webdriver.Chrome(settings, webdriver.ChromeService(DRIVER))
        self.resize(width)
        self.browser.get(self.address)
        self.until(lambda: bool(self.all("dd")))

    def close(self) -> int:
        self.browser.quit()
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=60)
        return self.process.returncode

    def resize(self, width: int, height: int = 900) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def all(self, selector: str) -> list[Any]:
        return list(self.browser.execute_script(DEEP + "return found", selector))

    def numbers(self) -> dict[str, str]:
        """The names and values that the page shows."""
        script = DEEP + "return found.map(e => [e.querySelector('dt').innerText, "
        return dict(self.browser.execute_script(
            script + "e.querySelector('dd').innerText])", "dl > div"))  # fmt: skip

    def samples(self) -> int:
        return int(self.numbers()["samples"].replace(",", ""))

    def note(self) -> str:
        return self.browser.execute_script(
            DEEP + "return found.map(e => e.innerText).join('')", "[role=status] *, .bk-clearfix"
        )

    def press(self, label: str) -> None:
        """Walk to a control with the tab key, and press it with the enter key."""
        keys = webdriver.common.keys.Keys
        self.browser.execute_script("document.activeElement.blur(); window.focus()")
        for _ in range(20):
            webdriver.ActionChains(self.browser).send_keys(keys.TAB).perform()
            if self.focused()[1] == label:
                webdriver.ActionChains(self.browser).send_keys(keys.ENTER).perform()
                return
        raise AssertionError(f"the tab key does not lead to {label}")

    def focused(self) -> tuple[str, str]:
        tag, text = self.browser.execute_script(
            "let e = document.activeElement; while (e.shadowRoot && e.shadowRoot.activeElement) "
            "e = e.shadowRoot.activeElement; return [e.tagName, e.innerText || '']")  # fmt: skip
        return tag, text.strip()

    def until(self, true: Callable[[], bool], seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.1)

    def hosts(self) -> set[str]:
        """All hosts that the browser has asked."""
        messages = [
            json.loads(m["message"])["message"] for m in self.browser.get_log("performance")
        ]
        asked = [m["params"]["request"]["url"] for m in messages
                 if m["method"] == "Network.requestWillBeSent"]  # fmt: skip
        asked += [m["params"]["url"] for m in messages if m["method"] == "Network.webSocketCreated"]
        return {urlsplit(url).netloc for url in asked if url.startswith(("http", "ws"))}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Page, Path]]:
    folder = tmp_path_factory.mktemp("live")
    options = ("--source", "synthetic", "--lr", 0.02, "--out", folder / "run", "--quiet")
    page = Page(folder / "browser", 1280, *options)
    yield page, folder / "run"
    code = page.close()
    assert code == 130


def test_a_person_watches_and_controls_a_run(page: tuple[Page, Path]) -> None:
    it, folder = page
    it.until(lambda: it.samples() > 0)
    first, score = it.samples(), it.numbers()["accuracy, all"]
    it.until(lambda: it.samples() > first and it.numbers()["accuracy, all"] != score)
    assert 0.3 < float(it.numbers()["accuracy, last 1,000"]) <= 1
    it.press("Pause")
    it.until(lambda: it.numbers()["state"] == "paused")
    stopped = it.samples()
    time.sleep(1.5)
    assert it.samples() == stopped and it.numbers()["state"] == "paused"
    it.press("Single step")
    it.until(lambda: it.samples() == stopped + 1)
    (field,) = it.all("input[type=text]")
    keys = webdriver.common.keys.Keys
    field.send_keys(keys.END, keys.BACKSPACE * 10, "-1", keys.ENTER)
    it.until(lambda: "not done: --lr: got -1" in it.note())
    field.send_keys(keys.END, keys.BACKSPACE * 10, "0.005", keys.ENTER)
    it.until(lambda: json.loads((folder / "config.json").read_text())["lr"] == 0.005)
    it.until(lambda: it.numbers()["learning rate"] == "0.005")
    it.press("Single step")
    it.until(lambda: it.samples() == stopped + 2)
    it.press("Save")
    it.until(lambda: f"saved after sample {stopped + 2:,}" in it.note())
    assert checkpoint.read(folder / "checkpoint")[1]["run"]["position"] == stopped + 2
    it.press("Cause a drift")
    it.until(lambda: "also=" in json.loads((folder / "config.json").read_text())["source"])
    it.press("Resume")
    it.until(lambda: it.samples() > stopped + 2000)
    it.press("Pause")
    it.press("Cause a drift")  # once more
    source = r"synthetic:also=\d+\+\d+"
    it.until(
        lambda: bool(
            re.fullmatch(source, json.loads((folder / "config.json").read_text())["source"])
        )
    )


@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_the_width(page: tuple[Page, Path], width: int) -> None:
    it, _ = page
    it.resize(width)
    it.browser.get(it.address)
    it.until(lambda: len(it.all(".bk-Figure")) >= 8)
    time.sleep(1)
    assert it.browser.execute_script("return document.documentElement.scrollWidth") == width
    sizes = it.browser.execute_script(
        DEEP + "return found.map(e => e.getBoundingClientRect()).map(r => [r.left, r.right, "
        "r.width, r.height])", ".bk-Figure, .bk-btn, .bk-input")  # fmt: skip
    for left, right, wide, high in sizes:
        assert (left >= 0 and right <= width and high >= 40) or wide == 0  # 0: not shown now


def test_no_other_host_is_asked_and_nothing_fails(page: tuple[Page, Path]) -> None:
    it, _ = page
    assert it.hosts() == {urlsplit(it.address).netloc}
    assert not [m for m in it.browser.get_log("browser") if m["level"] == "SEVERE"]


def test_a_folder_has_no_controls(page: tuple[Page, Path], tmp_path: Path) -> None:
    _, folder = page
    it = Page(tmp_path / "browser", 390, "--open", folder)
    try:
        assert not it.all("button, input") and it.samples() > 0
        assert it.numbers()["state"] in ("running elsewhere", "ended")
        assert any("answered by the stored network" in one.text for one in it.all(".bk-clearfix"))
    finally:
        assert it.close() == 0
