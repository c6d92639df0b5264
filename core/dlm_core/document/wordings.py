"""How many wordings each answer has: one that is asked for in several is found more often."""

from collections.abc import Iterable
from dataclasses import dataclass

from dlm_core.document.model import Question, Section


@dataclass(frozen=True)
class Wordings:
    """The answers of a document, and those of them whose question has a single wording."""

    answers: int
    single: tuple[Question, ...]

    def __str__(self) -> str:
        if not self.single:
            return ""
        have = "answer has" if self.answers == 1 else "answers have"
        return f"{len(self.single)} of {self.answers} {have} a single wording"


def count_wordings(sections: Iterable[Section]) -> Wordings:
    """Count what instruction sections ask; a question that stands again with the same answer is a wording."""
    answers: dict[tuple[str | None, str], list[Question]] = {}
    for section in sections:
        for question in section.questions:
            answers.setdefault((section.adapter, question.answer), []).append(question)
    single = [asked[0] for asked in answers.values() if len(asked) == 1 and not asked[0].others]
    return Wordings(len(answers), tuple(single))
