"""The column in which the dashboard shows a run: status, warnings, curves, heat map, meters, log."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widget import Widget

from dlm_core.events import Log
from dlm_core.store.metrics_reader import EvaluationRecord
from dlm_tui.panes import dashboard_text as words
from dlm_tui.panes.dashboard_forming import forming_text
from dlm_tui.panes.dashboard_text import LossView
from dlm_tui.session.run_view import Concern, RunView
from dlm_tui.widgets.block import Block
from dlm_tui.widgets.heatmap import HeatMap
from dlm_tui.widgets.looks import looks_of
from dlm_tui.widgets.plot import Plot

LEAST_WIDTH = 20


@dataclass
class Shown:
    """What the column is to show; the dashboard changes it, the column paints it.

    Args:
        source: where the run is trained, in words; "" for the workbench's own engine.
        overlay: the run whose loss is drawn beneath.
        raw, smooth: which curves of the loss; logarithmic: whether their heights are logarithms.
        cursor: the step whose values are read; None: the last.
        adapter, module: whose openness the heat map shows.
        concerns: the document's cold starts and what the run found beside them.
        evaluation: the last one of the document, whatever the run.
        memory: what the engine holds, in bytes; 0 where that is not known.
    """

    run: RunView | None = None
    source: str = ""
    overlay: RunView | None = None
    raw: bool = True
    smooth: bool = True
    logarithmic: bool = False
    cursor: float | None = None
    adapter: str = ""
    module: str = ""
    concerns: list[Concern] = field(default_factory=list)
    versions: Mapping[str, str] = field(default_factory=dict)
    log: list[Log] = field(default_factory=list)
    evaluation: EvaluationRecord | None = None
    memory: int = 0

    @property
    def map_keys(self) -> list[tuple[str, str]]:
        """Adapter and module of every openness map of the run."""
        return list(self.run.maps) if self.run is not None else []


class RunPanel(VerticalScroll):
    """Paints what `shown` says, in the parts that `parts` names; a part that nothing changed costs little."""

    def __init__(self, shown: Shown) -> None:
        super().__init__(id="dashboard-scroll")
        self.shown = shown
        self._members: int | None = None

    def compose(self) -> ComposeResult:
        yield Block(id="run-status", classes="block")
        yield Block(id="figures", classes="block")
        yield Block(id="versions", classes="block")
        yield Block(id="concerns", classes="block")
        yield Block("Answers forming", id="forming-title", classes="section-title")
        yield Block(id="forming", classes="block")
        yield Block("Loss", id="loss-title", classes="section-title")
        yield Block(id="loss-legend", classes="legend")
        yield Plot("no loss yet", id="loss-plot")
        yield Block("Rank openness", id="openness-title", classes="section-title")
        yield HeatMap(id="heat-map")
        yield Block(id="heat-pointed", classes="legend")
        yield Plot("no openness yet", id="openness-plot")
        yield Block("Learned and kept", id="learned-title", classes="section-title")
        yield Block(id="learned", classes="block")
        yield Block(id="evaluation", classes="block")
        yield Block("Adapter gate", id="gate-title", classes="section-title")
        yield Block(id="gate-legend", classes="legend")
        yield Plot("no gate training in this run", id="gate-plot")
        yield Block(id="gate-weights", classes="block")
        yield Block("Log", id="log-title", classes="section-title")
        yield Block(id="run-log", classes="block")

    def on_mount(self) -> None:
        self._members = len(self.children)

    @property
    def whole(self) -> bool:
        """Whether everything that the parts paint is there."""
        return self._members is not None and len(self.children) == self._members

    @property
    def parts(self) -> tuple[Callable[[], None], ...]:
        """What there is to paint, each a few milliseconds."""
        return (
            self._paint_status,
            self._paint_forming,
            self._paint_loss,
            self._paint_map,
            self._paint_openness,
            self._paint_learned,
            self._paint_gate,
            self._paint_log,
        )

    @property
    def _width(self) -> int:
        return max(LEAST_WIDTH, self.size.width - 4)

    def _block(self, selector: str) -> Block:
        return self.query_one(selector, Block)

    def _plot(self, selector: str) -> Plot:
        return self.query_one(selector, Plot)

    def _show_only_if(self, wanted: bool, *selectors: str) -> None:
        for selector in selectors:
            self.query_one(selector, Widget).display = wanted

    # The parts

    def _paint_status(self) -> None:
        shown, looks, width = self.shown, looks_of(self), self._width
        status = words.status_text(shown.run, looks.theme, width, shown.source, shown.memory)
        self._block("#run-status").show(status)
        figures = words.figures_text(shown.run, shown.evaluation, looks.theme, width)
        self._show_only_if(bool(figures.plain), "#figures")
        self._block("#figures").show(figures)
        self._block("#versions").show(words.versions_text(shown.versions, looks, width))
        self._show_only_if(bool(shown.concerns), "#concerns")
        self._block("#concerns").show(words.concerns_text(shown.concerns, looks))

    def _paint_forming(self) -> None:
        run = self.shown.run
        self._show_only_if(bool(run and run.forming), "#forming-title", "#forming")
        self._block("#forming").show(forming_text(run, looks_of(self), self._width))

    def _paint_loss(self) -> None:
        shown, looks = self.shown, looks_of(self)
        self._show_only_if(shown.run is not None, "#loss-title", "#loss-legend", "#loss-plot")
        view = LossView(shown.raw, shown.smooth, shown.logarithmic, shown.cursor)
        legend = words.loss_legend(shown.run, looks, self._width, view, shown.overlay)
        self._block("#loss-legend").show(legend)
        scene = words.loss_scene(shown.run, looks, view, shown.overlay)
        self._plot("#loss-plot").show_scene(scene)

    def _paint_map(self) -> None:
        shown, looks = self.shown, looks_of(self)
        heat = self.query_one(HeatMap)
        maps = shown.run.maps if shown.run is not None else {}
        self._show_only_if(bool(maps), "#openness-title", "#heat-map", "#heat-pointed")
        if not maps or shown.run is None:
            return
        adapters = looks.ordered([a for a in shown.run.adapters if any(key[0] == a for key in maps)])
        shown.adapter = shown.adapter if shown.adapter in adapters else adapters[0]
        modules = [module for adapter, module in maps if adapter == shown.adapter]
        shown.module = shown.module if shown.module in modules else modules[0]
        found = maps[shown.adapter, shown.module]
        heat.show_values(found.layers, found.values)
        if not heat.has_focus:
            self._block("#heat-pointed").show(heat.scale())
        muted = looks.theme.spec.plot_axis
        turn = Text(end="").append(f"A {adapters.index(shown.adapter) + 1}/{len(adapters)}", style=muted)
        turn.append(f"  M {modules.index(shown.module) + 1}/{len(modules)}", style=muted)
        name = Text("Rank openness", end="")
        pieces = [name, looks.label(shown.adapter), Text(shown.module, end=""), turn]
        self._block("#openness-title").show(words.flowed(pieces, self.size.width - 3))

    def _paint_openness(self) -> None:
        run = self.shown.run
        self._show_only_if(bool(run and run.openness), "#openness-plot")
        self._plot("#openness-plot").show_scene(words.openness_scene(run, looks_of(self)))

    def _paint_learned(self) -> None:
        run, evaluation = self.shown.run, self.shown.evaluation
        self._show_only_if(run is not None or evaluation is not None, "#learned-title")
        self._show_only_if(run is not None, "#learned")
        self._block("#learned").show(words.learned_text(run, looks_of(self), self._width))
        self._show_only_if(evaluation is not None, "#evaluation")
        if evaluation is not None:
            self._block("#evaluation").show(words.evaluation_text(evaluation, looks_of(self), self._width))

    def _paint_gate(self) -> None:
        run, looks = self.shown.run, looks_of(self)
        has_steps = run is not None and len(run.gate_entropy) > 0
        has_gate = has_steps or (run is not None and run.gate is not None)
        self._show_only_if(has_gate, "#gate-title", "#gate-legend", "#gate-weights")
        self._show_only_if(has_steps, "#gate-plot")
        self._block("#gate-legend").show(words.gate_legend(run, looks.theme, self._width))
        self._plot("#gate-plot").show_scene(words.gate_scene(run, looks.theme))
        self._block("#gate-weights").show(words.mean_weights_text(run, looks, self._width))

    def _paint_log(self) -> None:
        shown = self.shown
        log = shown.log or (shown.run.log if shown.run is not None else ())
        self._show_only_if(bool(log), "#log-title", "#run-log")
        self._block("#run-log").show(words.log_text(log, looks_of(self)))

    def redraw(self) -> None:
        """The theme or the adapters changed: what keeps its colours itself draws again."""
        for widget in (*self.query(Plot), *self.query(HeatMap)):
            widget.refresh()

    @on(HeatMap.Pointed)
    def _show_pointed(self, message: HeatMap.Pointed) -> None:
        message.stop()
        self._block("#heat-pointed").show(message.text)
