"""Waiting times between attempts to connect again."""

from __future__ import annotations

from collections.abc import Callable

FIRST, LONGEST = 0.1, 30.0  # seconds


class ConnectionGone(Exception):
    """The connection of a live source has ended, and can be tried again."""


class BackOff:
    """Waits before each attempt to connect: 0.1 s at first, then twice as long, up to 30 s.

    notify: gets a line when a wait begins. sleep(seconds): waits; True if the stream was closed
    meanwhile.
    """

    def __init__(
        self, name: str, notify: Callable[[str], None], sleep: Callable[[float], bool]
    ) -> None:
        self._name, self._notify, self._sleep = name, notify, sleep
        self._next = FIRST

    def wait(self, reason: str) -> bool:
        """Report the reason and wait; False if the stream was closed meanwhile."""
        seconds, self._next = self._next, min(2 * self._next, LONGEST)
        self._notify(f"{self._name}: {reason}; connecting again in {seconds:g} s")
        return not self._sleep(seconds)

    def connected(self) -> None:
        """Start again with the shortest wait."""
        self._next = FIRST
