"""mqtt://HOST[:PORT]/TOPIC[?KEY=VALUE&...]: messages of an MQTT broker.

    dendrostream run --source mqtt://localhost/sensor --labels calm,storm

======== ======= ================================================================
key      default meaning
======== ======= ================================================================
packed   none    number of features of binary messages; without it they are JSON
labels   none    topic of late labels in JSON, beside those in TOPIC
most     1048576 bytes of a message; larger ones are malformed
qos      1       quality of service: 0 (at most once) or 1 (at least once)
id       none    a name under which the broker keeps messages while not connected
tls      0       1: an encrypted connection
======== ======= ================================================================

JSON: see `streaming.live.messages`; the first messages tell the features and, unless ``--labels``,
``--classes grow`` or ``--task regression`` do, the classes. Packed: one or more records of
little-endian numbers: sequence number (int64, -1 for none), time in seconds (float64, NaN for
none), label (float64: an index into ``--labels``, else the whole number that a class is called or a
number to predict; NaN for none), features (float32 each); the sequence number is also the key for
late labels.

Gaps in the sequence numbers count as missed, less the malformed messages in between; a number that
is repeated counts as malformed. Retained messages are not part of the stream. User name and
password come from the environment: DENDROSTREAM_MQTT_USER, DENDROSTREAM_MQTT_PASSWORD. Needs the
extra ``mqtt``.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any, NamedTuple

import numpy as np

from rate_models.errors import BadOption, MissingData
from streaming.live.collecting import Collector
from streaming.live.connections.mqtt import Address, address, client, connect
from streaming.live.inferring import SECONDS, classes_of, samples_needed, schema_of
from streaming.live.messages import Message, decoded, is_label, message
from streaming.live.reconnecting import ConnectionGone
from streaming.live.schema import Malformed, Schema
from streaming.live.source import LiveSource, check_options
from streaming.sources import Options, SourceFile

KEYS = ("packed", "labels", "most", "qos", "id")
TIMEOUT = 0.1  # seconds between looks whether to stop


class Received(NamedTuple):
    """A message: its content, when it arrived, and whether the broker may have sent it before."""

    payload: bytes
    arrived: int
    again: bool
    label: bool


def open(argument: str | None, options: Options) -> Mqtt:
    return Mqtt(address(f"mqtt:{argument or ''}", KEYS, "mqtt"), options)


class Mqtt(LiveSource):
    """Messages of a topic; see the module."""

    def __init__(self, to: Address, options: Options) -> None:
        self._to = to
        features = _whole(to, "packed", 0, 1, 1_000_000) if "packed" in to.given else 0
        self._most = _whole(to, "most", 1 << 20, 1, 1 << 28)
        self._qos = _whole(to, "qos", 1, 0, 1)
        check_options(options, to.text)
        self._inbox = deque[Received]()
        try:
            self._client: Any = self._subscribed()
        except OSError as error:
            raise MissingData(to.text, got=error, expected="a broker that answers") from None
        if features:
            schema = Schema(features, classes_of(to.text, (), options))
        else:
            schema = schema_of(to.text, self._first(options), options)
        super().__init__(to.text, options, schema, None)
        self._record = np.dtype(
            [("seq", "<i8"), ("time", "<f8"), ("label", "<f8"), ("x", "<f4", (features,))]
        )
        self._packed, self._collector = bool(features), Collector(self)
        self._last = -1  # sequence number

    def read(self) -> None:
        """See `LiveSource.read`."""
        if self.start is not None:
            self._collector, self._last = Collector(self, self.start.mark), self.start.mark
            self.start = None
        try:
            if self._client is None:
                self._client = self._subscribed()
            self.connected()
            while not self.closing:
                error = self._client.loop(timeout=TIMEOUT)
                while self._inbox:
                    self._add(self._inbox.popleft())
                self._collector.flush()
                if error:
                    raise ConnectionGone(f"connection lost (code {int(error)})")
            self._client.disconnect()
        except OSError as error:
            raise ConnectionGone(str(error)) from None
        finally:
            self._client = None

    def _add(self, one: Received) -> None:
        """A message into the collector, or into the counts."""
        where = (
            f"a message of {len(one.payload):,} bytes"
            if len(one.payload) <= self._most
            else ("a message")
        )
        content: dict[str, Any] | None = None
        try:
            if len(one.payload) > self._most:
                raise Malformed(f"got more than {self._most:,} bytes")
            if self._packed and not one.label:
                self._add_records(one, where)
                return
            content = decoded(one.payload)
            self._keep(message(content, self.schema), one)
        except Malformed as problem:
            if one.label or (content is not None and is_label(content, self.schema)):
                self._collector.malformed_label(where, str(problem))
            else:
                self._collector.malformed(where, str(problem))

    def _add_records(self, one: Received, where: str) -> None:
        """The records of a packed message. Raises Malformed unless they are whole."""
        size = self._record.itemsize
        if not one.payload or len(one.payload) % size:
            got = f"got {len(one.payload):,} bytes"
            raise Malformed(f"{got}; expected records of {size:,} bytes")
        for record in np.frombuffer(one.payload, self._record):
            try:
                self._keep(self._of_record(record), one)
            except Malformed as problem:
                self._collector.malformed(f"a record of {where}", str(problem))

    def _keep(self, content: Message, one: Received) -> None:
        if one.label and content.x is not None:
            raise Malformed("got features in the topic of labels")
        if content.x is not None:
            if one.again and 0 <= content.seq <= self._last:
                raise Malformed(f"got sequence number {content.seq} a second time")
            self._last = content.seq
        self._collector.add(content, one.arrived)

    def _of_record(self, record: Any) -> Message:
        """The sample in a record. Raises Malformed."""
        schema, x, y = self.schema, record["x"].astype(np.float64), float(record["label"])
        named = None if schema.classes is None else self.options.labels
        schema.check(x)
        if y != y:
            y = schema.no_label
        elif named is None:
            y = schema.label(y)
        elif not (y.is_integer() and 0 <= y < len(named)):
            raise Malformed(f"got class {y:g}; expected 0 to {len(named) - 1}")
        seq, at = int(record["seq"]), float(record["time"])
        if not -1 <= seq < 2**62 or (at == at and not abs(at) < 1e15):
            raise Malformed("got an impossible sequence number or time")
        return Message(x, y, None if seq < 0 else seq, at, seq)

    def _subscribed(self) -> Any:
        """A client that is connected and subscribed."""
        made, answers = client(self._to), list[Any]()
        connect(made, self._to)
        labels = self._to.given.get("labels")
        topics = [self._to.topic, *([labels] if labels else [])]
        made.on_message = self._arrived
        made.on_subscribe = lambda client, data, number, reasons, properties: answers.extend(
            reasons
        )
        made.subscribe([(topic, self._qos) for topic in topics])
        due = time.monotonic() + TIMEOUT * 50
        while len(answers) < len(topics):
            if made.loop(timeout=TIMEOUT) or time.monotonic() > due:
                raise OSError("no answer to the subscription")
        for topic, reason in zip(topics, answers, strict=True):
            if reason.is_failure:
                raise MissingData(self._to.text, got=f"{topic} refused: {reason}",
                                  expected="a topic that may be read")  # fmt: skip
        return made

    def _arrived(self, client: Any, data: Any, got: Any) -> None:
        if not got.retain:
            label = got.topic != self._to.topic
            payload = got.payload[: self._most + 1]  # of what is too long no more is kept
            self._inbox.append(Received(payload, time.perf_counter_ns(), got.dup, label))

    def _first(self, options: Options) -> list[dict[str, Any]]:
        """The first messages, which stay in the inbox."""
        contents, looked, due = list[dict[str, Any]](), 0, 0.0
        while len(contents) < samples_needed(options) and not (due and time.monotonic() > due):
            if self._client.loop(timeout=TIMEOUT):
                raise MissingData(self._to.text, got="connection lost", expected="a first message")
            for one in list(self._inbox)[looked:]:
                looked += 1
                try:
                    content = decoded(one.payload) if len(one.payload) <= self._most else {}
                except Malformed:
                    continue
                if set(content) - {"label", "key", "time", "seq"}:
                    contents.append(content)
                    due = due or time.monotonic() + SECONDS
        return contents


def _whole(to: Address, key: str, default: int, least: int, most: int) -> int:
    text = to.given.get(key, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 12 and least <= int(text) <= most):
        raise BadOption(f"mqtt {key}", got=repr(text), expected=f"{least} to {most:,}")
    return int(text)


SOURCE = SourceFile(__name__, open=open, live=True)
