"""stdin: samples from standard input as they arrive, rows of CSV or lines of JSON.

    my_program | dendrostream run --source stdin

The first lines tell the columns and, unless ``--labels``, ``--classes grow`` or ``--task
regression`` do, the classes: up to 1,000 lines, of which those after the first are waited for at
most 2 seconds. They are learned like all others. The run ends with the stream. A pipe cannot be
read again: what was in the queue when a run stopped is missed by a resumed run. For the format of
the lines see `streaming.live.lines`.
"""

from __future__ import annotations

import os
import select
import sys

from rate_models.errors import BadOption
from streaming.live.lines import LineSource, Peeked, format_of, lines_needed, peek
from streaming.live.splitting import Splitter
from streaming.sources import Options, SourceFile, no_argument

AT_ONCE = 1 << 18  # bytes
TIMEOUT = 0.1  # seconds between looks whether to stop


def open(argument: str | None, options: Options) -> Stdin:
    no_argument("stdin", argument)
    try:
        number = sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):
        raise BadOption("--source stdin", got="no standard input", expected="a pipe") from None
    return Stdin(number, options)


class Stdin(LineSource):
    """Lines from an open file, by its number; see the module."""

    def __init__(self, file: int, options: Options) -> None:
        self._file = file
        self._peeked: Peeked = peek(self._some_bytes, lines_needed(options))
        super().__init__("stdin", options, format_of("stdin", self._peeked.lines, options))

    def read(self) -> None:
        """See `LiveSource.read`."""
        self.connected()
        if self.start is not None:
            self.missed_at_start(self.start.queued)
        splitter, data = Splitter(0), self._peeked.data
        self.lines(splitter.add(data), splitter)
        while not self.closing:
            some = None if self._peeked.ended else self._some_bytes(TIMEOUT)
            if some is None:
                self.lines(splitter.end(), splitter)
                return
            if some:
                self.lines(splitter.add(some), splitter)

    def _some_bytes(self, timeout: float) -> bytes | None:
        """The next bytes; empty after the timeout, None at the end."""
        ready, _, _ = select.select([self._file], [], [], timeout)
        return (os.read(self._file, AT_ONCE) or None) if ready else b""


SOURCE = SourceFile(__name__, open=open, table=True, live=True)
