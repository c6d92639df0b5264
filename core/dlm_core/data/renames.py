"""A source under a new name: its file is gone, and another brings most of what it brought."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dlm_core.data import hub
from dlm_core.data.entries import Entry, origin_of
from dlm_core.document.model import Document

_SAME = 0.5  # share of a source's sections that the file with the new name must have as they were imported


def find_renames(document: Document, entries: Sequence[Entry], folder: Path) -> dict[str, str]:
    """Sources of earlier imports by the name that each has now. `folder` is the document's."""
    marks: dict[str, set[str]] = defaultdict(set)
    for section in document.sections:
        if (origin := origin_of(section)) is not None:
            marks[origin.source].add(origin.mark)
    brought: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if entry.source not in marks:
            brought[entry.source].add(entry.mark)
    found: dict[str, str] = {}
    for source, known in marks.items():
        if source.startswith(hub.PREFIX) or _is_there(folder / source):
            continue
        shared = Counter({name: len(known & own) for name, own in brought.items()}).most_common(1)
        if shared and shared[0][1] > _SAME * len(known) and shared[0][0] not in found.values():
            found[source] = shared[0][0]
    return found


def renamed(text: str, document: Document, names: Mapping[str, str]) -> str:
    """The document's text with the new names of sources in its comments, line for line."""
    rows = text.split("\n")
    for section in document.sections:
        origin = origin_of(section)
        if origin is None or origin.source not in names or section.fence is None:
            continue
        at = next(
            i for i in range(section.fence.line, len(rows)) if rows[i].rstrip("\r") == section.provenance
        )
        end = "\r" if rows[at].endswith("\r") else ""
        rows[at] = f"{replace(origin, source=names[origin.source])}{end}"
    return "\n".join(rows)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is none here
        return False
