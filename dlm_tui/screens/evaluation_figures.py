"""An evaluation's figures: the tables of `dlm eval`, how far support can be trusted, who was routed where."""

from typing import Literal

from rich.console import Group, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Static

from dlm_core.reports import Evaluation
from dlm_core.safetext import visible_line
from dlm_tui.session import evaluation_sheets as sheets
from dlm_tui.session.evaluation_sheets import Sheet
from dlm_tui.session.wording import duration, percent
from dlm_tui.widgets.looks import Looks, looks_of
from dlm_tui.widgets.plot import Curve, Plot, Scene

View = Literal["questions", "figures", "trust", "routing"]
VIEWS: tuple[View, ...] = ("questions", "figures", "trust", "routing")
_NOTHING = "Nothing was measured yet: r measures."
_WIDE = 140
_LOW, _HIGH = 10, 26  # rows of the chart


class EvaluationFigures(VerticalScroll):
    """The views beside the questions, one at a time; hidden while the questions are shown."""

    DEFAULT_CSS = """
    EvaluationFigures { height: 1fr; }
    EvaluationFigures Horizontal { height: auto; }
    EvaluationFigures Static { height: auto; width: 1fr; margin: 0 0 1 0; }
    EvaluationFigures #eval-bins { width: auto; max-width: 44%; margin: 0 2 1 0; }
    EvaluationFigures Plot { width: 1fr; max-width: 110; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._found: Evaluation | None = None
        self._view: View = "questions"

    def compose(self) -> ComposeResult:
        yield Static("", id="eval-view")
        with Horizontal():
            yield Static("", id="eval-bins")
            yield Plot(id="eval-reliability")

    def show(self, found: Evaluation | None) -> None:
        """Take an evaluation up."""
        self._found = found
        self.query_one(Plot).show_scene(reliability_scene(found, looks_of(self)))
        self._fill()

    def turn_to(self, view: View) -> None:
        """Show this view."""
        self.display = view != "questions"
        self._view = view
        self._fill()
        has_plot = view == "trust" and self._found is not None and self._found.support is not None
        self.query_one(Horizontal).display = has_plot
        self.scroll_home(animate=False)

    def on_resize(self) -> None:
        """Tables stand side by side where there is room, and the chart is as high as there is."""
        self.query_one(Plot).styles.height = max(_LOW, min(_HIGH, self.size.height - 2))
        self._fill()

    def _fill(self) -> None:
        found, said, looks = self._found, self.query_one("#eval-view", Static), looks_of(self)
        if found is None:
            said.update(Text(_NOTHING))
        elif self._view == "figures":
            said.update(figures_view(found, looks, wide=self.size.width >= _WIDE))
        elif self._view == "trust":
            said.update(trust_view(found))
            self.query_one("#eval-bins", Static).update(bins_view(found, looks))
        elif self._view == "routing":
            said.update(routing_view(found, looks))

    @staticmethod
    def after(view: View) -> View:
        """The next view."""
        return VIEWS[(VIEWS.index(view) + 1) % len(VIEWS)]


def figures_view(found: Evaluation, looks: Looks, *, wide: bool) -> RenderableType:
    """The tables of `dlm eval`: what was learned, and what was kept, side by side where it is wide."""
    names = tuple(found.recall.per_adapter)
    learned: list[RenderableType] = [table_of(sheets.adapters_sheet(found, names), looks), ""]
    if (answers := sheets.answers_sheet(found)) is not None:
        learned += [table_of(answers, looks), ""]
    kept: list[RenderableType] = [
        table_of(sheets.retention_sheet("neutral text", found.retention, names), looks),
        "",
    ]
    if found.retention.own is not None:
        kept += [table_of(sheets.retention_sheet("your text", found.retention.own, names), looks), ""]
    tables = Table.grid(padding=(0, 8, 0, 0))
    if wide:
        tables.add_row(Group(*learned), Group(*kept))
    else:
        tables.add_row(Group(*learned, *kept))
    said = [sheets.served_line(found), sheets.chat_line(found), sheets.offtopic_line(found)]
    said += [f"{sheets.measured_line(found)}; {duration(found.seconds)}"]
    muted = Style(color=looks.colors.secondary)
    return Group(tables, *(Text(line, muted) for line in said if line))


def trust_view(found: Evaluation) -> RenderableType:
    """How far support can be trusted, in words."""
    said = [sheets.support_line(found), sheets.missed_line(found), sheets.near_line(found)]
    lines = [Text(line) for line in said if line]
    return Group(*(lines or [Text("No reply says how sure it is: nothing is looked up.")]))


def bins_view(found: Evaluation, looks: Looks) -> RenderableType:
    """Support beside the share that was right, in bins; the chart stands beside them."""
    bins = found.support.table if found.support is not None else ()
    rows = tuple((f"{b.mean:.2f}", percent(b.right), str(b.count)) for b in bins)
    legend = Text("● right where support is so high\n· where the two are equal", looks.colors.secondary)
    return Group(table_of(Sheet(("support#", "right#", "replies#"), rows), looks), "", legend)


def reliability_scene(found: Evaluation | None, looks: Looks) -> Scene:
    """The share that was right (up) over support (across), and the line on which they are equal."""
    if found is None or found.support is None:
        return Scene(message="no support was measured")
    spec, bins = looks.theme.spec, found.support.table
    equal = Curve((0.0, 1.0), (0.0, 1.0), spec.plot_axis)
    means, shares = tuple(b.mean for b in bins), tuple(b.right for b in bins)
    dots = (Curve((m,), (r,), spec.colors.accent, "●") for m, r in zip(means, shares, strict=True))
    return Scene((equal, Curve(means, shares, spec.colors.accent), *dots), y_floor=0.0)


def routing_view(found: Evaluation, looks: Looks) -> RenderableType:
    """Probes of every adapter by the one they went to; what went astray stands out."""
    colors = looks.colors
    names = looks.ordered(tuple(dict.fromkeys((*found.recall.per_adapter, *found.routing.confusion))))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("")
    for name in names:
        table.add_column(looks.label(name), justify="right")
    table.add_column("right", justify="right")
    for name in names:
        row = found.routing.confusion.get(name, {})
        cells = []
        for to in names:
            count = row.get(to, 0)
            good = (
                Style(color=colors.success, bold=True) if to == name else Style(color=colors.error, bold=True)
            )
            cells.append(Text(str(count) if count else "·", good if count else Style(color=colors.secondary)))
        table.add_row(looks.label(name), *cells, percent(found.routing.per_adapter.get(name)))
    accuracy, loo = percent(found.routing.accuracy), percent(found.routing.loo_accuracy)
    head = "Probes of an adapter (rows) by the one with the most weight (columns)."
    wrong = sheets.went_wrong(found)
    foot = f"{accuracy} routed right, {wrong} astray; on trained questions, each left out in turn, {loo}"
    return Group(Text(head), "", table, "", Text(foot, Style(color=colors.secondary)))


def table_of(sheet: Sheet, looks: Looks) -> Table:
    """A table as `dlm eval` prints it, adapters in their colours."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in sheet.headings:
        table.add_column(heading.rstrip("#"), justify="right" if heading.endswith("#") else "left")
    for name, *cells in sheet.rows:
        style = looks.style(name) if name in looks.names else Style()
        table.add_row(Text(visible_line(name), style), *(Text(visible_line(cell)) for cell in cells))
    return table
