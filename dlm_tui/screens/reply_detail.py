"""A reply in detail: openness by layer and rank and token by token, and the nearest trained questions."""

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from dlm_core.events import Why
from dlm_core.safetext import visible, visible_line
from dlm_tui.session.bars import bar
from dlm_tui.session.conversation import Answer
from dlm_tui.session.reports import Look, source_report
from dlm_tui.widgets.dialog_keys import DialogKeys
from dlm_tui.widgets.dialogs import ClosedOnce
from dlm_tui.widgets.heatmap import HeatMap
from dlm_tui.widgets.looks import Looks, looks_of
from dlm_tui.widgets.routing_bars import RoutingBars, mode_line
from dlm_tui.widgets.styled_lines import adapter_signs, rich_text

KEYS = (
    Binding("a", "next_adapter", "next adapter"),
    Binding("escape,q", "dismiss(None)", "closes", tooltip="Back to the chat."),
)


class ReplyDetail(ClosedOnce[None]):
    """Everything known of one reply; `a` goes to the next adapter."""

    DEFAULT_CSS = """
    ReplyDetail > Vertical { width: 96; max-width: 96%; height: 92%; padding: 0; }
    ReplyDetail VerticalScroll { padding: 0 2; height: 1fr; }
    ReplyDetail DialogKeys { padding: 0 2; }
    ReplyDetail RoutingBars { max-width: 70; }
    ReplyDetail .section-title { margin: 1 0 0 0; text-style: bold; color: $accent; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [*KEYS]

    def __init__(
        self,
        answer: Answer | None,
        pieces: Sequence[tuple[str, dict[str, float]]],
        text: str,
        why: Why | None = None,
    ) -> None:
        super().__init__()
        self._answer, self._pieces, self._text, self._why = answer, list(pieces), text, why
        self._adapter = ""

    def compose(self) -> ComposeResult:
        with Vertical():
            with VerticalScroll():
                yield Static("Routing", classes="section-title")
                yield Static("", id="detail-routing")
                yield RoutingBars(id="detail-bars")
                if self._why is not None:
                    yield Static("Where it comes from", classes="section-title")
                    yield Static("", id="detail-source")
                    yield Static("Nearest trained questions", classes="section-title")
                    yield Static("", id="detail-why")
                yield Static("", id="detail-openness-title", classes="section-title")
                yield HeatMap(id="detail-heat")
                yield Static("", id="detail-pointed")
                yield Static("Openness token by token", classes="section-title")
                yield Static("", id="detail-scale")
                yield Static("", id="detail-tokens")
            yield DialogKeys(KEYS)

    def on_mount(self) -> None:
        self._show()
        self.query_one(HeatMap).focus(scroll_visible=False)

    def _adapters(self) -> list[str]:
        names = list(self._answer.openness) if self._answer is not None else []
        names += [name for _, openness in self._pieces for name in openness if name not in names]
        return looks_of(self).ordered(list(dict.fromkeys(names)))

    def _show(self) -> None:
        looks, answer = looks_of(self), self._answer
        adapters = self._adapters()
        self._adapter = self._adapter if self._adapter in adapters else (adapters[0] if adapters else "")
        routing = self.query_one("#detail-routing", Static)
        if answer is None:
            routing.update("the reply is not complete yet")
        else:
            opens = {name: found.mean for name, found in answer.openness.items()}
            routing.update(mode_line(answer.routing, looks))
            self.query_one(RoutingBars).show_routing(answer.routing, opens)
        if self._why is not None:
            self.query_one("#detail-why", Static).update(why_text(self._why, looks))
        if self._why is not None and answer is not None:
            room = max(22, min(96, self.app.size.width * 96 // 100) - 8)
            lines = source_report(answer, self._why, Look(adapter_signs(looks), room))
            self.query_one("#detail-source", Static).update(rich_text(lines, looks))
        self._show_openness()
        self.query_one("#detail-tokens", Static).update(self.token_text())

    def _show_openness(self) -> None:
        looks, answer = looks_of(self), self._answer
        heat = self.query_one(HeatMap)
        found = answer.openness.get(self._adapter) if answer is not None else None
        title = Text("Rank openness  ", end="")
        title.append_text(looks.label(self._adapter) if self._adapter else Text("not recorded", end=""))
        heat.display = found is not None and bool(found.per_rank)
        if found is not None:
            title.append(f"  mean {found.mean:.3f}")
            heat.show_values(found.numbers, found.per_rank)
        self.query_one("#detail-openness-title", Static).update(title)

    def token_text(self) -> Text:
        """The reply with every token on the colour of the adapter's openness at it."""
        looks = looks_of(self)
        values = [openness.get(self._adapter) for _, openness in self._pieces]
        known = [value for value in values if value is not None]
        if not known and self._answer is not None and self._answer.routing.mode == "base":
            return Text("no adapter took part", style="dim", end="")
        if not known:
            return Text("not recorded for replies of earlier sessions", style="dim", end="")
        low, high = min(known), max(known)
        scale = Text(f"least {low:.3f} ", end="")
        for step in range(9):
            scale.append("  ", style=Style(bgcolor=looks.theme.heat_color(step / 8)))
        self.query_one("#detail-scale", Static).update(scale.append(f" most {high:.3f}"))
        text = Text(end="")
        colors = looks.colors
        for (piece, _), value in zip(self._pieces, values, strict=True):
            share = 0.0 if value is None or high <= low else (value - low) / (high - low)
            ground = looks.theme.heat_color(share)
            ink = _readable_ink(ground, colors.background, colors.foreground, share, looks)
            if looks.theme.spec.ansi and ground == looks.theme.spec.heat[0]:
                ground, ink = "default", "default"  # how bright a terminal's grey is, nobody knows
            text.append(
                visible(piece), style=Style(color=ink, bgcolor=ground, underline=share > 0.75 or None)
            )
        return text

    @on(HeatMap.Pointed)
    def _show_pointed(self, message: HeatMap.Pointed) -> None:
        self.query_one("#detail-pointed", Static).update(message.text)

    def action_next_adapter(self) -> None:
        """Openness of the next adapter."""
        adapters = self._adapters()
        if adapters:
            self._adapter = adapters[(adapters.index(self._adapter) + 1) % len(adapters)]
            self._show()


def why_text(why: Why, looks: Looks) -> Text:
    """The nearest trained questions with their adapters and similarities."""
    if not why.neighbours:
        return Text("no trained question is near", style="dim", end="")
    lines = []
    for neighbour in why.neighbours:
        line = Text(f"{neighbour.similarity:5.2f} ", end="")
        line.append(bar(neighbour.similarity, 8), style=looks.style(neighbour.adapter)).append(" ")
        line.append_text(looks.label(neighbour.adapter)).append(f"  {visible_line(neighbour.question)}")
        lines.append(line)
    return Text("\n", end="").join(lines)


def _readable_ink(ground: str, dark: str, light: str, share: float, looks: Looks) -> str:
    if not ground.startswith("#"):
        return "black" if share > 0.2 else "white"
    red, green, blue = (int(ground[i : i + 2], 16) for i in (1, 3, 5))
    bright = 0.299 * red + 0.587 * green + 0.114 * blue > 128
    if looks.theme.spec.dark:
        return dark if bright else light
    return light if bright else dark
