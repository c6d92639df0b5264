"""Sifts a model's wordings: those that ask the same, in other words, may stand in a document."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from dlm_core.document.model import Question
from dlm_core.errors import NOT_JSON

LONGEST = 400
"""Characters of a wording at most."""
ALIKE_FROM = 0.8
"""The share of words that two wordings have in common, from which one of them is enough."""
_BULLET = re.compile(r"^\s*(?:[-*•–]+\s+|\(?\d{1,2}[.):]\s*|[Qq]\d*[.:]\s*)+")
_QUOTES = {'"': '"', "“": "”", "„": "“", "«": "»", "'": "'", "‘": "’"}
_NUMBER = re.compile(r"(?<![\w.])\d[\d.,:/-]*\d|(?<![\w.])\d")
_CODE = re.compile(r"`([^`\n]+)`")
_NAME = re.compile(r"(?<=[a-z0-9,;:] )[^\W\d_a-z][\w-]+|\b\w*[a-z]\w*[A-Z]\w*\b|\b[A-Z]{2,}\b")


class Why(StrEnum):
    """Why a wording is left out."""

    FORM = "no question by its form"
    NEAR = "nearly one that is there"
    OTHER = "rather the question of another answer"
    FACTS = "another number or name"


@dataclass(frozen=True)
class Sifted:
    """Wordings that may be taken, in order, and those left out with the reason."""

    taken: tuple[str, ...]
    left: tuple[tuple[str, Why], ...]


def prompt_for(question: Question, count: int) -> str:
    """What a model is asked for `count` further wordings."""
    asked = "\n".join(f"- {wording}" for wording in question.wordings)
    return (
        f"People ask this question:\n{asked}\n\nIts answer is:\n{question.answer}\n\n"
        f"Write {count} other ways in which different people might ask for this answer: other words, other "
        "sentences, some short, some colloquial. Keep every number and every name. Do not answer. "
        "One question a line, nothing else."
    )


def lines_of(text: str) -> list[str]:
    """The wordings in what a model said: a line each, or a JSON list of texts; bullets and quotes removed."""
    text = re.sub(r"<think>.*?</think>", "", text, flags=re.DOTALL)
    text = re.sub(r"^\s*```\w*\s*$", "", text, flags=re.MULTILINE)
    try:
        lines = msgspec.json.decode(text.strip(), type=list[str])
    except NOT_JSON:
        lines = text.splitlines()
    return [line for raw in lines if (line := _bare(raw))]


def sift(question: Question, others: Sequence[Question], proposed: Sequence[str], count: int) -> Sifted:
    """At most `count` of the proposed wordings of a question; `others` are the document's other questions."""
    taken: list[str] = []
    left: list[tuple[str, Why]] = []
    foreign = [wording for other in others for wording in other.wordings]
    for wording in dict.fromkeys(proposed):
        if len(taken) == count:
            break
        if (why := _fault(wording, question, [*question.wordings, *taken], foreign)) is not None:
            left.append((wording, why))
        else:
            taken.append(wording)
    return Sifted(tuple(taken), tuple(left))


def _fault(wording: str, question: Question, known: Sequence[str], foreign: Sequence[str]) -> Why | None:
    words = _words(wording)
    if len(words) < 2 or len(wording) > LONGEST or wording.endswith(":"):
        return Why.FORM
    if _words(question.answer) == words:
        return Why.FORM
    if not _facts_kept(wording, question):
        return Why.FACTS
    own = max(_likeness(words, _words(other)) for other in known)
    if own >= ALIKE_FROM:
        return Why.NEAR
    if max((_likeness(words, _words(other)) for other in foreign), default=0.0) > max(own, 0.4):
        return Why.OTHER
    return None


def _facts_kept(wording: str, question: Question) -> bool:
    """Whether a wording has no number and no name of its own, and all those of the question."""
    known = _facts(" ".join((*question.wordings, question.answer)))
    said = {word.casefold() for word in re.findall(r"\w+", " ".join((*question.wordings, question.answer)))}
    mine = _facts(wording)
    if any(fact not in known and not set(re.findall(r"\w+", fact)) <= said for fact in mine):
        return False
    words = wording.casefold()
    return all(fact in words for fact in _facts(question.question))


def _facts(text: str) -> set[str]:
    """Numbers, code and names: words written large inside a sentence, or as plain words are not."""
    found = {match.group().strip(".,:/-") for match in _NUMBER.finditer(text)}
    found |= {match.group(1) for match in _CODE.finditer(text)}
    found |= {match.group() for match in _NAME.finditer(text)} - {"I", "I'm", "OK"}
    return {fact.casefold() for fact in found if fact}


def _likeness(one: set[str], other: set[str]) -> float:
    return len(one & other) / max(1, len(one | other))


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))


def _bare(line: str) -> str:
    line = "".join(c if c.isprintable() else " " for c in line)
    line = _BULLET.sub("", line).strip().strip("*").strip()
    if len(line) > 1 and _QUOTES.get(line[0]) == line[-1]:
        line = line[1:-1].strip()
    return " ".join(line.split())
