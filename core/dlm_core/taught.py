"""What the committed adapters were taught, as the document says it: to look prompts up in, and to cite."""

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from dlm_core.bases.chat import Chat
from dlm_core.document.model import Document, Section, Span
from dlm_core.errors import BaseModelError, DlmError, StoreError
from dlm_core.events import Event, Log
from dlm_core.inference.citing import Source, Sources
from dlm_core.inference.knowledge import Knowledge
from dlm_core.retrieval.encoder import Encoder, load_encoder
from dlm_core.retrieval.index import Index
from dlm_core.retrieval.parts import States
from dlm_core.retrieval.passages import Passage, passages_of
from dlm_core.store import atomic, seal
from dlm_core.store.manifest import Snapshot
from dlm_core.training.examples import scopes

_KEPT = 3  # indexes of before beside the one in use: rollbacks come back to them
_STATED = 400  # wordings whose states are read at most: 10 to 30 ms each
ENCODER_SETTING = "DLM_ENCODER"
"""`off`: do without a sentence encoder, and look for none."""


class Library:
    """Makes indexes, with the sentence encoder where it can be had, and keeps them in the document's store.

    An index is named by what it holds, so that every commit finds its own again, after a rollback too. Where
    nothing can be kept it is made in memory.

    Args:
        emit: told of what is fetched, and once that there is no encoder.
    """

    def __init__(self, home: Path, emit: Callable[[Event], None]) -> None:
        self._home, self._emit = home, emit
        self._encoder: Encoder | None = None
        self._tried = False
        self._known: Index | None = None
        self._base = ""

    def index(self, passages: tuple[Passage, ...], kept: Path, base: str, states: States) -> Index:
        """The index of some passages, from the folder `kept` or made now, with what the one before has.

        `states` gives the states of questions under the base of that fingerprint. They are read where there
        is no encoder; beside one they add little, and cost a prefill of every prompt. Of a long document
        they would take too long.
        """
        encoder = self.encoder()
        if encoder is not None or sum(len(passage.questions) for passage in passages) > _STATED:
            base = ""
        folder = kept / _key(passages, encoder, base)
        if base != self._base:
            self._known, self._base = None, base
        try:
            if seal.is_sealed(folder):
                self._known = Index.load(folder, encoder)
                return self._known
        except StoreError:
            with contextlib.suppress(StoreError):
                atomic.remove_tree(folder)
        self._known = Index.build(passages, encoder, states=states if base else None, known=self._known)
        with contextlib.suppress(StoreError, OSError):
            _keep(self._known, folder)
        return self._known

    def encoder(self) -> Encoder | None:
        """The sentence encoder; None where it cannot be had, or DLM_ENCODER=off says to do without."""
        if not self._tried and os.environ.get(ENCODER_SETTING) != "off":
            self._tried = True
            try:
                self._encoder = load_encoder(self._home, report=self._emit)
            except BaseModelError as error:
                self._emit(
                    Log(
                        level="warning",
                        message=f"replies find less without a sentence encoder: {error.message}",
                        hint=error.hint,
                        code="no_encoder",
                    )
                )
        return self._encoder


def _key(passages: tuple[Passage, ...], encoder: Encoder | None, base: str) -> str:
    """A name for the index of some passages, by their content and by what they are compared with."""
    content = msgspec.json.encode([encoder.sha256 if encoder is not None else "", base, passages])
    return hashlib.sha256(content).hexdigest()[:16]


def _keep(index: Index, folder: Path) -> None:
    """Write an index to its folder, whole or not at all, beside at most a few of before. Nothing is written
    where the store is not there. Raises StoreError or OSError.
    """
    if not folder.parents[1].is_dir():
        return
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        index.save(fresh)
        seal.seal(fresh, name=folder.name, generation=0, run_id=0, at=time.time())
        if not folder.exists():
            atomic.replace(fresh, folder)
    finally:
        if fresh.exists():
            atomic.remove_tree(fresh)
    others = [path for path in folder.parent.iterdir() if path != folder]
    for path in sorted(others, key=lambda path: -path.stat().st_mtime)[_KEPT:]:
        atomic.remove_tree(path)


def knowledge_of(
    document: Document,
    snapshot: Snapshot,
    chat: Chat,
    context_length: int,
    make_index: Callable[[tuple[Passage, ...], Path], Index],
) -> Knowledge | None:
    """The trained sections of a document; None where none stands in it as it was trained.

    A section that was edited since is not among them: the adapters do not know it yet.
    """
    trained = {record.content_hash for record in snapshot.sections if record.lost != "left_out"}
    sections = [section for section in document.sections if section.content_hash in trained]
    if not sections:
        return None
    passages = passages_of(sections)
    if not passages:
        return None
    grounding = document.frontmatter.training.grounding.enabled
    return Knowledge(
        make_index(passages, snapshot.paths.index) if grounding else None,
        Sources(Source(p.key, p.kind, p.adapter, p.questions, p.text) for p in passages),
        _answers(sections, chat, document.frontmatter.system_prompt, context_length),
        dict(_places(sections)),
        frozenset(name for name, (scope, _) in scopes(document).items() if scope == "document"),
        frozenset(_follow_ups(sections)),
    )


def _follow_ups(sections: list[Section]) -> Iterator[tuple[str, str]]:
    """The answers and chosen replies that follow on other turns, by section and text."""
    for section in sections:
        yield from ((section.content_hash, q.answer) for q in section.questions if q.before)
        yield from ((section.content_hash, p.chosen) for p in section.preferences if p.before)


def _places(sections: list[Section]) -> Iterator[tuple[tuple[str, str], tuple[int, int]]]:
    """First and last line of each answer and chosen reply, by section and text; of prose, of the section.

    What `training.sources` brought in stands in another file, and has none.
    """
    for section in sections:
        if section.source is not None:
            continue
        yield (section.content_hash, ""), _lines(section.span)
        for question in section.questions:
            yield (section.content_hash, question.answer), _lines(question.span)
        for preference in section.preferences:
            yield (section.content_hash, preference.chosen), _lines(preference.span)


def _lines(span: Span) -> tuple[int, int]:
    last = span.end_line - (span.end_column == 1 and span.end_line > span.line)
    return span.line, last


def _answers(
    sections: list[Section], chat: Chat, system: str | None, context_length: int
) -> dict[tuple[str, str], tuple[int, ...]]:
    """Token ids of every answer as it was trained, by section and text; without what does not fit a row."""
    found: dict[tuple[str, str], tuple[int, ...]] = {}
    for section in sections:
        for question in section.questions:
            try:
                ids, loss = chat.encode_row(question.wordings[0], question.answer, system, question.before)
            except DlmError:
                continue
            if True in loss and len(ids) <= context_length:
                found[section.content_hash, question.answer] = tuple(ids[loss.index(True) :])
    return found
