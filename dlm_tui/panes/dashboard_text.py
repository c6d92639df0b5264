"""The dashboard's words and numbers as styled text: pure functions from a run to what stands on screen."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rich.style import Style
from rich.text import Text

from dlm_core.events import Log, RunEnded
from dlm_core.safetext import visible, visible_line
from dlm_core.store.metrics_reader import EvaluationRecord
from dlm_tui.session.bars import bar
from dlm_tui.session.output import local_time
from dlm_tui.session.run_view import Concern, RunView, Series
from dlm_tui.session.wording import duration
from dlm_tui.themes import WorkbenchTheme
from dlm_tui.widgets.looks import SEVERITY_SIGNS, Looks
from dlm_tui.widgets.plot import Curve, Guide, Scene

LOG_LINES = 12
OVERLAY_SIGN = "○"
_LEARNED = 0.99
"""Recall and right share from which they are good."""
_RIGHT = 0.9
FORGETTING_FULL = 0.05
"""A rise of perplexity that fills the forgetting meter: 5 %."""


def status_text(
    run: RunView | None, theme: WorkbenchTheme, width: int, source: str = "", memory: int = 0
) -> Text:
    """State, progress bar and rates of a run; what to do where there is none.

    `memory` is what the engine holds, in bytes; 0 where that is not known.
    """
    spec = theme.spec
    muted = Style(color=spec.colors.secondary)
    if run is None:
        text = Text(end="").append("No run yet. ", style="bold")
        text.append("F5 trains the document; the first run takes everything.", style=muted)
        return text
    text = Text(end="", no_wrap=True, overflow="ellipsis")
    word, color = _state_word(run, theme)
    text.append(f"Run {run.run_id} ", style="bold").append(word, style=Style(color=color, bold=True))
    if source:
        text.append(f"  {visible_line(source)}", style=muted)
    last = run.last
    if run.running and last is not None:
        figures = f"{last.tokens_per_s:,.0f} tok/s" + (f"  {memory / 2**20:,.0f} MB" if memory else "")
        text.append(
            f"  step {last.step}/{last.steps}  epoch {last.epoch}/{last.epochs}  {figures}", style=muted
        )
        done = f" {run.progress:4.0%}  ETA {duration(last.eta_s)}"
        text.append("\n").append(bar(run.progress, max(4, width - len(done))), style=spec.colors.accent)
        text.append(done, style="bold")
        if run.gate_last is not None and run.gate is None:
            gate = run.gate_last
            text.append(f"\ngate step {gate.step}/{gate.steps}  accuracy {gate.accuracy:.0%}", style=muted)
    elif run.ended is not None:
        reason = visible_line(run.ended.reason)
        text.append(f"\n{reason}" if reason else "", style=muted)
        text.append(f"  {duration(run.ended.seconds)}", style=muted)
        if run.ended.checkpoint:
            text.append("\nCheckpoint kept: resume with Ctrl+P, Resume training.", style=muted)
    elif run.planned is not None:
        plan = run.planned
        rows = sum(plan.rows.values())
        steps = f", {plan.steps} steps" if plan.steps else ""  # a revision ends when a check says so
        text.append(f"\n{rows} rows, {plan.tokens:,} tokens{steps}", style=muted)
    return text


def _state_word(run: RunView, theme: WorkbenchTheme) -> tuple[str, str]:
    colors = theme.spec.colors
    if run.failure:
        return "✖ failed", colors.error
    if run.ended is None:
        return "▶ training", colors.accent
    words = {"done": ("✔ done", colors.success), "stopped": ("■ stopped", colors.warning)}
    return words.get(run.ended.status, ("✖ failed", colors.error))


@dataclass(frozen=True)
class LossView:
    """How the loss is shown: raw, smoothed or both, heights as logarithms, and the step at the cursor."""

    raw: bool = True
    smooth: bool = True
    log: bool = False
    cursor: float | None = None


def figures_text(
    run: RunView | None, record: EvaluationRecord | None, theme: WorkbenchTheme, width: int
) -> Text:
    """What a look should tell first: recall, the share of probes that are right, and what was forgotten."""
    colors = theme.spec.colors
    muted = Style(color=colors.secondary)
    pieces: list[Text] = []

    def figure(name: str, value: str, style: str, note: str = "") -> None:
        piece = Text(end="").append(f"{name} ", muted).append(value, Style(color=style, bold=True))
        pieces.append(piece.append(f" {note}", muted) if note else piece)

    epoch = run.epochs[-1] if run is not None and run.epochs else None
    if epoch is not None:
        learned = epoch.recall >= _LEARNED
        figure("recall", f"{epoch.recall:.0%}", colors.success if learned else colors.accent)
    answers = record.evaluated.evaluation.answers if record is not None else None
    if answers is not None and record is not None:
        right = (answers.grounded or answers.weights).right
        ran = record.evaluated.run_id
        older = "" if run is None or ran == run.run_id else f"(run {ran})"
        figure("right", f"{right:.0%}", colors.success if right >= _RIGHT else colors.warning, older)
    epochs = run.epochs[::-1] if run is not None else ()
    measured = next((e for e in epochs if e.perplexity and e.perplexity_base), None)
    if measured is not None and measured.perplexity and measured.perplexity_base:
        rise = measured.perplexity / measured.perplexity_base - 1
        figure("forgetting", f"{rise:+.1%}", _forgotten(rise, theme))
    return flowed(pieces, width)


def _forgotten(rise: float, theme: WorkbenchTheme) -> str:
    colors = theme.spec.colors
    return colors.success if rise < 0.0105 else colors.warning if rise <= 0.02 else colors.error


def loss_scene(run: RunView | None, looks: Looks, view: LossView, overlay: RunView | None = None) -> Scene:
    """The loss curves of `run`: all together and each adapter's, raw or smoothed, over another run's."""
    if run is None or not len(run.loss):
        return Scene(message="no loss yet")
    spec = looks.theme.spec
    curves: list[Curve] = []
    if overlay is not None and len(overlay.loss):
        curves.append(_curve(overlay.loss, spec.plot_axis, OVERLAY_SIGN, smooth=True))
    smooth = view.smooth
    if view.raw and smooth:
        curves.append(_curve(run.loss, spec.plot_axis))
    if len(run.losses) != 1:
        curves.append(_curve(run.loss, spec.plot_all, "∗", smooth=smooth))
    for name in looks.ordered(tuple(run.losses)):
        curves.append(_curve(run.losses[name], looks.color(name), looks.sign(name), smooth=smooth))
    return Scene(tuple(curves), y_floor=0.0, log=view.log, cursor=view.cursor)


def _curve(series: Series, color: str, sign: str = "", *, smooth: bool = False) -> Curve:
    return Curve(tuple(series.xs), tuple(series.smooth if smooth else series.ys), color, sign)


def loss_legend(
    run: RunView | None, looks: Looks, width: int, view: LossView, overlay: RunView | None = None
) -> Text:
    """What the curves are, each with its latest value, or that at the cursor."""
    if run is None or not len(run.loss):
        return Text(end="")
    spec = looks.theme.spec
    pieces = []
    if view.cursor is not None:
        step = run.loss.xs[run.loss.place(view.cursor)]
        pieces.append(Text(end="").append(f"step {step:.0f}", Style(color=spec.colors.accent, bold=True)))
    for name in looks.ordered(tuple(run.losses)):
        pieces.append(looks.label(name).append(f" {_read(run.losses[name], view):.3f}", style="bold"))
    if len(run.losses) != 1:
        both = Text(end="").append("∗ all", style=spec.plot_all)
        pieces.append(both.append(f" {_read(run.loss, view):.3f}", style="bold"))
    if overlay is not None and len(overlay.loss):
        other = Text(end="").append(f"{OVERLAY_SIGN} run {overlay.run_id}", style=spec.plot_axis)
        pieces.append(other.append(f" {_read(overlay.loss, replace(view, smooth=True)):.3f}", style="bold"))
    words = "smoothed, raw behind" if view.raw and view.smooth else "smoothed" if view.smooth else "raw"
    words += ", logarithmic" if view.log else ""
    pieces.append(Text(end="").append(words, style=Style(color=spec.plot_axis)))
    return flowed(pieces, width)


def _read(series: Series, view: LossView) -> float:
    place = -1 if view.cursor is None else series.place(view.cursor)
    return (series.smooth if view.smooth else series.ys)[place]


def flowed(pieces: Sequence[Text], width: int) -> Text:
    """The pieces two cells apart, on as many lines as it takes; no piece is broken."""
    text, column = Text(end=""), 0
    for piece in pieces:
        if column and column + 2 + piece.cell_len > width:
            text.append("\n")
            column = 0
        elif column:
            text.append("  ")
            column += 2
        text.append_text(piece)
        column += piece.cell_len
    return text


def gate_scene(run: RunView | None, theme: WorkbenchTheme) -> Scene:
    """Entropy over the gate's training; a dotted line at uniform (ln N)."""
    if run is None or not len(run.gate_entropy):
        return Scene(message="no gate training in this run")
    uniform = max_entropy(run)
    guides = (Guide(uniform),) if uniform else ()
    return Scene((_curve(run.gate_entropy, theme.spec.colors.primary, "◂"),), guides, y_floor=0.0)


def max_entropy(run: RunView) -> float:
    """ln N of the run's gate, 0 where it is not known."""
    if run.gate is not None and run.gate.max_entropy:
        return run.gate.max_entropy
    return math.log(len(run.adapters)) if len(run.adapters) > 1 else 0.0


def gate_legend(run: RunView | None, theme: WorkbenchTheme, width: int) -> Text:
    """The gate's figures: entropy against the marked line, and accuracies."""
    muted = Style(color=theme.spec.colors.secondary)
    pieces: list[Text] = []
    if run is None:
        return Text(end="")
    if run.gate_last is not None:
        uniform = max_entropy(run)
        pieces.append(Text(end="").append(f"entropy {run.gate_last.entropy:.3f}", style="bold"))
        pieces.append(Text(end="").append(f"┈ uniform {uniform:.2f}", style=muted))
    if run.gate is not None:
        pieces.append(Text(end="").append(run.gate.mode, style="bold"))
        if run.gate.train_accuracy is not None:
            pieces.append(Text(end="").append(f"accuracy {run.gate.train_accuracy:.0%}", style=muted))
        if run.gate.loo_accuracy is not None:
            pieces.append(Text(end="").append(f"leave-one-out {run.gate.loo_accuracy:.0%}", style=muted))
    return flowed(pieces, width)


def mean_weights_text(run: RunView | None, looks: Looks, width: int) -> Text:
    """The gate's mean weight and samples per adapter."""
    if run is None or run.gate is None:
        return Text("", end="")
    gate = run.gate
    lines = []
    for name in looks.ordered(tuple(gate.mean_weights)):
        weight, samples = gate.mean_weights[name], gate.sample_counts.get(name, 0)
        tail = f" {weight:.2f} {samples:>3} " + ("samples" if width >= 44 else "Q")
        line = looks.label(name, 14)
        line.append(" ").append(bar(weight, max(3, width - 15 - len(tail))), style=looks.style(name))
        lines.append(line.append(tail))
    return Text("\n", end="").join(lines)


def openness_scene(run: RunView | None, looks: Looks) -> Scene:
    """Mean openness of every adapter over the run."""
    if run is None or not run.openness:
        return Scene(message="no openness yet")
    names = looks.ordered(tuple(run.openness))
    curves = (_curve(run.openness[name], looks.color(name), looks.sign(name)) for name in names)
    return Scene(tuple(curves), y_floor=0.0)


def learned_text(run: RunView | None, looks: Looks, width: int) -> Text:
    """Recall per adapter as bars, and the forgetting meter: perplexity on neutral text against the base."""
    lines: list[Text] = []
    if run is not None and run.preferred is not None:
        lines.append(Text(f"chosen answers preferred {run.preferred.recall:.0%}", end=""))
    if run is None or not run.epochs:
        waiting = Text("after the first epoch", style=Style(color=looks.theme.spec.plot_axis), end="")
        return lines[0] if lines else waiting
    epoch, spec = run.epochs[-1], looks.theme.spec
    for name in looks.ordered(tuple(epoch.recalls)):
        line = looks.label(name, 14)
        line.append(" ").append(bar(epoch.recalls[name], max(3, width - 21)), style=looks.style(name))
        lines.append(line.append(f" {epoch.recalls[name]:5.0%}"))
    total = Text(end="").append("∗ all".ljust(14), style=spec.plot_all)
    total.append(" ").append(bar(epoch.recall, max(3, width - 21))).append(
        f" {epoch.recall:5.0%}", style="bold"
    )
    lines.append(total)
    kept = (epoch.perplexity, epoch.perplexity_base, epoch.kl)
    lines.append(forgetting_text(*kept, looks.theme, width, epoch.chat_kl))
    return Text("\n", end="").join(lines)


def forgetting_text(
    perplexity: float | None,
    base: float | None,
    kl: float | None,
    theme: WorkbenchTheme,
    width: int,
    chat_kl: float | None = None,
) -> Text:
    """The forgetting meter: full at a rise of 5 % in perplexity; an empty one forgot nothing. Below it, how
    far replies to chat begin from the base's.
    """
    colors = theme.spec.colors
    if perplexity is None or not base:
        return Text("forgetting is not measured yet", style=theme.spec.plot_axis, end="")
    rise = perplexity / base - 1
    color = _forgotten(rise, theme)
    text = Text("forgetting".ljust(14) + " ", end="", no_wrap=True, overflow="ellipsis")
    text.append(bar(rise / FORGETTING_FULL, max(3, width - 22)), style=color)
    text.append(f" {rise:+.1%}", style=Style(color=color, bold=True))
    detail = f"\nperplexity {perplexity:.2f}, base {base:.2f}"
    detail += f", KL {kl:.4f}" if kl is not None else ""
    if chat_kl is not None:
        detail += f"\nreplies to chat begin {chat_kl:.2f} nats from the base's"
    return text.append(detail, style=Style(color=colors.secondary))


def evaluation_text(record: EvaluationRecord, looks: Looks, width: int) -> Text:
    """The last `dlm eval`: when and of what, then its figures, the bare base's beside them."""
    found = record.evaluated.evaluation
    recall, kept = found.recall, found.retention
    muted = Style(color=looks.colors.secondary)
    pieces = [Text(f"evaluated {local_time(record.at)}, {visible_line(found.version)}", style=muted, end="")]

    def figure(name: str, value: float | None, form: str = ".0%", base: float | None = None) -> None:
        if value is not None:
            piece = Text(end="").append(f"{name} ").append(f"{value:{form}}", style="bold")
            pieces.append(piece if base is None else piece.append(f" base {base:{form}}", style=muted))

    figure("verbatim", recall.verbatim, base=recall.verbatim_base)
    figure("paraphrase", recall.paraphrase_f1, ".2f", recall.paraphrase_f1_base)
    if (answers := found.answers) is not None:
        figure("right", (answers.grounded or answers.weights).right, base=answers.base.right)
        figure("weights alone", answers.weights.right if answers.grounded is not None else None)
        figure("search alone", answers.search.right)
    figure("routing", found.routing.accuracy)
    figure("off-topic leaks", found.offtopic.leaked if found.offtopic is not None else None)
    figure("perplexity", kept.perplexity / kept.perplexity_base - 1, "+.1%")
    figure("chat KL", kept.chat.kl if kept.chat is not None else None, ".2f")
    return flowed(pieces, width)


def concerns_text(concerns: Sequence[Concern], looks: Looks) -> Text:
    """The warnings panel: for each what is the matter, with counts as a bar, and what to do."""
    colors = looks.colors
    blocks = []
    for concern in concerns:
        block = Text(end="").append("⚠ ", style=Style(color=colors.warning, bold=True))
        if concern.kind == "cold_start":
            block.append_text(looks.label(concern.adapter)).append("  ")
            block.append("▮" * concern.have, style=looks.style(concern.adapter))
            block.append("▯" * (concern.floor - concern.have), style=Style(color=colors.warning))
            block.append(f" {concern.have} of {concern.floor} tagged sections", style="bold")
        else:
            block.append(visible(concern.message), style="bold")
        block.append(f"\n  {visible(concern.remedy)}", style=Style(color=colors.secondary))
        blocks.append(block)
    return Text("\n", end="").join(blocks)


def versions_text(versions: Mapping[str, str], looks: Looks, width: int) -> Text:
    """The current version of every adapter."""
    if not versions:
        return Text("Nothing is trained yet.", style=Style(color=looks.theme.spec.plot_axis), end="")
    names = looks.ordered(tuple(versions))
    return flowed([looks.label(name).append(f" {versions[name]}") for name in names], width)


def log_text(log: Sequence[Log], looks: Looks) -> Text:
    """The last sentences the engine said."""
    shown = []
    for entry in log[-LOG_LINES:]:
        said = f"{SEVERITY_SIGNS[entry.level]} {visible_line(entry.message)}"
        line = Text(end="").append(said, style=looks.severity_color(entry.level))
        if entry.hint:
            line.append(f" {visible_line(entry.hint)}", style=Style(color=looks.colors.secondary))
        shown.append(line)
    return Text("\n", end="").join(shown)


def end_sentence(event: RunEnded) -> str:
    """How a run ended, what is current now, and what was kept of a stopped one."""
    kept = ", ".join(f"{name} {version}" for name, version in event.versions.items())
    words = {"done": "Trained", "stopped": "Stopped", "failed": "The run failed"}.get(event.status, "Ended")
    checkpoint = f" Checkpoint {event.checkpoint} can be resumed." if event.checkpoint else ""
    if event.status == "done" and event.reason.startswith("nothing"):
        return visible_line(f"Not trained: {event.reason}. Current: {kept or 'nothing trained'}.")
    return visible_line(f"{words}: {event.reason}. Current: {kept or 'nothing trained'}.{checkpoint}")
