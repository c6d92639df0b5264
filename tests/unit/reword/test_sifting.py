"""Of a model's wordings only those that ask the same, in other words, with the same numbers and names."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlm_core.document.model import Question, Span
from dlm_core.reword.sifting import Why, lines_of, sift

SPAN = Span(1, 1, 1, 1)
LIMIT = Question(
    "How many requests may I send to Norbank in 60 seconds?", "Four hundred in 60 seconds.", SPAN
)
OWNER = Question("Who owns the ledger schema?", "Ada does.", SPAN, ("Whose is the schema of the ledger?",))


def why(wording: str) -> Why | None:
    sifted = sift(LIMIT, [OWNER], [wording], 5)
    return None if sifted.taken else sifted.left[0][1]


@pytest.mark.parametrize(
    ("wording", "left"),
    [
        ("What is the most that Norbank takes within 60 seconds?", None),
        ("norbank: how much can one send per 60 seconds", None),
        ("How many requests may I send to Norbank in 60 seconds", Why.NEAR),
        ("so, how many requests may I send to Norbank in 60 seconds?", Why.NEAR),
        ("What is the most that Norbank takes within 90 seconds?", Why.FACTS),
        ("What is the most that Cardia takes within 60 seconds?", Why.FACTS),
        ("How does Norbank and also Cardia limit 60 seconds?", Why.FACTS),
        ("How often may I ask?", Why.FACTS),
        ("Who owns the schema of the ledger at norbank 60?", Why.OTHER),
        ("Here are some norbank questions about 60 seconds:", Why.FORM),
        ("Norbank?", Why.FORM),
        ("Why norbank 60 " + "long " * 200, Why.FORM),
        ("Four hundred in 60 seconds", Why.FORM),
    ],
)
def test_a_wording_is_taken_or_left_for_a_reason(wording: str, left: Why | None) -> None:
    assert why(wording) is left


def test_no_more_are_taken_than_wanted_and_none_twice() -> None:
    proposed = [
        "What does Norbank take within 60 seconds at most?",
        "What does Norbank take within 60 seconds at most?",
        "At most, what does Norbank take within 60 seconds?",
        "norbank limit for 60 seconds",
        "is there a cap at norbank, say for 60 seconds?",
    ]
    sifted = sift(LIMIT, [], proposed, 2)
    assert sifted.taken == (proposed[0], proposed[3])
    assert sifted.left == ((proposed[2], Why.NEAR),)


@pytest.mark.parametrize(
    "text",
    [
        "How so?\nWhy so?",
        "1. How so?\n2) Why so?",
        "- **How so?**\n* Why so?\n\n",
        '"How so?"\n“Why so?”',
        '["How so?", "Why so?"]',
        '```json\n["How so?", "Why so?"]\n```',
        "<think>\nWhat would they ask?\n</think>\nQ: How so?\nQ: Why so?",
        "\u2022 How  so?\r\n\u2022\tWhy\x1b so?",
    ],
)
def test_wordings_are_read_however_the_model_lists_them(text: str) -> None:
    assert lines_of(text) == ["How so?", "Why so?"]


@settings(max_examples=60)
@given(st.text(max_size=200))
def test_whatever_a_model_says_lines_are_single_and_printable(text: str) -> None:
    for line in lines_of(text):
        assert line.isprintable() and line == line.strip() and line
