"""What a session has to say, as styled lines: replies, routing, the document, help. Values in, lines out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlm_core.events import Citation, Ready, Routing, Why
from dlm_core.requests import RoutingChoice
from dlm_core.safetext import visible, visible_line
from dlm_core.teaching import Edit
from dlm_tui.session import shown as values
from dlm_tui.session import sources
from dlm_tui.session.bars import bar_lines, cut
from dlm_tui.session.commands import COMMANDS, Command
from dlm_tui.session.conversation import Answer, Turn, describe, left_out
from dlm_tui.session.document_state import DocumentState, Warned
from dlm_tui.session.front import Option
from dlm_tui.session.output import local_time
from dlm_tui.session.signs import AdapterSign
from dlm_tui.session.text import MARKED, NOTE, STRONG, WARNING, Line, failure, sentences, wrapped
from dlm_tui.session.wording import counted, duration, gate_lines

if TYPE_CHECKING:  # it brings the store along
    from dlm_tui.session.versions import Version

MAX_WIDTH = 88
_TOP_RANKS = 6


@dataclass(frozen=True)
class Look:
    """How things are drawn here: the adapters' signs, the room there is, and whether signs may be Unicode."""

    signs: Mapping[str, AdapterSign]
    width: int = 80
    unicode: bool = True

    @property
    def room(self) -> int:
        return max(20, min(self.width - 2, MAX_WIDTH))

    @property
    def dot(self) -> str:
        return " · " if self.unicode else ", "

    def mark(self, adapter: str | None) -> tuple[str, str, str]:
        """How an adapter is shown: the style of its colour, its sign, and sign and name; bare, if unknown."""
        sign = self.signs.get(adapter or "")
        if sign is None:
            return "", "", visible_line(adapter or "")
        return f"fg:{sign.color}", sign.sign, f"{sign.sign} {sign.name}"

    def cut(self, text: str, room: int | None = None) -> str:
        """A text in the room there is, or in `room`."""
        return cut(text, self.room if room is None else room, unicode=self.unicode)


def report(shown: values.Shown, look: Look) -> list[Line]:
    """Anything that a session can have to say."""
    match shown:
        case values.Told():
            return sentences(shown.sentences, look.room, WARNING if shown.warning else NOTE)
        case values.Failed():
            return failure(shown.error, look.room)
        case values.Entered():
            return shown_line(shown.line, look, NOTE)
        case values.DocumentShown():
            return show_report(shown.document, shown.ready, shown.choice, look)
        case values.ProblemsShown():
            return errors_report(shown.document, look)
        case values.BaseShown():
            return model_report(shown.ready, look)
        case values.WarningsShown():
            return warnings_report(shown.warnings, look)
        case values.HistoryShown():
            return history_report(shown.turns, look)
        case values.HelpShown():
            return help_report(shown.command, look, shown.keys)
        case values.WhyShown():
            return why_report(shown.answer, shown.why, look)
        case values.VersionsShown():
            return versions_report(shown.versions, look)
        case values.EditShown():
            return edit_report(shown.edit, look)


def routing_words(routing: Routing) -> str:
    """The mode and why it is so; the reason alone where it names the mode already."""
    reason = visible_line(routing.reason)
    if not reason:
        return routing.mode
    return reason if reason.startswith(routing.mode) else f"{routing.mode}: {reason}"


def reply_report(answer: Answer, look: Look, context_length: int = 0) -> list[Line]:
    """What stands under a reply: how it ended, its routing with bars and openness, its speed and version."""
    figures = [routing_words(answer.routing)]
    if answer.timing is not None:
        figures.append(f"{answer.timing.tokens_per_s:.0f} tokens/s")
        figures.append(counted(answer.timing.tokens, "token"))
        if answer.timing.acceptance is not None:
            figures.append(f"{answer.timing.acceptance:.0%} of drafts kept")
    if answer.version:
        figures.append(answer.version)
    report: list[Line] = []
    if answer.finish_reason == "interrupted":
        report += sentences(["[stopped here; the part above is kept]"], look.room, WARNING)
    elif answer.finish_reason == "length":
        report += sentences(["[cut at max_tokens; /params max_tokens=… allows more]"], look.room, WARNING)
    elif not answer.text.strip():
        report += sentences(["[the reply is empty]"], look.room, WARNING)
    report += sentences([look.dot.join(figures)], look.room)
    if answer.routing.mode != "base":
        report += weight_bars(answer, look)
    report += citation_lines(answer, look)
    if answer.dropped_turns:
        report += sentences([left_out(answer.dropped_turns, context_length)], look.room, WARNING)
    if answer.during_run is not None:
        text = f"run {answer.during_run} is still training; this came from the last committed version"
        report += sentences([text], look.room)
    return report


def citation_lines(answer: Answer, look: Look) -> list[Line]:
    """Where a reply comes from, in a quiet line; what is doubtful about it, in another."""
    citation = answer.citation
    if citation is None:
        return []
    color, sign, _ = look.mark(citation.adapter)
    report: list[Line] = sentences([sources.says(citation, sign, dot=look.dot)], look.room, color or NOTE)
    report += sentences(sources.doubts(citation, look.signs, take="/other"), look.room, WARNING)
    return report + [_excerpt(answer.text, start, end, look) for start, end in _unsupported(citation)]


def _unsupported(citation: Citation) -> list[tuple[int, int]]:
    return [(found.start, found.end) for found in citation.unsupported[: sources.NAMED]]


def _excerpt(text: str, start: int, end: int, look: Look) -> Line:
    """A place in a reply, marked where it stands, with some words around it on one line."""
    around = max(0, (look.room - 4 - (end - start)) // 2)
    begins, ends = max(0, start - around), min(len(text), end + around)
    more = "…" if look.unicode else "..."
    return [
        (NOTE, "  " + (more if begins else "") + visible_line(text[begins:start])),
        (MARKED, visible_line(text[start:end])),
        (NOTE, visible_line(text[end:ends]) + (more if ends < len(text) else "")),
    ]


def weight_bars(answer: Answer, look: Look) -> list[Line]:
    """A bar, the weight, and the openness of each adapter."""
    notes = {name: f"openness {o.mean:.2f}" for name, o in answer.openness.items()}
    bars = bar_lines(
        answer.routing.weights, look.signs, width=look.room, unicode=look.unicode, notes=notes,
        base=answer.routing.base,
    )  # fmt: skip
    return [
        [(f"fg:{b.sign.color}", f"{b.sign.sign} {b.name} {b.bar}"), ("", f" {b.number}"), (NOTE, b.note)]
        for b in bars
    ]


def why_report(answer: Answer, why: Why, look: Look) -> list[Line]:
    """What stands behind a reply: weights, openness, the sections that search found, the nearest trained
    questions, the ranks that stood most open.
    """
    report: list[Line] = sentences([routing_words(answer.routing)], look.room, STRONG)
    report += weight_bars(answer, look)
    report += source_report(answer, why, look)
    neighbours = why.neighbours
    if neighbours:
        report.append([(STRONG, "nearest trained questions")])
    for near in neighbours:
        color, _, mark = look.mark(near.adapter)
        head = f"{near.similarity:.2f} {mark}  "
        question = look.cut(visible_line(near.question), max(8, look.room - len(head)))
        report.append([(color, head), ("", question)])
    ranks = _most_open(answer)
    if ranks:
        report.append([(STRONG, "most open ranks")])
    for value, name, layer, rank in ranks:
        color, _, mark = look.mark(name)
        report.append([(color, f"{value:.2f} {mark}  "), ("", f"layer {layer}, rank {rank}")])
    if not answer.openness:
        report += sentences(["no adapter was at work: there is no openness to show"], look.room)
    return report


def source_report(answer: Answer, why: Why, look: Look) -> list[Line]:
    """Where a reply comes from, what the weights alone would have said, and the sections that fit."""
    report = citation_lines(answer, look)
    if answer.grounded:
        report += sentences([sources.overruled(answer.overruled)], look.room)
        if why.alone is not None:
            report += sentences([sources.alone(why.alone)], look.room)
    if why.candidates:
        report.append([(STRONG, "sections that fit")])
    for place, scores in zip(why.candidates, why.scores, strict=False):
        color, sign, _ = look.mark(place.adapter)
        figures = "  ".join(f"{name} {value:.2f}" for name, value in scores.items())
        report.append([(color, look.cut(sources.place(place, sign)))])
        report += sentences([figures], look.room)
    return report


def _most_open(answer: Answer) -> list[tuple[float, str, int, int]]:
    found = [
        (value, name, layer, rank)
        for name, openness in answer.openness.items()
        for layer, ranks in zip(openness.numbers, openness.per_rank, strict=False)
        for rank, value in enumerate(ranks)
    ]
    return sorted(found, reverse=True)[:_TOP_RANKS]


def show_report(now: DocumentState, ready: Ready | None, choice: RoutingChoice, look: Look) -> list[Line]:
    """The document, what was trained of it, its gate, and how the next reply is routed."""
    texts = [f"{now.path}  {now.dlm_id}".rstrip(), f"base {now.base_model}", _sections(now)]
    report: list[Line] = sentences(map(visible_line, texts), look.room, "")
    for name in now.adapters:
        color, _, mark = look.mark(name)
        tagged = counted(now.samples.get(name, 0), "tagged section")
        version = now.versions.get(name, "not trained")
        if len(mark) + len(version) + len(tagged) + 5 <= look.room:
            report.append([(color, mark), ("", f"  {version}{look.dot}{tagged}")])
        else:
            report += [[(color, mark)], [("", f"  {version}")], [("", f"  {tagged}")]]
    report += sentences(gate_lines(now.gate, enabled=now.gate_enabled), look.room, "")
    report += sentences([f"next reply: {describe(choice)}"], look.room, "")
    if now.store_problem:
        report += sentences([now.store_problem], look.room, WARNING)
    if ready is None:
        report += sentences(["the engine has not opened the document yet"], look.room)
    return report


def errors_report(now: DocumentState, look: Look) -> list[Line]:
    """What keeps the document from being used."""
    texts = [f"line {d.span.line}: {d.message}" + (f" ({d.hint})" if d.hint else "") for d in now.errors]
    return sentences([f"{now.path} cannot be used as it stands:", *texts], look.room, WARNING)


def _sections(now: DocumentState) -> str:
    changes = ", ".join(
        f"{n} {state}" for state in ("new", "changed", "gone") if (n := now.changes.get(state))
    )
    sections = counted(now.sections, "section")
    if not now.generation:
        return f"{sections}, not trained yet"
    return sections + (f": {changes} since the last run" if changes else ", all trained")


def model_report(ready: Ready | None, look: Look) -> list[Line]:
    """The base and how it runs, with the adapters and the version that answer."""
    if ready is None:
        return sentences(["the base is not loaded yet"], look.room)
    context = f", context {ready.context_length} tokens" if ready.context_length else ""
    texts = [
        f"{ready.base} on {ready.device} in {ready.dtype}{context}, loaded in {duration(ready.load_s)}",
        f"adapters: {', '.join(ready.adapters)}; version: {ready.version}"
        if ready.adapters
        else "no adapter is trained yet",
    ]
    return sentences(map(visible_line, texts), look.room, "")


def warnings_report(warnings: Sequence[Warned], look: Look) -> list[Line]:
    """Every warning that stands, with its remedy."""
    mark = "⚠" if look.unicode else "!"
    report: list[Line] = []
    for warned in warnings:
        report += wrapped(f"{mark} {warned.message}", look.room, WARNING)
        report += wrapped(warned.hint, look.room, NOTE, "  ") if warned.hint else []
    return report or sentences(["no warnings"], look.room)


def history_report(turns: Sequence[Turn], look: Look) -> list[Line]:
    """The conversation so far."""
    report: list[Line] = []
    for number, turn in enumerate(turns, start=1):
        report += wrapped(f"{number}> {turn.question}", look.room, STRONG)
        for answer in (*turn.others, turn.answer):
            if answer is not turn.answer:
                report += sentences([f"another reply, {routing_words(answer.routing)}:"], look.room)
            report += wrapped(answer.text, look.room)
            if answer.finish_reason == "interrupted":
                report += sentences(["[stopped]"], look.room, WARNING)
    return report or sentences(["nothing has been asked yet"], look.room)


def help_report(command: Command | None, look: Look, keys: Mapping[str, str]) -> list[Line]:
    """All commands and the front end's keys, or one command at length."""
    if command is not None:
        return _help_on(command, look)
    report: list[Line] = []
    column = min(max(len(c.name) + 1 for c in COMMANDS), look.room // 3) + 2
    for listed in COMMANDS:
        report += _entry(f"/{listed.name}", listed.summary, column, look)
    report += [[("", "")]] if keys else []
    for key, what in keys.items():
        report += _entry(key, what, column, look)
    return report


def _entry(name: str, text: str, column: int, look: Look) -> list[Line]:
    first, *rest = wrapped(text, max(16, look.room - column))
    entry: list[Line] = [[(STRONG, name.ljust(column)), *first]]
    if len(name) > column - 1:
        entry = [[(STRONG, name)], [("", " " * column), *first]]
    return [*entry, *([("", " " * column), *line] for line in rest)]


def _help_on(command: Command, look: Look) -> list[Line]:
    report: list[Line] = sentences([command.synopsis], look.room, STRONG)
    report += sentences(filter(None, (command.summary, command.detail)), look.room, "")
    if command.aliases:
        report += sentences([f"also /{', /'.join(command.aliases)}"], look.room)
    return report


def versions_report(versions: "Sequence[Version]", look: Look) -> list[Line]:
    """What runs ended in, oldest first, two lines each."""
    report: list[Line] = []
    for version in versions:
        adapters = ", ".join(f"{name} {number}" for name, number in version.adapters.items())
        report += sentences([version_words(version, look.dot)], look.room, STRONG if version.current else "")
        report += sentences([f"  {adapters}"], look.room)
    return report or sentences(["nothing is trained yet"], look.room)


def version_words(version: "Version", dot: str = " · ") -> str:
    """A version on one line: generation, time, run, recall, perplexity against the base, and a note."""
    words = [
        f"{version.generation}{' ' + visible_line(version.name) if version.name else ''}",
        local_time(version.committed_at),
        f"run {version.run_id}",
    ]
    words += [] if version.recall is None else [f"recall {version.recall:.1%}"]
    words += [] if version.perplexity is None else [f"perplexity {version.perplexity:+.1%}"]
    words += [] if version.right is None else [f"right {version.right:.0%}"]
    words += [version.note] if version.note else []
    words += ["pinned"] if version.pinned else []
    words += ["current"] if version.current else []
    return dot.join(words)


def edit_report(edit: Edit, look: Look) -> list[Line]:
    """A change of a file as a unified diff, with what it is above it."""
    report: list[Line] = sentences([edit.sentence], look.room, STRONG)
    for row in edit.difference():
        style = "" if row.startswith(("+", "-")) else NOTE
        report += wrapped(row, look.width - 2, style)
    return report


def option_report(number: int, option: Option, look: Look) -> list[Line]:
    """One thing to choose, with its number; what more there is to say about it stands under it."""
    color, sign, mark = look.mark(option.adapter)
    report: list[Line] = [[(color, look.cut(f"{number:>2}  {f'{mark}, ' if sign else ''}{option.label}"))]]
    if option.remark:
        report.append([(NOTE, look.cut(f"    {option.remark}"))])
    return report


def shown_line(line: str, look: Look, style: str) -> list[Line]:
    """A line as it stands above what answers it, once it was sent."""
    first, *rest = visible(line).split("\n")
    mark = prompt_mark(look.unicode)
    return [[(style, mark + first)], *([(style, " " * len(mark) + more)] for more in rest)]


def prompt_mark(unicode: bool) -> str:
    """What stands before the line that is typed."""
    return "❯ " if unicode else "> "
