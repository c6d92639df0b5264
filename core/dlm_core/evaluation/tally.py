"""Counting what is done of a measurement, and how long the rest will take."""

import time
from collections.abc import Callable

from dlm_core.events import Event, Working

_INTERVAL_S = 0.1


class Tally:
    """Tells `emit` how far a piece of work has come, at most ten times a second and at its end.

    Args:
        total: how many things there are to do.
        clock: seconds; injected for tests.
    """

    def __init__(
        self, emit: Callable[[Event], None], total: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._emit, self.total, self._clock = emit, total, clock
        self.done = 0
        self._begun = clock()
        self._told = float("-inf")

    def add(self, label: str, count: int = 1, figures: str = "") -> None:
        """`count` more things are done; `label` says what is being done."""
        self.done += count
        now = self._clock()
        if now - self._told < _INTERVAL_S and self.done < self.total:
            return
        self._told = now
        left = (now - self._begun) / self.done * (self.total - self.done) if self.done else None
        self._emit(Working(label=label, done=self.done, total=self.total, eta_s=left, figures=figures))
