"""A mosquitto on loopback, and a client that sends to it."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def program() -> str | None:
    """The path of mosquitto; Debian has it in /usr/sbin."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def broker(folder: Path, port: int, more: str = "allow_anonymous true") -> Iterator[Any]:
    """A broker on this port until the end of the context."""
    settings = folder / f"mosquitto-{port}.conf"
    user = "user root\n" if Path("/root").stat().st_uid == 0 else ""
    settings.write_text(f"listener {port} 127.0.0.1\n{user}{more}\nmax_queued_messages 0\n")
    process = subprocess.Popen([program() or "", "-c", str(settings)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
                break
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.02)
        yield process
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def sender(port: int) -> Iterator[Any]:
    """A connected client, whose messages are delivered in the background."""
    import paho.mqtt.client as paho

    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.max_queued_messages_set(0)
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()
