"""mqtt://HOST/TOPIC: predictions as MQTT messages in JSON, one each: {"prediction": "a", "key": 7}.

They are sent at quality of service 0, on a connection of their own. While the broker is not there
they are lost, which is reported once. Needs the extra ``mqtt``.
"""

from __future__ import annotations

import json
from typing import Any

from rate_models.errors import MissingData, UserError
from streaming.live.connections.mqtt import Address, address, client, connect
from streaming.sinks import Notify, Predictions, Sink, SinkFile


class Mqtt(Sink):
    """Publishes to a topic; see the module."""

    def __init__(self, to: Address, notify: Notify) -> None:
        self._to, self._notify, self._failed = to, notify, False
        self._client = client(to)
        try:
            connect(self._client, to, thread=True)  # which connects again by itself
        except UserError:
            self._client.loop_stop()
            raise
        except OSError as error:
            self._client.loop_stop()
            raise MissingData("--publish", got=f"{to.text}: {error}", expected="a broker") from None

    def send(self, predictions: Predictions) -> None:
        """See `Sink.send`."""
        for record in predictions.records():
            if self._client.publish(self._to.topic, json.dumps(record)).rc and not self._failed:
                self._notify(f"--publish {self._to.text}: no connection; predictions are lost")
                self._failed = True

    def close(self) -> None:
        """See `Sink.close`."""
        self._client.disconnect()
        self._client.loop_stop()


def open(target: str, classes: tuple[Any, ...] | None, n_outputs: int, notify: Notify) -> Sink:
    return Mqtt(address(target, (), "--publish"), notify)


SINK = SinkFile(__name__, open=open)
