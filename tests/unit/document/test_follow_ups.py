"""Which turns of a conversation a question goes on from, told by its words."""

import pytest

from dlm_core.document.follow_ups import goes_on, thread
from dlm_core.document.model import Turn


@pytest.mark.parametrize(
    ("question", "follows"),
    [
        ("And if that fails?", True),
        ("make it shorter", True),
        ("What is the limit?", False),
        ("Who is on call this week, and whom do I ring when nobody at all picks up?", False),
    ],
)
def test_a_short_question_that_points_back_goes_on(question: str, follows: bool) -> None:
    assert goes_on(question) is follows


def test_the_turns_reach_back_to_a_question_that_stands_by_itself() -> None:
    cup, limit = Turn("Who won the cup?", "Nobody."), Turn("What is the limit?", "Four.")
    more = Turn("And for them?", "Two.")
    assert thread([cup, limit]) == (limit,)
    assert thread([cup, limit, more]) == (limit, more)
    assert thread([]) == ()


def test_a_turn_without_an_answer_is_not_written_down() -> None:
    assert thread([Turn("What is the limit?", " "), Turn("And for them?", "Two.")]) == (
        Turn("And for them?", "Two."),
    )
    assert thread([Turn("What is the limit?", "")]) == ()
