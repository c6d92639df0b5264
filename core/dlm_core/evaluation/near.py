"""Near misses: questions that lie close to one of the document's and that none of its answers fits."""

import difflib
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from dlm_core.document.model import Document
from dlm_core.errors import DocumentError
from dlm_core.evaluation.answers import words
from dlm_core.evaluation.listed import read_list
from dlm_core.safetext import visible_line

Kind = Literal["name", "number", "negation", "order", "subject", "task"]
"""How a near miss differs: by a name, a number, a negation or the opposite, before and after, or the subject;
or it sets a task about what is taught (translate, shorten, a poem on)."""

KINDS: tuple[Kind, ...] = get_args(Kind)
_FORM = (
    "a file of near misses is a YAML or JSON list of {question, near, kind, why}: `near` is the document's "
    f"question that it lies near, `kind` one of {', '.join(KINDS)}, and `why` may be left out"
)


class NearMiss(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One question that must not be answered with an answer of the document.

    Attributes:
        question: as it is asked.
        near: the wording or preference prompt of the document that it lies near.
        kind: how it differs from that.
        why: a remark on why that one's answer does not fit; may be empty.
    """

    question: str
    near: str
    kind: Kind
    why: str = ""


def default_near(document: Path) -> Path | None:
    """The near misses beside a document, `<stem>.near.yaml`, if there are any."""
    beside = document.with_name(f"{document.stem}.near.yaml")
    return beside if beside.is_file() else None


def near_misses(document: Document) -> tuple[NearMiss, ...]:
    """The near misses that lie beside a document; none without such a file. Raises as `load_near` does."""
    beside = default_near(document.path)
    return load_near(beside, document) if beside else ()


def load_near(path: Path, document: Document) -> tuple[NearMiss, ...]:
    """Read a YAML or JSON list of `{question, near, kind, why}`.

    Raises:
        DocumentError: unreadable, not such a list, an empty question, a question that the document answers or
            that was asked before, or a `near` that is no question of the document; the message has the line.
    """
    shown = visible_line(str(path))
    taught = _taught(document)
    answered = {_spoken(text) for text in (*taught, *_probes(document))}
    found: dict[tuple[str, ...], NearMiss] = {}
    for number, (line, entry) in enumerate(read_list(path, "near misses", _FORM), 1):
        place = f"{shown}:{line}: near miss {number}"
        miss = _near_miss(entry, place, taught)
        spoken = _spoken(miss.question)
        if spoken in answered:
            raise DocumentError(
                f"{place}: the document answers `{_quoted(miss.question)}`",
                "ask what no answer of the document fits",
            )
        if spoken in found:
            raise DocumentError(f"{place}: `{_quoted(miss.question)}` was asked before", "keep one of them")
        found[spoken] = miss
    return tuple(found.values())


def _near_miss(entry: Any, place: str, taught: frozenset[str]) -> NearMiss:
    try:
        miss = msgspec.convert(entry, NearMiss)
    except msgspec.ValidationError as error:
        raise DocumentError(f"{place}: {visible_line(str(error))}", _FORM) from error
    if not miss.question.strip():
        raise DocumentError(f"{place}: the question is empty", _FORM)
    if miss.near not in taught:
        close = difflib.get_close_matches(miss.near, taught, 1)
        guess = f"did you mean `{_quoted(close[0])}`?" if close else "copy one from the document"
        raise DocumentError(f"{place}: the document has no question `{_quoted(miss.near)}`", guess)
    return miss


def _taught(document: Document) -> frozenset[str]:
    """Every trained wording and preference prompt."""
    return frozenset(
        text
        for section in document.sections
        for text in (
            *(wording for question in section.questions for wording in question.wordings),
            *(preference.prompt for preference in section.preferences),
        )
    )


def _probes(document: Document) -> list[str]:
    return [probe.question for section in document.sections for probe in section.probes]


def _spoken(text: str) -> tuple[str, ...]:
    return tuple(words(text))


def _quoted(text: str) -> str:
    return visible_line(text if len(text) <= 120 else f"{text[:119]}…")
