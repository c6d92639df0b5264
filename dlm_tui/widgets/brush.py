"""Painting a pane part by part, so that no keystroke waits for more than one of them."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

from textual.widget import Widget

ROUND_S = 0.25
"""Least time from the beginning of one round over all parts to the next."""
PAUSE_S = 0.02
"""Between two parts: time for what the first one changed to reach the screen."""
QUIET_S = 0.06
"""Without a keystroke for so long, the person is between two of them."""
PATIENCE_S = 1.5
"""How long a part waits for quiet; after that, it comes right after a key that is held down."""
ECHO_S = 0.01
"""In this time a key's letter is on screen. The next key is farthest off then."""


def typed_at(app: object) -> float:
    """When the last key was pressed in `app`, on the clock of `time.monotonic`."""
    return float(getattr(app, "typed_at", 0.0))


def wait_for(typed: float, waited: float, now: float) -> float:
    """How long what can wait has to wait before it is asked again, 0 where its moment has come.

    Args:
        typed: when the last key was pressed.
        waited: how long it has waited.
        now: the time, on the same clock as `typed`.
    """
    since = now - typed
    if since >= QUIET_S or waited >= 2 * PATIENCE_S:
        return 0.0
    if waited < PATIENCE_S:
        return PAUSE_S
    if since < ECHO_S:
        return ECHO_S - since
    return 0.0 if since < 2 * ECHO_S else ECHO_S


def after(host: Widget, seconds: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
    """Call `callback` in the host's turn once `seconds` have gone by.

    Textual's own timers give up a single tick that comes too late, as a short one does on a busy machine.
    """
    return asyncio.get_running_loop().call_later(seconds, host.call_next, callback)


class Brush:
    """Runs `parts` one after another, at most a round every quarter second, keystrokes first.

    Args:
        host: the widget in whose turn the parts run.
        parts: each brings one piece of the screen up to date in a few milliseconds.
        typed_at: when the last key was pressed, on the clock of `time.monotonic`.
        whole: whether what the parts paint is there: not yet at the start, not any more at the end.
    """

    def __init__(
        self,
        host: Widget,
        parts: Sequence[Callable[[], None]],
        typed_at: Callable[[], float],
        whole: Callable[[], bool] = lambda: True,
    ) -> None:
        self._host, self._parts, self._typed_at, self._whole = host, tuple(parts), typed_at, whole
        self._left: deque[Callable[[], None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._again = False
        self._began = self._painted = 0.0
        self.rounds = 0

    @property
    def busy(self) -> bool:
        """Whether a round is under way or waits for its time."""
        return bool(self._left) or self._timer is not None

    def ask(self) -> None:
        """A round soon; one that is under way is followed by another."""
        if self._left:
            self._again = True
        elif self._timer is None:
            self._wait(max(PAUSE_S, self._began + ROUND_S - time.monotonic()))

    def now(self) -> None:
        """All parts at once."""
        self._stop_waiting()
        self._left.clear()
        self._again = False
        if not self._whole():
            return
        self._begin()
        while self._left:
            self._left.popleft()()

    def _begin(self) -> None:
        self.rounds += 1
        self._began = self._painted = time.monotonic()
        self._left.extend(self._parts)

    def _next(self) -> None:
        self._timer = None
        if not (self._host.is_attached and self._whole()):
            self._left.clear()
            return
        if not self._left:
            self._begin()
        now = time.monotonic()
        if wait := wait_for(self._typed_at(), now - self._painted, now):
            self._wait(wait)
            return
        self._left.popleft()()
        self._painted = time.monotonic()
        if self._left:
            self._wait(PAUSE_S)
        elif self._again:
            self._again = False
            self.ask()

    def _wait(self, seconds: float) -> None:
        self._timer = after(self._host, seconds, self._next)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
