"""Feeds the page from a run in this process."""

from __future__ import annotations

from collections.abc import Callable

from streaming.live_page.control import Control
from streaming.live_page.ring import Ring


class RunFeed:
    """The buffer of a run and its control; `refresh` has nothing to do, as the run fills it.

    stop, paused: see `Control`.
    """

    def __init__(self, stop: Callable[[], bool], paused: bool = False) -> None:
        self.ring = Ring()
        self.control = Control(self.ring, stop, paused)

    def refresh(self) -> None:
        """The run fills the buffer by itself."""

    def end(self, why: str) -> None:
        """Show that the run has ended, and why."""
        self.ring.state, self.ring.note = "ended", why
