"""``dendrostream live``: a run, or the folder of one, as a page in the browser of this machine."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rate_models.errors import BadOption
from streaming.commands._options import flags, given, with_options
from streaming.commands._output import Json, Quiet
from streaming.commands.run import From, Out, Resume, stream
from streaming.options import RunOptions
from streaming.terminal import notify

if TYPE_CHECKING:
    from streaming.live_page.control import Control

BESIDE_OPEN = ("open_", "port", "quiet")
# A thread that has finished a compiled call waits at most so long for the page's thread; Python's
# default, 5 ms, is as long as a chunk of samples takes.
SWITCH = 0.0005
LAST = 0.6  # seconds in which open pages get the last state


@with_options(RunOptions)
def live(
    context: typer.Context,
    out: Out = None,
    resume: Resume = None,
    from_: From = None,
    open_: Annotated[
        Path | None,
        typer.Option(
            "--open",
            metavar="RUN_FOLDER",
            help="Show a run that has ended, or that another process goes on with; read only.",
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the page; 0: a free one.")
    ] = 0,
    paused: Annotated[bool, typer.Option("--paused", help="Begin paused.")] = False,
    stay: Annotated[
        bool, typer.Option(help="Keep the page when the run has ended, until Ctrl-C.")
    ] = True,
    json_: Json = False,
    quiet: Quiet = False,
    **_: Any,
) -> None:
    """As `dendrostream run`, with a page on 127.0.0.1 that shows the run and controls it."""
    context.call_on_close(partial(sys.setswitchinterval, sys.getswitchinterval()))
    sys.setswitchinterval(SWITCH)
    if open_ is not None:
        _show(context, open_, port)
        return

    @contextlib.contextmanager
    def watching(stop: Callable[[], bool]) -> Iterator[Control]:
        from streaming.live_page.running import RunFeed
        from streaming.live_page.server import served

        feed = RunFeed(stop, paused)
        with served(feed, port) as address:
            notify(f"page: {address}")
            try:
                yield feed.control
            except BaseException as error:
                feed.end(str(error) or "interrupted")
                time.sleep(LAST)
                raise
            feed.end("the run has ended and is saved")
            if stay and not stop():
                notify("the run has ended; its page stays until Ctrl-C")
                while not stop():
                    time.sleep(0.1)
            time.sleep(LAST)

    stream(context, out=out, resume=resume, from_=from_, json_=json_, quiet=quiet,
           watching=watching)  # fmt: skip


def _show(context: typer.Context, folder: Path, port: int) -> None:
    """Serve the page of a folder until Ctrl-C."""
    for name in given(context):
        if name not in BESIDE_OPEN:
            raise BadOption("--open", got=f"{flags(context)[name]} beside it", expected="only "
                            "--port and --quiet: a folder is shown, not changed")  # fmt: skip
    from streaming.live_page.folder import FolderFeed
    from streaming.live_page.server import served

    feed = FolderFeed(folder)
    with contextlib.suppress(KeyboardInterrupt), served(feed, port) as address:
        notify(f"page: {address} (until Ctrl-C)")
        while True:
            time.sleep(3600)
