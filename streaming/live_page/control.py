"""What the person at the page asks for, carried out by the learning thread between two chunks."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from rate_models.errors import UserError
from streaming.live_page import intervening
from streaming.live_page.ring import Ring
from streaming.live_page.watching import Watcher
from streaming.runs.loop import CHUNK, Run

MOST = 32  # requests that wait; more at once are a stuck key, not a person
RUNNING, PAUSED = "running", "paused"
IDLE = 0.1  # seconds between looks whether Ctrl-C was pressed, while the run waits

Request = Callable[[Run], str]  # returns what was done, for the page


class Control:
    """Pauses, steps and changes a run. Any thread may call its methods; `between` is for the run.

    stop: whether the run is to end, as after Ctrl-C. paused: whether the run begins paused.
    """

    def __init__(self, ring: Ring, stop: Callable[[], bool], paused: bool = False) -> None:
        self._ring, self._stop, self._watcher = ring, stop, Watcher(ring)
        self._changed = threading.Condition()
        self._requests = deque[Request](maxlen=MOST)
        self._paused, self._steps = paused, 0
        self._until = -1  # the position that the last step leads to
        self._begun = False

    @property
    def paused(self) -> bool:
        """Whether the run waits, or will after the present chunk."""
        return self._paused

    def pause(self, paused: bool = True) -> None:
        """Let the run wait after the present chunk, or go on."""
        with self._changed:
            self._paused, self._steps = paused, 0
            self._changed.notify_all()

    def step(self) -> None:
        """Learn from one sample more; pauses a run that is not paused."""
        with self._changed:
            self._steps = min(self._steps + 1, MOST) if self._paused else 0
            self._paused = True
            self._changed.notify_all()

    def set_rate(self, lr: float) -> None:
        """Learn by another rate, see `intervening.set_rate`."""

        def request(run: Run) -> str:
            intervening.set_rate(run, lr)
            return f"learning rate {run.learner.lr:g} from sample {run.position:,} on"

        self._ask(request)

    def save(self) -> None:
        """Write a checkpoint."""

        def request(run: Run) -> str:
            run.save(anew=True)
            return f"saved after sample {run.position:,}"

        self._ask(request)

    def drift(self) -> None:
        """Let the stream drift, see `intervening.drift`."""

        def request(run: Run) -> str:
            intervening.drift(run)
            return f"the stream drifts: {run.source.name}"

        self._ask(request)

    def _ask(self, request: Request) -> None:
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()

    def watch(self, run: Run) -> None:
        """To be called by the run after every chunk."""
        self._watcher(run)

    def between(self, run: Run) -> None:
        """Do what was asked for, and wait while the run is paused; see `Hooks.between`."""
        if not self._begun:
            self._begun = True
            self._watcher.begin(run)
        elif not self._paused and not self._requests and self._ring.state == RUNNING:
            return  # the usual case
        self._obey(run)
        self._watcher.look(run)
        while self._waits(run):
            self._ring.state = PAUSED
            with self._changed:
                if self._paused and not self._requests and not self._steps:
                    self._changed.wait(IDLE)
            self._obey(run)
        self._ring.state = PAUSED if self._paused else RUNNING
        run.most = 1 if self._paused else CHUNK

    def _obey(self, run: Run) -> None:
        """Carry out all requests; an error is shown at the page and does not end the run."""
        while self._requests:
            request = self._requests.popleft()
            try:
                self._ring.note = request(run)
            except (UserError, OSError) as error:
                self._ring.note = f"not done: {error}"
            self._watcher.look(run)

    def _waits(self, run: Run) -> bool:
        """Whether the run is to wait longer; a step lets it go on until a sample is learned."""
        with self._changed:
            if self._steps and run.position >= self._until:
                self._steps -= 1
                self._until = run.position + 1
            return self._paused and run.position >= self._until and not self._stop()
