"""The training pane: curves, heat map, meters and warnings of a run, live or past."""

import time
from collections.abc import Callable, Mapping
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from dlm_core.errors import DlmError
from dlm_core.events import Event, Log, RunEnded, RunPlanned
from dlm_tui.actions import bindings
from dlm_tui.panes import dashboard_text as words
from dlm_tui.panes.pane import Pane
from dlm_tui.panes.run_view import Concern, RunView
from dlm_tui.panes.store_feed import News, StoreFeed
from dlm_tui.widgets.heatmap import HeatMap
from dlm_tui.widgets.plot import Plot, load_plotting

REPAINT_S = 0.25
"""Least time between two repaints of the dashboard."""
LOOK_S = 1.0
"""How often the store is asked for runs of other processes."""


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

    def __init__(self) -> None:
        super().__init__()
        self.run_view: RunView | None = None
        self.overlay: RunView | None = None
        self.document_concerns: list[Concern] = []
        self.versions: Mapping[str, str] = {}
        self.own_pid: Callable[[], int | None] = lambda: None
        """Answers the engine's process id: what it trains is told by its events, not by the store."""
        self.memory = 0
        """What the engine process holds, in bytes; 0 where that is not known."""
        self.repaints = 0
        self._source = ""
        self._own_runs: set[int] = set()
        self._pinned = False
        self._raw, self._smooth = True, True
        self._adapter, self._module = "", ""
        self._log: list[Log] = []
        self._feed: StoreFeed | None = None
        self._painted = 0.0
        self._repaint_timer: Timer | None = None
        self._look_timer: Timer | None = None

    def compose(self) -> ComposeResult:
        yield self.heading
        with VerticalScroll(id="dashboard-scroll"):
            yield Static("", id="run-status", classes="block")
            yield Static("", id="versions", classes="block")
            yield Static("", id="concerns", classes="block")
            yield Static("Loss", id="loss-title", classes="section-title")
            yield Static("", id="loss-legend", classes="legend")
            yield Plot("no loss yet", id="loss-plot")
            yield Static("Rank openness", id="openness-title", classes="section-title")
            yield HeatMap(id="heat-map")
            yield Static("", id="heat-pointed", classes="legend")
            yield Plot("no openness yet", id="openness-plot")
            yield Static("Learned and kept", id="learned-title", classes="section-title")
            yield Static("", id="learned", classes="block")
            yield Static("Adapter gate", id="gate-title", classes="section-title")
            yield Static("", id="gate-legend", classes="legend")
            yield Plot("no gate training in this run", id="gate-plot")
            yield Static("", id="gate-weights", classes="block")
            yield Static("Log", classes="section-title")
            yield Static("", id="run-log", classes="block")

    @property
    def default_focus(self) -> Widget:
        return self.query_one("#dashboard-scroll")

    def on_mount(self) -> None:
        self.tell("no run yet")
        self._prepare_plots()
        self.repaint()

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
            self._log.append(event)
            del self._log[:-200]
        run_id = getattr(event, "run_id", None)
        if isinstance(run_id, int) and run_id and (self.run_view is None or run_id not in self._own_runs):
            self._own_runs.add(run_id)
            if not isinstance(event, RunEnded):
                self._begin(run_id, "")
        if self.run_view is not None:
            self.run_view.take(event)
        if isinstance(event, RunEnded):
            self.versions = event.versions
        self.repaint_soon()

    def fail(self, message: str, hint: str = "") -> None:
        """A run failed before or while it ran."""
        if self.run_view is not None and self.run_view.running:
            self.run_view.failure = message
        self._log.append(Log(level="error", message=message, hint=hint))
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
            self._source = source
            return
        self.run_view, self._source, self._pinned = RunView(run_id), source, False

    # Runs that the store knows

    def follow(self, feed: StoreFeed) -> None:
        """Follow the document's store from now on."""
        if self._feed is not None:
            self._feed.close()
        self._feed = feed
        if self._look_timer is None:
            self._look_timer = self.set_interval(LOOK_S, self._look)
        self._look()

    @work(thread=True, exclusive=True, group="look", exit_on_error=False)
    def _look(self) -> None:
        feed = self._feed
        if feed is None:
            return
        try:
            news = feed.look()
            snapshot = feed.snapshot() if news is not None or not self.versions else None
        except DlmError as error:
            self.post_message(_StoreTrouble(error))
            return
        if news is not None:
            self.post_message(_StoreNews(news))
        if snapshot is not None and snapshot.adapters:
            self.post_message(_StoreVersions(dict(snapshot.adapters)))

    def on__store_news(self, message: "_StoreNews") -> None:
        news = message.news
        if self._pinned or news.run.run_id in self._own_runs or news.run.pid == self.own_pid():
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

    def on__store_versions(self, message: "_StoreVersions") -> None:
        if message.versions != self.versions:
            self.versions = message.versions
            self.repaint_soon()

    def on__store_trouble(self, message: "_StoreTrouble") -> None:
        error = message.error
        if self._look_timer is not None:
            self._look_timer.pause()
        self.notify(f"{error.message}\n{error.hint}", severity="warning", markup=False)

    def show_past(self, run_id: int, *, below: bool = False) -> None:
        """Open a past run, or lay it below the one that is shown."""
        if self._feed is None:
            return
        try:
            view = self._feed.view(run_id)
        except DlmError as error:
            self.notify(error.message, severity="error", markup=False)
            return
        if below:
            self.overlay = view
        else:
            self.run_view, self._source, self._pinned = view, "", True
        self.repaint()

    # Painting

    def repaint_soon(self) -> None:
        """Repaint now if the last time is long enough ago, else once when it is."""
        if self._repaint_timer is not None:
            return
        wait = self._painted + REPAINT_S - time.monotonic()
        if wait <= 0:
            self.repaint()
        else:
            self._repaint_timer = self.set_timer(wait, self.repaint)

    def repaint(self) -> None:
        """Bring every part up to date."""
        if self._repaint_timer is not None:
            self._repaint_timer.stop()
            self._repaint_timer = None
        if not self.is_mounted or not self.is_attached:
            return
        self._painted = time.monotonic()
        self.repaints += 1
        run, looks = self.run_view, self.looks
        width = max(20, self.query_one("#dashboard-scroll").size.width - 4)
        self._put("#run-status", words.status_text(run, looks.theme, width, self._source, self.memory))
        concerns = self.query_one("#concerns", Static)
        concerns.display = bool(self.concerns)
        concerns.update(words.concerns_text(self.concerns, looks))
        for part in ("#loss-title", "#loss-legend", "#loss-plot", "#learned-title", "#learned"):
            self.query_one(part).display = run is not None
        self.query_one("#openness-title").display = run is not None and bool(run.maps)
        modes = {"raw": self._raw, "smooth": self._smooth}
        self._put("#loss-legend", words.loss_legend(run, looks, width, **modes))
        self._plot("#loss-plot").show_scene(words.loss_scene(run, looks, overlay=self.overlay, **modes))
        self._paint_openness()
        self._put("#learned", words.learned_text(run, looks, width))
        has_gate = run is not None and (len(run.gate_entropy) > 0 or run.gate is not None)
        for part in ("#gate-title", "#gate-legend", "#gate-weights"):
            self.query_one(part).display = has_gate
        self._plot("#gate-plot").display = run is not None and len(run.gate_entropy) > 0
        self._put("#gate-legend", words.gate_legend(run, looks.theme))
        self._plot("#gate-plot").show_scene(words.gate_scene(run, looks.theme))
        self._put("#gate-weights", words.mean_weights_text(run, looks, width))
        self._put("#versions", words.versions_text(self.versions, looks, width))
        self._put("#run-log", words.log_text(self._log or (run.log if run else ()), looks.theme))
        self._tell_state()

    def _paint_openness(self) -> None:
        run, looks = self.run_view, self.looks
        heat = self.query_one(HeatMap)
        maps = run.maps if run is not None else {}
        heat.display = bool(maps)
        self._plot("#openness-plot").display = bool(run and run.openness)
        self._plot("#openness-plot").show_scene(words.openness_scene(run, looks))
        title = self.query_one("#openness-title", Static)
        if not maps or run is None:
            title.update("Rank openness")
            return
        adapters = looks.ordered([a for a in run.adapters if any(key[0] == a for key in maps)])
        self._adapter = self._adapter if self._adapter in adapters else adapters[0]
        modules = [module for adapter, module in maps if adapter == self._adapter]
        self._module = self._module if self._module in modules else modules[0]
        found = maps[self._adapter, self._module]
        heat.show_values(found.layers, found.values)
        self._show_scale(heat)
        muted = looks.theme.spec.plot_axis
        turn = Text(end="").append(f"{adapters.index(self._adapter) + 1}/{len(adapters)} A", style=muted)
        turn.append(f"  {modules.index(self._module) + 1}/{len(modules)} M", style=muted)
        pieces = [Text("Rank openness", end=""), looks.label(self._adapter), Text(self._module, end=""), turn]
        title.update(words.flowed(pieces, self.query_one("#dashboard-scroll").size.width - 3))

    def _tell_state(self) -> None:
        run = self.run_view
        if run is None:
            self.tell("no run yet")
        elif run.running and run.last is not None:
            self.tell(f"run {run.run_id}  {run.progress:.0%}  ETA {words.duration(run.last.eta_s)}")
        else:
            self.tell(f"run {run.run_id}" + (" over " + str(self.overlay.run_id) if self.overlay else ""))

    def _put(self, selector: str, text: Text) -> None:
        self.query_one(selector, Static).update(text)

    def _plot(self, selector: str) -> Plot:
        return self.query_one(selector, Plot)

    def adapters_changed(self) -> None:
        for plot in self.query(Plot):
            plot.refresh()
        self.query_one(HeatMap).refresh()
        self.repaint()

    def on_resize(self) -> None:
        self.repaint_soon()

    @on(HeatMap.Pointed)
    def _show_pointed(self, message: HeatMap.Pointed) -> None:
        self._put("#heat-pointed", Text(message.text, end=""))

    def _show_scale(self, heat: HeatMap) -> None:
        if not heat.has_focus:
            self._put("#heat-pointed", heat.scale())

    # Actions

    def action_next_adapter(self) -> None:
        """Openness of the next adapter."""
        self._adapter = self._next(self._adapter, [adapter for adapter, _ in self._map_keys()])
        self.repaint()

    def action_next_module(self) -> None:
        """Openness of the next module type."""
        self._module = self._next(
            self._module, [m for adapter, m in self._map_keys() if adapter == self._adapter]
        )
        self.repaint()

    def action_toggle_smoothing(self) -> None:
        """Both, smoothed alone, raw alone, and round again."""
        order = [(True, True), (False, True), (True, False)]
        self._raw, self._smooth = order[(order.index((self._raw, self._smooth)) + 1) % len(order)]
        self.repaint()

    def action_jump_to_remedy(self) -> None:
        """Go where the first adapter with a cold start needs its section."""
        cold = [c for c in self.concerns if c.kind == "cold_start"]
        if cold:
            self.post_message(self.Remedy(cold[0].adapter))
        else:
            self.notify("No adapter is short of sections.")

    async def action_choose_run(self) -> None:
        """Open a run of the past."""
        await self._choose(below=False)

    async def action_overlay_run(self) -> None:
        """Lay a run below this one, or take it away again."""
        if self.overlay is not None:
            self.overlay = None
            self.repaint()
            return
        await self._choose(below=True)

    async def _choose(self, *, below: bool) -> None:
        from dlm_tui.screens.choices import Choice, ChoiceScreen

        try:
            runs = self._feed.runs() if self._feed is not None else []
        except DlmError as error:
            self.notify(error.message, severity="error", markup=False)
            return
        if not runs:
            self.notify("No run is recorded yet.")
            return
        choices = []
        for run in runs:
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.started_at))
            recall = f"  recall {run.recall:.0%}" if run.recall is not None else ""
            choices.append(
                Choice(str(run.run_id), f"run {run.run_id}  {when}  {run.status}{recall}", run.reason)
            )

        def chosen(answer: str | None) -> None:
            if answer is not None:
                self.show_past(int(answer), below=below)

        title = "Lay which run below?" if below else "Open which run?"
        self.app.push_screen(ChoiceScreen(title, choices), chosen)

    def _map_keys(self) -> list[tuple[str, str]]:
        return list(self.run_view.maps) if self.run_view is not None else []

    def _next(self, current: str, names: list[str]) -> str:
        unique = self.looks.ordered(list(dict.fromkeys(names)))
        if not unique:
            return ""
        return unique[(unique.index(current) + 1) % len(unique)] if current in unique else unique[0]


class _StoreNews(Message):
    def __init__(self, news: News) -> None:
        super().__init__()
        self.news = news


class _StoreVersions(Message):
    def __init__(self, versions: dict[str, str]) -> None:
        super().__init__()
        self.versions = versions


class _StoreTrouble(Message):
    def __init__(self, error: DlmError) -> None:
        super().__init__()
        self.error = error
