"""Connections to an MQTT broker, for the source and the sink; each has one of its own.

One connection for both made a broker lose up to 6 % of 20,000 messages in a burst, and was a
hundred times slower at quality of service 1.
"""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from rate_models.errors import BadOption, MissingData
from rate_models.support.extras import import_extra

USER, PASSWORD = "DENDROSTREAM_MQTT_USER", "DENDROSTREAM_MQTT_PASSWORD"
KEEPALIVE = 120  # seconds
OPENING = 5.0  # seconds for a connection to be established


@dataclass(frozen=True)
class Address:
    """An address ``mqtt://HOST[:PORT]/TOPIC[?KEY=VALUE&...]``."""

    text: str
    host: str
    port: int
    topic: str
    given: Mapping[str, str]


def address(text: str, keys: tuple[str, ...], where: str) -> Address:
    """The parts of an address. Raises BadOption for one that is invalid, or has other keys.

    >>> address("mqtt://localhost/a/b?qos=1", ("qos",), "mqtt").topic
    'a/b'
    """
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        host, port = None, None
    topic = url.path.removeprefix("/") if host else ""
    if not host or not topic or "+" in topic or "#" in topic or "\0" in topic:
        raise BadOption(where, got=text, expected="mqtt://HOST/TOPIC, without wildcards")
    if url.username or url.password:
        raise BadOption(
            where, got="a user's name in the address", expected="mqtt://HOST/TOPIC",
            remedy=f"set {USER} and {PASSWORD}: the address is written to the run's folder",
        )  # fmt: skip
    given = dict(parse_qsl(url.query, keep_blank_values=True))
    if odd := set(given) - {*keys, "tls"}:
        raise BadOption(where, got=min(odd), expected=f"one of {', '.join((*keys, 'tls'))}")
    tls = given.get("tls", "0") == "1"
    return Address(text, host, port or (8883 if tls else 1883), topic, given)


def client(to: Address) -> Any:
    """A client for a broker, not connected yet. Raises MissingExtra."""
    paho = import_extra("paho.mqtt.client", "mqtt", "mqtt")
    made = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=to.given.get("id", ""),
                       clean_session="id" not in to.given)  # fmt: skip
    if user := os.environ.get(USER):
        made.username_pw_set(user, os.environ.get(PASSWORD))
    if to.given.get("tls", "0") == "1":
        made.tls_set()
    return made


def connect(made: Any, to: Address, thread: bool = False) -> None:
    """Connect a client, and wait until the broker has accepted it.

    thread: let a thread of the client send and receive from now on; else its `loop` does.
    Raises OSError if there is no broker, and MissingData if it refuses.
    """
    answers = queue.SimpleQueue[Any]()
    made.on_connect = lambda client, data, flags, reason, properties: answers.put(reason)
    made.connect(to.host, to.port, keepalive=KEEPALIVE)
    if thread:
        made.loop_start()
    due = time.monotonic() + OPENING
    while answers.empty():
        error = 0
        if thread:
            time.sleep(0.01)
        else:
            error = made.loop(timeout=0.1)
        if time.monotonic() > due or (error and answers.empty()):
            raise OSError("no answer from the broker")
    if (reason := answers.get()).is_failure:
        got = f"refused: {reason}"
        raise MissingData(to.text, got=got, expected="a broker that accepts this client",
                          remedy=f"set {USER} and {PASSWORD}")  # fmt: skip
