"""Questions that go on from the turn before them, told by their words; a reply and a correction both ask."""

import re
from collections.abc import Sequence

from dlm_core.document.model import Turn

_FOLLOWS = re.compile(
    r"^(and|but|so|then|ok|okay|why|what about|how about|what if|who else)\b|"
    r"\b(it|its|that|this|they|them|those|these|he|she|him|her|again|shorter|longer|instead|more|else|same)\b",
    re.IGNORECASE,
)
_SHORT = 12  # words of a follow-up at most


def goes_on(question: str) -> bool:
    """True for a question that goes on from the one before: short, and with a word that points back."""
    return bool(_FOLLOWS.search(question)) and len(question.split()) <= _SHORT


def thread(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The last turn and those that it goes on from, back to a question that stands by itself, oldest first.

    It begins behind a turn without an answer: that one cannot be written down.
    """
    first = len(turns)
    while first and turns[first - 1].question.strip() and turns[first - 1].answer.strip():
        first -= 1
        if not goes_on(turns[first].question):
            break
    return tuple(turns[first:])
