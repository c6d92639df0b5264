"""The normal form: one row of data, whatever file it came from, and what could not become one."""

from dataclasses import dataclass
from enum import StrEnum

from dlm_core.document.model import SectionKind, Turn

__all__ = ["Item", "Note", "Place", "Row", "Topic", "Turn"]


@dataclass(frozen=True)
class Place:
    """Where a row stands: its source as a document names it, its number there (from 1), and its line."""

    source: str
    row: int = 0
    line: int | None = None

    def __str__(self) -> str:
        if self.line is not None:
            return f"{self.source}:{self.line}"
        return f"{self.source}, row {self.row}" if self.row else self.source


@dataclass(frozen=True)
class Row:
    """One thing to learn.

    Instruction: `question` and `answer`. Preference: `question` is the prompt, `answer` the chosen reply,
    beside `rejected`. Prose: `answer` is the text. `before` are the turns that came first, `system` the
    system message; `adapter` is the label that the file itself gives, as written.
    """

    kind: SectionKind
    place: Place
    question: str = ""
    answer: str = ""
    rejected: str = ""
    adapter: str | None = None
    before: tuple[Turn, ...] = ()
    system: str = ""


class Topic(StrEnum):
    """What a note is about; the value is its key in `dlm import --json`."""

    FILE = "files_left_out"
    UNREADABLE = "unreadable"
    EMPTY = "empty"
    DUPLICATE = "duplicates"
    ALREADY = "already_in_document"
    TAKEN_OUT = "taken_out_of_document"
    WORDING = "merged_as_wordings"
    NEAR = "near_duplicates"
    CONFLICT = "several_answers"
    TOO_LONG = "too_long"
    SETTLED = "kept_as_text"
    TURNS = "earlier_turns_left_out"
    FURTHER = "further_answers_left_out"
    SYSTEM = "system_messages"
    PASSAGE = "under_no_question"
    GUESSED = "guessed"


@dataclass(frozen=True)
class Note:
    """Something to be said about the data, with its place. `weight` is how many rows it stands for."""

    topic: Topic
    place: Place
    message: str
    weight: int = 1


Item = Row | Note
"""What readers give, in the order of the file."""
