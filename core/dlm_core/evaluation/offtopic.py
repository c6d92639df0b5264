"""Prompts that are about nothing in the document, and whether a reply to one says some of it after all."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from dlm_core.document.beside import offtopic_path
from dlm_core.document.model import Section, SectionKind
from dlm_core.errors import DocumentError
from dlm_core.evaluation.answers import words
from dlm_core.safetext import visible_line
from dlm_core.training.rehearsal import bundled_lines

REPLY_TOKENS = 48
"""A reply to such a prompt is read so far."""
_RUN = 4  # words in a row that a reply has from the document by no chance
_MAX_BYTES = 1_000_000


def default_offtopic(document: Path) -> Path | None:
    """The list beside a document, `<stem>.offtopic.txt`, if there is one."""
    beside = offtopic_path(document)
    return beside if beside.is_file() else None


def load_offtopic(path: Path) -> tuple[str, ...]:
    """The prompts of a list, one a line; blank lines do not count.

    Raises:
        DocumentError: unreadable, too large, or not UTF-8.
    """
    shown = visible_line(str(path))
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise DocumentError(
            f"{shown}: cannot be read: {error.strerror or error}", "name a readable file"
        ) from error
    if len(content) > _MAX_BYTES:
        raise DocumentError(f"{shown}: larger than {_MAX_BYTES // 1_000_000} MB", "keep the best of them")
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DocumentError(f"{shown}: is not UTF-8 (byte {error.start})", "save it as UTF-8 text") from error
    return tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))


def offtopic_prompts(document: Path) -> tuple[str, ...]:
    """The bundled prompts, then those of the document's own list. Raises DocumentError as `load_offtopic`."""
    own = default_offtopic(document)
    return tuple(dict.fromkeys((*bundled_lines("chat"), *(load_offtopic(own) if own else ()))))


class Leaks:
    """What a document teaches to say, by stretches of four words.

    Args:
        sections: their answers, prose and chosen replies count; questions do not.
    """

    def __init__(self, sections: Iterable[Section]) -> None:
        self._known = {run for section in sections for text in _taught(section) for run in _runs(text)}

    def leaked(self, reply: str, base: str) -> bool:
        """Whether a reply says four words in a row of the document that the base's reply lacks."""
        return not self._known.isdisjoint(_runs(reply) - _runs(base))


def _taught(section: Section) -> Sequence[str]:
    if section.kind is SectionKind.PROSE:
        return [section.text]
    return [*(q.answer for q in section.questions), *(p.chosen for p in section.preferences)]


def _runs(text: str) -> set[tuple[str, ...]]:
    found = words(text)
    return {tuple(found[i : i + _RUN]) for i in range(len(found) - _RUN + 1)}
