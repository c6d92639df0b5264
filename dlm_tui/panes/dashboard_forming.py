"""The dashboard's questions that are asked again while a run trains: one sees their answers forming."""

from rich.style import Style
from rich.text import Text

from dlm_core.safetext import visible_line
from dlm_tui.session.run_view import Forming, RunView
from dlm_tui.session.sparks import spark
from dlm_tui.widgets.looks import Looks

_SPARKS = 24
_LEAST = 8


def forming_text(run: RunView | None, looks: Looks, width: int) -> Text:
    """For each question the probability of its answer over the epochs, and what is said in its place now."""
    lines = [_lines(known, looks, width) for known in run.forming.values()] if run is not None else []
    return Text("\n", end="").join(lines)


def _lines(known: Forming, looks: Looks, width: int) -> Text:
    probe, colors = known.latest, looks.colors
    right = probe.said == probe.expected
    room = max(_LEAST, min(_SPARKS, width // 3))
    tail = f" {spark(known.probabilities, room):<{room}} {probe.probability:4.0%}"
    question = Text(f"{looks.sign(probe.adapter)} ", style=looks.style(probe.adapter), end="")
    question.append(visible_line(probe.question), Style(bold=True, color=colors.foreground))
    question.truncate(max(_LEAST, width - len(tail)), overflow="ellipsis", pad=True)
    question.append(tail, looks.style(probe.adapter))
    said = Text(end="", no_wrap=True, overflow="ellipsis")
    said.append("✔ " if right else "  ", Style(color=colors.success))
    said.append(visible_line(probe.said) or "(nothing)", Style(color=colors.secondary, dim=not right))
    said.truncate(width, overflow="ellipsis")
    return question.append("\n").append_text(said)
