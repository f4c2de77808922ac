"""The server of the page: on this machine only, at an address that cannot be guessed.

It listens on 127.0.0.1. A random token is the first part of every path. Requests that name another
host (as after DNS rebinding) or come from a page of another origin get nothing, neither do those
without the token.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

from rate_models.errors import BadOption, MissingData

try:
    from bokeh.document import Document
    from bokeh.server.server import BaseServer
    from bokeh.server.tornado import BokehTornado
    from bokeh.settings import settings
    from tornado.httpserver import HTTPServer
    from tornado.httputil import HTTPServerRequest
    from tornado.ioloop import IOLoop
    from tornado.web import ErrorHandler
except ModuleNotFoundError as missing:
    raise MissingData(
        "dendrostream live", got=f"no {missing.name}", expected="Bokeh",
        remedy='pip install "dendrostream[live]"',
    ) from None  # fmt: skip

from streaming.live_page.page import Feed, page_of  # needs Bokeh too

ADDRESS = "127.0.0.1"
MOST = 2**16  # bytes of a message from the page
FORGET = 5000  # milliseconds after which a page that was closed is forgotten
ENOUGH = 32  # bytes of the token


class Guarded(BokehTornado):  # type: ignore[misc]
    """Bokeh's application behind checks of host, origin and token."""

    def __init__(self, page: Callable[[Document], None], port: int, token: str) -> None:
        self._hosts = {f"{name}:{port}" for name in (ADDRESS, "localhost")}
        self._token = token
        super().__init__(
            page, prefix=token, extra_websocket_origins=[*self._hosts], redirect_root=False,
            websocket_max_message_size_bytes=MOST, unused_session_lifetime_milliseconds=FORGET,
            check_unused_sessions_milliseconds=FORGET,
        )  # fmt: skip

    def find_handler(self, request: HTTPServerRequest, **more: Any) -> Any:
        """The handler of a request; an error where it is not from the person's own page."""
        if not self._may(request):
            return self.get_handler_delegate(request, ErrorHandler, {"status_code": 403})
        return super().find_handler(request, **more)

    def _may(self, request: HTTPServerRequest) -> bool:
        given = request.path.lstrip("/").partition("/")[0]
        origins = request.headers.get_list("Origin")
        return (
            hmac.compare_digest(given.encode(), self._token.encode())
            and request.host in self._hosts
            and all(one.removeprefix("http://") in self._hosts for one in origins)
        )


@contextlib.contextmanager
def served(feed: Feed, port: int = 0) -> Iterator[str]:
    """Serve the page in a thread of its own, inside the ``with``; gives its address.

    port: 0 takes a free one. Raises BadOption for a port that cannot be used.
    """
    address: Future[tuple[str, IOLoop]] = Future()
    thread = threading.Thread(
        target=_serve, args=(page_of(feed), port, address), name="page", daemon=True
    )
    thread.start()
    where, loop = address.result()
    try:
        yield where
    finally:
        loop.add_callback(loop.stop)
        thread.join(timeout=5)


def _serve(
    page: Callable[[Document], None], port: int, address: Future[tuple[str, IOLoop]]
) -> None:
    settings.resources = "server"  # whatever BOKEH_RESOURCES is: no other host is asked
    for name in ("tornado.access", "bokeh"):  # what is refused is no news for the terminal
        logging.getLogger(name).setLevel(logging.ERROR)
    asyncio.set_event_loop(asyncio.new_event_loop())
    loop = IOLoop.current()
    try:
        listener = socket.create_server((ADDRESS, port))
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        expected = "a free port from 1024 to 65535, or 0"
        loop.close(all_fds=True)
        address.set_exception(BadOption("--port", got=f"{port}: {why}", expected=expected))
        return
    listener.setblocking(False)
    port = listener.getsockname()[1]
    token = secrets.token_urlsafe(ENOUGH)
    guarded = Guarded(page, port, token)
    http = HTTPServer(guarded, max_buffer_size=MOST, max_body_size=MOST)
    http.add_sockets([listener])
    server = BaseServer(loop, guarded, http)
    server.start()
    address.set_result((f"http://{ADDRESS}:{port}/{token}/", loop))
    try:
        loop.start()
    finally:
        server.stop()
        http.stop()
        loop.close(all_fds=True)
