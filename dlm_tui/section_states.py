"""What became of each section since the last run, found by comparing content hashes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dlm_core.document.model import Section
from dlm_core.store import SectionRecord

State = Literal["trained", "new", "changed", "gone"]
_START = ""  # stands before the first section


@dataclass(frozen=True)
class SectionState:
    """One section and its state. `section` is None for a gone one, `record` is None for a new one."""

    state: State
    section: Section | None
    record: SectionRecord | None

    @property
    def title(self) -> str:
        """A short label: the first question or prompt, or the first line of the text."""
        return title_of(self.section) if self.section else self.record.title if self.record else ""

    @property
    def adapter(self) -> str | None:
        """The tag of the section's fence."""
        return self.section.adapter if self.section else self.record.adapter if self.record else None

    @property
    def kind(self) -> str:
        """prose, instruction or preference."""
        return self.section.kind.value if self.section else self.record.kind if self.record else ""


def title_of(section: Section) -> str:
    """The first question or prompt of a section, or its first line of text; for a source the file's name."""
    if section.source is not None:
        return section.source.name
    if section.questions:
        return _first_line(section.questions[0].question)
    if section.preferences:
        return _first_line(section.preferences[0].prompt)
    return _first_line(section.text)


def section_states(sections: Sequence[Section], trained: Sequence[SectionRecord]) -> tuple[SectionState, ...]:
    """The state of every section in file order, then those that are gone.

    A section with unknown content has changed if one of its kind and adapter is gone that had the same title,
    or stood behind the same section. Without any record everything is new.
    """
    left = Counter(record.content_hash for record in trained)
    known = [_take(left, section.content_hash) for section in sections]
    by_hash = {record.content_hash: record for record in trained}
    behind = dict(
        zip((r.content_hash for r in trained), (_START, *(r.content_hash for r in trained)), strict=False)
    )
    missing = [record for record in reversed(trained) if _take(left, record.content_hash)][::-1]
    states = []
    before = _START
    for is_known, section in zip(known, sections, strict=True):
        if is_known:
            states.append(SectionState("trained", section, by_hash[section.content_hash]))
        elif (old := _counterpart(section, before, missing, behind)) is not None:
            missing.remove(old)
            states.append(SectionState("changed", section, old))
        else:
            states.append(SectionState("new", section, None))
        before = section.content_hash
    return (*states, *(SectionState("gone", None, record) for record in missing))


def _take(left: Counter[str], content_hash: str) -> bool:
    if left[content_hash] < 1:
        return False
    left[content_hash] -= 1
    return True


def _counterpart(
    section: Section, before: str, missing: Sequence[SectionRecord], behind: Mapping[str, str]
) -> SectionRecord | None:
    alike = [r for r in missing if (r.kind, r.adapter) == (section.kind.value, section.adapter)]
    title = title_of(section)
    same_title = next((r for r in alike if r.title == title), None)
    return same_title or next((r for r in alike if behind[r.content_hash] == before), None)


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
