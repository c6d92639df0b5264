"""The line under a dialog: its keys and what they do, each of which can be clicked."""

from collections.abc import Sequence

from rich.style import Style
from rich.text import Text
from textual.binding import Binding
from textual.widgets import Static

from dlm_tui.actions import readable

GAP = "  "
HELP = Binding("f1", "help", "help")
"""Every dialog has it: see `ClosedOnce`."""


class DialogKeys(Static):
    """The bindings of the screen it stands on that are shown, in their order, and F1 for all of them; a click
    does what the key does.

    `labels` say of an action something else than its binding does; "" leaves it out.
    """

    DEFAULT_CSS = """
    DialogKeys { height: auto; }
    DialogKeys { link-color: $secondary; link-background: transparent; link-style: none; }
    DialogKeys { link-color-hover: $accent; link-background-hover: transparent; link-style-hover: underline; }
    """

    def __init__(self, bindings: Sequence[Binding], labels: dict[str, str] | None = None) -> None:
        super().__init__("")
        self._offered, self._labels = (*bindings, HELP), labels or {}

    def on_mount(self) -> None:
        self._lay_out()

    def on_resize(self) -> None:
        self._lay_out()

    def tell(self, labels: dict[str, str]) -> None:
        """Say these actions otherwise from now on."""
        self._labels |= labels
        self._lay_out()

    def label_of(self, binding: Binding) -> str:
        """What it says of a key now; "" for nothing."""
        return self._labels.get(binding.action, binding.description)

    def _lay_out(self) -> None:
        """The keys side by side; what a key does stays on its row."""
        text, room, column = Text(end=""), self.size.width or 80, 0
        for binding in self._offered:
            label = self.label_of(binding)
            if not binding.show or not label:
                continue
            link = Style(meta={"@click": f"screen.{binding.action}"})
            key = readable(binding.key.split(",")[0])
            piece = Text(key.lower() if len(key) == 1 else key, link + Style(bold=True), end="")
            piece = Text(end="").append_text(piece).append(f" {label}", link)
            if column and column + len(GAP) + piece.cell_len > room:
                text.append("\n")
                column = 0
            elif column:
                text.append(GAP)
                column += len(GAP)
            text.append_text(piece)
            column += piece.cell_len
        self.update(text)
