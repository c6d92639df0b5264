"""What became of each section since the last run: the comparison as a list, for lists on screen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dlm_core.document.diff import compare_sections
from dlm_core.document.diff import title as title_of
from dlm_core.document.model import Section
from dlm_core.store import SectionRecord

State = Literal["trained", "new", "changed", "gone"]


@dataclass(frozen=True)
class SectionState:
    """One section and its state. `section` is None for a gone one, `record` is None for a new one and for
    one that holds probes alone.
    """

    state: State
    section: Section | None
    record: SectionRecord | None

    @property
    def title(self) -> str:
        """A section's name for people: its file, or the first line of its first question, prompt or text."""
        return title_of(self.section) if self.section else self.record.title if self.record else ""

    @property
    def adapter(self) -> str | None:
        """The tag of the section's fence."""
        return self.section.adapter if self.section else self.record.adapter if self.record else None

    @property
    def kind(self) -> str:
        """prose, instruction or preference."""
        return self.section.kind.value if self.section else self.record.kind if self.record else ""

    @property
    def lost(self) -> str:
        """What its last training did not learn of it as it stands, in words; "" for nothing."""
        lost = self.record.lost if self.record and self.state == "trained" else ""
        return {"cut": "cut", "left_out": "left out"}.get(lost, "")


def section_states(sections: Sequence[Section], trained: Sequence[SectionRecord]) -> tuple[SectionState, ...]:
    """The state of every section in file order, then those that are gone. Without any record all are new."""
    changes = compare_sections(trained, sections)
    by_hash = {record.content_hash: record for record in trained}
    known = {id(section) for section in changes.unchanged}
    before = {id(section): record for record, section in changes.changed}
    states = [
        SectionState("trained", section, by_hash.get(section.content_hash))
        if id(section) in known
        else SectionState("changed" if id(section) in before else "new", section, before.get(id(section)))
        for section in sections
    ]
    return (*states, *(SectionState("gone", None, record) for record in changes.gone))
