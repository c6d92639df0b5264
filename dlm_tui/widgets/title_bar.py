"""The line on top (document, adapters, gate, engine), and the tabs where panes do not all fit."""

from dataclasses import dataclass, replace

from rich.style import Style
from rich.text import Text
from textual import events
from textual.message import Message
from textual.widget import Widget

from dlm_core.safetext import visible_line
from dlm_tui.widgets.looks import looks_of
from dlm_tui.widgets.pane_layout import PANES, TITLES, Layout, PaneName


@dataclass(frozen=True)
class Situation:
    """What the title bar tells. `gate` is the mode in words, `on_save` whether every save is trained;
    `engine_bad` marks what needs the person.
    """

    document: str = ""
    unsaved: bool = False
    errors: int = 0
    warnings: int = 0
    gate: str = "gate auto"
    engine: str = "engine starting"
    engine_bad: bool = False
    training: str = ""
    on_save: bool = False
    concerns: int = 0


class TitleBar(Widget):
    """One line. What does not fit is left out from the least important on."""

    DEFAULT_CSS = """
    TitleBar { height: 1; dock: top; background: $panel; color: $foreground; }
    """

    def __init__(self) -> None:
        super().__init__(id="title-bar")
        self.situation = Situation()

    def tell(self, **changes: object) -> None:
        """Change what is told."""
        situation = replace(self.situation, **changes)  # type: ignore[arg-type]
        if situation != self.situation:
            self.situation = situation
            self.refresh()

    def render(self) -> Text:
        looks = looks_of(self)
        spec, told = looks.theme.spec, self.situation
        left = Text(no_wrap=True, end="")
        left.append(" dlm ", style=Style(bold=True, color=spec.colors.accent))
        left.append(visible_line(told.document), style="bold")
        left.append(" ● unsaved" if told.unsaved else "", style=spec.colors.accent)
        if told.errors:
            left.append(f"  ✖ {told.errors}", style=Style(color=spec.colors.error, bold=True))
        if told.warnings:
            left.append(f"  ⚠ {told.warnings}", style=Style(color=spec.colors.warning, bold=True))
        names = Text(no_wrap=True, end="")
        for name in looks.names:
            names.append_text(looks.label(name)).append("  ")
        pieces = []
        if told.concerns:
            pieces.append((f"⚠ {told.concerns} cold start", spec.colors.warning))
        if told.training:
            pieces.append((told.training, spec.colors.accent))
        if told.on_save:
            pieces.append(("⟳ on save", spec.colors.accent))
        pieces.append((told.gate, spec.colors.foreground))
        pieces.append((told.engine, spec.colors.error if told.engine_bad else spec.colors.secondary))
        between = Text(end="").append(" · ", style=spec.plot_axis)
        right = between.join(Text(end="").append(t, style=c) for t, c in pieces)
        right.append(" ")
        return _fitted(left, names, right, self.size.width)


def _fitted(left: Text, names: Text, right: Text, width: int) -> Text:
    spare = width - left.cell_len - right.cell_len
    if spare < 1:
        left.truncate(max(1, width - right.cell_len - 1), overflow="ellipsis")
        spare = max(0, width - left.cell_len - right.cell_len)
    if names.cell_len + 3 <= spare:
        before = spare - names.cell_len
        left.append(" " * (before // 2)).append_text(names)
        spare = before - before // 2
    return left.append(" " * spare).append_text(right)


class PaneTabs(Widget):
    """The panes as tabs: those on screen are marked, a click brings one up."""

    DEFAULT_CSS = """
    PaneTabs { height: 1; background: $surface; display: none; }
    PaneTabs.-shown { display: block; }
    """

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, pane: PaneName) -> None:
            super().__init__()
            self.pane = pane

    def __init__(self) -> None:
        super().__init__(id="pane-tabs")
        self.layout_shown = Layout(PANES, (1, 1, 1), tabs=False)
        self.focused_pane: PaneName = "editor"

    def show_layout(self, layout: Layout, focused: PaneName) -> None:
        """Mark the panes of `layout`, and `focused` among them."""
        self.layout_shown, self.focused_pane = layout, focused
        self.set_class(layout.tabs, "-shown")
        self.refresh()

    def render(self) -> Text:
        spec = looks_of(self).theme.spec
        text = Text(no_wrap=True, end="")
        for pane in PANES:
            shown = pane in self.layout_shown.visible
            style = Style(color=spec.colors.secondary)
            if pane == self.focused_pane:
                style = Style(color=spec.colors.accent, bold=True, underline=True)
            elif shown:
                style = Style(color=spec.colors.foreground, bold=True)
            text.append(f" {TITLES[pane]} ", style=style).append(" ")
        return text

    def on_click(self, event: events.Click) -> None:
        column = 0
        for pane in PANES:
            column += len(TITLES[pane]) + 3
            if event.x < column:
                self.post_message(self.Chosen(pane))
                return
