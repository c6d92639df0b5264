"""What the three panes have in common: a heading, a place for the focus, a name."""

from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Static

from dlm_tui.widgets.looks import Looks, looks_of
from dlm_tui.widgets.pane_layout import PaneName


class PaneHeading(Static):
    """The top line of a pane: its title, and on the right what is going on in it."""

    DEFAULT_CSS = """
    PaneHeading { height: 1; width: 1fr; padding: 0 1; background: $surface; color: $secondary; }
    .pane:focus-within > PaneHeading { background: $panel; color: $foreground; text-style: bold; }
    """


class Pane(Vertical):
    """One of the three. `pane_name` is its name in layout and settings."""

    pane_name: ClassVar[PaneName]
    title: ClassVar[str]

    def __init__(self) -> None:
        super().__init__(id=self.pane_name, classes="pane")
        self.heading = PaneHeading(self.title)

    @property
    def looks(self) -> Looks:
        """How the document's adapters look now."""
        return looks_of(self)

    @property
    def default_focus(self) -> Widget:
        """The widget that gets the focus when the person comes to this pane."""
        raise NotImplementedError

    def tell(self, note: str) -> None:
        """Say `note` in the heading, beside the title."""
        muted = Style(color=self.looks.colors.secondary, bold=False)
        text = Text(self.title, no_wrap=True, overflow="ellipsis", end="")
        self.heading.update(text.append(f"  {note}", style=muted) if note else text)

    def adapters_changed(self) -> None:
        """The adapters, their looks or the theme changed: draw what shows them again."""
