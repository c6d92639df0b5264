"""Sections into a document that is there: new ones added, changed ones replaced, what the user edited kept.

Known from an earlier import are sections whose comment names the source. One whose mark fits its text is as
it was imported; any other was edited, and is never touched. Where there are fewer of them than the document
was given, the user took some out, and these do not come back by themselves.
"""

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

from dlm_core.data.entries import Entry, Origin, mark_of, origin_of, stretches
from dlm_core.data.notes import Notes
from dlm_core.data.rows import Note, Place, Topic
from dlm_core.document.model import Document, Section, SectionKind

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Edit:
    """Rows `first` to `end` of the text (from 0, end excluded) become `rows`.

    `quiet`: only a comment changes, because a row moved within its source.
    """

    first: int
    end: int
    rows: tuple[str, ...]
    quiet: bool = False


@dataclass(frozen=True)
class Kept:
    """A section that the user edited since its import; `entry` is what its row says now, if it changed."""

    section: Section
    origin: Origin
    entry: Entry | None


@dataclass(frozen=True)
class Changes:
    """What an import does to a document. `gone` have no row any more in a source that was read to its end."""

    added: tuple[Entry, ...]
    updated: tuple[tuple[Section, Entry], ...] = ()
    unchanged: int = 0
    kept: tuple[Kept, ...] = ()
    gone: tuple[Section, ...] = ()
    pruned: tuple[Section, ...] = ()
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True)
class _Known:
    """A section of an earlier import."""

    section: Section
    origin: Origin

    @property
    def edited(self) -> bool:
        return mark_of(self.section.adapter, self.section.text) != self.origin.mark

    @property
    def title(self) -> str:
        section = self.section
        if section.questions:
            return section.questions[0].question
        return section.preferences[0].prompt if section.preferences else section.text.split("\n", 1)[0]

    @property
    def answer(self) -> str:
        section = self.section
        if section.questions:
            return section.questions[0].answer
        return section.preferences[0].chosen if section.preferences else section.text


def merge(
    document: Document,
    entries: Sequence[Entry],
    complete: Iterable[str],
    notes: Notes,
    *,
    prune: bool,
    restore: bool = False,
) -> Changes:
    """What becomes of a document when `entries` are imported into it.

    `complete` are the sources that were read to their end: of those it is known what is gone. With `prune`,
    sections that are gone and were not edited are taken out; with `restore`, sections that the user took out
    come back.
    """
    own = [section for section in document.sections if section.source is None]
    known = [_Known(s, origin) for s in own if (origin := origin_of(s)) is not None]
    entries = list(_fresh(document, own, entries, notes))
    pairs, left = _matched(known, entries)
    matched = {id(entry) for _, entry in pairs}
    open_ = [entry for entry in entries if id(entry) not in matched]
    there_before = {id(entry): entry for entry in _taken_out(known, pairs, open_)}
    given = _given(known)
    given.update(entry.source for entry in open_ if id(entry) not in there_before)
    for entry in () if restore else there_before.values():
        notes.add(_note(Topic.TAKEN_OUT, entry, f"its section was taken out here: {entry.title[:60]}"))
    fresh = [entry for entry in open_ if restore or id(entry) not in there_before]
    added = tuple(replace(entry, of=given[entry.source]) for entry in fresh)
    changes = _Builder()
    for old, entry in pairs:
        changes.take(old, replace(entry, of=given[entry.source]))
    sources = set(complete)
    unsure: Counter[str] = Counter()
    for old in left:
        if old.origin.source in sources:
            changes.lose(old, prune)
        else:
            unsure[old.origin.source] += 1
    for source in sorted({entry.source for entry in entries} & unsure.keys()):
        number = unsure[source]
        said = (
            "1 section has no row in it and stays"
            if number == 1
            else f"{number} sections have no row and stay"
        )
        notes.add(Note(Topic.GUESSED, Place(source), f"{said}: not all of it was read"))
    return Changes(
        added,
        tuple(sorted(changes.updated, key=lambda pair: pair[0].span)),
        changes.unchanged,
        tuple(sorted(changes.kept, key=lambda kept: kept.section.span)),
        tuple(changes.gone),
        tuple(changes.pruned),
        tuple(sorted(changes.edits, key=lambda edit: edit.first)),
    )


class _Builder:
    """Changes under way."""

    def __init__(self) -> None:
        self.updated: list[tuple[Section, Entry]] = []
        self.unchanged = 0
        self.kept: list[Kept] = []
        self.gone: list[Section] = []
        self.pruned: list[Section] = []
        self.edits: list[Edit] = []

    def take(self, old: _Known, entry: Entry) -> None:
        """An entry that an earlier import had already, perhaps in another form."""
        section = old.section
        first, end = section.span.line - 1, section.span.end_line
        if old.edited:
            self.kept.append(Kept(section, old.origin, None if old.origin.mark == entry.mark else entry))
        elif old.origin.mark != entry.mark:
            self.updated.append((section, entry))
            self.edits.append(Edit(first, end, tuple(entry.rendered())))
        else:
            self.unchanged += 1
            if old.origin.rows != stretches(entry.rows):
                rows = tuple(entry.rendered())
                self.edits.append(Edit(first, end, rows, quiet=True))

    def lose(self, old: _Known, prune: bool) -> None:
        """A section whose row is gone."""
        section = old.section
        if old.edited or not prune:
            self.gone.append(section)
            return
        self.pruned.append(section)
        self.edits.append(Edit(section.span.line - 1, section.span.end_line, ()))


def _fresh(
    document: Document, own: Sequence[Section], entries: Sequence[Entry], notes: Notes
) -> Iterable[Entry]:
    """The entries without what other sections of the document teach already."""
    first = document.adapter_names[0]
    taught: dict[Hashable, set[str]] = defaultdict(set)
    for section in own:
        origin = origin_of(section)
        source = origin.source if origin is not None else ""
        for key in _taught(section, first):
            taught[key].add(source)
    for entry in entries:
        adapter = entry.adapter or first
        if entry.kind is SectionKind.PROSE:
            prose: Hashable = (entry.kind, entry.adapter, entry.answer)
            if taught[prose] - {entry.source}:
                notes.add(_already(entry, 1))
            else:
                yield entry
            continue
        said = (entry.answer, entry.rejected, entry.before)
        fresh = tuple(
            text for text in entry.texts if not taught[entry.kind, adapter, text, *said] - {entry.source}
        )
        if len(fresh) < len(entry.texts):
            notes.add(_already(entry, len(entry.texts) - len(fresh)))
        if fresh:
            yield replace(entry, texts=fresh) if len(fresh) < len(entry.texts) else entry


def _already(entry: Entry, rows: int) -> Note:
    return _note(Topic.ALREADY, entry, f"the document has this already: {entry.title[:60]}", rows)


def _note(topic: Topic, entry: Entry, message: str, rows: int = 1) -> Note:
    return Note(topic, Place(entry.source, entry.rows[0] if entry.rows else 0, entry.line), message, rows)


def _given(known: Sequence[_Known]) -> Counter[str]:
    """How many sections the document was given from each source so far."""
    given = Counter(old.origin.source for old in known)
    for old in known:
        given[old.origin.source] = max(given[old.origin.source], old.origin.of)
    return given


def _taken_out(
    known: Sequence[_Known], pairs: Sequence[tuple[_Known, Entry]], open_: Sequence[Entry]
) -> Iterable[Entry]:
    """Of the entries that no section has, those whose section the user took out.

    A row was there before if as many rows lie between its neighbours as lay between their sections' rows.
    Where more rows were than sections are missing, none can be told for sure, and all are new.
    """
    missing = _given(known) - Counter(old.origin.source for old in known)
    for source, number in missing.items():
        rows = sorted(
            (stretches(entry.rows)[0][0], old.origin.rows[0][0])
            for old, entry in pairs
            if entry.source == source and entry.rows and old.origin.rows
        )
        waiting = [entry for entry in open_ if entry.source == source and entry.rows]
        inner = [entry for entry in waiting if _stood_between(entry.rows[0], rows)]
        last = rows[-1][0] if rows else 0
        for candidates in (inner + [e for e in waiting if e.rows[0] > last], inner):
            if 0 < len(candidates) <= number:
                yield from candidates
                break


def _stood_between(row: int, rows: Sequence[tuple[int, int]]) -> bool:
    """True where as many rows lie between the neighbours of a new row as did; `rows` are (now, before)."""
    at = bisect_left(rows, (row, 0))
    if at == len(rows):
        return False
    now, before = rows[at - 1] if at else (0, 0)
    next_now, next_before = rows[at]
    return next_now - now == next_before - before


def _taught(section: Section, first: str) -> Iterable[Hashable]:
    adapter = section.adapter or first
    if section.kind is SectionKind.PROSE:
        yield section.kind, section.adapter, section.text
    for asked in section.questions:
        for wording in asked.wordings:
            yield section.kind, adapter, wording, asked.answer, "", asked.before
    for pair in section.preferences:
        yield section.kind, adapter, pair.prompt, pair.chosen, pair.rejected, pair.before


def known_adapters(document: Document) -> Iterable[tuple[tuple[object, ...], str | None]]:
    """The adapters of sections of earlier imports, under keys that `known_by` gives for their rows."""
    for section in document.sections:
        if section.source is None and (origin := origin_of(section)) is not None:
            old = _Known(section, origin)
            yield (origin.source, section.kind, 0, old.title), section.adapter
            yield (origin.source, section.kind, 1, old.answer), section.adapter


def known_by(entry: Entry) -> Iterable[tuple[object, ...]]:
    """The words that an entry is known by: its questions, then its answer."""
    for title in entry.texts or (_first(entry.answer),):
        yield entry.source, entry.kind, 0, title
    yield entry.source, entry.kind, 1, entry.answer


def _matched(
    known: Sequence[_Known], entries: Sequence[Entry]
) -> tuple[list[tuple[_Known, Entry]], list[_Known]]:
    """Each entry with the section that has it: by its mark, its first question, its answer, or its row, where
    that is much the same.
    """
    pairs: list[tuple[_Known, Entry]] = []
    left, open_ = list(known), list(entries)
    ways: tuple[tuple[Callable[[_Known], Hashable], Callable[[Entry], Hashable]], ...] = (
        (lambda old: old.origin.mark, lambda entry: entry.mark),
        (lambda old: old.title, lambda entry: entry.texts[0] if entry.texts else _first(entry.answer)),
        (lambda old: old.answer, lambda entry: entry.answer),
        (lambda old: old.origin.rows[:1], lambda entry: stretches(entry.rows)[:1]),
    )
    for of_known, of_entry in ways:
        by_key: dict[Hashable, list[_Known]] = defaultdict(list)
        for old in reversed(left):
            by_key[old.origin.source, old.section.kind, of_known(old)].append(old)
        rest = []
        for entry in open_:
            found = by_key[entry.source, entry.kind, of_entry(entry)]
            if found and (of_known is not ways[-1][0] or _alike(found[-1], entry)):
                pairs.append((found.pop(), entry))
            else:
                rest.append(entry)
        taken = {id(old) for old, _ in pairs}
        left, open_ = [old for old in left if id(old) not in taken], rest
    return pairs, left


def _alike(old: _Known, entry: Entry) -> bool:
    """True where a row may be the one that stood in its place: they share half of the words of either text.
    A row with a question and an answer of its own is another row.
    """
    title = entry.texts[0] if entry.texts else ""
    pairs = ((old.title if entry.texts else "", title), (old.answer, entry.answer))
    words = [(set(_WORD.findall(a.casefold())), set(_WORD.findall(b.casefold()))) for a, b in pairs]
    return any(2 * len(a & b) >= max(len(a), len(b)) for a, b in words if a and b)


def _first(text: str) -> str:
    return text.split("\n", 1)[0]
