"""From rows to sections: repeated and empty rows go, rows with the same answer become wordings of one."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from dlm_core.data.entries import Entry
from dlm_core.data.notes import Notes
from dlm_core.data.placing import Settled, settled
from dlm_core.data.rows import Note, Place, Row, Topic
from dlm_core.document.checks import count_pieces
from dlm_core.document.model import SectionKind, Turn
from dlm_core.document.parse import MAX_DOCUMENT_BYTES, MAX_LINES
from dlm_core.document.report import quoted

_WORD = re.compile(r"\w+")
_LOOSELY = 8  # words from which one that differs makes no other question
_COMPARED = 40  # words of a question, and wordings of an answer, that are compared word by word
_SYSTEMS = 1000
_HEAD = 60  # bytes of a section beside its texts: fence, comment and headings are longer than this
_TURN_HEAD = 16  # bytes of a heading of an earlier turn, with the lines around it


@dataclass
class _Group:
    """One section under way."""

    row: Row
    adapter: str | None
    answer: str
    rejected: str
    before: tuple[Turn, ...] = ()
    texts: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)


@dataclass(frozen=True)
class Cleaned:
    """The sections of an import in the order of their first rows, and the system messages by frequency, each
    with the number of its rows and the place of the first.

    `rows` were read, `fitting` of them before a document was full; the others were counted and not kept.
    """

    entries: tuple[Entry, ...]
    systems: tuple[tuple[str, int, Place], ...]
    rows: int
    fitting: int

    @property
    def overflows(self) -> bool:
        return self.fitting < self.rows


class Cleaner:
    """Takes rows one by one. Memory stays within what a document may hold, however many rows come."""

    def __init__(
        self,
        notes: Notes,
        adapter_of: Callable[[Row], str | None],
        *,
        longest: int,
        drop_near: bool = False,
    ) -> None:
        self._notes = notes
        self._adapter_of = adapter_of
        self._longest = longest
        self._drop_near = drop_near
        self._groups: dict[tuple[object, ...], _Group] = {}
        self._seen: set[tuple[object, ...]] = set()
        self._answers: dict[tuple[object, ...], tuple[str, Place]] = {}
        self._near: dict[tuple[object, ...], Place] = {}
        self._systems: Counter[str] = Counter()
        self._first_with: dict[str, Place] = {}
        self._rows = self._fitting = self._bytes = self._lines = 0

    def add(self, row: Row) -> None:
        """Take a row, or say why not."""
        self._rows += 1
        if self._bytes > MAX_DOCUMENT_BYTES or self._lines > MAX_LINES:
            return
        self._fitting += 1
        texts = [settled(text, row.kind) for text in (row.question, row.answer, row.rejected)]
        question, answer, rejected = (part.text for part in texts)
        if not self._whole(row, question, answer, rejected):
            return
        earlier = [settled(text, row.kind) for turn in row.before for text in (turn.question, turn.answer)]
        before = self._turns(row, earlier)
        self._tell(row, [*texts, *earlier], before)
        adapter = self._adapter_of(row)
        key = (row.kind, adapter, question, answer, rejected, before)
        if key in self._seen:
            self._notes.add(Note(Topic.DUPLICATE, row.place, f"this row stands above already: {_short(row)}"))
            return
        self._seen.add(key)
        fresh = _Group(row, adapter, answer, rejected, before)
        if row.kind is SectionKind.INSTRUCTION and not self._compare(fresh, question):
            return
        self._keep(fresh, question)

    def finish(self) -> Cleaned:
        """The sections; wordings of one answer that hardly differ are noted."""
        entries = []
        for group in self._groups.values():
            self._compare_wordings(group)
            entries.append(
                Entry(
                    group.row.kind,
                    group.adapter,
                    group.row.place.source,
                    tuple(group.rows),
                    tuple(group.texts),
                    group.answer,
                    group.rejected,
                    group.row.place.line,
                    group.before,
                )
            )
        systems = tuple((text, n, self._first_with[text]) for text, n in self._systems.most_common())
        return Cleaned(tuple(entries), systems, self._rows, self._fitting)

    def _whole(self, row: Row, question: str, answer: str, rejected: str) -> bool:
        """True where nothing of a row is missing."""
        words = {
            SectionKind.INSTRUCTION: (("question", question), ("answer", answer)),
            SectionKind.PREFERENCE: (("prompt", question), ("chosen", answer), ("rejected", rejected)),
            SectionKind.PROSE: (("text", answer),),
        }
        missing = [name for name, text in words[row.kind] if not text]
        if missing:
            self._notes.add(Note(Topic.EMPTY, row.place, f"this row has no {' and no '.join(missing)}"))
        return not missing

    def _turns(self, row: Row, texts: list[Settled]) -> tuple[Turn, ...]:
        """The earlier turns from their texts; one without a question or an answer is none, and is noted."""
        pairs = zip(texts[::2], texts[1::2], strict=True)
        whole = tuple(Turn(asked.text, said.text) for asked, said in pairs if asked.text and said.text)
        if lost := len(row.before) - len(whole):
            said = "an earlier turn" if lost == 1 else f"{lost} earlier turns"
            message = f"{said} without question or without answer left out"
            self._notes.add(Note(Topic.TURNS, row.place, message))
        return whole

    def _tell(self, row: Row, texts: list[Settled], before: tuple[Turn, ...]) -> None:
        """Say what a row loses, or how it changes, by standing in a document."""
        indented, closed = sum(t.indented for t in texts), any(t.closed for t in texts)
        if indented or closed:
            lines = "1 line" if indented == 1 else f"{indented} lines"
            changes = [f"{lines} that would be a fence or heading indented by a space"] if indented else []
            changes += ["a code block left open is closed"] if closed else []
            self._notes.add(Note(Topic.SETTLED, row.place, "; ".join(changes)))
        if row.system and (len(self._systems) < _SYSTEMS or row.system in self._systems):
            self._systems[row.system] += 1
            self._first_with.setdefault(row.system, row.place)
        if row.kind is SectionKind.PROSE:
            return
        earlier = [text for turn in before for text in (turn.question, turn.answer)]
        question, *answers = (part.text for part in texts[:3])
        if sum(map(len, (question, *answers, *earlier))) <= self._longest:  # quick: pieces are fewer
            return
        own = count_pieces(question) + max(map(count_pieces, answers))
        count = own + sum(map(count_pieces, earlier))
        if count > self._longest:
            message = f"{count:,} words and signs are more than the {self._longest:,} tokens of a row"
            message += "" if own > self._longest else ": its oldest turns are not read"
            self._notes.add(Note(Topic.TOO_LONG, row.place, message))

    def _compare(self, fresh: _Group, question: str) -> bool:
        """Whether a row is to be kept beside those that were; what is nearly one of them is noted."""
        row, adapter, answer, before = fresh.row, fresh.adapter, fresh.answer, fresh.before
        words = _folded(question)
        if not words:
            return True
        near = (adapter, words, _folded(answer), before)
        other = self._near.setdefault(near, row.place)
        if other is not row.place:
            said = "left out" if self._drop_near else "kept"
            message = f"nearly the row at {other}, and {said}: {_short(row)}"
            self._notes.add(Note(Topic.NEAR, row.place, message))
            return not self._drop_near
        known, place = self._answers.setdefault((adapter, words, before), (answer, row.place))
        if known != answer:
            message = f"this question has another answer at {place}: {_short(row)}"
            self._notes.add(Note(Topic.CONFLICT, row.place, message))
        return True

    def _keep(self, fresh: _Group, question: str) -> None:
        row = fresh.row
        key: tuple[object, ...] = (row.kind, row.place.source, fresh.adapter, fresh.answer, fresh.before)
        if row.kind is not SectionKind.INSTRUCTION:
            key = (*key, question, fresh.rejected)
        group = self._groups.setdefault(key, fresh)
        if group is fresh:
            turns = [text for turn in fresh.before for text in (turn.question, turn.answer)]
            for text in (fresh.answer, fresh.rejected, *turns):
                self._bytes += len(text.encode())
                self._lines += text.count("\n")
            self._bytes += _HEAD + _TURN_HEAD * len(turns)
            self._lines += 6 + 3 * len(turns)
        else:
            message = f"has the answer of {group.places[0]}, and becomes a wording of it"
            self._notes.add(Note(Topic.WORDING, row.place, message))
        if row.kind is not SectionKind.PROSE:
            group.texts.append(question)
            self._bytes += 8 + len(question.encode())
            self._lines += 3 + question.count("\n")
        group.rows.append(row.place.row)
        group.places.append(row.place)

    def _compare_wordings(self, group: _Group) -> None:
        """Note wordings of one answer that differ in a single word."""
        if not 1 < len(group.texts) <= _COMPARED:
            return
        known: dict[tuple[str, ...], Place] = {}
        kept = []
        for number, text in enumerate(group.texts):
            shapes, place = _shapes(text), group.places[number]
            other = next((known[shape] for shape in shapes if shape in known), None)
            for shape in shapes:
                known.setdefault(shape, place)
            if other is not None:
                said = "left out" if self._drop_near else "kept"
                message = f"hardly differs from the wording at {other}, and is {said}: {quoted(text)}"
                self._notes.add(Note(Topic.NEAR, place, message))
            if other is None or not self._drop_near:
                kept.append(number)
        group.texts = [group.texts[i] for i in kept]


def _folded(text: str) -> str:
    """The words of a text without case and signs."""
    return " ".join(_WORD.findall(text.casefold()))


def _shapes(text: str) -> list[tuple[str, ...]]:
    """The words of a question with one of them left out, each in turn; none of a short or long one."""
    words = tuple(_WORD.findall(text.casefold()))
    if not _LOOSELY <= len(words) <= _COMPARED:
        return []
    return [(*words[:i], *words[i + 1 :]) for i in range(len(words))]


def _short(row: Row) -> str:
    return quoted((row.question or row.answer).strip())
