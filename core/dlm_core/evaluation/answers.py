"""Judging replies: how near one comes to the answer expected, and whether it is that answer and no other."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dlm_core.document.model import Section
from dlm_core.reports import Scores

RIGHT_FROM = 0.8
"""The word F1 from which a reply may count as right."""


def word_f1(found: str, expected: str) -> float:
    """F1 of the two bags of words, case folded, punctuation left out (SQuAD's measure, arXiv 1606.05250)."""
    return _f1(bag(found), bag(expected))


def same_answer(found: str, expected: str) -> bool:
    """Whether a reply is the answer word for word; space around it does not count."""
    return found.strip() == expected.strip()


def bag(text: str) -> Counter[str]:
    """The words of a text, case folded, each with how often it stands there."""
    return Counter(words(text))


def words(text: str) -> list[str]:
    """The words of a text in order, case folded, without punctuation."""
    return re.findall(r"\w+", text.casefold())


@dataclass(frozen=True)
class Judgement:
    """One reply held against the answer expected: `right` if no other answer of the document is nearer."""

    right: bool
    f1: float
    verbatim: bool


class Judge:
    """Knows every answer of a document.

    Args:
        sections: their answers and chosen replies are those that a reply may be taken for.
    """

    def __init__(self, sections: Iterable[Section]) -> None:
        answers = [
            answer
            for section in sections
            for answer in (*(q.answer for q in section.questions), *(p.chosen for p in section.preferences))
        ]
        self._answers = {answer.strip(): bag(answer) for answer in answers}

    def judge(self, reply: str, expected: str) -> Judgement:
        """Right is a reply whose nearest answer, by word F1, is the expected one, `RIGHT_FROM` or more."""
        found = bag(reply)
        f1 = _f1(found, bag(expected))
        right = f1 >= RIGHT_FROM and all(
            _f1(found, other) <= f1 for answer, other in self._answers.items() if answer != expected.strip()
        )
        return Judgement(right, f1, same_answer(reply, expected))


def scores(judged: Sequence[Judgement]) -> Scores:
    """The means over some replies; at least one."""
    count = len(judged)
    return Scores(
        right=sum(j.right for j in judged) / count,
        f1=sum(j.f1 for j in judged) / count,
        verbatim=sum(j.verbatim for j in judged) / count,
    )


def _f1(a: Counter[str], b: Counter[str]) -> float:
    common = sum((a & b).values())
    return 2 * common / (a.total() + b.total()) if common else 0.0
