"""Rows: what each section of a document gives to learn, as token ids with a mask that says which carry loss.

An instruction is rendered by the base's chat template, after the turns it follows on, and carries loss on
its answer and end token; prose is plain text and carries loss everywhere; a preference becomes two answers to
one prompt.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Literal, Protocol

from dlm_core.document.model import Document, Section, SectionKind, Turn
from dlm_core.safetext import visible_line


class Encoder(Protocol):
    """What rows need of a base: its chat template and its tokenizer."""

    def encode_row(
        self, question: str, answer: str, system: str | None, before: Sequence[Turn] = ()
    ) -> tuple[list[int], list[bool]]:
        """Ids of the whole conversation, and True where the answer to `question` and its end token stand."""
        ...

    def encode_text(self, text: str) -> list[int]:
        """Ids of plain text, as the tokenizer begins a document."""
        ...


@dataclass(frozen=True)
class Lost:
    """What is not learned of a row: its answer's end (`cut`), or all of it (`left_out`)."""

    what: Literal["cut", "left_out"]
    message: str
    hint: str


@dataclass(frozen=True)
class Row:
    """One sequence to learn: `ids` [T], `loss` [T] (True where the token is to be predicted), and whose it
    is.

    `kind` is prose or instruction; `section` is the content hash, `label` a short name for messages.
    `question` is where the question's own tokens stand, [begin, end), empty for prose. What is `repeated`
    teaches once more what another row teaches, and does not count as recalled or not. `lost` says what the
    document has and the row has not.
    """

    ids: tuple[int, ...]
    loss: tuple[bool, ...]
    adapter: str
    section: str
    label: str
    kind: SectionKind
    question: tuple[int, int] = (0, 0)
    repeated: bool = False
    lost: Lost | None = None

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
    """Everything a document gives to learn, and the rows of it that are `left_out`: no token carries loss."""

    sft: tuple[Row, ...]
    preference: tuple[PreferenceRow, ...]
    left_out: tuple[Row, ...] = ()

    @property
    def lost(self) -> tuple[Row, ...]:
        """The rows that are cut or left out."""
        pairs = (row for pair in self.preference for row in (pair.chosen, pair.rejected))
        return tuple(row for row in (*self.sft, *pairs, *self.left_out) if row.lost is not None)

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


def scopes(document: Document) -> dict[str, tuple[Literal["document", "any"], str]]:
    """What each adapter may answer, by name, and why: `document`, what it was taught, or `any`."""
    asked = {
        name
        for section in document.sections
        if section.kind is SectionKind.INSTRUCTION and section.questions
        for name in learners(section, document.adapter_names)
    }
    found: dict[str, tuple[Literal["document", "any"], str]] = {}
    for name, config in document.frontmatter.training.adapter_configs().items():
        if config.scope != "auto":
            found[name] = (config.scope, "as the document says")
        elif name in asked:
            found[name] = ("document", "auto: it has questions of its own")
        else:
            found[name] = ("any", "auto: it has no questions of its own")
    return found


def _frame(encoder: Encoder, system: str | None, before: Sequence[Turn] = ()) -> tuple[int, int]:
    """How many tokens stand before a question, template and earlier turns, and between it and the answer."""
    prompts: list[list[int]] = []
    for question in ("a", "9"):
        ids, loss = encoder.encode_row(question, "x", system, before)
        prompts.append(ids[: loss.index(True)] if True in loss else ids)
    one, other = prompts
    lead = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
    pairs = zip(reversed(one[lead:]), reversed(other[lead:]), strict=False)
    tail = next((i for i, (a, b) in enumerate(pairs) if a != b), 0)
    return lead, tail


def build_rows(document: Document, encoder: Encoder, context_length: int) -> Rows:
    """The rows of a document under one base.

    Long prose is split into pieces of `training.sequence_len` tokens, or of the base's `context_length` where
    that is less; long conversations lose their oldest turns, and long answers are cut there. A row without
    any token to learn is left out, and a pair with such a row. Each row says what it lost.
    """
    maker = _RowMaker(document, encoder, context_length)
    sft: list[Row] = []
    preference: list[PreferenceRow] = []
    left_out: list[Row] = []
    for section in document.sections:
        for adapter in learners(section, document.adapter_names):
            if section.kind is SectionKind.PREFERENCE:
                for pair in maker.pairs(section, adapter):
                    unusable = [row for row in (pair.chosen, pair.rejected) if not row.loss_tokens]
                    left_out += unusable
                    preference += [] if unusable else [pair]
                continue
            for row in maker.rows(section, adapter):
                (sft if row.loss_tokens else left_out).append(row)
    return Rows(tuple(sft), tuple(preference), tuple(left_out))


class _RowMaker:
    """Sections to rows under one base."""

    def __init__(self, document: Document, encoder: Encoder, context_length: int) -> None:
        self._document, self._encoder = document, encoder
        self._system = document.frontmatter.system_prompt
        wanted = document.frontmatter.training.sequence_len
        self._limit = min(wanted, context_length)
        self._limited_by = "`training.sequence_len`" if wanted <= context_length else "what the base reads"
        self._frame = lru_cache(maxsize=1)(partial(_frame, encoder, self._system))

    def rows(self, section: Section, adapter: str) -> Iterator[Row]:
        """The rows of a prose or instruction section."""
        if section.kind is SectionKind.PROSE:
            yield from self._prose(section, adapter)
            return
        for asked in section.questions:
            for wording in asked.wordings:
                yield self._answer(section, adapter, wording, asked.answer, asked.before)

    def pairs(self, section: Section, adapter: str) -> Iterator[PreferenceRow]:
        """The pairs of a preference section."""
        for asked in section.preferences:
            chosen, rejected = (
                self._answer(section, adapter, asked.prompt, text, asked.before)
                for text in (asked.chosen, asked.rejected)
            )
            yield PreferenceRow(chosen, rejected)

    def _prose(self, section: Section, adapter: str) -> Iterator[Row]:
        ids = self._encoder.encode_text(section.text.strip())
        pieces = [ids[i : i + self._limit] for i in range(0, len(ids), self._limit)]
        for piece in pieces:
            if len(piece) < 2 and len(pieces) > 1:
                continue
            lost = None
            if len(piece) < 2:
                why = "is a single token, so there is nothing to predict in it, and is left out"
                lost = Lost("left_out", self._said(section, section.text, why), "write more, or take it out")
            yield Row(
                tuple(piece),
                (True,) * len(piece),
                adapter,
                section.content_hash,
                label_of(section),
                section.kind,
                lost=lost,
            )

    def _answer(
        self, section: Section, adapter: str, question: str, answer: str, before: tuple[Turn, ...]
    ) -> Row:
        ids, loss = self._encoder.encode_row(question, answer, self._system, before)
        whole, turns = len(ids), before
        while len(ids) > self._limit and turns:  # the oldest go, as they do in a chat
            turns = turns[1:]
            ids, loss = self._encoder.encode_row(question, answer, self._system, turns)
        answer_at = loss.index(True) if True in loss else len(ids)
        lead, tail = self._frame(turns)
        span = (min(lead, answer_at), max(lead, answer_at - tail))
        row = Row(
            tuple(ids), tuple(loss), adapter, section.content_hash, label_of(section), section.kind, span
        )
        if len(ids) > self._limit:
            return self._cut(row, section, question)
        if turns != before:
            dropped = len(before) - len(turns)
            first = "first turn is" if dropped == 1 else f"first {dropped} turns are"
            why = f"is {whole} tokens long, more than {self._limited_by} {self._limit}: its {first} not read"
            return replace(row, lost=Lost("cut", self._said(section, question, why), self._longer(whole)))
        return row

    def _cut(self, row: Row, section: Section, question: str) -> Row:
        limit, (begin, end) = self._limit, row.question
        cut = replace(
            row,
            ids=row.ids[:limit],
            loss=row.loss[:limit],
            question=(min(begin, limit), min(end, limit)),
        )
        hint = self._longer(len(row.ids))
        if cut.loss_tokens:
            gone = row.loss_tokens - cut.loss_tokens
            why = f"is cut at {limit} tokens ({self._limited_by}): the answer's last {gone} are not learned"
            return replace(cut, lost=Lost("cut", self._said(section, question, why), hint))
        why = f"is left out: without its answer it fills the {limit} tokens of {self._limited_by}"
        return replace(cut, lost=Lost("left_out", self._said(section, question, why), hint))

    def _longer(self, tokens: int) -> str:
        """The way out for a row of so many tokens."""
        if self._limited_by != "`training.sequence_len`":
            return f"write it shorter: the base reads {self._limit} tokens"
        return f"raise `training.sequence_len`, now {self._limit}, to {tokens} or more, or write it shorter"

    def _said(self, section: Section, text: str, why: str) -> str:
        where = section.source or self._document.path
        shown = visible_line(" ".join(text.split())[:40])
        return f"{visible_line(str(where))}:{section.span.line}: {label_of(section)} ({shown}) {why}"
