"""follow:FILE: the lines of a file that grows, from its beginning on, like ``tail -F``.

    dendrostream run --source follow:sensor.csv --labels calm,storm

Rows of CSV or lines of JSON, see `streaming.live.lines`. The file may be rotated (renamed, and a
new one begun: the old one is read to its end first) or truncated (it is read from its new
beginning). A first line with the same names is skipped. A resumed run reads on where the earlier
one stopped, also in a file that was renamed in the same folder meanwhile, and misses nothing;
where the old file is gone, it says so. The run ends by Ctrl-C, --samples, --seconds or --accuracy.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

from rate_models.errors import BadOption, MissingData
from streaming.live.lines import LineSource, format_of, lines_needed, peek
from streaming.live.splitting import Splitter
from streaming.sources import Options, SourceFile

AT_ONCE = 1 << 18  # bytes
PAUSE = 0.02  # seconds between looks for new lines


def open(argument: str | None, options: Options) -> Follow:
    if not argument:
        raise BadOption("follow", got="no file", expected="follow:FILE.csv")
    try:
        path = Path(argument).expanduser()
        there = path.is_file()
    except (OSError, RuntimeError) as error:
        raise MissingData("follow", got=error, expected="a file that can be read") from None
    if not there:
        raise MissingData("follow", got=f"no file {path}", expected="follow:FILE.csv")
    return Follow(path.absolute(), options)


class Follow(LineSource):
    """The lines of a growing file; see the module. again: it reads on after a stop."""

    again = True

    def __init__(self, path: Path, options: Options) -> None:
        self._path = path
        with path.open("rb", buffering=0) as file:
            first = peek(lambda timeout: file.read(AT_ONCE) or None, lines_needed(options)).lines
        name = f"follow:{path}"
        super().__init__(name, options, format_of(name, first, options))

    def read(self) -> None:
        """See `LiveSource.read`."""
        file, offset = self._first_file()
        while True:
            with file:
                splitter = Splitter(file.seek(offset))
                origin, offset = os.fstat(file.fileno()).st_ino, 0
                self.connected()
                replaced = self._follow(file, splitter, origin)
                if replaced is None:
                    return
            file = replaced

    def _follow(self, file: io.FileIO, splitter: Splitter, origin: int) -> io.FileIO | None:
        """Read a file until another one takes its place, which is returned; None to stop."""
        replaced: io.FileIO | None = None
        while not self.closing:
            if some := file.read(AT_ONCE):
                self.lines(splitter.add(some), splitter, origin)
                continue
            if replaced is not None:  # the old file is read to its end
                self.lines(splitter.end(), splitter, origin)
                return replaced
            replaced = self._replacement(file)
            if replaced is None and self.pause(PAUSE):
                return None
        return None

    def _replacement(self, file: io.FileIO) -> io.FileIO | None:
        """The file that is now at the path, if it is another one or was truncated."""
        ours = os.fstat(file.fileno())
        try:
            new = io.FileIO(self._path, "r")
        except OSError:  # between a rename and the new file, or out of reach for a while
            return None
        theirs = os.fstat(new.fileno())
        another = (theirs.st_ino, theirs.st_dev) != (ours.st_ino, ours.st_dev)
        if another or theirs.st_size < file.tell():
            return new
        new.close()
        return None

    def _first_file(self) -> tuple[io.FileIO, int]:
        """The file to begin with, and the offset: that of the stopped run, if there is one."""
        if self.start is None or self.start.mark < 0:
            return io.FileIO(self._path, "r"), 0
        for path in (self._path, *sorted(self._path.parent.glob(f"{self._path.name}*"))):
            try:
                file = io.FileIO(path, "r")
            except OSError:
                continue
            status = os.fstat(file.fileno())
            if status.st_ino == self.start.origin and status.st_size >= self.start.mark:
                return file, self.start.mark
            file.close()
        self.notify(
            f"{self.name}: the file that the run stopped in is gone or was truncated; it goes on "
            "with the one there now, and cannot tell how many samples it missed"
        )
        return io.FileIO(self._path, "r"), 0


SOURCE = SourceFile(__name__, open=open, table=True, live=True)
