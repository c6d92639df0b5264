"""Names that a user gave to versions of a document, and which of them are kept whatever is pruned."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from dlm_core.errors import StoreError, UsageError
from dlm_core.store import atomic, envelope

LONGEST = 60
"""Characters of a name."""
_FORMAT = 1


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What is noted of a generation: its `name`, "" without one, and whether it is `pinned`."""

    generation: int
    name: str = ""
    pinned: bool = False


def load(path: Path) -> dict[int, Mark]:
    """The marks by generation.

    Raises:
        StoreError: the file is damaged, or from a newer version.
    """
    if not path.is_file():
        return {}
    content, form = envelope.read(path)
    if form != _FORMAT:
        raise StoreError(f"{atomic.shown(path)} was written by a newer dlm", "update dlm")
    try:
        marks = msgspec.convert(content, tuple[Mark, ...])
    except msgspec.ValidationError as error:
        raise StoreError(f"{atomic.shown(path)} is damaged: it holds no names of versions") from error
    return {mark.generation: mark for mark in marks}


def save(path: Path, marks: Mapping[int, Mark]) -> None:
    """Keep these marks in one step; what says nothing is left out. Raises StoreError."""
    kept = [
        marks[generation]
        for generation in sorted(marks)
        if marks[generation].name or marks[generation].pinned
    ]
    envelope.write(path, kept, _FORMAT)


def pinned(path: Path) -> frozenset[int]:
    """The generations that are kept. Raises StoreError: what cannot be read might pin any."""
    return frozenset(generation for generation, mark in load(path).items() if mark.pinned)


def checked_name(name: str) -> str:
    """A name on one line. Raises UsageError for one that is empty, too long, or a number."""
    found = " ".join(name.split())
    if not found or not found.isprintable():
        raise UsageError("a version's name has to have letters in it", "such as `before the rewrite`")
    if len(found) > LONGEST:
        raise UsageError(f"a version's name has at most {LONGEST} characters", f"this one has {len(found)}")
    if found.isdecimal():
        raise UsageError("a version's name is no number", "numbers are generations")
    return found
