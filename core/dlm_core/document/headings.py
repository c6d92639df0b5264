"""Inside a section: `### Q`/`### A` pairs and `### Prompt`/`### Chosen`/`### Rejected` triples."""

from dataclasses import dataclass

from dlm_core.document import fences
from dlm_core.document.codes import Code
from dlm_core.document.lines import Lines
from dlm_core.document.model import Preference, Question, Span
from dlm_core.document.report import Report


@dataclass(frozen=True)
class _Part:
    """A heading and the rows under it, blank ones at both ends left out."""

    word: str
    row: int
    last: int
    text: str


def read_questions(
    lines: Lines, first: int, end: int, code_rows: set[int], fence: Span | None, report: Report
) -> tuple[Question, ...]:
    """The questions with their answers, in file order; incomplete ones are reported and left out."""
    questions = []
    asked: _Part | None = None
    for part in _parts(lines, first, end, code_rows, fences.QUESTION_HEADINGS, fence, report):
        if report.gives_up():
            break
        if part.word == "Q":
            if asked is not None:
                _report_part(report, Code.ANSWER_MISSING, lines, asked, "this question has no `### A`")
            asked = part
        elif asked is None:
            _report_part(report, Code.QUESTION_MISSING, lines, part, "this answer has no `### Q` before it")
        else:
            complete = _check_bodies(lines, (asked, part), report)
            if complete:
                questions.append(Question(asked.text, part.text, lines.row_span(asked.row, part.last)))
            asked = None
    if asked is not None:
        _report_part(report, Code.ANSWER_MISSING, lines, asked, "this question has no `### A`")
    return tuple(questions)


def read_preferences(
    lines: Lines, first: int, end: int, code_rows: set[int], fence: Span | None, report: Report
) -> tuple[Preference, ...]:
    """The prompts with what was chosen and rejected; incomplete ones are reported and left out.

    `### Chosen` and `### Rejected` may come in either order.
    """
    preferences = []
    for group in _triples(lines, first, end, code_rows, fence, report):
        prompt, chosen, rejected = group["Prompt"], group["Chosen"], group["Rejected"]
        if not _check_bodies(lines, (prompt, chosen, rejected), report):
            continue
        span = lines.row_span(prompt.row, max(chosen.last, rejected.last))
        if chosen.text == rejected.text:
            message = "chosen and rejected are the same text: there is nothing to prefer"
            report.add(Code.PREFERENCE_IDENTICAL, span, message, "make them differ, or take the prompt out")
        preferences.append(Preference(prompt.text, chosen.text, rejected.text, span))
    return tuple(preferences)


def report_prose_headings(lines: Lines, first: int, end: int, code_rows: set[int], report: Report) -> None:
    """Warn where prose holds headings that only count in other sections."""
    for row in range(first, end):
        word = fences.heading(lines.rows[row]) if row not in code_rows else None
        if word in ("Q", "Prompt"):
            kind = "instruction" if word == "Q" else "preference"
            message = f"`### {word}` is plain text in a prose section"
            report.add(
                Code.HEADING_IN_PROSE, lines.row_span(row), message, f"did you mean a `::{kind}::` section?"
            )
            return


def _triples(
    lines: Lines, first: int, end: int, code_rows: set[int], fence: Span | None, report: Report
) -> list[dict[str, _Part]]:
    complete = []
    group: dict[str, _Part] = {}

    def close() -> None:
        if not group:
            return
        missing = [word for word in ("Chosen", "Rejected") if word not in group]
        for word in missing:
            code = Code.CHOSEN_MISSING if word == "Chosen" else Code.REJECTED_MISSING
            _report_part(report, code, lines, group["Prompt"], f"this prompt has no `### {word}`")
        if not missing:
            complete.append(dict(group))
        group.clear()

    for part in _parts(lines, first, end, code_rows, fences.PREFERENCE_HEADINGS, fence, report):
        if report.gives_up():
            break
        if part.word == "Prompt":
            close()
            group["Prompt"] = part
        elif not group:
            message = f"this `### {part.word}` has no `### Prompt` before it"
            _report_part(report, Code.PROMPT_MISSING, lines, part, message)
        elif part.word in group:
            message = f"a second `### {part.word}` for one prompt"
            _report_part(report, Code.HEADING_REPEATED, lines, part, message)
        else:
            group[part.word] = part
    close()
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
    shape = " and ".join(f"`### {word}`" for word in words)
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
    return _Part(word, row, max(last - 1, row), "\n".join(rows[first:last]))


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


_WAYS_OUT = {
    Code.ANSWER_MISSING: "write `### A` and the answer under it",
    Code.QUESTION_MISSING: "write `### Q` and the question above it",
    Code.PROMPT_MISSING: "write `### Prompt` and the prompt above it",
    Code.CHOSEN_MISSING: "write `### Chosen` and the better reply under it",
    Code.REJECTED_MISSING: "write `### Rejected` and the worse reply under it",
    Code.HEADING_REPEATED: "keep one of them, or begin a new `### Prompt`",
    Code.BODY_EMPTY: "write its text on the next line",
}


def _report_part(report: Report, code: Code, lines: Lines, part: _Part, message: str) -> None:
    report.add(code, lines.row_span(part.row), message, _WAYS_OUT[code])
