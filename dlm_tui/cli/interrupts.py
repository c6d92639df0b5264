"""Ctrl-C in two steps: the first asks the work to end in good order, the second ends the process."""

import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self


class StopOnInterrupt:
    """While it is entered, the first Ctrl-C sets a flag and calls `notify`; the second kills, after `leave`.

    Until `graceful` is set there is nothing worth saving, and Ctrl-C raises KeyboardInterrupt as usual.
    `notify` and `leave` run inside a signal handler: they must not print through buffered streams.
    """

    def __init__(self, notify: Callable[[], None], leave: Callable[[], None]) -> None:
        self.graceful = False
        self._notify = notify
        self._leave = leave
        self._requested = False

    def requested(self) -> bool:
        """Whether the work should end."""
        return self._requested

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if not self.graceful:
            raise KeyboardInterrupt
        if self._requested:
            self._leave()
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.raise_signal(signal.SIGINT)
        self._requested = True
        self._notify()
