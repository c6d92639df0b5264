"""A document's sections as JSON lines: chat rows, preference pairs, texts. `dlm import` reads them back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from dlm_core.document.model import Document, Section, SectionKind, Turn

Form = Literal["chat", "dpo", "text"]
FORMS: tuple[Form, ...] = ("chat", "dpo", "text")
_KINDS = {
    "chat": SectionKind.INSTRUCTION,
    "dpo": SectionKind.PREFERENCE,
    "text": SectionKind.PROSE,
}


@dataclass(frozen=True)
class LeftOut:
    """What a document has and the rows have not, by number: sections of other kinds, probes, read files."""

    kinds: tuple[tuple[SectionKind, int], ...]
    probes: int
    sources: int


def rows_of(document: Document, form: Form, adapter: str | None = None) -> Iterator[bytes]:
    """The lines, each with its line end; with `adapter` those that it learns alone.

    Chat: one row for each wording, {"messages": [system, user, assistant]} with the turns before it, as
    OpenAI's fine-tuning takes them. DPO: {"prompt", "chosen", "rejected"} as lists of messages, as TRL takes
    them. Text: {"text"}.
    Rows say their `adapter` where the document declares several and none was asked for.
    """
    tells = adapter is None and len(document.adapter_names) > 1
    system = document.frontmatter.system_prompt
    opening = [_message("system", system)] if system else []
    for section in _sections(document, form, adapter):
        whose = {"adapter": section.adapter or document.adapter_names[0]} if tells else {}
        if section.kind is SectionKind.PROSE and section.adapter is None:
            whose = {}
        for row in _rows(section, opening):
            yield msgspec.json.encode({**row, **whose}) + b"\n"


def left_out(document: Document, form: Form, adapter: str | None = None) -> LeftOut:
    """What `rows_of` with these arguments leaves out of the document, other adapters' sections aside."""
    counts = {
        kind: sum(
            s.kind is kind and s.source is None for s in document.sections if _learns(document, s, adapter)
        )
        for kind in SectionKind
        if kind is not _KINDS[form]
    }
    probes = sum(len(s.probes) for s in document.sections if _learns(document, s, adapter))
    sources = sum(s.source is not None for s in document.sections)
    return LeftOut(tuple((kind, n) for kind, n in counts.items() if n), probes, sources)


def _sections(document: Document, form: Form, adapter: str | None) -> Iterator[Section]:
    for section in document.sections:
        if section.kind is _KINDS[form] and section.source is None and _learns(document, section, adapter):
            yield section


def _learns(document: Document, section: Section, adapter: str | None) -> bool:
    """Whether an adapter (None: any) learns from a section."""
    if adapter is None:
        return True
    if section.adapter is None and section.kind is SectionKind.PROSE:
        return True
    return (section.adapter or document.adapter_names[0]) == adapter


def _rows(section: Section, opening: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    if section.kind is SectionKind.PROSE:
        yield {"text": section.text}
    for asked in section.questions:
        before = _turns(asked.before)
        for wording in asked.wordings:
            turn = [_message("user", wording), _message("assistant", asked.answer)]
            yield {"messages": [*opening, *before, *turn]}
    for pair in section.preferences:
        yield {
            "prompt": [*opening, *_turns(pair.before), _message("user", pair.prompt)],
            "chosen": [_message("assistant", pair.chosen)],
            "rejected": [_message("assistant", pair.rejected)],
        }


def _turns(before: Sequence[Turn]) -> list[dict[str, str]]:
    turns = ((_message("user", turn.question), _message("assistant", turn.answer)) for turn in before)
    return [message for turn in turns for message in turn]


def _message(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}
