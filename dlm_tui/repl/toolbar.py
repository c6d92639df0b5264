"""The lines under the prompt: the routing of what stands in it, and how all else stands. Pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from prompt_toolkit.utils import get_cwidth

from dlm_core.events import Routing, TrainStep
from dlm_core.requests import RoutingChoice
from dlm_core.safetext import visible_line
from dlm_tui.session.bars import bar, bar_lines, cut
from dlm_tui.session.engine_session import EngineState
from dlm_tui.session.live_routing import static_routing
from dlm_tui.session.session import Session
from dlm_tui.session.signs import AdapterSign
from dlm_tui.session.text import NOTE, WARNING, Line, plain
from dlm_tui.session.wording import counted, duration

GATE_KEY = "^G"
UNTRAINED = ("", "g0")
"""How a version reads while nothing has been committed."""
_MAX_STACKED = 4


@dataclass(frozen=True)
class Standing:
    """Everything that the toolbar shows.

    `routing` is that of the line being typed, None while unknown; `stale`: the line has changed since.
    """

    state: EngineState
    detail: str = ""
    base: str = ""
    version: str = ""
    choice: RoutingChoice = field(default_factory=RoutingChoice)
    routing: Routing | None = None
    stale: bool = False
    step: TrainStep | None = None
    training: bool = False
    replying: bool = False
    waiting: int = 0
    warnings: int = 0
    untrained: int = 0
    document_errors: int = 0


def standing(session: Session) -> Standing:
    """How a session stands now."""
    engine, document, run = session.engine, session.document.state, session.runs.view
    return Standing(
        state=engine.state,
        detail=engine.detail,
        base=engine.ready.base if engine.ready else "",
        version=session.version,
        choice=session.conversation.choice,
        routing=session.live.routing,
        stale=session.live.stale,
        step=run.last if run is not None else None,
        training=session.runs.under_way,
        replying=session.replies.begun,
        waiting=session.replies.waiting,
        warnings=len(session.warnings),
        untrained=document.untrained if document.generation else 0,
        document_errors=len(document.errors),
    )


def toolbar(
    now: Standing, signs: Mapping[str, AdapterSign], width: int, *, unicode: bool = True
) -> list[Line]:
    """The toolbar for a terminal of `width` columns; no line is wider."""
    width = max(10, width - 1)
    lines = [*_routing_lines(now, signs, width, unicode), _standing_line(now, width, unicode)]
    if now.training:
        lines.append(_training_line(now.step, width, unicode))
    return lines


def _routing_lines(now: Standing, signs: Mapping[str, AdapterSign], width: int, unicode: bool) -> list[Line]:
    routing = now.routing or static_routing(now.choice, tuple(signs))
    known = routing.weights if routing is not None else None
    in_one = _in_one_row(known, now.stale, signs, width, unicode)
    if in_one is not None:
        return [in_one]
    if len(signs) <= _MAX_STACKED:
        stacked = bar_lines(known or dict.fromkeys(signs, 0.0), signs, width=width, unicode=unicode)
        return [
            [
                (f"fg:{b.sign.color}", f"{b.sign.sign} {b.name} {b.bar}"),
                (NOTE if now.stale else "", f" {b.number if known is not None else '   -'}"),
            ]
            for b in stacked
        ]
    row: list[tuple[str, str]] = []
    for name, sign in signs.items():
        number = f"{known.get(name, 0.0):.2f}" if known is not None else "-"
        piece = f"{sign.sign} {number}  "
        if sum(len(text) for _, text in row) + len(piece) > width:
            break
        row.append((f"fg:{sign.color}", piece))
    return [row] if row else []


def _in_one_row(
    known: Mapping[str, float] | None,
    stale: bool,
    signs: Mapping[str, AdapterSign],
    width: int,
    unicode: bool,
) -> Line | None:
    """Sign, name, bar and number of all adapters side by side, if bars of four cells or more fit."""
    if not signs:
        return []
    fixed = sum(len(name) + 2 + 1 + 5 + 2 for name in signs)
    bar_width = min(12, (width - fixed) // len(signs))
    if bar_width < 4:
        return None
    row: list[tuple[str, str]] = []
    for name, sign in signs.items():
        color = f"fg:{sign.color}"
        drawn = (
            bar(known.get(name, 0.0), bar_width, unicode=unicode) if known is not None else " " * bar_width
        )
        number = f"{known.get(name, 0.0):.2f}" if known is not None else "   -"
        row += [(color, f"{sign.sign} {name} {drawn}"), (NOTE if stale else "", f" {number}  ")]
    return row


def _standing_line(now: Standing, width: int, unicode: bool) -> Line:
    """How things stand, most important first; what does not fit is left out."""
    gap = "  "
    pieces: list[tuple[str, str]] = [("class:key", GATE_KEY), ("", f" {_choice(now)}{gap}")]
    problem = _state(now)
    if problem is not None:
        pieces.append((problem[0], problem[1] + gap))
    if now.replying or now.waiting:
        queued = f"{now.waiting} waiting" if now.waiting else ""
        said = ", ".join(filter(None, ["replying" if now.replying else "", queued]))
        pieces.append(("class:busy", f"{said}{gap}"))
    if now.warnings:
        mark = "⚠ " if unicode else "! "
        pieces.append((WARNING, f"{mark}{counted(now.warnings, 'warning')}{gap}"))
    if now.document_errors:
        pieces.append((WARNING, f"{counted(now.document_errors, 'error')} in the document{gap}"))
    elif now.untrained:
        pieces.append(("", f"{counted(now.untrained, 'new section')}: /train{gap}"))
    if now.state == "ready":
        pieces.append((NOTE, f"{visible_line(now.base)} {_version(now)}{gap}"))
    pieces.append((NOTE, "/help"))
    row: list[tuple[str, str]] = []
    for style, text in pieces:
        left = width - get_cwidth(plain(row))
        if get_cwidth(text) > left and get_cwidth(text.rstrip()) <= left:
            row.append((style, text.rstrip()))
            break
        if get_cwidth(text) > left:
            if not row or style == WARNING:
                row.append((style, cut(text.rstrip(), left, unicode=unicode)))
            break
        row.append((style, text))
    return row


def _version(now: Standing) -> str:
    return "untrained" if now.version in UNTRAINED else now.version


def _choice(now: Standing) -> str:
    match now.choice.mode:
        case "auto":
            uniform = now.routing is not None and now.routing.mode == "uniform"
            return "gate auto (uniform)" if uniform else "gate auto"
        case "off":
            return "gate off"
        case "pin":
            return f"pin {now.choice.adapter}"
        case mode:
            return mode


def _state(now: Standing) -> tuple[str, str] | None:
    match now.state:
        case "starting":
            return ("class:busy", "starting the engine")
        case "loading":
            return ("class:busy", f"loading {visible_line(now.detail)}".rstrip())
        case "dead":
            return (WARNING, "engine gone: /restart")
        case "refused":
            return (WARNING, "not open: /show, /edit")
        case _:
            return None


def _training_line(step: TrainStep | None, width: int, unicode: bool) -> Line:
    if step is None:
        return [("class:busy", cut("training: preparing (Ctrl-C stops)", width, unicode=unicode))]
    share = step.step / max(1, step.steps)
    text = f"training {share:.0%}"
    left = f"{duration(step.eta_s)} left"
    pieces = (left, f"step {step.step}/{step.steps}", f"loss {step.loss:.3f}", "(Ctrl-C stops)")
    for piece in (*pieces, f"{step.tokens_per_s:.0f} tokens/s"):
        if len(text) + 2 + len(piece) > width:
            break
        text += f"  {piece}"
    drawn = bar(share, min(16, width - len(text) - 1), unicode=unicode)
    if len(drawn) >= 4:
        text = text.replace("training ", f"training {drawn} ", 1)
    return [("class:busy", cut(text, width, unicode=unicode))]
