"""What an import would do, in words: the difference to the document, what was noticed; and as JSON."""

from collections import Counter
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from dlm_core.data.rows import Note, Topic
from dlm_core.safetext import visible_line
from dlm_tui.session.wording import counted

if TYPE_CHECKING:
    from dlm_core.data.importing import Import
    from dlm_core.data.merging import Edit

LISTED = 5
_CONTEXT = 2
_ROWS_SHOWN = 2_000
_COMPARED = 400  # lines of a change that are compared one by one

_SAID = {
    Topic.FILE: ("file left out", "files left out"),
    Topic.UNREADABLE: ("row or file that cannot be taken", "rows or files that cannot be taken"),
    Topic.EMPTY: ("row without question or answer left out", "rows without question or answer left out"),
    Topic.DUPLICATE: ("row that repeats another left out", "rows that repeat another left out"),
    Topic.ALREADY: ("row that the document has already", "rows that the document has already"),
    Topic.TAKEN_OUT: ("row whose section was taken out of the document",
                      "rows whose sections were taken out of the document"),
    Topic.WORDING: ("row became a wording of an answer", "rows became wordings of an answer"),
    Topic.NEAR: ("row nearly repeats another", "rows nearly repeat another"),
    Topic.CONFLICT: ("question with several answers", "questions with several answers"),
    Topic.TOO_LONG: ("row longer than training.sequence_len: not all of it is learned",
                     "rows longer than training.sequence_len: not all of them is learned"),
    Topic.SETTLED: ("row changed so that its text stays text", "rows changed so that their text stays text"),
    Topic.TURNS: ("conversation of which a turn is left out", "conversations of which turns are left out"),
    Topic.FURTHER: ("question with further answers left out", "questions with further answers left out"),
    Topic.SYSTEM: ("row with another system message", "rows with another system message"),
    Topic.PASSAGE: ("passage under no question left out", "passages under no question left out"),
    Topic.GUESSED: ("guess", "guesses"),
}  # fmt: skip
_FLAGS = {
    Topic.TAKEN_OUT: ("--restore brings it back", "--restore brings them back"),
    Topic.NEAR: ("--drop-near leaves it out", "--drop-near leaves them out"),
    Topic.PASSAGE: ("--prose takes it", "--prose takes them"),
}
"""What the command line offers against it."""
_QUIET = {Topic.WORDING, Topic.DUPLICATE}
"""What is counted only: there is nothing to be done about it."""


def difference(done: "Import") -> Iterator[str]:
    """The lines that change in a document that is there, with a few around them; for a new one, nothing.

    Comments that change because a row moved within its source are left out: the summary counts them.
    """
    if done.before is None:
        return
    rows = done.before.split("\n")
    shown = 0
    for edit in done.edits:
        if edit.quiet:
            continue
        for line in _stretch(rows, edit):
            if shown == _ROWS_SHOWN:
                yield f"… further lines are not shown: {_ROWS_SHOWN:,} are"
                return
            shown += 1
            yield line


def _stretch(rows: list[str], edit: "Edit") -> Iterator[str]:
    yield f"@@ line {edit.first + 1} @@"
    old = [row.removesuffix("\r") for row in rows[edit.first : edit.end]]
    new = list(edit.rows)
    for row in rows[max(0, edit.first - _CONTEXT) : edit.first]:
        yield _line(" ", row)
    small = len(old) + len(new) <= _COMPARED
    steps = SequenceMatcher(None, old, new, autojunk=False).get_opcodes() if small else ()
    for step, a, b, c, d in steps or (("replace", 0, len(old), 0, len(new)),):
        if step == "equal":
            yield from (_line(" ", row) for row in old[a:b])
        else:
            yield from (_line("-", row) for row in old[a:b])
            yield from (_line("+", row) for row in new[c:d])
    for row in rows[edit.end : edit.end + _CONTEXT]:
        yield _line(" ", row)


def _line(sign: str, row: str) -> str:
    return f"{sign}{visible_line(row.removesuffix(chr(13)))}"


def summary(done: "Import", listed: int = LISTED, *, flags: bool = True) -> Iterator[str]:
    """What was noticed, then what becomes of single sections; of each kind of note the first few. With
    `flags`, the options of the command line that would change it are named.
    """
    for topic in done.notes.topics:
        count = done.notes.count(topic)
        one, many = _SAID[topic]
        if flags and topic in _FLAGS:
            one, many = (f"{said} ({flag})" for said, flag in zip((one, many), _FLAGS[topic], strict=True))
        notes = done.notes.of(topic)
        if topic is Topic.GUESSED:
            yield from (_note(note) for note in notes[:listed])
            continue
        yield f"{count:,} {one if count == 1 else many}"
        if topic in _QUIET:
            continue
        yield from (f"  {_note(note)}" for note in notes[:listed])
        if len(notes) > listed:
            yield "  …"
    if done.topics:
        yield topics_told_by(done)
    for found in done.topics:
        words = f" ({visible_line(', '.join(found.words))})" if found.words else ""
        yield f"topic {found.adapter}: {counted(found.sections, 'section', ',')}{words}"
    yield from _changes(done, flags)


def topics_told_by(done: "Import") -> str:
    """What the topics of an import were told apart by, in words."""
    if done.by_meaning:
        return "topics told apart by what sections mean, with the sentence encoder"
    return "topics told apart by the words of sections alone: no sentence encoder is at hand"


def _note(note: Note) -> str:
    return visible_line(f"{note.place}: {note.message}")


def _changes(done: "Import", flags: bool) -> Iterator[str]:
    changes = done.changes
    for kept in changes.kept:
        line = kept.section.span.line
        where = f"line {line}, from {visible_line(kept.origin.source)}"
        if kept.entry is None:
            yield f"kept as edited: {where}"
        else:
            rows = f" row {kept.entry.rows[0]}" if kept.entry.rows else ""
            yield f"kept as edited: {where}; its source{rows} has changed since, too"
    for section in changes.gone:
        flag = " (--prune takes it out)" if flags else ""
        yield f"no longer in its source, and kept: line {section.span.line}{flag}"
    for section in changes.pruned:
        yield f"no longer in its source, and taken out: line {section.span.line}"
    moved = sum(edit.quiet for edit in changes.edits)
    if moved:
        yield f"{counted(moved, 'section', ',')} stand elsewhere in their source now"
    if done.declared:
        how = "declared" if done.before is None else "newly declared"
        yield f"adapters {how}: {', '.join(done.declared)}"


def total(done: "Import") -> str:
    """What was read and what becomes of it, in one line; new sections by adapter."""
    changes = done.changes
    added = Counter(entry.adapter for entry in changes.added)
    counts = {"new": len(changes.added), "changed": len(changes.updated), "as before": changes.unchanged}
    counts |= {"kept as edited": len(changes.kept), "taken out": len(changes.pruned)}
    parts = [f"{count:,} {what}" for what, count in counts.items() if count] or ["nothing new"]
    sources = counted(len(done.sources), "source", ",")
    adapters = ", ".join(f"{name or 'untagged'} {count:,}" for name, count in added.most_common())
    said = f"{counted(done.rows, 'row', ',')} from {sources}, sections: {', '.join(parts)}"
    return f"{said} ({adapters})" if adapters else said


def as_document(done: "Import", *, written: bool) -> dict[str, Any]:
    """What `dlm import --json` promises."""
    changes = done.changes
    return {
        "document": str(done.target),
        "written": written,
        "rows": done.rows,
        "sources": [source.name for source in done.sources],
        "adapters": {name or "": count for name, count in done.adapters},
        "declared": list(done.declared),
        "topics_by": ("meaning" if done.by_meaning else "words") if done.topics else None,
        "topics": [
            {"adapter": t.adapter, "sections": t.sections, "words": list(t.words)} for t in done.topics
        ],
        "sections": {
            "added": len(changes.added),
            "updated": len(changes.updated),
            "unchanged": changes.unchanged,
            "kept_as_edited": [
                {"line": kept.section.span.line, "source": kept.origin.source,
                 "source_changed": kept.entry is not None}
                for kept in changes.kept
            ],
            "gone": [section.span.line for section in changes.gone],
            "pruned": [section.span.line for section in changes.pruned],
        },
        "notes": {
            topic.value: {
                "count": done.notes.count(topic),
                "first": [
                    {"source": note.place.source, "row": note.place.row, "line": note.place.line,
                     "message": visible_line(note.message)}
                    for note in done.notes.of(topic)
                ],
            }
            for topic in done.notes.topics
        },
    }  # fmt: skip
