"""Edits that teach a document a reply: a wording more, a section, a preference, a line of its off-topic list.

Text in, text out: nothing is read or written here. All but what an edit puts in keeps its bytes, and an edit
is made only if the text that comes of it reads as the document before and the one thing that is new.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

from dlm_core.data.placing import settled
from dlm_core.document import fences
from dlm_core.document.beside import offtopic_path
from dlm_core.document.model import Document, Question, Section, SectionKind, Turn
from dlm_core.document.parse import parse_text
from dlm_core.document.report import listed
from dlm_core.errors import DocumentError, UsageError
from dlm_core.safetext import visible_line

_CONTEXT = 3  # lines around what changes in a difference


@dataclass(frozen=True)
class Stretch:
    """Where two texts differ: rows `first` to `end` (from 0, end excluded) of the one became `rows`."""

    first: int
    end: int
    rows: tuple[str, ...]


@dataclass(frozen=True)
class Edit:
    """One change of the file at `path`, from the text `before` to `after`, and in a sentence what it is.

    `answer` is what the question is to be answered with from then on; "" where that is nobody's business.
    """

    path: Path
    before: str
    after: str
    sentence: str
    answer: str = ""

    @property
    def stretch(self) -> Stretch:
        """The rows that differ, as few as there are."""
        old, new = self.before.split("\n"), self.after.split("\n")
        shorter = min(len(old), len(new))
        first = next((n for n in range(shorter) if old[n] != new[n]), shorter)
        same = next((n for n in range(shorter - first) if old[-1 - n] != new[-1 - n]), shorter - first)
        return Stretch(first, len(old) - same, tuple(new[first : len(new) - same]))

    @property
    def line(self) -> int:
        """The first line that is new, from 1; a blank one is passed over."""
        stretch = self.stretch
        blank = next((n for n, row in enumerate(stretch.rows) if row.strip()), 0)
        return stretch.first + blank + 1

    def difference(self) -> list[str]:
        """A unified diff of the two texts, line by line, without line ends."""
        name = visible_line(self.path.name)
        old, new = (
            [row.removesuffix("\r") for row in text.removesuffix("\n").split("\n")]
            for text in (self.before, self.after)
        )
        return list(unified_diff(old, new, name, name, n=_CONTEXT, lineterm=""))


def add_wording(path: Path, text: str, line: int, question: str, before: Sequence[Turn] = ()) -> Edit:
    """`question` as a further wording of what is asked in the section at `line` (from 1).

    After other turns than that section has, it is a section of its own with the same answer.

    Raises:
        UsageError: no question is asked there, or this one is asked in the document already.
        DocumentError: the document has errors, or cannot take this text.
    """
    if before:
        section, asked = question_at(document_of(path, text), line)
        if asked.before != _turns(before, SectionKind.INSTRUCTION):
            return add_answer(path, text, section.adapter, question, asked.answer, before)
    return add_wordings(path, text, line, (question,))


def add_wordings(
    path: Path, text: str, line: int, questions: Sequence[str], provenance: str | None = None
) -> Edit:
    """As `add_wording`, for several. `provenance` is a comment for the section, where it has none yet."""
    document = document_of(path, text)
    section, asked = question_at(document, line)
    wordings = tuple(_text(question, "question", SectionKind.INSTRUCTION) for question in questions)
    for wording in wordings:
        _refuse_known(document, wording, asked)
    rows = _Rows(text)
    answer = _answer_row(rows, asked)
    last = answer
    while not rows.rows[last - 1].strip():
        last -= 1
    gap = [""] * min(answer - last, 1)
    first = asked.span.line - 1
    under = [""] if not rows.rows[first + 1].strip() else []
    put = [row for wording in wordings for row in (*gap, "### Q", *under, *wording.split("\n"))]
    rows.insert(last, put)
    if provenance is not None and section.provenance is None and section.fence is not None:
        rows.insert(section.fence.line, [provenance])
    count = "a wording" if len(wordings) == 1 else f"{len(wordings)} wordings"
    edit = Edit(
        path, text, rows.text, f"{count} more of the question on line {asked.span.line}", asked.answer
    )
    more = (*asked.wordings, *wordings)
    return _checked(
        edit,
        document,
        gone=_asks(section, asked),
        new=[(section.adapter, asked.before, more, asked.answer, "")],
    )


def add_answer(
    path: Path, text: str, adapter: str | None, question: str, answer: str, before: Sequence[Turn] = ()
) -> Edit:
    """A section of `adapter` that answers `question`; where one asks just this already, its new answer.

    It stands behind the last instruction section of that adapter. `adapter` may be None, or the one name of a
    document that declares none. `before` are the turns that the question goes on from.

    Raises:
        UsageError: no such adapter, nothing to put in, or the document says just this already.
        DocumentError: the document has errors, or cannot take this text.
    """
    document = document_of(path, text)
    tag = _tag(document, adapter)
    asked = _text(question, "question", SectionKind.INSTRUCTION)
    said = _text(answer, "answer", SectionKind.INSTRUCTION)
    turns = _turns(before, SectionKind.INSTRUCTION)
    new: list[Said] = [(tag, turns, (asked,), said, "")]
    for section, known in _questions(document):
        if known.before != turns or asked not in known.wordings:
            continue  # the same words after other turns may have another answer
        if known.answer == said:
            raise UsageError(f"line {known.span.line} answers this question just so")
        if known.others or section.adapter != tag:
            others = "others" if known.others else f"adapter {section.adapter}"
            raise UsageError(
                f"line {known.span.line} has another answer for this question and {others}",
                "change the answer there, or take this wording out",
            )
        return _checked(_with_answer(path, text, known, said), document, _asks(section, known), new)
    rows = _Rows(text)
    body = [*_turn_rows(turns), "### Q", *asked.split("\n"), "", "### A", *said.split("\n")]
    rows.append_section(_last_of(document, SectionKind.INSTRUCTION, tag), _fence("instruction", tag), body)
    what = f"a new section{f' of {tag}' if tag else ''}{_after(turns)}"
    return _checked(Edit(path, text, rows.text, what, said), document, (), new)


def add_preference(
    path: Path,
    text: str,
    adapter: str | None,
    prompt: str,
    chosen: str,
    rejected: str,
    before: Sequence[Turn] = (),
) -> Edit:
    """A preference section of `adapter`: to `prompt`, after the turns `before` it, rather `chosen` than
    `rejected`.

    Raises:
        UsageError: no such adapter, nothing to put in, or both replies say the same.
        DocumentError: the document has errors, or cannot take this text.
    """
    document = document_of(path, text)
    tag = _tag(document, adapter)
    asked, better, worse = (
        _text(part, what, SectionKind.PREFERENCE)
        for part, what in ((prompt, "question"), (chosen, "reply"), (rejected, "other reply"))
    )
    if better.strip() == worse.strip():
        raise UsageError("both replies say the same: there is nothing to prefer")
    rows, turns = _Rows(text), _turns(before, SectionKind.PREFERENCE)
    body = [*_turn_rows(turns), "### Prompt", *asked.split("\n"), "", "### Chosen", *better.split("\n")]
    body += ["", "### Rejected", *worse.split("\n")]
    rows.append_section(_last_of(document, SectionKind.PREFERENCE, tag), _fence("preference", tag), body)
    what = f"a preference{f' of {tag}' if tag else ''}{_after(turns)}"
    edit = Edit(path, text, rows.text, what, better)
    return _checked(edit, document, (), [(tag, turns, (asked,), better, worse)])


def add_offtopic(document: Path, text: str, question: str) -> Edit:
    """`question` as a line of the document's list of prompts that are about nothing in it; `text` is that
    list's.

    Raises:
        UsageError: it is empty, or on the list already.
    """
    line = " ".join(question.split())
    if not line:
        raise UsageError("there is no question")
    if line in (known.strip() for known in text.splitlines()):
        raise UsageError("the question is on the list already")
    end = "\r\n" if "\r\n" in text else "\n"
    gap = end if text and not text.endswith("\n") else ""
    path = offtopic_path(document)
    return Edit(path, text, f"{text}{gap}{line}{end}", "the question is about nothing in the document")


def question_at(document: Document, line: int) -> tuple[Section, Question]:
    """The question that is asked at a line, or first behind it in the same section.

    Raises:
        UsageError: there is none.
    """
    for section, asked in _questions(document):
        span = section.span
        if span.line <= line <= span.end_line and line <= asked.span.end_line:
            return section, asked
    raise UsageError(
        f"no question is asked at line {line} of {visible_line(document.path.name)}",
        "name a line of an instruction section, as a reply's citation does",
    )


Said = tuple[str | None, tuple[Turn, ...], tuple[str, ...], str, str]
"""Adapter, earlier turns, questions or prompt, answer or chosen reply, rejected reply ("" without one)."""


class _Rows:
    """The rows of a text, each with the carriage return that ends it, if there is one."""

    def __init__(self, text: str) -> None:
        self.rows = text.split("\n")
        self._return = "\r" if self.rows[0].endswith("\r") else ""

    @property
    def text(self) -> str:
        return "\n".join(self.rows)

    def insert(self, at: int, rows: Sequence[str], until: int | None = None) -> None:
        """Put rows before row `at`, in place of those up to `until`."""
        end = at if until is None else until
        if at == len(self.rows) and not self.rows[-1].endswith("\r"):
            self.rows[-1] += self._return
        put = [row + self._return for row in rows]
        if end == len(self.rows):
            put[-1] = put[-1].removesuffix("\r")
        self.rows[at:end] = put

    def append_section(self, behind: Section | None, fence: str, body: Sequence[str]) -> None:
        """Put a section behind another one, or at the end."""
        at = behind.span.end_line if behind is not None else len(self.rows)
        while behind is None and at and not self.rows[at - 1].strip():
            at -= 1
        rest = self.rows[at:]
        after = [""] if not rest or rest[0].strip() else []
        self.insert(at, ["", fence, *body, *after])


def document_of(path: Path, text: str) -> Document:
    """The document that a text is. Raises DocumentError for one with errors, naming the first."""
    parsed = parse_text(text, path)
    if parsed.document is None:
        first = parsed.errors[0]
        raise DocumentError(
            f"{visible_line(path.name)} has errors, the first on line {first.span.line}: {first.message}",
            first.hint or "put it right first",
        )
    return parsed.document


def _text(text: str, what: str, kind: SectionKind) -> str:
    found = settled(text, kind).text
    if not found.strip():
        raise UsageError(f"there is no {what} to put in")
    return found


def _turns(before: Sequence[Turn], kind: SectionKind) -> tuple[Turn, ...]:
    return tuple(
        Turn(_text(turn.question, "question", kind), _text(turn.answer, "answer", kind)) for turn in before
    )


def _turn_rows(turns: Sequence[Turn]) -> list[str]:
    asks, answers = fences.TURN_HEADINGS
    said = [(head, text) for turn in turns for head, text in ((asks, turn.question), (answers, turn.answer))]
    return [row for head, text in said for row in (f"### {head}", *text.split("\n"), "")]


def _after(turns: Sequence[Turn]) -> str:
    return f", after {'a turn' if len(turns) == 1 else f'{len(turns)} turns'}" if turns else ""


def _tag(document: Document, adapter: str | None) -> str | None:
    declared = document.frontmatter.training.adapters or {}
    if adapter is None or adapter in declared:
        return adapter
    if not declared and adapter in document.adapter_names:
        return None
    raise UsageError(
        f"there is no adapter {visible_line(adapter)}", f"declared are {listed(document.adapter_names)}"
    )


def _fence(kind: str, tag: str | None) -> str:
    return f"::{kind}#{tag}::" if tag else f"::{kind}::"


def _questions(document: Document) -> list[tuple[Section, Question]]:
    return [(section, asked) for section in document.sections for asked in section.questions]


def _refuse_known(document: Document, wording: str, asked: Question) -> None:
    for _, known in _questions(document):
        if wording in known.wordings and known.before == asked.before:
            if known.span == asked.span:
                raise UsageError(f"this is a wording of the question on line {asked.span.line} already")
            raise UsageError(
                f"line {known.span.line} asks just this already, for another answer",
                "take it out there first, or change the answer",
            )


def _answer_row(rows: _Rows, asked: Question) -> int:
    """The row of the `### A` that ends a question's wordings."""
    ticks = 0
    for row in range(asked.span.line - 1, asked.span.end_line):
        shown = rows.rows[row].removesuffix("\r")
        if ticks:
            ticks = 0 if fences.closes_code(shown, ticks) else ticks
        elif fences.heading(shown) == "A":
            return row
        else:
            ticks = fences.code_ticks(shown)
    raise DocumentError(f"the answer to the question on line {asked.span.line} was not found")


def _with_answer(path: Path, text: str, asked: Question, answer: str) -> Edit:
    rows = _Rows(text)
    first = _answer_row(rows, asked) + 1
    while not rows.rows[first].strip():
        first += 1
    rows.insert(first, answer.split("\n"), asked.span.end_line)
    return Edit(path, text, rows.text, f"another answer to the question on line {asked.span.line}", answer)


def _last_of(document: Document, kind: SectionKind, tag: str | None) -> Section | None:
    own = (s for s in reversed(document.sections) if s.kind is kind and s.adapter == tag)
    return next(own, None)


def _asks(section: Section, asked: Question) -> tuple[Said, ...]:
    return ((section.adapter, asked.before, asked.wordings, asked.answer, ""),)


def _checked(edit: Edit, document: Document, gone: Sequence[Said], new: Sequence[Said]) -> Edit:
    """The edit, if what comes of it is the document without `gone` and with `new`. Raises DocumentError."""
    expected = _said(document)
    for said in gone:
        expected.remove(said)
    parsed = parse_text(edit.after, edit.path)
    if (
        parsed.document is not None
        and parsed.document.frontmatter == document.frontmatter
        and sorted(_said(parsed.document), key=repr) == sorted([*expected, *new], key=repr)
    ):
        return edit
    raise DocumentError(
        f"{visible_line(edit.path.name)} cannot take this text without changing what else it says",
        "a code block that is never closed is one cause: `dlm check` names it",
    )


def _said(document: Document) -> list[Said]:
    """All that a document says: its answers, its preferences and its prose."""
    said: list[Said] = []
    for section in document.sections:
        name = section.adapter
        said += [(name, asked.before, asked.wordings, asked.answer, "") for asked in section.questions]
        said += [(name, p.before, (p.prompt,), p.chosen, p.rejected) for p in section.preferences]
        said += [(name, p.before, ("!probe", p.question), p.answer, "") for p in section.probes]
        if section.kind is SectionKind.PROSE:
            said.append((name, (), (), section.text, ""))
    return said
