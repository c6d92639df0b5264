"""The tour's panel at the bottom of the workbench: the next step and its key, until that is done."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.events import Click
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from dlm_tui.actions import BY_ID, readable
from dlm_tui.session.tour import STEPS, Progress
from dlm_tui.widgets.looks import looks_of

if TYPE_CHECKING:
    from dlm_core.client import Subscription

_LOOKS_S = 0.3


class _Skip(Static):
    class Pressed(Message):
        """It was clicked."""

    def on_click(self, event: Click) -> None:
        event.stop()
        self.post_message(self.Pressed())


class TourPanel(Widget):
    """Follows what the engine says, and looks at the document's file.

    Args:
        correcting: whether a correction is on its way.
        keys: keys of the user's own, by action.
    """

    DEFAULT_CSS = """
    TourPanel { height: auto; max-height: 6; dock: bottom; margin: 0 0 1 0; background: $surface; }
    TourPanel { border-top: solid $accent; padding: 0 1; layout: vertical; }
    TourPanel Horizontal { height: 1; }
    TourPanel Static { height: auto; }
    TourPanel #tour-head { width: 1fr; }
    TourPanel _Skip { width: auto; color: $secondary; }
    TourPanel _Skip:hover { color: $accent; text-style: underline; }
    """

    class Ended(Message):
        """The tour is over: `finished`, or the user does not want it."""

        def __init__(self, finished: bool) -> None:
            super().__init__()
            self.finished = finished

    def __init__(
        self,
        progress: Progress,
        subscription: "Subscription",
        correcting: Callable[[], bool],
        keys: Callable[[], dict[str, str]],
    ) -> None:
        super().__init__(id="tour")
        self.progress = progress
        self._subscription, self._correcting, self._keys = subscription, correcting, keys

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Static("", id="tour-head")
            yield _Skip("")
        yield Static("", id="tour-words")

    def on_mount(self) -> None:
        self.set_interval(_LOOKS_S, self._look)
        self.run_worker(self._follow(), exit_on_error=False, group="tour")
        self._show()

    def on_unmount(self) -> None:
        self._subscription.close()

    def end(self) -> None:
        """End the tour here."""
        self.post_message(self.Ended(self.progress.finished))

    @on(_Skip.Pressed)
    def _skip(self) -> None:
        self.end()

    def _look(self) -> None:
        if self.progress.look(correcting=self._correcting()):
            self._show()

    async def _follow(self) -> None:
        async for event in self._subscription:
            self._look()
            if self.progress.heard(event):
                self._show()

    def _key(self, action: str) -> str:
        return readable((self._keys().get(action) or BY_ID[action].key).split(",")[0])

    def _show(self) -> None:
        looks = looks_of(self)
        colors, step, at = looks.colors, self.progress.now, self.progress.step
        head = Text(no_wrap=True, overflow="ellipsis", end="")
        head.append("Tour  ", Style(color=colors.accent, bold=True))
        head.append("✔ " * at, Style(color=colors.success)).append("· " * (len(STEPS) - at), Style(dim=True))
        where = f" {at + 1} of {len(STEPS)}: " if at < len(STEPS) else " "
        head.append(where, Style(dim=True)).append(step.name, Style(bold=True))
        self.query_one("#tour-head", Static).update(head)
        words = step.words.format(*(self._key(action) for action in step.actions))
        self.query_one("#tour-words", Static).update(Text(words))
        verb = "closes it" if self.progress.finished else "skips it"
        self.query_one(_Skip).update(Text(f" {self._key('workbench.tour')} {verb} "))
