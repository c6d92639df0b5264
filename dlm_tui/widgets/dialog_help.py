"""F1 on a screen over the workbench: the keys that do something there."""

from collections.abc import Iterator
from typing import Any, ClassVar

from rich.style import Style
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import Screen
from textual.widgets import Static

from dlm_tui.actions import readable
from dlm_tui.widgets.dialog_keys import DialogKeys
from dlm_tui.widgets.dialogs import ClosedOnce
from dlm_tui.widgets.looks import looks_of

KEYS = (Binding("escape,f1,q", "dismiss(None)", "closes", tooltip="Close the help."),)
_KEY_WIDTH = 20


class DialogHelp(ClosedOnce[None]):
    """The keys of a screen, then those of the widget that has the focus there."""

    DEFAULT_CSS = """
    DialogHelp { align: center middle; background: $background 60%; }
    DialogHelp > Vertical { width: 84; max-width: 96%; height: auto; max-height: 90%; }
    DialogHelp > Vertical { background: $surface; border: round $border; padding: 0 2; }
    DialogHelp VerticalScroll { height: auto; max-height: 70vh; margin: 0 0 1 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [*KEYS]

    def __init__(self, of: Screen[Any]) -> None:
        super().__init__()
        self._entries = [list(entries_of(of, own=True)), list(entries_of(of, own=False))]

    def compose(self) -> ComposeResult:
        colors = looks_of(self).theme.spec.colors
        table = Table.grid(padding=(0, 1))
        table.add_column(width=_KEY_WIDTH)
        table.add_column()
        for title, entries in zip(("Here", "Where the keys go now"), self._entries, strict=True):
            if entries:
                table.add_row(Text(title, Style(bold=True, color=colors.accent)))
            for keys, label, about in entries:
                told = Text(label, end="").append(
                    f"  {about}" if about else "", Style(color=colors.secondary)
                )
                table.add_row(Text(f" {keys}", Style(color=colors.primary, bold=True)), told)
        with Vertical():
            with VerticalScroll():
                yield Static(table)
            yield DialogKeys(KEYS, {"help": ""})

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()


def entries_of(screen: Screen[Any], *, own: bool) -> Iterator[tuple[str, str, str]]:
    """Keys, their name and what they do: those of `screen`, or those of what has the focus there."""
    found: dict[str, tuple[list[str], Binding]] = {}
    for key, (node, binding, *_) in screen.active_bindings.items():
        if (node is screen) is own and node is not screen.app and binding.description:
            found.setdefault(binding.action, ([], binding))[0].append(readable(key))
    for keys, binding in found.values():
        method = getattr(type(screen), f"action_{binding.action.partition('(')[0]}", None) if own else None
        about = binding.tooltip or (method.__doc__ or "").partition("\n")[0]
        label = binding.description
        yield ", ".join(keys), label[:1].upper() + label[1:], "" if about == f"{label}." else about
