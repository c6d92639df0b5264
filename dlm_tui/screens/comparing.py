"""Compare on screen: methods trained side by side in the engine's process; as `dlm compare`."""

import asyncio
import shlex
from collections.abc import Iterable, Sequence

from msgspec.structs import replace
from rich.style import Style
from rich.text import Text
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Static

from dlm_core.errors import Stopped, UsageError
from dlm_core.reports import METHODS, Comparison, Method
from dlm_core.requests import Compare, path_text
from dlm_core.safetext import visible, visible_line
from dlm_tui.screens.task import TaskScreen, Words
from dlm_tui.session import compared
from dlm_tui.session.session import Session
from dlm_tui.widgets.dialogs import Choice, ManyScreen, ask
from dlm_tui.widgets.fields import Field
from dlm_tui.widgets.looks import looks_of
from dlm_tui.widgets.plot import Curve, Plot, Scene

_REHEARSALS = ("both", "off", "on")
_MOST_EPOCHS = 10_000
_WIDE = 170
_ABOUT: dict[Method, str] = {
    "disel": "rank-gated LoRA",
    "lora": "LoRA",
    "lora-mlp": "LoRA on MLP layers alone",
    "dora": "DoRA",
    "adalora": "AdaLoRA",
    "full": "every weight of the base",
}


class CompareScreen(TaskScreen):
    """Which methods, for how long; then what each learned and what the base kept. The last report is shown
    first.
    """

    DEFAULT_CSS = """
    CompareScreen > Vertical { max-height: 48; }
    CompareScreen #compare-chart { display: none; height: auto; margin: 1 0 0 0; }
    CompareScreen #compare-chart.-there { display: block; }
    CompareScreen Plot { height: 16; max-width: 100; }
    CompareScreen.-wide > Vertical { width: 186; max-height: 40; }
    CompareScreen.-wide VerticalScroll { layout: horizontal; }
    CompareScreen.-wide #task-outcome { width: 108; }
    CompareScreen.-wide #compare-chart { width: 1fr; margin: 0 0 0 2; }
    CompareScreen.-wide Plot { height: 20; }
    """
    words = Words(
        "Compare: methods side by side on this document",
        "compare",
        "comparing",
        "r begins. Every method trains one adapter (full: the base itself) on the same rows and batches, "
        "at several rates: minutes a training. The chat waits meanwhile. Stopped, it goes on from there "
        "the next time. The document's versions stay as they are.",
    )

    def __init__(self, session: Session, dlm_id: str) -> None:
        super().__init__(session.path)
        self._session, self._dlm_id = session, dlm_id
        self._found: Comparison | None = None
        self._wish = Compare(request_id="", path=path_text(session.path))

    def on_mount(self) -> None:  # the one above is called by Textual too
        self._reading = asyncio.create_task(self._show_last(), name="last comparison")

    def fields(self) -> Sequence[Field]:
        wish = self._wish
        methods = "all" if wish.methods == METHODS else ", ".join(wish.methods)
        epochs = str(wish.epochs) if wish.epochs is not None else ""
        about = "Train without rehearsal, with it, or once each."
        fresh = "Train again what the last report has already."
        return (
            Field("methods", "methods", methods, "The methods to train, each on a fresh base."),
            Field("rehearsal", "rehearsal", wish.rehearsal, about, _REHEARSALS),
            Field("epochs", "epochs", epochs, "At most so many.", blank="as the document says"),
            Field("fresh", "anew", "yes" if wish.fresh else "no", fresh, ("no", "yes")),
        )

    def ask(self, field: Field) -> None:
        if field.key != "methods":
            super().ask(field)
            return
        choices = [Choice(name, f"{name:<9} {about}") for name, about in _ABOUT.items()]
        which = ManyScreen("Which methods?", choices, self._wish.methods)
        ask(self, which, lambda names: self.set_field("methods", ",".join(names)))

    def take(self, key: str, value: str) -> None:
        match key:
            case "methods":
                named = tuple(method for method in METHODS if method in value.split(","))
                if not named:
                    raise UsageError("no method is named", "mark at least one")
                self._wish = replace(self._wish, methods=named)
            case "rehearsal":
                self._wish = replace(self._wish, rehearsal=value)
            case "epochs":
                if value and not (value.isdecimal() and 1 <= int(value) <= _MOST_EPOCHS):
                    raise UsageError(f"epochs cannot be `{value}`", f"a number from 1 to {_MOST_EPOCHS:,}")
                self._wish = replace(self._wish, epochs=int(value) if value else None)
            case _:
                self._wish = replace(self._wish, fresh=value == "yes")

    def command(self) -> str:
        wish = self._wish
        words = ["dlm", "compare", self.file]
        words += ["--methods", ",".join(wish.methods)] if wish.methods != METHODS else []
        words += ["--rehearsal", wish.rehearsal] if wish.rehearsal != "both" else []
        words += ["--epochs", str(wish.epochs)] if wish.epochs is not None else []
        return shlex.join([*words, *(["--fresh"] if wish.fresh else [])])

    def more(self) -> Iterable[Widget]:
        with Vertical(id="compare-chart"):
            yield Static("", id="compare-legend")
            yield Plot()

    def on_resize(self) -> None:
        """Columns that do not fit are left out; where it is wide, the chart stands beside the tables."""
        self.set_class(self.size.width >= _WIDE, "-wide")
        if self._found is not None and not self.busy:
            self._show(self._found)

    async def perform(self) -> Text:
        if self._session.runs.under_way:
            raise UsageError("a run is under way", "compare after it, or stop it with F8")
        engine = self._session.engine
        self._wish = replace(self._wish, request_id=engine.new_id())
        self.query_one("#compare-chart").remove_class("-there")
        try:
            found = await engine.compare(self._wish, self.told)
        except Stopped:
            await self._show_last()
            raise
        self._draw(found)
        return self._table(found)

    async def halt(self) -> None:
        await self._session.engine.stop(self._wish.request_id)

    async def _show_last(self) -> None:
        if not self._dlm_id:
            return
        found = await asyncio.to_thread(compared.last_comparison, self._dlm_id)
        if found is not None and self.is_attached and (self._stopping or not self.busy):
            self._show(found)

    def _show(self, found: Comparison) -> None:
        self._draw(found)
        self.show_outcome(self._table(found))

    def _draw(self, found: Comparison) -> None:
        """Every method as a letter: what it learned, up, and what it forgot, right."""
        self._found = found
        if not self.is_attached:
            return
        colors, chosen = looks_of(self).colors, found.chosen()
        self.query_one("#compare-chart").set_class(bool(chosen), "-there")
        legend = Text(f"{compared.chart_title(found)}\n", Style(dim=True), end="")
        legend.append(compared.chart_legend(found), Style(dim=False))
        self.query_one("#compare-legend", Static).update(legend)
        curves = tuple(
            Curve(
                (compared.change(trial, found),),
                (compared.recall_of(trial.learned),),
                colors.accent if trial.rehearsal else colors.foreground,
                compared.letter(trial),
            )
            for trial in chosen
        )
        self.query_one(Plot).show_scene(Scene(curves, apart=True))

    def _table(self, found: Comparison) -> Text:
        text = Text(end="").append(visible_line(compared.heading(found)), Style(bold=True))
        if not found.chosen():
            text.append(f"\nnot complete: {len(found.trials)} trainings are done", Style(dim=True))
        for title, lines in compared.tables(found, max(30, min(self.size.width, 112) - 8)):
            text.append(f"\n\n{title}", Style(dim=True))
            for number, line in enumerate(lines):
                text.append(f"\n{visible_line(line)}", Style(bold=not number))
        for note in found.notes:
            text.append(f"\n* {visible(note)}", Style(dim=True))
        return text
