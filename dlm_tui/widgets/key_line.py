"""The line at the bottom: the keys that do something here and now, as one widget that paints itself.

Textual's footer mounts a widget per key whenever the focus moves, which costs as much as several keystrokes.
"""

from dataclasses import dataclass

from rich.style import Style
from rich.text import Text
from textual import events
from textual.screen import Screen
from textual.widget import Widget

from dlm_tui.actions import ACTIONS
from dlm_tui.widgets.looks import looks_of

ALWAYS = ("f1",)
"""Keys whose entries are never left out."""
_ORDER = {action.id: place for place, action in enumerate(ACTIONS)}


@dataclass(frozen=True)
class KeyEntry:
    """One entry: the key that is pressed, how it is written, what it does, and whether it can be done now."""

    key: str
    shown: str
    label: str
    enabled: bool
    tooltip: str

    @property
    def width(self) -> int:
        """Cells, with the two that part it from the next entry."""
        return len(self.shown) + 1 + len(self.label) + 2


class KeyLine(Widget):
    """Entries in the registry's order. Where not all fit, what cannot be done now goes first, F1 never."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    KeyLine { height: 1; dock: bottom; background: $footer-background; color: $footer-foreground; }
    """

    def __init__(self) -> None:
        super().__init__(id="key-line")
        self._entries: list[KeyEntry] = []
        self._places: list[tuple[int, int, KeyEntry]] = []

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)

    def _bindings_changed(self, screen: Screen[object]) -> None:
        if not self.is_attached or screen is not self.screen:
            return
        entries: dict[int, KeyEntry] = {}
        for number, (_, binding, enabled, tooltip) in enumerate(screen.active_bindings.values()):
            place = _ORDER.get(binding.id or "", len(_ORDER) + number)  # a dialog's own come as declared
            if binding.show and place not in entries:
                shown = self.app.get_key_display(binding)
                label = binding.description[:1].upper() + binding.description[1:]
                entries[place] = KeyEntry(binding.key, shown, label, enabled, tooltip)
        if (found := [entries[place] for place in sorted(entries)]) != self._entries:
            self._entries = found
            self.refresh()

    def render(self) -> Text:
        colors = looks_of(self).colors
        text, self._places = Text(" ", no_wrap=True, end=""), []
        for entry in self._fitting(self.size.width - 2):
            self._places.append((text.cell_len, text.cell_len + entry.width - 2, entry))
            text.append(entry.shown, style=Style(color=colors.accent, bold=True, dim=not entry.enabled))
            label = Style(color=colors.secondary, dim=not entry.enabled)
            text.append(f" {entry.label}  ", style=label)
        return text

    def _fitting(self, room: int) -> list[KeyEntry]:
        """The entries that fit, in order: first what always stands there, then what can be done now."""
        taken: set[int] = set()
        ranks = sorted(
            range(len(self._entries)),
            key=lambda n: (self._entries[n].key not in ALWAYS, not self._entries[n].enabled, n),
        )
        for number in ranks:
            if self._entries[number].width <= room:
                room -= self._entries[number].width
                taken.add(number)
        return [entry for number, entry in enumerate(self._entries) if number in taken]

    def _at(self, x: int) -> KeyEntry | None:
        return next((entry for start, end, entry in self._places if start <= x < end), None)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        found = self._at(event.x)
        self.tooltip = found.tooltip if found is not None else None

    def on_click(self, event: events.Click) -> None:
        found = self._at(event.x)
        if found is None:
            return
        if found.enabled:
            self.app.simulate_key(found.key)
        else:
            self.app.bell()
