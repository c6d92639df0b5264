"""Words that say that a near question is not the one asked."""

import pytest

from dlm_core.retrieval.signs import names_in, signs
from dlm_core.retrieval.terms import Terms

QUESTION = "Who is Maren Voss?"
ANSWER = "Maren Voss came back to Brede at thirty-four, after the flood of 1961."
DOCUMENT = (QUESTION, ANSWER, "Then Clara saw chapter_12.")
NAMES = frozenset(name for text in DOCUMENT for name in names_in(text))
TERMS = Terms("words", DOCUMENT)


def told(prompt: str, question: str = QUESTION) -> set[str]:
    """The signs, beside new words, that a prompt shows."""
    found = signs(prompt, (question,), ANSWER, NAMES, TERMS)
    return {name for name, value in found.items() if value and name != "novel"}


def test_names_stand_inside_sentences_or_hold_digits() -> None:
    assert {"maren", "voss", "brede", "clara", "chapter_12", "1961"} <= NAMES
    assert "who" not in NAMES and "then" not in NAMES


@pytest.mark.parametrize(
    ("prompt", "sign"),
    [
        ("who is clara voss", "name"),
        ("What did Jonas think of Maren?", "name"),
        ("What happened to Maren in 1973?", "number"),
        ("Who is not Maren Voss?", "negation"),
        ("Write a poem about Maren Voss.", "task"),
        ("Translate who Maren Voss is.", "task"),
        ("Who was Maren Voss before?", "order"),
    ],
)
def test_a_prompt_that_asks_for_something_else_shows_it(prompt: str, sign: str) -> None:
    assert sign in told(prompt)


@pytest.mark.parametrize(
    "prompt", [QUESTION, "tell me about maren", "When did she come back to Brede, 1961?"]
)
def test_another_wording_shows_nothing(prompt: str) -> None:
    assert not told(prompt) - {"order"}


def test_what_the_question_itself_says_is_no_sign() -> None:
    assert not told("Why does Maren never speak first?", "Why does Maren never speak first?")


def test_the_share_of_new_words_goes_from_none_to_all() -> None:
    share = [signs(p, (QUESTION,), ANSWER, NAMES, TERMS)["novel"] for p in (QUESTION, "maren zzz", "zzz yyy")]
    assert share[0] == 0 and 0 < share[1] < 1 and share[2] == 1
