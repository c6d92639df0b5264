"""The body cut into sections at its fences, code blocks and provenance comments respected."""

import hashlib
from dataclasses import dataclass

from dlm_core.document import fences
from dlm_core.document.codes import Code
from dlm_core.document.headings import Asked, read_preferences, read_questions, report_prose_headings
from dlm_core.document.lines import Lines
from dlm_core.document.model import Preference, Section, SectionKind, Span
from dlm_core.document.report import Report, listed, nearest, quoted


@dataclass
class _Cut:
    """One stretch of the body: the fence row (None before the first fence) and the rows of its content."""

    kind: SectionKind | None
    adapter: str | None
    fence_row: int | None
    first: int
    end: int
    code_rows: set[int]


def content_hash(kind: SectionKind, adapter: str | None, text: str) -> str:
    """sha256 (hex) over kind, tag and content; the content has LF line ends, no blank lines around it, and no
    probes.
    """
    digest = hashlib.sha256()
    digest.update(f"{kind.value}\0{adapter or ''}\0".encode())
    digest.update(text.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def read_sections(
    lines: Lines, first_row: int, adapters: tuple[str, ...] | None, report: Report
) -> tuple[Section, ...]:
    """The sections from `first_row` on, in file order; empty ones are reported and left out.

    `adapters` are the declared names, empty for the flat form, None where they are not known.
    """
    sections = []
    for cut in _cut(lines, first_row, adapters, report):
        section = _section(lines, cut, report)
        if section is not None:
            sections.append(section)
    return tuple(sections)


def _cut(lines: Lines, first_row: int, adapters: tuple[str, ...] | None, report: Report) -> list[_Cut]:
    rows = lines.rows
    current = _Cut(SectionKind.PROSE, None, None, first_row, len(rows), set())
    cuts = [current]
    ticks, code_row, swallowed = 0, 0, 0
    for row in range(first_row, len(rows)):
        line = rows[row]
        if ticks:
            current.code_rows.add(row)
            if fences.closes_code(line, ticks):
                ticks = swallowed = 0
            elif line.startswith("::") and _is_fence(line):
                swallowed += 1
            continue
        if fences.is_plain(line):
            continue
        ticks = fences.code_ticks(line)
        if ticks:
            code_row = row
            current.code_rows.add(row)
            continue
        fence = fences.read_fence(line)
        if fence is None:
            if fences.is_indented_fence(line) and not _imported(lines, current):
                hint = "begin it in the first column, or put it in a code block if it is text"
                report.add(Code.FENCE_INDENTED, lines.row_span(row), "an indented fence is text", hint)
            continue
        _report_fence(lines, row, fence, report)
        if report.gives_up():
            current.end = row
            break
        if fence.problem == "unknown" and fence.tag is None and nearest(fence.word, fences.KINDS) is None:
            continue
        current.end = row
        adapter = _tag(lines, row, fence, adapters, report)
        current = _Cut(fence.kind, adapter, row, row + 1, len(rows), set())
        cuts.append(current)
    if ticks:
        lost = f", so {swallowed} later fence{'s are' if swallowed > 1 else ' is'} text" if swallowed else ""
        message = f"this code block is never closed{lost}"
        report.add(
            Code.CODE_UNTERMINATED, lines.row_span(code_row), message, f"end it with {'`' * min(ticks, 8)}"
        )
    return cuts


def _imported(lines: Lines, cut: _Cut) -> bool:
    """True for a section that a program wrote: that puts a space before a fence that is to stay text."""
    after = lines.rows[cut.first : cut.first + 1] if cut.fence_row is not None else []
    return bool(after) and after[0].startswith(fences.PROVENANCE_OPENING)


def _is_fence(line: str) -> bool:
    fence = fences.read_fence(line)
    return fence is not None and fence.problem is None


def _report_fence(lines: Lines, row: int, fence: fences.Fence, report: Report) -> None:
    span = lines.row_span(row)
    as_text = "if it is text, put it in a triple-backtick block"
    match fence.problem:
        case "case":
            hint = f"did you mean `::{fence.word.casefold()}{_shown_tag(fence)}::`?"
            report.add(
                Code.FENCE_CASE, span, f"fences are written small: {quoted(lines.rows[row].rstrip())}", hint
            )
        case "unknown":
            meant = nearest(fence.word, fences.KINDS)
            hint = (
                f"did you mean `::{meant}{_shown_tag(fence)}::`?"
                if meant
                else f"there are {_FENCES}; {as_text}"
            )
            report.add(Code.FENCE_UNKNOWN, span, f"there is no section of kind {quoted(fence.word)}", hint)
        case "malformed":
            word = fence.word.casefold()
            message = "this is almost a fence: a fence stands alone on its line"
            report.add(
                Code.FENCE_MALFORMED, span, message, f"write `::{word}::` or `::{word}#name::`; {as_text}"
            )
        case "unsupported":
            message = f"{fence.word.casefold()} sections cannot be trained here: a base reads text only"
            report.add(Code.FENCE_UNSUPPORTED, span, message, "take the section out, or describe it in words")


_FENCES = listed(f"::{kind}::" for kind in fences.KINDS)


def _shown_tag(fence: fences.Fence) -> str:
    return f"#{fence.tag}" if fence.tag else ""


def _tag(
    lines: Lines, row: int, fence: fences.Fence, adapters: tuple[str, ...] | None, report: Report
) -> str | None:
    """The adapter that a fence's tag names; a tag that names none is reported and None."""
    tag = fence.tag
    if tag is None:
        return None
    span = Span(row + 1, fence.tag_start + 1, row + 1, fence.tag_end + 1)
    if adapters is not None and not adapters:
        message = f"the tag {quoted('#' + tag)} names an adapter, and this document declares none"
        hint = f"declare it under `training.adapters`, or write `::{fence.word.casefold()}::`"
        report.add(Code.TAG_WITHOUT_ADAPTERS, span, message, hint)
    elif adapters is not None and tag in adapters:
        return tag
    elif not fences.is_adapter_name(tag):
        meant = nearest(tag, adapters or ())
        hint = f"did you mean `{meant}`?" if meant else "a tag is the name of a declared adapter"
        what = f"{quoted(tag)} cannot be the name of an adapter" if tag else "nothing stands after `#`"
        report.add(Code.TAG_FORM, span, what, hint)
    elif adapters is not None:
        meant = nearest(tag, adapters)
        hint = f"did you mean `{meant}`?" if meant else f"declared are {listed(adapters)}"
        report.add(Code.TAG_UNDECLARED, span, f"no adapter is called {quoted(tag)}", hint)
    else:
        return tag
    return None


def _section(lines: Lines, cut: _Cut, report: Report) -> Section | None:
    """The section a cut holds, None if it is empty or of a kind that cannot be trained."""
    if cut.kind is None:
        return None
    fence = lines.row_span(cut.fence_row) if cut.fence_row is not None else None
    provenance, first = _provenance(lines, cut, report) if fence else (None, cut.first)
    first, end = trimmed(lines.rows, first, cut.end)
    if first == end:
        if fence:
            message = f"this {cut.kind.value} section is empty and is left out"
            report.add(
                Code.SECTION_EMPTY, fence, message, "write something under its fence, or take the fence out"
            )
        return None
    text = "\n".join(lines.rows[first:end])
    asked = Asked()
    preferences: tuple[Preference, ...] = ()
    if cut.kind is SectionKind.INSTRUCTION:
        asked = read_questions(lines, first, end, cut.code_rows, fence, report)
    elif cut.kind is SectionKind.PREFERENCE:
        preferences = read_preferences(lines, first, end, cut.code_rows, fence, report)
    else:
        report_prose_headings(lines, first, end, cut.code_rows, report)
    start = cut.fence_row if cut.fence_row is not None else first
    return Section(
        kind=cut.kind,
        adapter=cut.adapter,
        text=text,
        span=lines.row_span(start, end - 1),
        fence=fence,
        content_hash=content_hash(cut.kind, cut.adapter, _taught(lines.rows, first, end, asked) or text),
        questions=asked.questions,
        preferences=preferences,
        provenance=provenance,
        probes=asked.probes,
    )


def _taught(rows: list[str], first: int, end: int, asked: Asked) -> str:
    """The rows of a section without those of its probes, as if these had never been put in."""
    kept: list[str] = []
    at = first
    for start, until in asked.probe_rows:
        kept += rows[at:start]
        gap = min(_blank_at_end(kept), _blank_at_end(rows[start:until]))
        del kept[len(kept) - _blank_at_end(kept) + gap :]
        at = until
    kept += rows[at:end]
    begin, last = trimmed(kept, 0, len(kept))
    return "\n".join(kept[begin:last])


def _blank_at_end(rows: list[str]) -> int:
    return next((n for n, row in enumerate(reversed(rows)) if row.strip()), len(rows))


def _provenance(lines: Lines, cut: _Cut, report: Report) -> tuple[str | None, int]:
    """The provenance comment at the beginning of a section, and the row where its text begins."""
    row = cut.first
    while row < cut.end and not lines.rows[row].strip():
        row += 1
    if row == cut.end or not lines.rows[row].startswith(fences.PROVENANCE_OPENING):
        return None, cut.first
    for last in range(row, cut.end):
        before, closing, after = lines.rows[last].partition("-->")
        if closing and not after.strip():
            return "\n".join([*lines.rows[row:last], before + closing]), last + 1
        if closing:
            break
    else:
        message = "this comment is never closed, and so is text"
        report.add(Code.PROVENANCE_UNCLOSED, lines.row_span(row), message, "end it with `-->`")
        return None, cut.first
    message = "text follows this comment on its last line, so all of it is text"
    report.add(Code.PROVENANCE_UNCLOSED, lines.row_span(row), message, "begin the text on a line of its own")
    return None, cut.first


def trimmed(rows: list[str], first: int, end: int) -> tuple[int, int]:
    """The rows without the blank ones at both ends; both bounds equal if all are blank."""
    while first < end and not rows[first].strip():
        first += 1
    while end > first and not rows[end - 1].strip():
        end -= 1
    return first, end
