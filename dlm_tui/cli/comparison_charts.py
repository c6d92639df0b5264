"""A comparison as pictures: learned against kept, as text for the terminal, and as SVG and PNG.

plotext draws the text. matplotlib draws the files; it is an extra (`dlm-workbench[charts]`), and without it
there are none.
"""

import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from dlm_core.reports import METHODS, Comparison, Learned, Method
from dlm_tui.session.compared import change, chart_legend, chart_title, letter, recall_name, recall_of

# The colours of Okabe and Ito, told apart by readers who see colours differently; a mark goes with each.
COLORS: dict[Method, str] = {
    "disel": "#0072b2", "lora": "#e69f00", "lora-mlp": "#009e73", "dora": "#cc79a7", "adalora": "#56b4e9",
    "full": "#d55e00",
}  # fmt: skip
MARKS: dict[Method, str] = {
    "disel": "o", "lora": "s", "lora-mlp": "^", "dora": "D", "adalora": "v", "full": "X",
}  # fmt: skip
_WIDTH, _HEIGHT = 76, 18


def loss_of(learned: Learned) -> float:
    """Nats per answer token: on probes where there are any, else on what was trained."""
    return learned.loss if learned.loss_probes is None else learned.loss_probes


def text_chart(comparison: Comparison, *, unicode: bool = True) -> list[str]:
    """Recall against the change of perplexity, a letter for each chosen trial, and what the letters mean.

    Up is learned, left is kept; capitals are trained with rehearsal.
    """
    plotext: Any = importlib.import_module("plotext")
    figure = plotext.figure
    figure.clear()
    figure.plot_size(_WIDTH, _HEIGHT)
    figure.theme("colorless")
    figure.axes(active=False, axis="x", side="upper")
    figure.axes(active=False, axis="y", side="right")
    chosen = comparison.chosen()
    xs = [change(t, comparison) for t in chosen]
    ys = [recall_of(t.learned) for t in chosen]
    x_ruler, y_ruler = figure.ruler("x", "lower"), figure.ruler("y", "left")
    low, high = _room([*xs, 0.0])
    x_ruler.lim(low, high)
    floor, ceiling = _room(ys)
    y_ruler.lim(max(0.0, floor), min(1.05, ceiling))
    for trial, x, y in zip(chosen, xs, ys, strict=True):
        figure.draw(figure.signal([x], [y], marker=plotext.marker(letter(trial))))
    drawn = Text.from_ansi(figure.build().string()).plain.rstrip("\n").splitlines()
    if not unicode:
        drawn = [line.encode("ascii", "replace").decode().replace("?", "-") for line in drawn]
    return [chart_title(comparison), *(line.rstrip() for line in drawn), chart_legend(comparison)]


def _room(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = (high - low) * 0.08 or max(abs(high), 1.0) * 0.08
    return low - margin, high + margin


def save_pictures(comparison: Comparison, folder: Path) -> list[Path]:
    """Writes comparison.svg and comparison.png; returns their paths, none where matplotlib is not installed.

    Two panels share the change of perplexity on neutral text: recall, and loss. Large marks are the chosen
    rates, small ones the others that were tried, joined in the order of their rates; hollow marks were
    trained with rehearsal. Raises OSError.
    """
    if importlib.util.find_spec("matplotlib") is None:
        return []
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = (
        (f"learned: {recall_name(comparison)}", recall_of),
        (f"learned: loss on {'probes' if comparison.probes else 'answers'} (nats per token)", loss_of),
    )
    # Fixed salt and no date: the same comparison gives the same file.
    with rc_context({"svg.hashsalt": "dlm", "font.size": 9, "svg.fonttype": "none"}):
        figure = Figure(figsize=(10, 4.4), layout="constrained")
        FigureCanvasAgg(figure)
        for axes, (title, figure_of) in zip(figure.subplots(1, 2), panels, strict=True):
            _draw_panel(axes, comparison, figure_of)
            if figure_of is loss_of:
                axes.invert_yaxis()  # up is learned, in both panels
            axes.set_title(title, fontsize=9)
            axes.set_xlabel("kept: change of perplexity on neutral text (%)")
            axes.axvline(0, color="#888888", linewidth=0.8, linestyle=":")
            axes.grid(alpha=0.2)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(6, len(labels)), frameon=False)
        figure.suptitle(f"{comparison.document} on {comparison.base}", fontsize=10)
        paths = [folder / "comparison.svg", folder / "comparison.png"]
        figure.savefig(paths[0], metadata={"Date": None, "Creator": "dlm compare"})
        figure.savefig(paths[1], dpi=150, metadata={"Software": "dlm compare"})
    return paths


def _draw_panel(axes: Any, comparison: Comparison, figure_of: Any) -> None:
    for method in METHODS:
        for rehearsal in (False, True):
            trials = sorted(
                (t for t in comparison.trials if t.method == method and t.rehearsal is rehearsal),
                key=lambda t: t.learning_rate,
            )
            if not trials:
                continue
            style = {"color": COLORS[method], "marker": MARKS[method]}
            points = [(change(t, comparison), figure_of(t.learned)) for t in trials]
            axes.plot(*zip(*points, strict=True), **style, markersize=3, linewidth=0.7, alpha=0.5)
            hollow = {"markerfacecolor": "none", "markeredgewidth": 1.6} if rehearsal else {}
            label = f"{method}, rehearsal" if rehearsal else method
            for trial, (x, y) in zip(trials, points, strict=True):
                if trial.chosen:
                    axes.plot([x], [y], **style, **hollow, markersize=9, linestyle="none", label=label)
