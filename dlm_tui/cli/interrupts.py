"""Ctrl-C in two steps: the first asks the work to end in good order, the second ends the process."""

import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Self


class StopOnInterrupt:
    """While it is entered, the first Ctrl-C sets a flag and calls `notify`; the second kills, after `leave`.

    Until `graceful` is set there is nothing worth saving, and Ctrl-C raises KeyboardInterrupt as usual.
    `notify` and `leave` run inside a signal handler: they must not print through buffered streams.

    Args:
        launched: whether a launcher started this process: then SIGTERM counts as Ctrl-C, for a launcher ends
            its processes so, and what comes within `ONE_S` seconds is one, for the terminal tells the process
            and the launcher, and the launcher tells the process again.
    """

    ONE_S = 3.0

    def __init__(
        self,
        notify: Callable[[], None],
        leave: Callable[[], None],
        *,
        launched: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.graceful = False
        self._launched, self._clock = launched, clock
        self._first = 0.0
        self._notify = notify
        self._leave = leave
        self._requested = False

    def requested(self) -> bool:
        """Whether the work should end."""
        return self._requested

    def __enter__(self) -> Self:
        numbers = (signal.SIGINT, signal.SIGTERM) if self._launched else (signal.SIGINT,)
        self._before = {number: signal.signal(number, self._interrupt) for number in numbers}
        return self

    def __exit__(self, *error: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if not self.graceful:
            raise KeyboardInterrupt
        if self._requested and self._launched and self._clock() - self._first < self.ONE_S:
            return
        if self._requested:
            self._leave()
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.raise_signal(signal.SIGINT)
        self._requested, self._first = True, self._clock()
        self._notify()
