"""A document's questions given further wordings, one question at a time: asked for, sifted, made an edit."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlm_core import teaching
from dlm_core.document.model import Document, Question
from dlm_core.errors import DlmError, TeacherError
from dlm_core.reword.sifting import Why, lines_of, prompt_for, sift
from dlm_core.reword.teacher import Teacher
from dlm_core.teaching import Edit

_IN_A_ROW = 3  # failures after which a teacher is not asked any more
_SPARE = 2  # wordings asked for beyond those that are wanted, for some will be left out


@dataclass(frozen=True)
class Proposal:
    """Wordings for one question: the edit that puts them in (None: there are none), and what was left out.

    `fault` is why the teacher gave none, where that is so.
    """

    question: Question
    wordings: tuple[str, ...]
    left: tuple[tuple[str, Why], ...] = ()
    fault: DlmError | None = None


def needing(document: Document, wanted: int, line: int | None = None) -> list[Question]:
    """The questions that have fewer than `wanted` wordings; with a line, the one asked there alone.

    Raises UsageError where no question is asked at that line.
    """
    if line is not None:
        return [teaching.question_at(document, line)[1]]
    return [q for s in document.sections for q in s.questions if len(q.wordings) < wanted]


def proposals(
    document: Document, questions: Sequence[Question], wanted: int, ask: Callable[[str], str]
) -> Iterator[Proposal]:
    """A proposal for each question, in order. `ask` puts a prompt to the teacher.

    Raises:
        TeacherError: the teacher failed three times in a row; what was proposed before stands.
    """
    failures = 0
    everything = [q for section in document.sections for q in section.questions]
    for question in questions:
        others = [q for q in everything if q.span != question.span and q.answer != question.answer]
        count = max(1, wanted - len(question.wordings))
        try:
            said = ask(prompt_for(question, count + _SPARE))
        except TeacherError as error:
            failures += 1
            if failures == _IN_A_ROW or len(questions) == 1:
                raise
            yield Proposal(question, (), fault=error)
            continue
        failures = 0
        sifted = sift(question, others, lines_of(said), count)
        yield Proposal(question, sifted.taken, sifted.left)


def edit_for(path: Path, text: str, proposal: Proposal, teacher: Teacher) -> Edit:
    """The edit that puts a proposal's wordings into the document as it stands in `text`.

    Raises DlmError where they cannot stand there.
    """
    question = proposal.question
    document = teaching.document_of(path, text)
    spans = [q.span.line for s in document.sections for q in s.questions if q.wordings == question.wordings]
    line = min(spans, key=lambda at: abs(at - question.span.line), default=question.span.line)
    return teaching.add_wordings(path, text, line, proposal.wordings, provenance(teacher))


def provenance(teacher: Teacher) -> str:
    """The comment of a section that has wordings from a teacher."""
    named = (
        json.dumps(part, ensure_ascii=True).replace(">", "\\u003e") for part in (teacher.model, teacher.host)
    )
    return "<!-- dlm-auto-reword by {} at {} -->".format(*named)
