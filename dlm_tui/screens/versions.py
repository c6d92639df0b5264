"""The versions that runs ended in: what differs from now, and the way back to one."""

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from dlm_core.safetext import visible_line
from dlm_tui.session.reports import version_words
from dlm_tui.session.versions import Version, differences
from dlm_tui.widgets.dialogs import ClosedOnce


class VersionsScreen(ClosedOnce[int | None]):
    """Versions, newest first, and below them what differs in the chosen one; Enter answers its generation."""

    DEFAULT_CSS = """
    VersionsScreen { align: center middle; background: $background 60%; }
    VersionsScreen > Vertical { width: 104; max-width: 96%; height: 90%; background: $surface; }
    VersionsScreen > Vertical { border: round $border; padding: 0 1; }
    VersionsScreen .dialog-title { text-style: bold; height: auto; margin: 0 0 1 0; }
    VersionsScreen OptionList { height: auto; max-height: 60%; border: none; background: $surface; }
    VersionsScreen VerticalScroll { height: 1fr; margin: 1 0 0 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "dismiss(None)", "Close")]

    def __init__(self, versions: Sequence[Version]) -> None:
        super().__init__()
        self._versions = list(reversed(versions))

    def compose(self) -> ComposeResult:
        title = "Enter makes a version current, Escape leaves all as it is. `dlm versions` lists them too."
        with Vertical():
            yield Static(Text(title if self._versions else "Nothing is trained yet."), classes="dialog-title")
            yield OptionList(*(Option(self._line(version)) for version in self._versions))
            with VerticalScroll():
                yield Static("", id="version-differs")

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()

    @staticmethod
    def _line(version: Version) -> Text:
        words = Text(
            version_words(version), style=Style(bold=version.current), no_wrap=True, overflow="ellipsis"
        )
        adapters = ", ".join(f"{name} {number}" for name, number in version.adapters.items())
        return words.append(f"\n    {visible_line(adapters)}", Style(dim=True, bold=False))

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        chosen, current = self._versions[event.option_index], self._versions[0]
        self.query_one("#version-differs", Static).update(differs_text(chosen, current))

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        chosen = self._versions[event.option_index]
        self.dismiss(None if chosen.current else chosen.generation)


def differs_text(chosen: Version, current: Version) -> Text:
    """What the document had at the chosen version and has not now, and the other way round."""
    if chosen is current:
        return Text("This is what answers now.", style=Style(dim=True))
    lines = differences(current, chosen)
    text = Text("Its document, against the one that was trained last:", style=Style(dim=True), end="")
    for line in lines or ["no section differs"]:
        text.append(f"\n{visible_line(line)}", Style(dim=False))
    return text
