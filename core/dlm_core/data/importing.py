"""An import from beginning to end: what is read, what becomes of a document by it, and its new text.

Nothing is written here: the caller shows what `prepare` gives, and writes it where the user wants it.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from msgspec import structs

from dlm_core.data.cleaning import Cleaned, Cleaner
from dlm_core.data.declaring import declare
from dlm_core.data.entries import Entry
from dlm_core.data.gather import Reading, Source, find_sources, read_source
from dlm_core.data.merging import Changes, Edit, known_adapters, known_by, merge
from dlm_core.data.naming import Names
from dlm_core.data.notes import Notes
from dlm_core.data.renames import find_renames, renamed
from dlm_core.data.rows import Note, Place, Row
from dlm_core.data.rows import Topic as About
from dlm_core.data.topics import Grouping, Meaning, Topic, find_topics
from dlm_core.document.fences import is_adapter_name
from dlm_core.document.model import Document, SectionKind
from dlm_core.document.parse import MAX_DOCUMENT_BYTES, MAX_LINES, parse_text
from dlm_core.document.report import as_text, quoted
from dlm_core.document.schema import TrainingConfig
from dlm_core.document.template import new_frontmatter
from dlm_core.errors import DataError, DocumentError, Stopped, UsageError
from dlm_core.safetext import visible_line

Tell = Callable[[str, int], None]
_TOLD_EVERY = 1000  # rows
By = Literal["file", "folder", "auto"]
DEFAULT_ADAPTER = "knowledge"


def _untold(source: str, rows: int) -> None:
    pass


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Wanted:
    """The user's wishes; each field but `known_stay` is an option of `dlm import`.

    `known_stay`: rows of an earlier import stay with the adapter that has them, and `adapter` is for the
    new ones.
    """

    reading: Reading = field(default_factory=Reading)
    adapter: str | None = None
    by: By | None = None
    base: str = "smollm2-135m"
    limit: int | None = None
    known_stay: bool = False
    drop_near: bool = False
    prune: bool = False
    restore: bool = False


@dataclass(frozen=True)
class Import:
    """What an import would do. `before` is the document's text as it is, None where there is none yet.

    `rows` were read from `sources`. `adapters` counts the sections of the import by adapter, None for those
    without a tag; `topics` are the groups of `--adapters auto`, told apart `by_meaning` or by words alone.
    """

    target: Path
    before: str | None
    text: str
    rows: int
    sources: tuple[Source, ...]
    changes: Changes
    notes: Notes
    adapters: tuple[tuple[str | None, int], ...]
    declared: tuple[str, ...]
    topics: tuple[Topic, ...] = ()
    by_meaning: bool = False

    @property
    def edits(self) -> tuple[Edit, ...]:
        """What changes in a document that is there, in the order of its lines."""
        return self.changes.edits

    @property
    def writes(self) -> bool:
        return self.text != self.before


def prepare(
    inputs: Sequence[str],
    target: Path,
    before: str | None,
    wanted: Wanted,
    tell: Tell = _untold,
    meaning: Meaning | None = None,
    stop: Callable[[], bool] = _never,
) -> Import:
    """Read the inputs, and work out the document that they make or change.

    Args:
        before: its text so far.
        tell: told now and then which source is being read, and how many rows there were so far.
        meaning: what topics are found by; None for the words alone.
        stop: asked at every row.

    Raises:
        Stopped: `stop` said so.
        DataError: nothing could be read, or more than a document holds.
        DocumentError: the document that is there has errors, or cannot take new adapters.
        UsageError: the request contradicts itself or the files.
    """
    document = _document(before, target) if before is not None else None
    notes = Notes()
    sources, left_out = find_sources(inputs, target, wanted.reading)
    notes.extend(left_out)
    chosen = _Adapters(wanted, document, sources)
    training = document.frontmatter.training if document else TrainingConfig()
    cleaner = Cleaner(notes, chosen.of, longest=training.sequence_len, drop_near=wanted.drop_near)
    complete = _read(sources, wanted, cleaner, notes, tell, stop)
    cleaned = cleaner.finish()
    _refuse_overflow(cleaned)
    entries = [chosen.settled(entry) for entry in cleaned.entries]
    grouping = find_topics(entries, meaning=meaning) if wanted.by == "auto" else Grouping((), (), False)
    if grouping.adapters:
        entries = [replace(e, adapter=name) for e, name in zip(entries, grouping.adapters, strict=True)]
    if document is None:
        system = _system(cleaned, None, notes)
        given = Counter(entry.source for entry in entries)
        changes = Changes(tuple(replace(entry, of=given[entry.source]) for entry in entries))
        declared = _declared(entries)
        text = new_text(changes.added, declared, wanted.base, system)
        assert before is None
    else:
        _system(cleaned, document.frontmatter.system_prompt or "", notes)
        text = str(before)
        if known_as := find_renames(document, entries, target.resolve().parent):
            text = renamed(text, document, known_as)
            document = _document(text, target)
            for old, new in known_as.items():
                said = f"taken for {visible_line(old)} under a new name: that is gone, and this has its rows"
                notes.add(Note(About.GUESSED, Place(new), said))
        changes = merge(document, entries, complete, notes, prune=wanted.prune, restore=wanted.restore)
        text, declared, changes = _changed_text(document, text, changes)
    _check(text, target, document, changes)
    counted = Counter(entry.adapter for entry in entries)
    return Import(
        target, before, text, cleaned.rows, tuple(sources), changes, notes, tuple(counted.most_common()),
        declared, grouping.topics, grouping.by_meaning,
    )  # fmt: skip


def new_text(entries: Sequence[Entry], adapters: Sequence[str], base: str, system: str | None) -> str:
    """The text of a new document with these sections."""
    front = new_frontmatter(base, adapters, system_prompt=system)
    return "\n".join([front, *("\n".join([*entry.rendered(), ""]) for entry in entries)])


class _Adapters:
    """Which adapter learns a row."""

    def __init__(self, wanted: Wanted, document: Document | None, sources: Sequence[Source]) -> None:
        declared = document.frontmatter.training.adapters if document is not None else None
        self._names = Names(declared or ())
        self._wanted = wanted
        self._folders = {source.name: source.folder or _parent(source) for source in sources}
        column = wanted.reading.columns.adapter
        if sum((wanted.adapter is not None, wanted.by is not None, column is not None)) > 1:
            raise UsageError(
                "--adapter, --adapters and --adapter-column cannot go together", "choose one of them"
            )
        if wanted.adapter is not None and not is_adapter_name(wanted.adapter):
            hint = "begin with a small letter, then small letters, digits and `_`, 32 characters at most"
            raise UsageError(f"{quoted(wanted.adapter)} cannot be the name of an adapter", hint)
        asked_for = wanted.by is not None or column is not None
        flat = document is not None and not declared
        self._labels = asked_for or not flat
        self._default: str | None = DEFAULT_ADAPTER if document is None else None
        if declared and len(declared) == 1:
            self._default = next(iter(declared))
        self._must_say = bool(declared) and len(declared or ()) > 1
        self._stay = wanted.known_stay and bool(declared)
        self._known: dict[tuple[object, ...], str | None] = {}
        if document is not None and (self._stay or self._must_say):
            self._known = dict(known_adapters(document))

    def of(self, row: Row) -> str | None:
        """The adapter's name; None in a document of the flat form, and until topics are found."""
        if self._wanted.by == "auto":
            return None
        if self._wanted.adapter is not None:
            return None if self._stay else self._wanted.adapter
        label = self._label(row) if self._labels else None
        if label is not None and label.strip():
            return self._names.of(label)
        return None if self._must_say else self._default

    def settled(self, entry: Entry) -> Entry:
        """An entry with its adapter: where nothing else says it, the one that has it from an earlier import.

        Raises:
            UsageError: there is no telling.
        """
        if entry.adapter is not None or self._wanted.by == "auto" or not (self._stay or self._must_say):
            return entry
        known = (self._known.get(key) for key in known_by(entry))
        adapter = next(filter(None, known), self._wanted.adapter)
        if adapter is None:
            raise UsageError(
                "the document has several adapters, and nothing says which of them learns "
                f"{quoted(entry.title[:60])}",
                "name it with --adapter, or see --adapter-column and --adapters",
            )
        return replace(entry, adapter=adapter)

    def _label(self, row: Row) -> str | None:
        match self._wanted.by:
            case "file":
                return Path(row.place.source).stem
            case "folder":
                return self._folders.get(row.place.source)
        return row.adapter


def _parent(source: Source) -> str:
    return source.path.resolve().parent.name if source.path is not None else source.name.rpartition("/")[2]


def _read(
    sources: Sequence[Source],
    wanted: Wanted,
    cleaner: Cleaner,
    notes: Notes,
    tell: Tell,
    stop: Callable[[], bool],
) -> list[str]:
    """Hand every row to the cleaner; the answer names the sources that were read to their end.

    A source that cannot be read (further) is noted, and the others go on.
    """
    complete, rows = [], 0
    failure: DataError | None = None
    for source in sources:
        whole, read = True, 0
        tell(source.name, rows)
        try:
            for item in read_source(source, wanted.reading):
                if stop():
                    raise Stopped("stopped by you; nothing was brought in")
                read += 1
                if isinstance(item, Note):
                    notes.add(item)
                    whole = whole and item.topic is not About.UNREADABLE
                    continue
                if wanted.limit is not None and rows >= wanted.limit:
                    whole = False
                    break
                rows += 1
                if rows % _TOLD_EVERY == 0:
                    tell(source.name, rows)
                cleaner.add(item)
        except DataError as error:
            whole, failure = False, failure or error
            notes.add(_unreadable(source, error))
        else:
            if read == 0 and whole:
                notes.add(Note(About.FILE, Place(source.name), "nothing to learn stands in it"))
        if whole:
            complete.append(source.name)
    if not rows:
        if failure is not None and len(sources) == 1:
            raise failure
        said = [f"{note.place}: {note.message}" for topic in notes.topics for note in notes.of(topic)[:5]]
        found = "no file that can be read" if not sources else "no rows"
        raise DataError(
            f"there are {found} here", "; ".join(said[:5]) or "`dlm import --help` lists what is read"
        )
    return complete


def _unreadable(source: Source, error: DataError) -> Note:
    """A note on a source that cannot be read (further); its name, which the error has too, stands once."""
    found = re.fullmatch(
        rf"{re.escape(visible_line(str(source.path)))}(?::(\d+))?:? (.*)", error.message, re.S
    )
    if found is None:
        return Note(About.UNREADABLE, Place(source.name), error.message)
    line = int(found[1]) if found[1] else None
    return Note(About.UNREADABLE, Place(source.name, line=line), found[2])


def _refuse_overflow(cleaned: Cleaned) -> None:
    if not cleaned.overflows:
        return
    limit = MAX_DOCUMENT_BYTES // (1024 * 1024)
    raise DataError(
        f"{cleaned.rows:,} rows were read, and a document holds {limit} MiB in {MAX_LINES:,} lines: "
        f"the first {cleaned.fitting - 1:,} of them fill it",
        f"take fewer with --limit, say {_round(cleaned.fitting)}, or split them into several documents",
    )


def _round(rows: int) -> int:
    """A round number below."""
    digits = int(10 ** max(len(str(rows)) - 2, 0))
    return max(rows * 9 // 10 // digits * digits, 1)


def _system(cleaned: Cleaned, own: str | None, notes: Notes) -> str | None:
    """The system prompt: for a new document (`own` None) what more than half of the rows say. What differs is
    noted.
    """
    prompt = own
    if own is None:
        first, rows = cleaned.systems[0][:2] if cleaned.systems else ("", 0)
        prompt = first.strip() if 2 * rows > cleaned.fitting else ""
    for message, rows, place in cleaned.systems:
        if message.strip() != (prompt or "").strip():
            said = "another than the document's" if prompt else "and the document has none"
            shown = " ".join(message.split())[:80]
            notes.add(Note(About.SYSTEM, place, f"a system message, {said}, left out: {shown}", rows))
    return prompt or None


def _declared(entries: Sequence[Entry]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(entry.adapter for entry in entries if entry.adapter is not None))


def _document(text: str, path: Path) -> Document:
    parsed = parse_text(text, path)
    if parsed.document is None:
        listed = "\n".join(as_text(d, path) for d in parsed.errors[:5])
        raise DocumentError(f"nothing can be imported into a document with errors:\n{listed}")
    return parsed.document


def _changed_text(document: Document, text: str, changes: Changes) -> tuple[str, tuple[str, ...], Changes]:
    """The text with its changes made, the adapters that are newly declared in it, and all edits to it."""
    rows = text.split("\n")
    end = "\r" if rows[0].endswith("\r") else ""
    entries = (*changes.added, *(entry for _, entry in changes.updated))
    known = document.frontmatter.training.adapters or {}
    declared = tuple(name for name in _declared(entries) if name not in known)
    edits = list(changes.edits)
    if changes.added:
        edits.append(_appended(rows, changes.added))
    if declared:
        edits.insert(0, _declaration(rows, declared, document.path))
    for edit in sorted(edits, key=lambda e: e.first, reverse=True):
        put = [row + end for row in edit.rows]
        last = edit.end
        if not put:  # with a section go the blank lines after it
            while last < len(rows) and not rows[last].strip():
                last += 1
        elif last == len(rows):
            put[-1] = put[-1].removesuffix("\r")
        rows[edit.first : last] = put
    return "\n".join(rows), declared, replace(changes, edits=tuple(edits))


def _appended(rows: Sequence[str], entries: Sequence[Entry]) -> Edit:
    """New sections behind the last line that is not blank."""
    last = len(rows)
    while last and not rows[last - 1].strip():
        last -= 1
    added = [row for entry in entries for row in ("", *entry.rendered())]
    return Edit(last, len(rows), (*added, ""))


def _declaration(rows: Sequence[str], adapters: Sequence[str], path: Path) -> Edit:
    changed = list(rows)
    declare(changed, adapters, path)
    first = next(i for i, (a, b) in enumerate(zip(rows, changed, strict=False)) if a != b)
    grown = len(changed) - len(rows)
    put = changed[first : first + (grown or 1)]
    return Edit(first, first if grown else first + 1, tuple(row.removesuffix("\r") for row in put))


def _check(text: str, path: Path, document: Document | None, changes: Changes) -> None:
    """Refuse a text that would not hold exactly what it should: the old sections and those imported."""
    parsed = parse_text(text, path)
    if parsed.document is None:
        raise DataError(
            f"{visible_line(str(path))} would have errors: {parsed.errors[0].message}",
            parsed.errors[0].hint or "nothing was written",
        )
    gone = {id(section) for section, _ in changes.updated} | {id(section) for section in changes.pruned}
    entries = (*changes.added, *(entry for _, entry in changes.updated))
    expected = Counter(_content(entry.kind, entry.adapter, entry.body) for entry in entries)
    expected.update(
        _content(s.kind, s.adapter, s.text)
        for s in (document.sections if document else ())
        if id(s) not in gone and s.source is None
    )
    found = Counter(_content(s.kind, s.adapter, s.text) for s in parsed.document.sections)
    same_front = (
        document is None
        or structs.replace(document.frontmatter, training=parsed.document.frontmatter.training)
        == parsed.document.frontmatter
    )
    if found != expected or not same_front:
        raise DocumentError(
            f"{visible_line(str(path))} cannot take these sections without changing others",
            "an open code block at its end is one cause: `dlm check` names it",
        )


def _content(kind: SectionKind, adapter: str | None, text: str) -> tuple[str, str | None, str]:
    return kind.value, adapter, text
