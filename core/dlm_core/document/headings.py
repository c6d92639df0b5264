"""Inside a section: answers with the wordings and probes of their questions, prompts with what was chosen and
rejected, and the earlier turns that either follow on.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from dlm_core.document import fences
from dlm_core.document.codes import Code
from dlm_core.document.lines import Lines
from dlm_core.document.model import Preference, Question, Span, Turn
from dlm_core.document.report import Report


@dataclass(frozen=True)
class _Part:
    """A heading and the rows under it, blank ones at both ends left out; the next part begins at `until`."""

    word: str
    row: int
    last: int
    until: int
    text: str


@dataclass(frozen=True)
class Asked:
    """What an instruction section asks. `probe_rows` are the stretches [first, end) that only probes need."""

    questions: tuple[Question, ...] = ()
    probes: tuple[Question, ...] = ()
    probe_rows: tuple[tuple[int, int], ...] = ()


def read_questions(
    lines: Lines, first: int, end: int, code_rows: set[int], fence: Span | None, report: Report
) -> Asked:
    """The questions with their answers, in file order; incomplete ones are reported and left out.

    All `### Q` before one `### A` are wordings of one question; those marked `!probe` are never trained.
    Pairs marked `!before` are the turns that the question follows on.
    """
    questions: list[Question] = []
    probes: list[Question] = []
    rows: list[tuple[int, int]] = []
    earlier: list[_Part] = []
    asked: list[_Part] = []
    words = (*fences.QUESTION_HEADINGS, fences.PROBE_HEADING, *fences.TURN_HEADINGS)
    for part in _parts(lines, first, end, code_rows, words, fence, report):
        if report.gives_up():
            break
        if part.word in fences.TURN_HEADINGS:
            if asked:
                message = f"this `### {part.word}` stands between a question and its answer"
                _report_part(report, Code.TURN_MISPLACED, lines, part, message)
            else:
                earlier.append(part)
        elif part.word != "A":
            asked.append(part)
        elif not asked:
            _report_part(report, Code.QUESTION_MISSING, lines, part, "this answer has no `### Q` before it")
            earlier = []
        else:
            taught = [q for q in asked if q.word == "Q"]
            tested = [q for q in asked if q.word != "Q"]
            for probe in tested if taught else [*earlier, *tested, part]:
                begin = rows.pop()[0] if rows and rows[-1][1] == probe.row else probe.row
                rows.append((begin, probe.until))
            before = _turns(lines, earlier, report)
            if _check_bodies(lines, (*earlier, *asked, part), report):
                _check_wordings(lines, taught, report)
                probes += [
                    Question(q.text, part.text, lines.row_span(q.row, q.last), before=before) for q in tested
                ]
                if taught:
                    span = lines.row_span(taught[0].row, part.last)
                    others = tuple(q.text for q in taught[1:])
                    questions.append(Question(taught[0].text, part.text, span, others, before))
            asked, earlier = [], []
    if asked:
        message = "this question has no `### A`" if len(asked) == 1 else "these questions have no `### A`"
        _report_part(report, Code.ANSWER_MISSING, lines, asked[0], message)
    elif earlier:
        _report_part(report, Code.TURN_MISPLACED, lines, earlier[0], "no `### Q` follows on this turn")
    return Asked(tuple(questions), tuple(probes), tuple(rows))


def _turns(lines: Lines, parts: Sequence[_Part], report: Report) -> tuple[Turn, ...]:
    """The turns that some `!before` parts are, which take turns; those alone are reported and left out."""
    asks = fences.TURN_HEADINGS[0]
    turns: list[Turn] = []
    asked: _Part | None = None
    for part in parts:
        if part.word == asks:
            if asked is not None:
                _report_unanswered(lines, asked, report)
            asked = part
        elif asked is None:
            message = f"this answer has no `### {asks}` before it"
            hint = f"write `### {asks}` and the question above it"
            report.add(Code.QUESTION_MISSING, lines.row_span(part.row), message, hint)
        else:
            turns.append(Turn(asked.text, part.text))
            asked = None
    if asked is not None:
        _report_unanswered(lines, asked, report)
    return tuple(turns)


def _report_unanswered(lines: Lines, asked: _Part, report: Report) -> None:
    answers = fences.TURN_HEADINGS[1]
    message, hint = f"this question has no `### {answers}`", f"write `### {answers}` and the answer under it"
    report.add(Code.ANSWER_MISSING, lines.row_span(asked.row), message, hint)


def read_preferences(
    lines: Lines, first: int, end: int, code_rows: set[int], fence: Span | None, report: Report
) -> tuple[Preference, ...]:
    """The prompts with what was chosen and rejected; incomplete ones are reported and left out.

    `### Chosen` and `### Rejected` may come in either order; pairs marked `!before` are the turns that the
    prompt follows on.
    """
    preferences = []
    for group in _triples(lines, first, end, code_rows, fence, report):
        prompt, chosen, rejected = (group.parts[word] for word in fences.PREFERENCE_HEADINGS)
        before = _turns(lines, group.earlier, report)
        if not _check_bodies(lines, (*group.earlier, prompt, chosen, rejected), report):
            continue
        span = lines.row_span(prompt.row, max(chosen.last, rejected.last))
        if chosen.text == rejected.text:
            message = "chosen and rejected are the same text: there is nothing to prefer"
            report.add(Code.PREFERENCE_IDENTICAL, span, message, "make them differ, or take the prompt out")
        preferences.append(Preference(prompt.text, chosen.text, rejected.text, span, before))
    return tuple(preferences)


def report_prose_headings(lines: Lines, first: int, end: int, code_rows: set[int], report: Report) -> None:
    """Warn where prose holds headings that only count in other sections."""
    for row in range(first, end):
        word = fences.heading(lines.rows[row]) if row not in code_rows else None
        if word in ("Q", fences.PROBE_HEADING, fences.TURN_HEADINGS[0], "Prompt"):
            kind = "preference" if word == "Prompt" else "instruction"
            message = f"`### {word}` is plain text in a prose section"
            report.add(
                Code.HEADING_IN_PROSE, lines.row_span(row), message, f"did you mean a `::{kind}::` section?"
            )
            return


@dataclass
class _Triple:
    """A prompt under way: its parts by heading, and the parts of earlier turns above it."""

    earlier: list[_Part] = field(default_factory=list)
    parts: dict[str, _Part] = field(default_factory=dict)

    @property
    def missing(self) -> list[str]:
        return [word for word in fences.PREFERENCE_HEADINGS if word not in self.parts]


def _triples(
    lines: Lines, first: int, end: int, code_rows: set[int], fence: Span | None, report: Report
) -> list[_Triple]:
    complete: list[_Triple] = []
    group = _Triple()

    def close() -> None:
        if not group.parts:
            return
        for word in group.missing:
            code = Code.CHOSEN_MISSING if word == "Chosen" else Code.REJECTED_MISSING
            _report_part(report, code, lines, group.parts["Prompt"], f"this prompt has no `### {word}`")
        if not group.missing:
            complete.append(group)

    words = (*fences.PREFERENCE_HEADINGS, *fences.TURN_HEADINGS)
    for part in _parts(lines, first, end, code_rows, words, fence, report):
        if report.gives_up():
            break
        if part.word in fences.TURN_HEADINGS:
            if group.parts and group.missing:
                message = f"this `### {part.word}` stands between a prompt and its replies"
                _report_part(report, Code.TURN_MISPLACED, lines, part, message)
                continue
            if group.parts:
                close()
                group = _Triple()
            group.earlier.append(part)
        elif part.word == "Prompt":
            if group.parts:
                close()
                group = _Triple()
            group.parts["Prompt"] = part
        elif not group.parts:
            message = f"this `### {part.word}` has no `### Prompt` before it"
            _report_part(report, Code.PROMPT_MISSING, lines, part, message)
        elif part.word in group.parts:
            message = f"a second `### {part.word}` for one prompt"
            _report_part(report, Code.HEADING_REPEATED, lines, part, message)
        else:
            group.parts[part.word] = part
    close()
    if group.earlier and not group.parts:
        _report_part(
            report, Code.TURN_MISPLACED, lines, group.earlier[0], "no `### Prompt` follows on this turn"
        )
    return complete


def _parts(
    lines: Lines,
    first: int,
    end: int,
    code_rows: set[int],
    words: tuple[str, ...],
    fence: Span | None,
    report: Report,
) -> list[_Part]:
    """The section cut at its headings; text before the first one and near misses are reported."""
    rows = lines.rows
    marks: list[tuple[int, str]] = []
    for row in range(first, end):
        if row in code_rows or not rows[row].startswith("#"):
            continue
        word = fences.heading(rows[row])
        if word in words:
            marks.append((row, word))
        else:
            _report_slip(lines, row, words, report)
    shape = " and ".join(f"`### {word}`" for word in words if "!" not in word)
    if not marks:
        span = fence or lines.row_span(first, end - 1)
        message = "this section has no headings, so nothing in it can be trained"
        report.add(Code.HEADINGS_MISSING, span, message, f"write {shape}, each alone on its line")
        return []
    if marks[0][0] > first:
        message = f"text before the first `### {words[0]}` belongs to nothing"
        hint = f"put `### {words[0]}` above it, or take it out"
        report.add(Code.TEXT_BEFORE_HEADING, lines.row_span(first, marks[0][0] - 1), message, hint)
    bounds = [row for row, _ in marks[1:]] + [end]
    return [_part(rows, row, word, until) for (row, word), until in zip(marks, bounds, strict=True)]


def _part(rows: list[str], row: int, word: str, until: int) -> _Part:
    first, last = row + 1, until
    while first < last and not rows[first].strip():
        first += 1
    while last > first and not rows[last - 1].strip():
        last -= 1
    return _Part(word, row, max(last - 1, row), until, "\n".join(rows[first:last]))


def _report_slip(lines: Lines, row: int, words: tuple[str, ...], report: Report) -> None:
    slip = fences.heading_slip(lines.rows[row])
    if slip is None or slip[0] not in words:
        return
    meant, only_case = slip
    hint = f"did you mean `### {meant}`, alone on its line?"
    if only_case:
        report.add(Code.HEADING_CASE, lines.row_span(row), f"the heading is written `### {meant}`", hint)
    else:
        report.add(
            Code.HEADING_SLIP, lines.row_span(row), "this line is almost a heading, and so is text", hint
        )


def _check_bodies(lines: Lines, parts: tuple[_Part, ...], report: Report) -> bool:
    empty = [part for part in parts if not part.text]
    for part in empty:
        _report_part(report, Code.BODY_EMPTY, lines, part, f"nothing stands under this `### {part.word}`")
    return not empty


def _check_wordings(lines: Lines, taught: list[_Part], report: Report) -> None:
    """Report wordings of one answer that say the same again."""
    known: dict[tuple[str, ...], _Part] = {}
    loosely = len(taught) <= _COMPARED_AT_MOST
    for part in taught:
        same = known.setdefault((part.text,), part)
        alike = [known.setdefault(shape, part) for shape in _shapes(part.text, loosely)]
        if same is not part:
            message = f"this wording stands on line {same.row + 1} already"
            _report_part(report, Code.WORDING_REPEATED, lines, part, message)
        elif other := next((p for p in alike if p is not part), None):
            message = f"this wording is nearly the one on line {other.row + 1}"
            _report_part(report, Code.WORDING_ALIKE, lines, part, message)


def _shapes(text: str, loosely: bool) -> list[tuple[str, ...]]:
    """The words of a wording, without case and punctuation; and where there are enough, all but one of them.

    Two wordings that share one of these hardly differ.
    """
    words = tuple(re.findall(r"\w+", text.casefold()))
    if not words or len(words) > _COMPARED_AT_MOST:
        return []
    shapes = [words]
    if loosely and len(words) >= _COMPARED_LOOSELY:
        shapes += [(*words[:i], *words[i + 1 :]) for i in range(len(words))]
    return shapes


_COMPARED_LOOSELY = 8  # words from which one that differs makes no other wording
_COMPARED_AT_MOST = 40  # words, and wordings of one answer, that are compared word by word

_WAYS_OUT = {
    Code.ANSWER_MISSING: "write `### A` and the answer under it",
    Code.QUESTION_MISSING: "write `### Q` and the question above it",
    Code.PROMPT_MISSING: "write `### Prompt` and the prompt above it",
    Code.CHOSEN_MISSING: "write `### Chosen` and the better reply under it",
    Code.REJECTED_MISSING: "write `### Rejected` and the worse reply under it",
    Code.TURN_MISPLACED: "earlier turns stand above the question or prompt that follows on them",
    Code.HEADING_REPEATED: "keep one of them, or begin a new `### Prompt`",
    Code.BODY_EMPTY: "write its text on the next line",
    Code.WORDING_REPEATED: "ask it in other words, or take it out",
    Code.WORDING_ALIKE: "ask it in other words, as a stranger would, or take it out",
}


def _report_part(report: Report, code: Code, lines: Lines, part: _Part, message: str) -> None:
    report.add(code, lines.row_span(part.row), message, _WAYS_OUT[code])
