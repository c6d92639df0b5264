"""Rows: what each section of a document gives to learn, as token ids with a mask that says which carry loss.

An instruction is rendered by the base's chat template and carries loss on its answer and end token; prose
is plain text and carries loss everywhere; a preference becomes two answers to one prompt.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from dlm_core.document.model import Document, Section, SectionKind
from dlm_core.errors import DocumentError
from dlm_core.safetext import visible


class Encoder(Protocol):
    """What rows need of a base: its chat template and its tokenizer."""

    def encode_row(self, question: str, answer: str, system: str | None) -> tuple[list[int], list[bool]]:
        """Ids of the whole turn pair, and True where the answer and its end token stand."""
        ...

    def encode_text(self, text: str) -> list[int]:
        """Ids of plain text, as the tokenizer begins a document."""
        ...


@dataclass(frozen=True)
class Row:
    """One sequence to learn: `ids` [T], `loss` [T] (True where the token is to be predicted), and whose it
    is.

    `kind` is prose or instruction; `section` is the content hash, `label` a short name for messages.
    `question` is where the question's own tokens stand, [begin, end), empty for prose. What is `repeated`
    teaches once more what another row teaches, and does not count as recalled or not.
    """

    ids: tuple[int, ...]
    loss: tuple[bool, ...]
    adapter: str
    section: str
    label: str
    kind: SectionKind
    question: tuple[int, int] = (0, 0)
    repeated: bool = False

    @property
    def loss_tokens(self) -> int:
        """Tokens that carry loss; the first token of a row can never be predicted."""
        return sum(self.loss[1:])


@dataclass(frozen=True)
class PreferenceRow:
    """A prompt with a chosen and a rejected answer, each as a full row."""

    chosen: Row
    rejected: Row

    @property
    def adapter(self) -> str:
        return self.chosen.adapter


@dataclass(frozen=True)
class Rows:
    """Everything a document gives to learn. `truncated` names rows that were cut at `sequence_len`."""

    sft: tuple[Row, ...]
    preference: tuple[PreferenceRow, ...]
    truncated: tuple[str, ...] = ()

    def tokens(self) -> int:
        """Tokens of one epoch, padding not counted."""
        return sum(len(r.ids) for r in self.sft)


def label_of(section: Section) -> str:
    """A short name for a section: kind, tag and line."""
    tag = f"#{section.adapter}" if section.adapter else ""
    return f"{section.kind.value}{tag} at line {section.span.line}"


def learners(section: Section, adapters: Sequence[str]) -> tuple[str, ...]:
    """Which adapters learn from a section: a tagged one its own; untagged prose all; other untagged ones the
    first.
    """
    if section.adapter is not None:
        return (section.adapter,)
    return tuple(adapters) if section.kind is SectionKind.PROSE else (adapters[0],)


def _cut(row: Row, limit: int, truncated: list[str]) -> Row:
    if len(row.ids) <= limit:
        return row
    truncated.append(row.label)
    begin, end = row.question
    question = (min(begin, limit), min(end, limit))
    return replace(row, ids=row.ids[:limit], loss=row.loss[:limit], question=question)


def _frame(encoder: Encoder, system: str | None) -> tuple[int, int]:
    """How many tokens a base's template puts before a question, and between it and the answer."""
    prompts: list[list[int]] = []
    for question in ("a", "9"):
        ids, loss = encoder.encode_row(question, "x", system)
        prompts.append(ids[: loss.index(True)] if True in loss else ids)
    one, other = prompts
    lead = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
    pairs = zip(reversed(one[lead:]), reversed(other[lead:]), strict=False)
    tail = next((i for i, (a, b) in enumerate(pairs) if a != b), 0)
    return lead, tail


def build_rows(document: Document, encoder: Encoder, context_length: int) -> Rows:
    """The rows of a document under one base.

    Long prose is split into pieces of `training.sequence_len` tokens, or of the base's `context_length` where
    that is less; long answers are cut there and reported.

    Raises:
        DocumentError: a row has no token to learn (an answer cut away, say); the message names the section.
    """
    training = document.frontmatter.training
    system, limit = document.frontmatter.system_prompt, min(training.sequence_len, context_length)
    sft: list[Row] = []
    preference: list[PreferenceRow] = []
    truncated: list[str] = []
    lead, tail = _frame(encoder, system)
    for section in document.sections:
        label = label_of(section)
        for adapter in learners(section, document.adapter_names):

            def answer_row(
                question: str,
                answer: str,
                section: Section = section,
                adapter: str = adapter,
                label: str = label,
            ) -> Row:
                ids, loss = encoder.encode_row(question, answer, system)
                answer_at = loss.index(True) if True in loss else len(ids)
                span = (min(lead, answer_at), max(lead, answer_at - tail))
                row = Row(tuple(ids), tuple(loss), adapter, section.content_hash, label, section.kind, span)
                row = _cut(row, limit, truncated)
                _require_loss(row, document, section, question)
                return row

            if section.kind is SectionKind.PROSE:
                ids = encoder.encode_text(section.text.strip())
                pieces = [ids[i : i + limit] for i in range(0, len(ids), limit)]
                for piece in pieces:
                    if len(piece) < 2 and len(pieces) > 1:
                        continue
                    row = Row(
                        tuple(piece), (True,) * len(piece), adapter, section.content_hash, label, section.kind
                    )
                    _require_loss(row, document, section, "prose")
                    sft.append(row)
            elif section.kind is SectionKind.INSTRUCTION:
                sft += [answer_row(w, q.answer) for q in section.questions for w in q.wordings]
            else:
                preference += [
                    PreferenceRow(answer_row(p.prompt, p.chosen), answer_row(p.prompt, p.rejected))
                    for p in section.preferences
                ]
    return Rows(tuple(sft), tuple(preference), tuple(dict.fromkeys(truncated)))


def _require_loss(row: Row, document: Document, section: Section, text: str) -> None:
    if row.loss_tokens:
        return
    where = section.source or document.path
    raise DocumentError(
        f"{visible(str(where))}:{section.span.line}: nothing to learn in {label_of(section)} "
        f"({visible(text.strip()[:40])}): no token carries loss",
        "give it a longer text, or raise `training.sequence_len`",
    )
