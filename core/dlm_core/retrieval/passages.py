"""What can be found: a document's answers with every wording of their questions, its prose in pieces, and its
chosen replies.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from dlm_core.document.model import Section, SectionKind

Kind = Literal["answer", "prose", "preference"]

MOST_PASSAGES = 20_000
_PIECE = 400  # characters of prose, about four sentences
_SENTENCE_END = re.compile(r"(?<=[.!?…。！？])[\"'»”)]*\s+|\n\s*\n")


@dataclass(frozen=True)
class Passage:
    """One thing that may stand behind a reply.

    `key` is the content hash of its section, `adapter` the tag of that (None without one). `text` is an
    answer with the `questions` that ask for it, a piece of prose (no questions), or a chosen reply with its
    prompt; a follow-up stands behind the question before it. Answers are hypotheses; the other kinds can be
    cited.
    """

    key: str
    kind: Kind
    adapter: str | None
    questions: tuple[str, ...]
    text: str


def passages_of(sections: Iterable[Section]) -> tuple[Passage, ...]:
    """The passages of some sections in order, at most 20,000: hand in what was trained, and nothing else.

    Prose is cut into pieces of whole sentences, about 400 characters each.
    """
    return tuple(islice((p for section in sections for p in _passages(section)), MOST_PASSAGES))


def _passages(section: Section) -> Iterable[Passage]:
    key, adapter = section.content_hash, section.adapter
    for question in section.questions:
        yield Passage(key, "answer", adapter, question.searched, question.answer)
    for preference in section.preferences:
        yield Passage(key, "preference", adapter, (preference.searched,), preference.chosen)
    if section.kind is SectionKind.PROSE:
        for piece in _pieces(section.text):
            yield Passage(key, "prose", adapter, (), piece)


def _pieces(text: str) -> Iterable[str]:
    """Stretches of whole sentences, `_PIECE` characters or one sentence long."""
    start, end = 0, 0
    for match in _SENTENCE_END.finditer(text):
        if match.start() - start > _PIECE and end > start:
            yield text[start:end].strip()
            start = end
        end = match.end()
    if len(text) - start > _PIECE and end > start:
        yield text[start:end].strip()
        start = end
    if rest := text[start:].strip():
        yield rest
