"""What may be changed about an import while its preview is shown: options, each turned on by its key."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dlm_core.data.rows import Topic
from dlm_tui.session.wording import counted

if TYPE_CHECKING:
    from dlm_core.data.importing import Import, Wanted

_FEWEST = 8  # sections from which there are topics to tell apart


@dataclass(frozen=True)
class ImportOption:
    """One option: its key, what it does, and whether it is on."""

    key: str
    words: str
    on: bool


def import_options(done: "Import", wanted: "Wanted") -> tuple[ImportOption, ...]:
    """The options that would make a difference to an import as it was read, and those that are on."""
    notes, changes = done.notes, done.changes
    counted = {name: count for name, count in done.adapters}
    topics = wanted.by is None and None not in counted and sum(counted.values()) >= _FEWEST
    offered = (
        ("r", wanted.restore, notes.count(Topic.TAKEN_OUT), "bring back {} that {} taken out here"),
        (
            "p",
            wanted.prune,
            len(changes.gone),
            "take out {} whose row is gone from the source, unless edited",
        ),
        ("n", wanted.drop_near, notes.count(Topic.NEAR), "leave out {} that nearly repeat{} another"),
        ("u", wanted.reading.prose, notes.count(Topic.PASSAGE), "take {} under no question too, as prose"),
        ("t", wanted.by == "auto", int(topics), "an adapter for each topic"),
    )
    return tuple(
        ImportOption(key, _said(key, words, count), on) for key, on, count, words in offered if on or count
    )


def toggled(wanted: "Wanted", key: str) -> "Wanted":
    """What is wanted with the option of that key turned on, or off again."""
    match key:
        case "r":
            return replace(wanted, restore=not wanted.restore)
        case "p":
            return replace(wanted, prune=not wanted.prune)
        case "n":
            return replace(wanted, drop_near=not wanted.drop_near)
        case "u":
            return replace(wanted, reading=replace(wanted.reading, prose=not wanted.reading.prose))
        case "t":
            return replace(wanted, by=None if wanted.by == "auto" else "auto", adapter=None)
    raise ValueError(key)


def _said(key: str, words: str, count: int) -> str:
    """An option in words, with how much it concerns; once it is on that is not counted any more."""
    things = {"r": "section", "p": "section", "n": "row", "u": "passage"}.get(key, "")
    if not things:
        return words
    many = counted(count, things, ",") if count else f"{things}s"
    verb = {"r": "was" if count == 1 else "were", "n": "s" if count == 1 else ""}.get(key, "")
    return words.format(many, verb)
