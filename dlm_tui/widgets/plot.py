"""Line plots: plotext draws curves to text, a plain widget keeps it until data, size or theme change.

plotext 6 draws in native code (about 10 ms for four curves of 150 points); the textual-plotext wrapper is
written for plotext 5 and does not import with 6, so the wrapper is this module. Curves come downsampled.
"""

import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.style import Style
from rich.text import Span, Text
from textual import events
from textual.message import Message
from textual.widget import Widget

from dlm_tui.session.run_view import downsampled
from dlm_tui.themes import ANSI_NAMES, WorkbenchTheme

MIN_WIDTH, MIN_HEIGHT = 16, 4
_ANSI_CODES = {name: code for code, name in enumerate(ANSI_NAMES)}


@dataclass(frozen=True)
class Curve:
    """One line: its points, its colour, and the sign that stands at its end so that colour is not alone."""

    xs: Sequence[float]
    ys: Sequence[float]
    color: str
    sign: str = ""


@dataclass(frozen=True)
class Guide:
    """A horizontal line at `y` that means something."""

    y: float


@dataclass(frozen=True)
class Scene:
    """What a plot shows. `y_floor` is a value always in view; `message` stands there while no curve does.

    With `log` heights are logarithms, and what is not above 0 is left out. At `cursor` stands a line upright.
    With `apart` there is room left and right of the points.
    """

    curves: tuple[Curve, ...] = ()
    guides: tuple[Guide, ...] = ()
    y_floor: float | None = None
    message: str = ""
    log: bool = False
    cursor: float | None = None
    apart: bool = False


def load_plotting() -> None:
    """Import the plotting library (a third of a second): call it in a thread before the first plot."""
    importlib.import_module("plotext")


def ticks(low: float, high: float, wanted: int) -> list[float]:
    """About `wanted` round numbers (1, 2 or 5 times a power of ten apart) within [low, high]."""
    if not high > low or wanted < 1:
        return [low]
    raw = (high - low) / wanted
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(n * step, 10) for n in range(first, last + 1)]


def log_ticks(low: float, high: float, wanted: int) -> list[float]:
    """About `wanted` numbers (1, 2 and 5 times powers of ten, or powers alone) within [low, high] above 0."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    powers = range(first, last + 1)
    for digits in ((1, 2, 5), (1,)):
        found = [d * 10.0**power for power in powers for d in digits]
        found = [tick for tick in found if low <= tick <= high]
        if len(found) <= wanted + 1:
            break
    every = -(-len(found) // max(1, wanted))
    return found[::every]


def tick_label(value: float) -> str:
    """A tick's number as short as it can be said."""
    if value == 0:
        return "0"
    if abs(value) >= 10_000:
        return f"{value / 1000:g}k"
    if abs(value) < 0.001:
        return f"{value:.0e}".replace("e-0", "e-")
    return f"{value:.4g}"


def draw(scene: Scene, theme: WorkbenchTheme, width: int, height: int) -> Text:
    """The scene as styled text of exactly `height` lines, at most `width` wide.

    Points that are not finite are left out. Below the size at which a plot says anything, the message stands.
    """
    curves = [_finite(_logarithms(curve) if scene.log else curve) for curve in scene.curves]
    curves = [curve for curve in curves if curve.xs]
    if not curves or width < MIN_WIDTH or height < MIN_HEIGHT:
        return _blank(scene.message, width, height)
    plotext: Any = importlib.import_module("plotext")
    figure = plotext.figure
    figure.clear()
    plotext.terminal.limit(False, False)  # what it takes for the terminal's size: 80×24 in a browser
    figure.plot_size(width, height)
    figure.theme("colorless")
    figure.canvas("default")
    axis = _pixel(plotext, theme.spec.plot_axis)
    x_low, x_high = min(c.xs[0] for c in curves), max(c.xs[-1] for c in curves)
    if x_high <= x_low:
        x_low, x_high = x_low - 0.5, x_high + 0.5
    if scene.apart:
        x_low, x_high = _room((x_low, x_high), None)
    guides = () if scene.log else scene.guides
    levels = [y for c in curves for y in c.ys] + [g.y for g in guides]
    y_low, y_high = _room(levels, None if scene.log else scene.y_floor)
    figure.axes(pixel=axis)
    figure.axes(active=False, axis="x", side="upper")
    figure.axes(active=False, axis="y", side="right")
    x_ruler, y_ruler = figure.ruler("x", "lower"), figure.ruler("y", "left")
    x_ruler.lim(x_low, x_high)
    y_ruler.lim(y_low, y_high)
    x_ticks, wanted = ticks(x_low, x_high, max(3, width // 12)), max(2, height // 3)
    x_ruler.ticks(x_ticks, [tick_label(t) for t in x_ticks])
    if scene.log:
        powers = log_ticks(10**y_low, 10**y_high, wanted)
        y_ruler.ticks([math.log10(t) for t in powers], [tick_label(t) for t in powers])
    else:
        y_ticks = ticks(y_low, y_high, wanted)
        y_ruler.ticks(y_ticks, [tick_label(t) for t in y_ticks])
    x_ruler.pixel(axis)
    y_ruler.pixel(axis)
    if scene.cursor is not None and x_low <= scene.cursor <= x_high:
        figure.line(scene.cursor, "vertical", pixel=_pixel(plotext, theme.spec.colors.accent))
    for guide in guides:
        figure.line(guide.y, "horizontal", pixel=axis, style="dotted")
    for curve in curves:
        xs, ys = downsampled(curve.xs, curve.ys, width)
        figure.draw(
            figure.signal(xs, ys, marker=plotext.marker("braille", _pixel(plotext, curve.color))).lines()
        )
    for curve in curves:
        if curve.sign:
            end = plotext.marker(curve.sign, _pixel(plotext, curve.color))
            figure.draw(figure.signal([curve.xs[-1]], [curve.ys[-1]], marker=end))
    text = Text.from_ansi(figure.build().string().rstrip("\n"), no_wrap=True, end="")
    return Text(text.plain, spans=[_without_ground(span) for span in text.spans], no_wrap=True, end="")


def _without_ground(span: Span) -> Span:
    """The frame comes with a ground of plotext's own, whatever it is asked for; the pane's shines through."""
    style = span.style if isinstance(span.style, Style) else Style.parse(span.style)
    return Span(span.start, span.end, Style(color=style.color))


def _logarithms(curve: Curve) -> Curve:
    ys = [math.log10(y) if y > 0 else math.nan for y in curve.ys]
    return Curve(curve.xs, ys, curve.color, curve.sign)


def _finite(curve: Curve) -> Curve:
    pairs = [(x, y) for x, y in zip(curve.xs, curve.ys, strict=True) if math.isfinite(x) and math.isfinite(y)]
    return Curve([x for x, _ in pairs], [y for _, y in pairs], curve.color, curve.sign)


def _room(levels: Sequence[float], floor: float | None) -> tuple[float, float]:
    low, high = min(levels), max(levels)
    if floor is not None:
        low, high = min(low, floor), max(high, floor)
    margin = (high - low) * 0.05 or max(abs(high), 1.0) * 0.05
    return (low if floor == low else low - margin), high + margin


def _pixel(plotext: Any, color: str) -> Any:
    if color.startswith("#"):
        return plotext.pixel(tuple(int(color[i : i + 2], 16) for i in (1, 3, 5)))
    return plotext.pixel(_ANSI_CODES.get(color, "default"))


def _blank(message: str, width: int, height: int) -> Text:
    lines = [""] * max(height, 1)
    lines[(len(lines) - 1) // 2] = message[:width].center(width) if width > 0 else ""
    return Text("\n".join(lines), style="dim", no_wrap=True, end="")


def across(drawn: str, column: int) -> float | None:
    """How far across the frame of a drawn plot a column is, 0..1; None outside of it."""
    for row in drawn.split("\n"):
        left = next((place for place, sign in enumerate(row) if sign in "┤│"), None)
        if left is not None:
            last = len(row) - 1
            return (column - left - 1) / (last - left - 1) if left < column <= last > left + 1 else None
    return None


class Plot(Widget):
    """Shows a scene. Setting the same scene again costs nothing; it draws only while it is on screen."""

    DEFAULT_CSS = """
    Plot { height: 11; width: 1fr; }
    """

    def __init__(self, message: str = "", *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.scene = Scene(message=message)
        self._drawn: tuple[object, ...] = ()
        self._text = Text("")
        self.draws = 0

    class Pointed(Message):
        """A place across the plot was clicked: `x` in the curves' unit."""

        def __init__(self, plot: "Plot", x: float) -> None:
            super().__init__()
            self.plot, self.x = plot, x

        @property
        def control(self) -> "Plot":
            """The plot, for handlers that ask which."""
            return self.plot

    def on_click(self, event: events.Click) -> None:
        share = across(self._text.plain, event.x)
        xs = [(curve.xs[0], curve.xs[-1]) for curve in self.scene.curves if curve.xs]
        if share is not None and xs:
            low, high = min(x for x, _ in xs), max(x for _, x in xs)
            self.post_message(self.Pointed(self, low + share * (high - low)))

    def show_scene(self, scene: Scene) -> None:
        """Show `scene` from the next paint on."""
        if scene != self.scene:
            self.scene = scene
            self.refresh()

    def render(self) -> Text:
        theme: WorkbenchTheme = self.app.workbench_theme  # type: ignore[attr-defined]
        width, height = self.size
        key = (self.scene, theme, width, height)
        if key != self._drawn:
            self._text = draw(self.scene, theme, width, height)
            self._drawn = key
            self.draws += 1
        return self._text
