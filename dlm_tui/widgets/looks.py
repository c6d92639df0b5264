"""The look of a document's adapters: one colour (of the theme) and one sign each, the same in every pane."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.style import Style
from rich.text import Text
from textual.dom import DOMNode

from dlm_tui.session.signs import SIGNS
from dlm_tui.themes import Palette, WorkbenchTheme

SEVERITY_SIGNS: Mapping[str, str] = {"error": "✖", "warning": "⚠", "info": "·"}
"""How a problem or a message of some severity is marked; `Looks.severity_color` goes with it."""


@dataclass(frozen=True)
class Looks:
    """How the adapters `names`, in declared order, look under `theme`. Unknown names look muted."""

    names: tuple[str, ...]
    theme: WorkbenchTheme

    @property
    def colors(self) -> Palette:
        """The colours of the frame."""
        return self.theme.spec.colors

    def sign(self, name: str) -> str:
        """The adapter's sign; after eight adapters signs come again, with another colour beside them."""
        return SIGNS[self.names.index(name) % len(SIGNS)] if name in self.names else "·"

    def color(self, name: str) -> str:
        """The adapter's colour."""
        if name not in self.names:
            return self.theme.spec.plot_axis
        return self.theme.adapter_color(self.names.index(name))

    def style(self, name: str, *, bold: bool = False) -> Style:
        """The adapter's colour as a style."""
        return Style(color=self.color(name), bold=bold or None)

    def severity_color(self, severity: str) -> str:
        """The colour of an error, a warning or whatever is less."""
        return {"error": self.colors.error, "warning": self.colors.warning}.get(
            severity, self.colors.secondary
        )

    def label(self, name: str, width: int = 0) -> Text:
        """Sign and name in the adapter's colour, padded to `width` cells."""
        # A span, not a base style: what is appended later must not take the colour on.
        text = Text(no_wrap=True, end="").append(f"{self.sign(name)} {name}", style=self.style(name))
        text.truncate(width, overflow="ellipsis", pad=True) if width else None
        return text

    def ordered(self, weights: Sequence[str]) -> list[str]:
        """`weights` in declared order, unknown ones after."""
        known = [name for name in self.names if name in weights]
        return known + [name for name in weights if name not in self.names]


def looks_of(node: DOMNode) -> Looks:
    """How adapters look now in the app that shows `node`."""
    looks: Looks = node.app.looks  # type: ignore[attr-defined]
    return looks
