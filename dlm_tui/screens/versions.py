"""The versions that runs ended in: compared by text and by loss, named, pinned, and the way back to one."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from rich.style import Style
from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import Screen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from dlm_core import kept_texts
from dlm_core.document.model import Section
from dlm_core.errors import DlmError
from dlm_core.safetext import visible_line
from dlm_core.store.paths import StorePaths, dlm_home
from dlm_tui.panes.dashboard_text import LossView, loss_legend, loss_scene
from dlm_tui.screens.section_diff import difference_text
from dlm_tui.session.commands import Invocation, find
from dlm_tui.session.dispatch import carry_out
from dlm_tui.session.output import local_time
from dlm_tui.session.run_view import RunView
from dlm_tui.session.session import Session
from dlm_tui.session.store_feed import StoreFeed
from dlm_tui.session.versions import Version, differences, document_difference, mark, versions_of
from dlm_tui.widgets.dialog_keys import DialogKeys
from dlm_tui.widgets.dialogs import ClosedOnce, LineScreen, ask
from dlm_tui.widgets.looks import looks_of
from dlm_tui.widgets.plot import Plot

Below = Literal["sections", "text", "loss"]
_BELOW: tuple[Below, ...] = ("sections", "text", "loss")
_COLUMNS = f"{'no.':>5}  {'when':<16}  {'run':>4}  {'recall':>6}  {'perpl.':>6}  {'right':>5}"
_NEXT: Mapping[Below, str] = {"sections": "their text", "text": "their losses", "loss": "their sections"}
KEYS = (
    Binding("enter", "go_back", "goes back to it"),
    Binding("v", "below", "their text"),
    Binding("c", "against", "compares with it"),
    Binding("n", "name", "names"),
    Binding("p", "pin", "pins, or not"),
    Binding("escape,q", "dismiss(None)", "closes"),
)


@dataclass(frozen=True)
class VersionsSource:
    """Where the screen reads and writes. All but `texts` may block: they are called in a thread.

    Args:
        load: the versions, oldest first.
        texts: the sections that versions name, by content hash, as far as they are kept.
        run: a run by its number, whole.
        mark: names the version of a generation (None: as it was), or pins it, or not.
    """

    load: Callable[[], Sequence[Version]]
    texts: Mapping[str, Section]
    run: Callable[[int], RunView]
    mark: Callable[[int, str | None, bool | None], object]


def versions_source(dlm_id: str) -> tuple[Sequence[Version], VersionsSource]:
    """The versions of a document's store, and where the screen reads and writes. Raises StoreError."""
    paths = StorePaths(dlm_home(), dlm_id)

    def read(run_id: int) -> RunView:
        feed = StoreFeed(dlm_id)
        try:
            return feed.view(run_id)
        finally:
            feed.close()

    source = VersionsSource(
        load=lambda: versions_of(dlm_id),
        texts=kept_texts.load_all(paths.replay),
        run=read,
        mark=lambda generation, name, pinned: mark(dlm_id, str(generation), name=name, pinned=pinned),
    )
    return source.load(), source


class VersionsScreen(ClosedOnce[int | None]):
    """Versions, newest first, and below them how the chosen one differs from another, the current one at
    first; Enter answers its generation.
    """

    DEFAULT_CSS = """
    VersionsScreen > Vertical { width: 112; max-width: 98%; height: 92%; }
    VersionsScreen .dialog-title { margin: 0; }
    VersionsScreen OptionList { height: auto; max-height: 40%; text-wrap: nowrap; text-overflow: ellipsis; }
    VersionsScreen #version-columns { color: $secondary; margin: 1 0 0 0; }
    VersionsScreen VerticalScroll { height: 1fr; margin: 1 0 0 0; }
    VersionsScreen Plot { height: 1fr; min-height: 6; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [*KEYS]

    def __init__(self, versions: Sequence[Version], source: VersionsSource) -> None:
        super().__init__()
        self._versions = list(reversed(versions))
        self._source = source
        self._against = 0  # the place of the version that others are compared with
        self._below: Below = "sections"
        self._runs: dict[int, RunView] = {}

    def compose(self) -> ComposeResult:
        title = "Versions, as `dlm versions` lists them. Enter makes one current."
        with Vertical():
            yield Static(Text(title if self._versions else "Nothing is trained yet."), classes="dialog-title")
            yield Static(Text(_COLUMNS if self._versions else ""), id="version-columns")
            yield OptionList()
            with VerticalScroll():
                yield Static("", id="version-differs")
                yield Plot("no loss was recorded", id="version-loss")
            yield DialogKeys(KEYS)

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()
        self._fill(0)

    @property
    def _chosen(self) -> Version | None:
        here = self.query_one(OptionList).highlighted
        return self._versions[here] if here is not None and here < len(self._versions) else None

    def _fill(self, here: int) -> None:
        listed = self.query_one(OptionList)
        listed.clear_options()
        listed.add_options(Option(self._line(place)) for place in range(len(self._versions)))
        listed.highlighted = min(here, len(self._versions) - 1) if self._versions else None
        self._show()

    def _line(self, place: int) -> Text:
        version = self._versions[place]
        words = Text(no_wrap=True, overflow="ellipsis", end="")
        words.append("⚑" if version.pinned else " ", Style(bold=True))
        words.append(figures_of(version), Style(bold=version.current))
        if place == self._against and len(self._versions) > 1:
            words.append("  ◂ compared", Style(bold=True))
        return words

    @on(OptionList.OptionHighlighted)
    def _show(self) -> None:
        chosen = self._chosen
        text, plot = self.query_one("#version-differs", Static), self.query_one(Plot)
        plot.display = self._below == "loss" and chosen is not None
        self.query_one(DialogKeys).tell({"below": _NEXT[self._below]})
        if chosen is None:
            text.update("")
            return
        other = self._versions[self._against]
        match self._below:
            case "sections":
                text.update(differs_text(chosen, other))
            case "text":
                text.update(self._text(chosen, other))
            case "loss":
                self._draw(chosen, other)

    @on(events.Resize)
    def _resized(self) -> None:
        if self._below == "loss":
            self._show()

    def _text(self, chosen: Version, other: Version) -> Text:
        head = f"From the document of {chosen.generation} to that of {other.generation}:"
        rows = document_difference(chosen, other, self._source.texts)
        if chosen.generation == other.generation:
            head, rows = "This is what others are compared with.", []
        elif not rows:
            head = "Their documents say the same."
        text = Text(head, Style(dim=True), end="")
        return text.append("\n").append_text(difference_text(rows, looks_of(self).theme)) if rows else text

    def _draw(self, chosen: Version, other: Version) -> None:
        mine, below = self._runs.get(chosen.run_id), self._runs.get(other.run_id)
        for run_id in {chosen.run_id, other.run_id} - self._runs.keys():
            self._read_run(run_id)
        view, over = LossView(raw=False), below if below is not mine else None
        legend = Text(f"Loss of run {chosen.run_id}", Style(bold=True), end="")
        legend.append(f", run {other.run_id} beneath (○)" if over is not None else "")
        known = loss_legend(
            mine, looks_of(self), max(20, self.query_one(VerticalScroll).size.width), view, over
        )
        self.query_one("#version-differs", Static).update(
            legend.append("\n" if known else "").append_text(known)
        )
        self.query_one(Plot).show_scene(loss_scene(mine, looks_of(self), view, over))

    @work(thread=True, exit_on_error=False)
    def _read_run(self, run_id: int) -> None:
        try:
            self.call_later(self._take_run, self._source.run(run_id))
        except DlmError as error:
            self.notify(str(error), severity="warning", markup=False)

    def _take_run(self, view: RunView) -> None:
        self._runs[view.run_id] = view
        if self._below == "loss":
            self._show()

    @work(thread=True, group="mark", exit_on_error=False)
    def _mark(self, generation: int, name: str | None, pinned: bool | None) -> None:
        try:
            self._source.mark(generation, name, pinned)
            self.call_later(self._take_versions, self._source.load())
        except DlmError as error:
            self.app.notify(str(error), severity="warning", markup=False)

    def _take_versions(self, versions: Sequence[Version]) -> None:
        here = self.query_one(OptionList).highlighted
        self._versions = list(reversed(versions))
        self._against = min(self._against, len(self._versions) - 1)
        self._fill(here or 0)

    @on(OptionList.OptionSelected)
    def action_go_back(self) -> None:
        """Make the chosen version the current one."""
        if (chosen := self._chosen) is not None:
            self.dismiss(None if chosen.current else chosen.generation)

    def action_below(self) -> None:
        """Show below the sections that differ, their text, or the losses of their runs."""
        self._below = _BELOW[(_BELOW.index(self._below) + 1) % len(_BELOW)]
        self._show()

    def action_against(self) -> None:
        """Compare the others with the chosen version."""
        if (here := self.query_one(OptionList).highlighted) is not None:
            self._against = here
            self._fill(here)

    def action_pin(self) -> None:
        """Keep the chosen version whatever is pruned, or no longer."""
        if (chosen := self._chosen) is not None:
            self._mark(chosen.generation, None, not chosen.pinned)

    def action_name(self) -> None:
        """Give the chosen version a name, which pins it."""
        if (chosen := self._chosen) is not None:
            generation = chosen.generation
            title = f"What is generation {generation} called? A version with a name is pinned."
            ask(self, LineScreen(title, chosen.name), lambda name: self._mark(generation, name, None))


def figures_of(version: Version) -> str:
    """A version's figures in columns, below `_COLUMNS`; then its name, and what more there is to say."""
    when = local_time(version.committed_at)
    recall = "-" if version.recall is None else f"{version.recall:.1%}"
    perplexity = "-" if version.perplexity is None else f"{version.perplexity:+.1%}"
    right = "-" if version.right is None else f"{version.right:.0%}"
    numbers = f"{version.run_id:>4}  {recall:>6}  {perplexity:>6}  {right:>5}"
    said = [visible_line(version.name), "current" if version.current else "", version.note]
    more = " · ".join(word for word in said if word)
    return f"{version.generation:>4}  {when}  {numbers}  {more}".rstrip()


def differs_text(chosen: Version, other: Version) -> Text:
    """What the document had at the chosen version and not at the other, and the other way round."""
    adapters = ", ".join(f"{name} {number}" for name, number in chosen.adapters.items())
    text = Text(f"{visible_line(adapters)}\n", style=Style(dim=True), end="")
    if chosen.generation == other.generation:
        return text.append(
            "This is what answers now." if chosen.current else "This is what others are compared with."
        )
    lines = differences(other, chosen)
    which = "the one that was trained last" if other.current else f"that of {other.generation}"
    text.append(f"Its document, against {which}:")
    for line in lines or ["no section differs"]:
        text.append(f"\n{visible_line(line)}", Style(dim=False))
    return text


async def show_versions(screen: Screen[None], session: Session, dlm_id: str) -> None:
    """Open the versions of a document over a screen; the one that is chosen becomes the current one."""
    if not dlm_id:
        screen.notify("The document has no id yet.")
        return
    found, source = await asyncio.to_thread(versions_source, dlm_id)
    ask(
        screen,
        VersionsScreen(found, source),
        lambda generation: carry_out(session, Invocation(find("rollback"), str(generation))),
    )
