"""What changed in a document since a run.

A section whose content the run knew is unchanged, wherever it stands now. Of the rest, a section is *changed*
if one of the same kind and tag is gone that had the same title, or else that stood behind the same section.
What is left over is *new* here, or *gone* there. A section of probes alone is never learned, and so never
changes. Takes time linear in the number of sections.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from dlm_core.document.model import Document, Section

_START = ""


class Remembered(Protocol):
    """What a run has to remember of a section for it to be recognised."""

    @property
    def content_hash(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def adapter(self) -> str | None: ...
    @property
    def title(self) -> str: ...


RecordT = TypeVar("RecordT", bound=Remembered)


@dataclass(frozen=True)
class Changes(Generic[RecordT]):
    """The difference between what a run remembers and a document, each part in its own order."""

    unchanged: tuple[Section, ...]
    changed: tuple[tuple[RecordT, Section], ...]
    new: tuple[Section, ...]
    gone: tuple[RecordT, ...]

    def __bool__(self) -> bool:
        return bool(self.changed or self.new or self.gone)


def title(section: Section) -> str:
    """A section's name for people: its file, or the first line of its first question, prompt or text."""
    if section.source is not None:
        return section.source.name
    if asked := (*section.questions, *section.probes):
        return _first_line(asked[0].question)
    if section.preferences:
        return _first_line(section.preferences[0].prompt)
    return _first_line(section.text)


def compare(previous: Sequence[RecordT], document: Document) -> Changes[RecordT]:
    """The document's sections against those that a run remembers, in the order the run had them."""
    return compare_sections(previous, document.sections)


def compare_sections(previous: Sequence[RecordT], sections: Sequence[Section]) -> Changes[RecordT]:
    """As `compare`, for sections in file order."""
    known = Counter(record.content_hash for record in previous)
    unchanged, fresh = [], []
    before = _START
    for section in sections:
        if not section.teaches:
            unchanged.append(section)
            continue
        if known[section.content_hash]:
            known[section.content_hash] -= 1
            unchanged.append(section)
        else:
            fresh.append((section, before))
        before = section.content_hash
    lost = _Lost(previous, known)
    pairs = [(lost.take_titled(section), section, before) for section, before in fresh]
    matched = [(record or lost.take_behind(section, before), section) for record, section, before in pairs]
    return Changes(
        unchanged=tuple(unchanged),
        changed=tuple((record, section) for record, section in matched if record is not None),
        new=tuple(section for record, section in matched if record is None),
        gone=lost.left(),
    )


class _Lost(Generic[RecordT]):
    """The remembered sections that are no longer there, each to be taken once."""

    def __init__(self, previous: Sequence[RecordT], missing: Counter[str]) -> None:
        self._records: dict[int, RecordT] = {}
        self._by_title: dict[Hashable, list[int]] = defaultdict(list)
        self._by_place: dict[Hashable, list[int]] = defaultdict(list)
        behind = [_START, *(record.content_hash for record in previous)]
        for number in reversed(range(len(previous))):
            record = previous[number]
            if not missing[record.content_hash]:
                continue
            missing[record.content_hash] -= 1
            self._records[number] = record
            self._by_title[record.kind, record.adapter, record.title].append(number)
            self._by_place[record.kind, record.adapter, behind[number]].append(number)

    def take_titled(self, section: Section) -> RecordT | None:
        return self._take(self._by_title[section.kind.value, section.adapter, title(section)])

    def take_behind(self, section: Section, before: str) -> RecordT | None:
        return self._take(self._by_place[section.kind.value, section.adapter, before])

    def left(self) -> tuple[RecordT, ...]:
        return tuple(self._records[number] for number in sorted(self._records))

    def _take(self, numbers: list[int]) -> RecordT | None:
        while numbers:
            record = self._records.pop(numbers.pop(), None)
            if record is not None:
                return record
        return None


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.split("\n") if line.strip()), "")
