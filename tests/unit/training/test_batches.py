"""Rows into batches."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from dlm_core.training.batches import other_questions, plan_epoch

Rows = list[tuple[str, int]]


def plan(rows: Rows, epoch: int = 0, token_budget: int = 10_000, max_rows: int = 3) -> list[Rows]:
    return plan_epoch(
        rows,
        lambda r: r[1],
        token_budget=token_budget,
        max_rows=max_rows,
        seed=7,
        epoch=epoch,
        owner=lambda r: r[0],
    )


ROWS = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 900)), max_size=60)


@given(ROWS, st.integers(0, 3))
def test_every_row_comes_once_and_no_batch_is_too_large(rows: Rows, epoch: int) -> None:
    batches = plan(rows, epoch, token_budget=1000)
    assert Counter(r for batch in batches for r in batch) == Counter(rows)
    for batch in batches:
        assert 1 <= len(batch) <= 3
        assert len(batch) == 1 or max(size for _, size in batch) * len(batch) <= 1000
    assert batches == plan(rows, epoch, token_budget=1000)


def test_every_adapter_moves_in_every_step() -> None:
    rows = [(owner, 40 + n) for owner in "abc" for n in range(10)]
    batches = plan(rows)
    assert len(batches) == 10
    assert all({owner for owner, _ in batch} == set("abc") for batch in batches)


def test_a_small_adapter_is_spread_over_the_epoch() -> None:
    rows = [("a", 50)] * 24 + [("b", 50)] * 6
    counts = [sum(owner == "b" for owner, _ in batch) for batch in plan(rows)]
    assert max(counts) == 1 and sum(counts) == 6


def test_long_rows_do_not_sit_beside_short_ones() -> None:
    rows = [("a", 30)] * 9 + [("b", 700)] * 9
    assert all(len({size for _, size in batch}) == 1 for batch in plan(rows))


def test_epochs_differ() -> None:
    rows = [(owner, 40) for owner in "abc"] * 5
    numbered = [(f"{owner}{n}", size) for n, (owner, size) in enumerate(rows)]
    assert plan(numbered, 0) != plan(numbered, 1)


def test_other_questions_are_of_the_same_adapter_and_come_up_about_as_often_as_each_other() -> None:
    owners = ["a"] * 5 + ["b"] * 4
    batches = [[0, 5], [1, 6], [2, 7], [3, 8], [4]]
    beside = other_questions(batches, owners, {"a": 2, "b": 2}, seed=7, epoch=3)
    for batch, others in zip(batches, beside, strict=True):
        assert [owners[i] for i in others] == [owners[i] for i in batch for _ in range(2)]
        assert len({*batch, *others}) == len(batch) + len(others)
    seen = Counter(i for others in beside for i in others)
    assert max(seen.values()) - min(seen[i] for i in range(9)) <= 2
    assert beside == other_questions(batches, owners, {"a": 2, "b": 2}, seed=7, epoch=3)
    assert beside != other_questions(batches, owners, {"a": 2, "b": 2}, seed=7, epoch=4)


def test_an_adapter_with_one_question_has_no_other_and_asks_it_again() -> None:
    assert other_questions([[0, 1]], ["a", "b"], {"a": 1, "b": 1}, seed=7, epoch=0) == [[0, 1]]


def test_no_copies_are_no_questions() -> None:
    assert other_questions([[0], [1]], ["a", "a"], {"a": 0}, seed=7, epoch=0) == [[], []]


def test_an_adapter_may_bring_more_others_than_another_and_parts_of_one_add_up() -> None:
    owners = ["a"] * 6 + ["b"] * 6
    beside = other_questions([[0, 6], [1, 7], [2, 8], [3, 9]], owners, {"a": 2, "b": 0.5}, seed=7, epoch=0)
    assert [Counter(owners[i] for i in others) for others in beside] == [
        {"a": 2},
        {"a": 2, "b": 1},
        {"a": 2},
        {"a": 2, "b": 1},
    ]
