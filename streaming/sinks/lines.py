"""FILE: predictions as lines of JSON, appended to a file: {"prediction": "a", "time": 1.5}."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from streaming.sinks import Notify, Predictions, Sink, SinkFile


class Lines(Sink):
    """Appends to a file; see the module."""

    def __init__(self, path: Path, notify: Notify) -> None:
        self._file, self._notify = path.open("a", encoding="utf-8"), notify
        self._failed = False

    def send(self, predictions: Predictions) -> None:
        """See `Sink.send`."""
        try:
            for record in predictions.records():
                self._file.write(json.dumps(record) + "\n")
            self._file.flush()
        except OSError as error:
            if not self._failed:
                self._notify(f"--publish {self._file.name}: {error.strerror}; predictions are lost")
            self._failed = True

    def close(self) -> None:
        """See `Sink.close`."""
        self._file.close()


def open(target: str, classes: tuple[Any, ...] | None, n_outputs: int, notify: Notify) -> Sink:
    return Lines(Path(target.removeprefix("lines:")).expanduser(), notify)


SINK = SinkFile(__name__, open=open)
