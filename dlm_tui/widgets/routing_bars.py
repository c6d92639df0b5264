"""The routing of a reply as bars with numbers and its mode, one line per adapter."""

from collections.abc import Mapping

from rich.style import Style
from rich.text import Text
from textual.widgets import Static

from dlm_core.events import Routing
from dlm_core.safetext import visible_line
from dlm_tui.session.bars import bar
from dlm_tui.widgets.looks import Looks, looks_of

MODE_WORDS: Mapping[str, str] = {
    "auto": "gate auto",
    "uniform": "uniform",
    "off": "gate off",
    "pin": "pinned",
    "mix": "by hand",
    "base": "bare base",
}


def routing_lines(
    routing: Routing, looks: Looks, width: int, openness: Mapping[str, float] | None = None
) -> Text:
    """Bars of `routing`: sign, name, bar, weight, and where known the adapter's openness.

    Args:
        width: cells available; names shrink first, then bars.
        openness: mean openness of each adapter's ranks in 0..1.
    """
    muted = Style(color=looks.theme.spec.plot_axis)
    names = looks.ordered(tuple(routing.weights))
    name_width = min(max((len(name) for name in names), default=0) + 2, max(6, width // 3))
    figures = 5 + (7 if openness else 0)
    bar_width = max(3, width - name_width - 1 - figures)
    top = max(routing.weights.values(), default=0.0)
    lines = []
    for name in names:
        weight = routing.weights[name]
        line = Text(no_wrap=True, end="")
        line.append_text(looks.label(name, name_width))
        line.append(" ")
        line.append(bar(weight, bar_width), style=looks.style(name))
        line.append(f" {weight:4.2f}", style="bold" if weight == top > 0 else "")
        if openness:
            line.append(f"  {openness[name]:.3f}" if name in openness else " " * 7, style=muted)
        lines.append(line)
    if routing.base > 0:
        line = Text(no_wrap=True, end="", style=muted)
        line.append("· base".ljust(name_width) + " ")
        line.append(bar(routing.base, bar_width))
        lines.append(line.append(f" {routing.base:4.2f}", style="bold" if routing.base > top else ""))
    return Text("\n", end="").join(lines)


def mode_line(routing: Routing, looks: Looks) -> Text:
    """How the weights came about, in a few words."""
    text = Text(no_wrap=True, overflow="ellipsis", end="")
    words = MODE_WORDS.get(routing.mode, routing.mode)
    reason = visible_line(routing.reason).removeprefix(f"{words}: ")
    if reason.startswith(words):
        words, reason = reason, ""
    text.append(words, style="bold")
    if reason and (routing.mode != "auto" or routing.base > 0):
        text.append(f" · {reason}", style=Style(color=looks.theme.spec.plot_axis))
    return text


class RoutingBars(Static):
    """Bars that follow `show_routing`; empty until there is one."""

    DEFAULT_CSS = """
    RoutingBars { height: auto; width: 1fr; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__("", id=id)
        self.routing: Routing | None = None
        self._openness: Mapping[str, float] | None = None

    def show_routing(self, routing: Routing | None, openness: Mapping[str, float] | None = None) -> None:
        """Show `routing`, with the adapters' openness beside it where known."""
        self.routing, self._openness = routing, openness
        self.redraw()

    def redraw(self) -> None:
        """Draw again: after a resize, or when the theme or the adapters changed."""
        if self.routing is None:
            self.update("")
            return
        looks = looks_of(self)
        width = self.size.width or 28
        self.update(routing_lines(self.routing, looks, width, self._openness))

    def on_resize(self) -> None:
        self.redraw()
