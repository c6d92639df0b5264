"""F1: what can be done here and now, made from the list of actions and the keys as they are."""

from collections.abc import Mapping
from typing import ClassVar

from rich.style import Style
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from dlm_tui.actions import ACTIONS, Action, Scope, readable
from dlm_tui.widgets.dialog_keys import DialogKeys
from dlm_tui.widgets.dialogs import ClosedOnce
from dlm_tui.widgets.looks import Looks, looks_of
from dlm_tui.widgets.pane_layout import TITLES, PaneName

_SCOPE_TITLES: Mapping[Scope, str] = {
    "workbench": "Everywhere",
    "editor": "In the document",
    "dashboard": "In the training",
    "chat": "In the chat",
    "reply": "On a reply (Tab to it)",
}
KEY_WIDTH = 20
KEYS = (Binding("escape,f1,q", "dismiss(None)", "closes", tooltip="Close the help."),)


class HelpScreen(ClosedOnce[None]):
    """Keys and what they do, those of the current pane first."""

    DEFAULT_CSS = """
    HelpScreen > Vertical { width: 92; max-width: 96%; height: 90%; padding: 0; }
    HelpScreen #help-title { padding: 0 2; height: 2; color: $secondary; }
    HelpScreen VerticalScroll { padding: 0 2; height: 1fr; }
    HelpScreen DialogKeys { padding: 0 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [*KEYS]

    def __init__(self, pane: PaneName, active: Mapping[str, ActiveBinding]) -> None:
        super().__init__()
        self._pane = pane
        self._keys: dict[str, list[str]] = {}
        self._enabled: set[str] = set()
        for key, binding in active.items():
            if binding.binding.id:
                self._keys.setdefault(binding.binding.id, []).append(key)
                if binding.enabled:
                    self._enabled.add(binding.binding.id)

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(
                f"You are in: {TITLES[self._pane]}. Ctrl+P finds every action by name.", id="help-title"
            )
            with VerticalScroll():
                yield Static(self.text())
            yield DialogKeys(KEYS, {"help": ""})

    def text(self) -> Table:
        """The whole help: keys on the left, what they do on the right."""
        looks = looks_of(self)
        order: list[Scope] = [self._pane, "workbench"]
        order += [scope for scope in _SCOPE_TITLES if scope not in order]
        if self._pane == "chat":
            order.remove("reply")
            order.insert(1, "reply")
        table = Table.grid(padding=(0, 1))
        table.add_column(width=KEY_WIDTH)
        table.add_column()
        for scope in order:
            table.add_row(Text(_SCOPE_TITLES[scope], style=Style(bold=True, color=looks.colors.accent)))
            for action in ACTIONS:
                if action.scope == scope:
                    table.add_row(*self._line(action, looks))
            table.add_row("")
        return table

    def _line(self, action: Action, looks: Looks) -> tuple[Text, Text]:
        colors = looks.colors
        keys = self._keys.get(action.id) or action.key.split(",")
        shown = ", ".join(readable(key) for key in keys)
        dim = action.id in self._keys and action.id not in self._enabled
        told = Text(end="").append(action.title + (" (not now)" if dim else ""), style=Style(dim=dim or None))
        told.append(f"  {action.help}", style=Style(color=colors.secondary))
        return Text(f" {shown}", style=Style(color=colors.primary, bold=not dim, dim=dim)), told
