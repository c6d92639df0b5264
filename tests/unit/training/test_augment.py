"""Worn questions: what changes, what never does, and that it is the same every time."""

from dataclasses import replace

import torch

from dlm_core.document.model import SectionKind
from dlm_core.training.augment import beginnings, near_tokens, settled_after, wear
from dlm_core.training.examples import Row

IDS = tuple(range(100, 130))
ROW = Row(IDS, (False,) * 20 + (True,) * 10, "tone", "hash", "label", SectionKind.INSTRUCTION, (5, 17))
NEAR = {token: (token + 1000,) for token in IDS}


def worn(share: float, epoch: int = 0) -> Row:
    return wear([ROW], share, NEAR, 42, str(epoch))[0]


def test_no_share_leaves_rows_as_they_are() -> None:
    assert worn(0.0) == ROW


def test_frame_and_answer_are_never_touched() -> None:
    for epoch in range(50):
        row = worn(0.9, epoch)
        begin, end = row.question
        assert row.ids[:begin] == IDS[:5]
        assert row.ids[end:] == IDS[17:]
        assert [i for i, loss in zip(row.ids, row.loss, strict=True) if loss] == list(IDS[20:])


def test_at_least_half_of_a_question_stays() -> None:
    for epoch in range(50):
        begin, end = worn(0.9, epoch).question
        assert end - begin >= 6


def test_tokens_are_left_out_and_replaced_by_near_ones() -> None:
    rows = [worn(0.6, epoch) for epoch in range(20)]
    questions = [row.ids[slice(*row.question)] for row in rows]
    assert any(len(q) < 12 for q in questions)
    assert any(token >= 1000 for q in questions for token in q)
    assert all(token % 1000 in IDS for q in questions for token in q)


def test_some_questions_are_seen_whole() -> None:
    whole = sum(worn(0.9, epoch) == ROW for epoch in range(200))
    assert 20 < whole < 90


def test_the_same_seed_and_epoch_wear_alike_and_epochs_differ() -> None:
    assert worn(0.5, 3) == worn(0.5, 3)
    assert len({worn(0.5, epoch).ids for epoch in range(10)}) > 3


def test_near_tokens_point_the_same_way_whatever_their_length() -> None:
    table = torch.tensor([[1.0, 0.0], [5.0, 0.5], [0.0, 1.0], [-1.0, 0.0], [0.0, 0.0]])
    assert near_tokens(table, [0, 2, 3]) == {0: (1,), 2: (), 3: ()}


def test_nothing_asked_is_nothing_found() -> None:
    assert near_tokens(torch.eye(3), []) == {}


def test_wordings_come_up_again() -> None:
    found = {worn(0.9, epoch).ids for epoch in range(300)}
    assert 5 <= len(found) <= 9


def test_a_beginning_ends_with_the_first_tokens_of_the_answer_and_is_not_counted() -> None:
    prose = replace(ROW, kind=SectionKind.PROSE, question=(0, 0))
    found = [
        beginnings([ROW, prose], settled_after([ROW, prose]), 0.5, NEAR, 42, f"{turn}") for turn in range(20)
    ]
    assert all(len(rows) == 1 for rows in found)
    for [row] in found:
        assert row.repeated and not ROW.repeated
        assert row.ids[row.question[1] :] == (*IDS[17:20], *IDS[20:23])
        assert row.loss[-4:] == (False, True, True, True)


def answering(*answer: int, adapter: str = "tone", question: int = 7) -> Row:
    loss = (False,) * 2 + (True,) * len(answer)
    return Row((1, question, *answer), loss, adapter, "hash", "label", SectionKind.INSTRUCTION, (1, 2))


def test_it_is_settled_which_answer_follows_once_no_other_of_the_adapter_begins_alike() -> None:
    prose = replace(answering(2, 3, 4), kind=SectionKind.PROSE, question=(0, 0))
    rows = [
        answering(2, 3, 4, 5, 6),
        answering(2, 3, 9, 9, 9),
        answering(8, 8, 8, 8, 8),
        answering(8, 8, 8, 8, 8, question=3),  # the same answer once more is no other one
        answering(8, 1, 8, 8, 8, adapter="facts"),
        prose,
    ]
    found = settled_after(rows)
    assert found == {
        (2, 3, 4, 5, 6): 5,
        (2, 3, 9, 9, 9): 5,
        (8, 8, 8, 8, 8): 3,
        (8, 1, 8, 8, 8): 3,
    }
    lengths = [len(row.ids) for row in beginnings(rows, found, 0.0, {}, 42, "0")]
    assert lengths == [2 + 5, 2 + 5, 2 + 3, 2 + 3, 2 + 3]


def test_answers_that_begin_alike_for_long_are_followed_so_far_and_no_further() -> None:
    alike = tuple(range(10, 110))
    rows = [answering(*alike, 1, 1, 1, 1), answering(*alike, 2, 2, 2, 2)]
    assert {len(row.ids) for row in beginnings(rows, settled_after(rows), 0.0, {}, 42, "0")} == {2 + 32 + 3}


def test_beginnings_of_one_turn_are_the_same_and_turns_differ() -> None:
    def first(turn: int) -> Row:
        return beginnings([ROW], settled_after([ROW]), 0.8, NEAR, 42, f"3:{turn}")[0]

    assert first(1) == first(1)
    assert len({first(turn).ids for turn in range(12)}) > 3


def test_beginnings_are_worn_more_than_what_is_learned_whole() -> None:
    for turn in map(str, range(12)):
        found = beginnings([ROW], settled_after([ROW]), 0.5, NEAR, 42, turn)[0].ids
        assert found == wear([ROW], 0.8, NEAR, 42, turn)[0].ids[: len(found)]
