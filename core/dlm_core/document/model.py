"""What a document is once it has been read: frontmatter, sections, questions, and where each stands."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

from dlm_core.document.schema import Frontmatter

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, order=True)
class Span:
    """A half-open stretch of the document: lines and columns count from 1, in characters, end excluded."""

    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True)
class Diagnostic:
    """One problem, placed: what is wrong (`message`) and what would be right (`hint`)."""

    span: Span
    severity: Severity
    code: str
    message: str
    hint: str = ""
    path: Path | None = None


class SectionKind(StrEnum):
    """The three kinds of section a fence may open."""

    PROSE = "prose"
    INSTRUCTION = "instruction"
    PREFERENCE = "preference"


@dataclass(frozen=True)
class Turn:
    """A question and its answer earlier in a conversation: read, and never trained."""

    question: str
    answer: str


@dataclass(frozen=True)
class Question:
    """One `### A` with the question it answers: `question` as the first `### Q` words it, `others` as further
    ones do. `before` are the turns of the conversation that it goes on from.
    """

    question: str
    answer: str
    span: Span
    others: tuple[str, ...] = ()
    before: tuple[Turn, ...] = ()

    @property
    def wordings(self) -> tuple[str, ...]:
        """Every trained way to ask it, in file order."""
        return (self.question, *self.others)

    @property
    def searched(self) -> tuple[str, ...]:
        """The wordings as they are searched for: a follow-up stands behind the question before it."""
        return tuple(in_context(wording, self.before) for wording in self.wordings)


@dataclass(frozen=True)
class Preference:
    """One `### Prompt` with its `### Chosen` and `### Rejected`, and the turns `before` the prompt."""

    prompt: str
    chosen: str
    rejected: str
    span: Span
    before: tuple[Turn, ...] = ()

    @property
    def searched(self) -> str:
        """The prompt as it is searched for: a follow-up stands behind the question before it."""
        return in_context(self.prompt, self.before)


def in_context(question: str, before: Sequence[Turn]) -> str:
    """A question as it is searched for after some turns: what it goes on from may say what it is about."""
    return f"{before[-1].question}\n{question}" if before else question


@dataclass(frozen=True)
class Section:
    """One section of the body, or one file that `training.sources` brought in as prose.

    `adapter` is the tag of the fence, None without one. `content_hash` (sha256, hex) covers kind, tag and
    content without its probes, not the position. `probes` are its `### Q !probe`, one each, with their
    answers. `source` names the file it came from, None for the document itself.
    """

    kind: SectionKind
    adapter: str | None
    text: str
    span: Span
    fence: Span | None
    content_hash: str
    questions: tuple[Question, ...] = ()
    preferences: tuple[Preference, ...] = ()
    provenance: str | None = None
    source: Path | None = None
    probes: tuple[Question, ...] = ()

    @property
    def teaches(self) -> bool:
        """Whether there is anything in it to learn; a section of probes alone has nothing."""
        return self.kind is not SectionKind.INSTRUCTION or bool(self.questions)


@dataclass(frozen=True)
class Document:
    """A document that can be trained: its frontmatter is valid, its sections are in file order."""

    path: Path
    frontmatter: Frontmatter
    sections: tuple[Section, ...]
    text: str = field(repr=False)

    @property
    def dlm_id(self) -> str:
        return self.frontmatter.dlm_id

    @property
    def adapter_names(self) -> tuple[str, ...]:
        """The declared adapters in order; `("default",)` where the flat form is used."""
        return tuple(self.frontmatter.training.adapter_configs())


@dataclass(frozen=True)
class Parsed:
    """What parsing gave: the document if it is usable, and every diagnostic in file order."""

    document: Document | None
    diagnostics: tuple[Diagnostic, ...]

    @property
    def errors(self) -> Sequence[Diagnostic]:
        return [d for d in self.diagnostics if d.severity == "error"]
