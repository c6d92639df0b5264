"""Rank openness as a heat map: layers down, ranks across, with the numbers on focus or hover."""

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from dlm_tui.themes import WorkbenchTheme

SHADES = " ·░▒▓█"
"""Openness without colour, from closed to open."""
CEILINGS = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
"""Scales of the colours: the least that holds every value, so that differences show; the legend names it."""
MAX_CELL_WIDTH = 6
LABEL_WIDTH = 4


class HeatMap(Widget, can_focus=True):
    """Layers × ranks, each value in 0..1. Arrow keys and the mouse move a cursor; its numbers stand below.

    With few rows of room, two layers share one line of half blocks. In themes of 16 colours, and where colour
    is off, shades stand for values, one layer a line.
    """

    DEFAULT_CSS = """
    HeatMap { height: auto; max-height: 36; width: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(0,-1)", "Rank", show=False),
        Binding("right", "move(0,1)", "Rank", show=False),
        Binding("up", "move(-1,0)", "Layer", show=False),
        Binding("down", "move(1,0)", "Layer", show=False),
    ]

    class Pointed(Message):
        """The cursor stands on a cell: `text` says which and how open it is."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, *, id: str | None = None, max_rows: int = 18) -> None:  # noqa: A002
        super().__init__(id=id)
        self.values: tuple[tuple[float, ...], ...] = ()
        self.layer_numbers: tuple[int, ...] = ()
        self.max_rows = max_rows
        self.ceiling = 1.0
        """The openness that gets the hottest colour."""
        self.cursor: tuple[int, int] | None = None

    def show_values(self, layers: Sequence[int], values: tuple[tuple[float, ...], ...]) -> None:
        """Show `values[layer][rank]`; `layers` are the layers' numbers in the base."""
        if values == self.values and tuple(layers) == self.layer_numbers:
            return
        resized = (len(values), self._halved) != (len(self.values), self._halved)
        self.values, self.layer_numbers = values, tuple(layers)
        most = max((value for row in values for value in row), default=0.0)
        self.ceiling = next((step for step in CEILINGS if step >= most), 1.0)
        if self.cursor is not None and not self._inside(*self.cursor):
            self.cursor = None
        self.refresh(layout=resized)
        if self.cursor is not None:
            self.post_message(self.Pointed(self.describe()))

    @property
    def ranks(self) -> int:
        return max((len(row) for row in self.values), default=0)

    def describe(self) -> str:
        """The cursor's cell in words, with the mean of its layer and of its rank."""
        if self.cursor is None or not self.values:
            return ""
        row, rank = self.cursor
        line = self.values[row]
        column = [other[rank] for other in self.values if rank < len(other)]
        return (
            f"layer {self.layer_numbers[row]}, rank {rank}: {line[rank]:.3f}   "
            f"layer mean {sum(line) / len(line):.3f}   rank mean {sum(column) / len(column):.3f}"
        )

    @property
    def _plain(self) -> bool:
        return bool(self.app.no_color) or self._theme.spec.ansi

    @property
    def _halved(self) -> bool:
        return not self._plain and len(self.values) > self.max_rows

    @property
    def _theme(self) -> WorkbenchTheme:
        return self.app.workbench_theme  # type: ignore[attr-defined,no-any-return]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        rows = len(self.values)
        return max(1, (rows + 1) // 2 if self._halved else rows)

    def _cell_width(self) -> int:
        room = self.size.width - LABEL_WIDTH - 1
        return max(1, min(MAX_CELL_WIDTH, room // self.ranks)) if self.ranks else 1

    def render_line(self, y: int) -> Strip:
        first = y * 2 if self._halved else y
        if first >= len(self.values):
            return Strip.blank(self.size.width, self.rich_style)
        theme, width = self._theme, self._cell_width()
        segments = [
            Segment(f"{self.layer_numbers[first]:>{LABEL_WIDTH - 1}} ", Style.parse(theme.spec.plot_axis))
        ]
        for rank in range(self.ranks):
            segments.append(self._cell(theme, first, rank, width))
        return Strip(segments).adjust_cell_length(self.size.width).apply_style(self.rich_style)

    def _cell(self, theme: WorkbenchTheme, row: int, rank: int, width: int) -> Segment:
        value = self._value(row, rank)
        pointed = self.has_focus and self.cursor is not None and self.cursor[1] == rank
        if self._halved:
            style = Style(color=theme.heat_color(value), bgcolor=theme.heat_color(self._value(row + 1, rank)))
            here = pointed and self.cursor is not None and self.cursor[0] in (row, row + 1)
            return Segment(("◆" if here else "▀") + "▀" * (width - 1), style)
        here = pointed and self.cursor is not None and self.cursor[0] == row
        if self._plain:
            shade = SHADES[min(len(SHADES) - 1, int(value * len(SHADES)))] * width
            return Segment("◆" + shade[1:] if here else shade, Style(color=theme.heat_color(value)))
        color = theme.heat_color(value)
        if here:
            return Segment(
                "◆".ljust(width), Style(color=theme.spec.colors.background, bgcolor=color, bold=True)
            )
        return Segment(" " * width, Style(bgcolor=color))

    def _value(self, row: int, rank: int) -> float:
        """The cell's share of the scale, 0..1."""
        return min(1.0, self.values[row][rank] / self.ceiling) if self._inside(row, rank) else 0.0

    def scale(self) -> Text:
        """The legend: the colours from closed to the hottest, and the openness that this is."""
        text = Text(" " * LABEL_WIDTH, end="", no_wrap=True).append("0 ")
        for step in range(12):
            share = step / 11
            if self._plain:
                shade = SHADES[min(len(SHADES) - 1, int(share * len(SHADES)))]
                text.append(shade, style=Style(color=self._theme.heat_color(share)))
            else:
                text.append(" ", style=Style(bgcolor=self._theme.heat_color(share)))
        return text.append(f" {self.ceiling:g} open")

    def _inside(self, row: int, rank: int) -> bool:
        return 0 <= row < len(self.values) and 0 <= rank < len(self.values[row])

    def on_focus(self) -> None:
        if self.cursor is None and self.values:
            self._point(0, 0)
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        rank = (event.x - LABEL_WIDTH) // self._cell_width()
        row = event.y * 2 if self._halved else event.y
        if event.x >= LABEL_WIDTH and self._inside(row, rank):
            self._point(row, rank)

    def action_move(self, rows: int, ranks: int) -> None:
        """Move the cursor; it stays on the map."""
        if not self.values:
            return
        row, rank = self.cursor or (0, 0)
        self._point(min(len(self.values) - 1, max(0, row + rows)), min(self.ranks - 1, max(0, rank + ranks)))

    def _point(self, row: int, rank: int) -> None:
        if self._inside(row, rank) and self.cursor != (row, rank):
            self.cursor = (row, rank)
            self.refresh()
        if self.cursor is not None:
            self.post_message(self.Pointed(self.describe()))
