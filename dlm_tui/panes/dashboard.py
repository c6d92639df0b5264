"""The training pane: curves, heat map, meters and warnings of a run, live or past."""

from collections.abc import Callable
from functools import partialmethod
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message
from textual.widget import Widget

from dlm_core.errors import DlmError
from dlm_core.events import Event, Log, RunEnded, RunPlanned
from dlm_core.store.metrics_reader import EvaluationRecord, RunRecord
from dlm_tui.actions import bindings
from dlm_tui.panes.pane import Pane
from dlm_tui.panes.run_panel import RunPanel, Shown
from dlm_tui.session.file_watch import changes
from dlm_tui.session.output import local_time
from dlm_tui.session.run_view import Concern, RunView
from dlm_tui.session.store_feed import News, StoreFeed
from dlm_tui.session.wording import duration
from dlm_tui.widgets.brush import Brush, typed_at
from dlm_tui.widgets.dialogs import Choice, ChoiceScreen, ask
from dlm_tui.widgets.plot import Plot, load_plotting

CURSOR_STOPS = 60
"""Places at which the cursor stops on its way along a curve."""
PREPARE_S = 1.0
"""After the start, when the plotting library is imported: once the person can type already."""


class DashboardPane(Pane):
    """Shows one run; takes the engine's events and, for runs of other processes, what the store records."""

    pane_name = "dashboard"
    title = "Training"
    BINDINGS: ClassVar[list[BindingType]] = bindings("dashboard")

    class Remedy(Message):
        """The person wants to go where a section of `adapter` is needed."""

        def __init__(self, adapter: str) -> None:
            super().__init__()
            self.adapter = adapter

    class RunSeen(Message):
        """A run of another process ended: its versions can be taken up."""

    def __init__(self, own_pid: Callable[[], int | None] = lambda: None) -> None:
        """`own_pid` answers the engine's process id: its runs are told by its events, not by the store."""
        super().__init__()
        self.shown = Shown()
        self.document_concerns: list[Concern] = []
        self._own_pid = own_pid
        self._own_runs: set[int] = set()
        self._pinned = False
        self._feed: StoreFeed | None = None
        self._panel = RunPanel(self.shown)
        parts = (self._gather, *self._panel.parts)
        self._brush = Brush(self, parts, lambda: typed_at(self.app), lambda: self._panel.whole)

    @property
    def run_view(self) -> RunView | None:
        """The run that is shown."""
        return self.shown.run

    @property
    def overlay(self) -> RunView | None:
        """The run that is laid below it."""
        return self.shown.overlay

    @property
    def repaints(self) -> int:
        """Rounds of painting so far."""
        return self._brush.rounds

    @property
    def painting(self) -> bool:
        """Whether something of what is known is not on screen yet."""
        return self._brush.busy

    def compose(self) -> ComposeResult:
        yield self.heading
        yield self._panel

    @property
    def default_focus(self) -> Widget:
        return self._panel

    def on_mount(self) -> None:
        self.set_timer(PREPARE_S, self._prepare_plots)
        self.repaint_soon()

    @work(thread=True, exit_on_error=False)
    def _prepare_plots(self) -> None:
        load_plotting()

    # What happens in the run

    def take(self, event: Event) -> None:
        """Fold an event of the engine in; the screen follows at most four times a second."""
        if isinstance(event, RunPlanned):
            self._own_runs.add(event.run_id)
            self._begin(event.run_id, "")
        if isinstance(event, Log):
            self.shown.log.append(event)
            del self.shown.log[:-200]
        run_id = getattr(event, "run_id", None)
        if isinstance(run_id, int) and run_id and (self.run_view is None or run_id not in self._own_runs):
            self._own_runs.add(run_id)
            if not isinstance(event, RunEnded):
                self._begin(run_id, "")
        if self.run_view is not None:
            self.run_view.take(event)
        if isinstance(event, RunEnded):
            self.shown.versions = event.versions
        self.repaint_soon()

    def fail(self, message: str, hint: str = "") -> None:
        """A run failed before or while it ran."""
        if self.run_view is not None and self.run_view.running:
            self.run_view.failure = message
        self.shown.log.append(Log(level="error", message=message, hint=hint))
        self.repaint_soon()

    def show_concerns(self, concerns: list[Concern]) -> None:
        """What the document as it stands would make the gate do; a run's own findings come on top."""
        if concerns != self.document_concerns:
            self.document_concerns = concerns
            self.repaint_soon()

    @property
    def concerns(self) -> list[Concern]:
        """What the warnings panel shows: the document's cold starts, then what the run found beside them."""
        found = list(self.document_concerns)
        if self.run_view is not None:
            found += [c for c in self.run_view.concerns() if c.kind != "cold_start"]
        return found

    def _begin(self, run_id: int, source: str) -> None:
        if self.run_view is not None and self.run_view.run_id == run_id:
            self.shown.source = source
            return
        self.shown.run, self.shown.source, self._pinned = RunView(run_id), source, False

    # Runs that the store knows

    def follow(self, feed: StoreFeed) -> None:
        """Follow the document's store from now on."""
        if self._feed is not None:
            self._feed.close()
        self._feed = feed
        self._look()
        self._watch(feed)

    @work(exclusive=True, group="watch", exit_on_error=False)
    async def _watch(self, feed: StoreFeed) -> None:
        async for _ in changes(lambda: feed.files, {}):
            self._look()

    @work(thread=True, exclusive=True, group="look", exit_on_error=False)
    def _look(self) -> None:
        feed = self._feed
        if feed is None:
            return
        try:
            news = feed.look()
            evaluation = feed.evaluation()
            snapshot = feed.snapshot() if news is not None or not self.shown.versions else None
        except DlmError as error:
            self.call_later(self._take_trouble, error, following=True)
            return
        if news is not None:
            self.call_later(self._take_news, news)
        if evaluation is not None:
            self.call_later(self._take_evaluation, evaluation)
        if snapshot is not None and snapshot.adapters:
            self.call_later(self._take_versions, dict(snapshot.adapters))

    def _take_news(self, news: News) -> None:
        if self._pinned or news.run.run_id in self._own_runs or news.run.pid == self._own_pid():
            return
        if self.run_view is not None and self.run_view.running and self.run_view.run_id in self._own_runs:
            return
        if news.fresh:
            live = news.run.status == "running"
            self._begin(news.run.run_id, "in another process" if live else "")
        if self.run_view is None or self.run_view.run_id != news.run.run_id:
            return
        was_running = self.run_view.running
        for event in news.events:
            self.run_view.take(event)
        if news.run.status == "interrupted":
            self.run_view.failure = "The run was interrupted: its process ended without a word."
        if was_running and not self.run_view.running:
            self.post_message(self.RunSeen())
        self.repaint_soon()

    def _take_versions(self, versions: dict[str, str]) -> None:
        if versions != self.shown.versions:
            self.shown.versions = versions
            self.repaint_soon()

    def _take_evaluation(self, evaluation: EvaluationRecord) -> None:
        if evaluation != self.shown.evaluation:
            self.shown.evaluation = evaluation
            self.repaint_soon()

    def _take_trouble(self, error: DlmError, *, following: bool = False) -> None:
        if following:
            self.workers.cancel_group(self, "watch")
        self.notify(f"{error.message}\n{error.hint}", severity="warning", markup=False)

    @work(thread=True, exclusive=True, group="past", exit_on_error=False)
    def show_past(self, run_id: int, *, below: bool = False) -> None:
        """Open a past run, or lay it below the one that is shown; it is read in a thread."""
        if self._feed is None:
            return
        try:
            self.call_later(self._take_past, self._feed.view(run_id), below)
        except DlmError as error:
            self.call_later(self._take_trouble, error)

    def _take_past(self, view: RunView, below: bool) -> None:
        if below:
            self.shown.overlay = view
        else:
            self.shown.run, self.shown.source, self._pinned = view, "", True
        self.repaint_soon()

    # Painting

    def repaint_soon(self) -> None:
        """Bring what changed up to date part by part, a few times a second; while hidden, not at all."""
        if self.display and self.is_attached:
            self._brush.ask()

    def repaint(self) -> None:
        """Bring every part up to date at once."""
        if self.is_mounted and self.is_attached:
            self._brush.now()

    def _gather(self) -> None:
        """The first part of a round: what the panel is to show."""
        self.shown.concerns = self.concerns
        run = self.run_view
        if run is None:
            self.tell("no run yet")
        elif run.running and run.last is not None:
            self.tell(f"run {run.run_id}  {run.progress:.0%}  ETA {duration(run.last.eta_s)}")
        else:
            self.tell(f"run {run.run_id}" + (f" over {self.overlay.run_id}" if self.overlay else ""))

    def adapters_changed(self) -> None:
        self._panel.redraw()
        self.repaint()

    def on_resize(self) -> None:
        self.repaint_soon()

    def on_show(self) -> None:
        self.repaint_soon()

    # Actions

    def action_next_adapter(self) -> None:
        """Openness of the next adapter."""
        self.shown.adapter = self._next(self.shown.adapter, [adapter for adapter, _ in self.shown.map_keys])
        self.repaint()

    def action_next_module(self) -> None:
        """Openness of the next module type."""
        self.shown.module = self._next(
            self.shown.module, [m for adapter, m in self.shown.map_keys if adapter == self.shown.adapter]
        )
        self.repaint()

    def action_toggle_smoothing(self) -> None:
        """Both, smoothed alone, raw alone, and round again."""
        order = [(True, True), (False, True), (True, False)]
        self.shown.raw, self.shown.smooth = order[
            (order.index((self.shown.raw, self.shown.smooth)) + 1) % len(order)
        ]
        self.repaint()

    def action_toggle_log(self) -> None:
        """Heights of the loss as they are, or as logarithms."""
        self.shown.logarithmic = not self.shown.logarithmic
        self.repaint()

    def _move_cursor(self, by: int) -> None:
        """Read the loss a little earlier, the first time at the last step, or later; behind that the cursor
        goes.
        """
        run = self.run_view
        if run is None or not len(run.loss):
            self.notify("There is no loss to read yet.")
            return
        xs, last = run.loss.xs, len(run.loss) - 1
        stride = max(1, len(xs) // CURSOR_STOPS)
        if self.shown.cursor is None:
            place = last if by < 0 else 0
        else:
            place = run.loss.place(self.shown.cursor) + by * stride
        self.shown.cursor = xs[max(0, place)] if place <= last else None
        self.repaint()

    action_cursor_left = partialmethod(_move_cursor, -1)
    action_cursor_right = partialmethod(_move_cursor, 1)

    @on(Plot.Pointed, "#loss-plot")
    def _loss_pointed(self, message: Plot.Pointed) -> None:
        run = self.run_view
        if run is not None and len(run.loss):
            at = run.loss.xs[run.loss.place(message.x)]
            self.shown.cursor = None if at == self.shown.cursor else at
            self.repaint()

    def action_jump_to_remedy(self) -> None:
        """Go where the first adapter with a cold start needs its section."""
        cold = [c for c in self.concerns if c.kind == "cold_start"]
        if cold:
            self.post_message(self.Remedy(cold[0].adapter))
        else:
            self.notify("No adapter is short of sections.")

    def action_choose_run(self) -> None:
        """Open a run of the past."""
        self._list_runs(below=False)

    def action_overlay_run(self) -> None:
        """Lay a run below this one, or take it away again."""
        if self.overlay is not None:
            self.shown.overlay = None
            self.repaint()
        else:
            self._list_runs(below=True)

    @work(thread=True, exclusive=True, group="past", exit_on_error=False)
    def _list_runs(self, *, below: bool) -> None:
        try:
            runs = self._feed.runs() if self._feed is not None else []
        except DlmError as error:
            self.call_later(self._take_trouble, error)
        else:
            self.call_later(self._offer_runs, runs, below)

    def _offer_runs(self, runs: list[RunRecord], below: bool) -> None:
        if not runs:
            self.notify("No run is recorded yet.")
            return
        title = "Lay which run below?" if below else "Open which run?"
        which = ChoiceScreen(title, [_run_choice(run) for run in runs])
        ask(self, which, lambda run_id: self.show_past(int(run_id), below=below))

    def _next(self, current: str, names: list[str]) -> str:
        unique = self.looks.ordered(list(dict.fromkeys(names)))
        if not unique:
            return ""
        return unique[(unique.index(current) + 1) % len(unique)] if current in unique else unique[0]


def _run_choice(run: RunRecord) -> Choice:
    recall = f"  recall {run.recall:.0%}" if run.recall is not None else ""
    return Choice(
        str(run.run_id), f"run {run.run_id}  {local_time(run.started_at)}  {run.status}{recall}", run.reason
    )
