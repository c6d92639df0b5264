"""Which column of a table holds the question, which the answer and which the adapter: named, or guessed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dlm_core.document.report import listed
from dlm_core.errors import UsageError
from dlm_core.safetext import visible_line

QUESTIONS = (
    "question", "questions", "prompt", "instruction", "query", "q", "input", "user", "utterance", "ask",
    "patterns",
    "frage", "pregunta", "pergunta", "domanda", "vraag", "pytanie", "вопрос", "質問", "问题", "問題",
    "subject", "title", "problem",
)  # fmt: skip
ANSWERS = (
    "answer", "answers", "response", "responses", "completion", "output", "reply", "a", "assistant",
    "solution", "antwort", "respuesta", "resposta", "risposta", "réponse", "reponse", "antwoord", "odpowiedź",
    "ответ", "回答", "答案", "resolution", "body", "description", "content", "text",
)  # fmt: skip
_WORDS = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Columns:
    """Names of columns as the user gave them; None, or none in `questions`, is to be guessed."""

    questions: tuple[str, ...] = ()
    answer: str | None = None
    adapter: str | None = None


@dataclass(frozen=True)
class Found:
    """Where in a table things stand, from 0; `guessed` says whether any of it was not named."""

    questions: tuple[int, ...]
    answer: int
    adapter: int | None
    guessed: bool


def find_columns(header: Sequence[str], wanted: Columns) -> Found | None:
    """Where question, answer and adapter stand in a table of these headings; None where it cannot be told.

    A table of two columns needs no known names: the question stands first. The adapter's column is `adapter`
    unless the user names another.

    Raises:
        UsageError: a column that the user named is not there.
    """
    names = [name.strip().removeprefix("\ufeff") for name in header]
    questions = tuple(_named(names, name) for name in wanted.questions)
    answer = _named(names, wanted.answer) if wanted.answer is not None else None
    if wanted.adapter is not None:
        adapter: int | None = _named(names, wanted.adapter)
    else:
        adapter = next((i for i, name in enumerate(names) if name.casefold() == "adapter"), None)
    guessed = not questions or answer is None
    taken = {*questions, *([] if answer is None else [answer]), *([] if adapter is None else [adapter])}
    if not questions:
        first = _guess(names, QUESTIONS, taken)
        questions = () if first is None else (first,)
        taken |= set(questions)
    if answer is None:
        answer = _guess(names, ANSWERS, taken)
    if len(names) == 2 and adapter is None and guessed:
        if not questions:
            questions = (0,) if answer is None else (1 - answer,)
        answer = 1 - questions[0] if answer is None else answer
    if not questions or answer is None:
        return None
    return Found(questions, answer, adapter, guessed)


def _named(names: Sequence[str], wanted: str) -> int:
    """The column a user means: by its heading, else by its number from 1."""
    folded = [name.casefold() for name in names]
    if wanted in names:
        return names.index(wanted)
    if wanted.casefold() in folded:
        return folded.index(wanted.casefold())
    if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        return int(wanted) - 1
    raise UsageError(
        f"there is no column {visible_line(wanted)!r}",
        f"the columns are {listed(names[:20])}{', …' if len(names) > 20 else ''}; or give a number from 1",
    )


def _guess(names: Sequence[str], known: Sequence[str], taken: set[int]) -> int | None:
    """The first column whose heading is a known name, else the first that has one among its words."""
    free = [(i, name.casefold()) for i, name in enumerate(names) if i not in taken]
    for word in known:
        for i, name in free:
            if name == word:
                return i
    for word in known:
        for i, name in free:
            if len(word) > 1 and word in _WORDS.findall(name):
                return i
    return None
