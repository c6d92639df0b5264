"""What an epoch takes where answers have several wordings, and that nothing changes where they have one."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from dlm_core.document.model import SectionKind
from dlm_core.training.batches import other_questions, plan_epoch
from dlm_core.training.curriculum import Curriculum, wordings_of
from dlm_core.training.examples import Row
from dlm_core.training.recipe import Recipe, resolve
from tests.tiny import make_document

EMBEDDINGS = torch.eye(200)[:, :16]


def recipe(**changes: object) -> Recipe:
    return replace(resolve(make_document()), question_wear=0.5, **changes)  # type: ignore[arg-type]


def row(adapter: str, answer: int, wording: int = 0) -> Row:
    """An answer's rows differ in their questions alone."""
    question = tuple(range(20 + 10 * wording, 26 + 10 * wording))
    ids = (1, *question, 2, 100 + answer, 101, 102, 103, 104, 105)
    loss = (False,) * 8 + (True,) * 6
    return Row(ids, loss, adapter, f"{adapter}{answer}", "label", SectionKind.INSTRUCTION, (1, 7))


def rows(wordings: int, answers: int = 6) -> list[Row]:
    return [row(a, n, w) for a in ("facts", "tone") for n in range(answers) for w in range(wordings)]


def whole(batches: Sequence[Sequence[Row]]) -> list[Row]:
    return [row for batch in batches for row in batch if not row.repeated]


def answer(found: Row) -> tuple[str, int]:
    return found.adapter, found.ids[found.loss.index(True)]


def test_rows_with_the_same_answer_are_wordings_and_prose_stands_alone() -> None:
    prose = replace(row("facts", 0), kind=SectionKind.PROSE, question=(0, 0))
    found = [row("facts", 0, 0), row("tone", 0, 0), prose, row("facts", 1, 0), row("facts", 0, 1), prose]
    assert wordings_of(found) == [[0, 4], [1], [2], [3], [5]]


def test_an_epoch_takes_every_answer_whole_in_one_wording_and_the_next_one_in_another() -> None:
    curriculum = Curriculum(rows(3), recipe(question_copies=1), EMBEDDINGS)
    taken = [Counter(map(answer, whole(curriculum.batches(epoch, ())))) for epoch in range(3)]
    assert all(set(epoch.values()) == {1} and len(epoch) == 12 for epoch in taken)
    plain = Curriculum(rows(3), replace(recipe(question_copies=1), question_wear=1e-9), EMBEDDINGS)
    asked = Counter(row.ids for epoch in range(3) for row in whole(plain.batches(epoch, ())))
    assert asked == Counter(row.ids for row in rows(3)), "in three epochs each wording once"


def test_every_wording_comes_up_in_every_epoch_beside_others_up_to_where_its_answer_is_settled() -> None:
    curriculum = Curriculum(rows(3), recipe(question_copies=1), EMBEDDINGS)
    batches = curriculum.batches(0, ())
    beside = [row for batch in batches for row in batch if row.repeated]
    assert len(beside) == len(rows(3))
    assert {sum(row.loss) for row in beside} == {3}
    assert set(Counter(map(answer, beside)).values()) <= {2, 3, 4}
    assert len(batches) == 4, "three answers a step, as ever"


def test_where_nothing_stands_beside_rows_every_wording_is_taken_whole() -> None:
    batches = Curriculum(rows(3), recipe(question_copies=0), EMBEDDINGS).batches(0, ())
    assert len(whole(batches)) == len(rows(3)) and max(map(len, batches)) == 3


def test_a_few_further_wordings_leave_the_batches_as_large_as_they_were() -> None:
    mine = [*rows(1), row("facts", 0, 1), row("facts", 1, 1)]
    batches = Curriculum(mine, recipe(question_copies=1), EMBEDDINGS).batches(0, ())
    assert len(whole(batches)) == 12 and len(batches) == 4
    assert sum(row.repeated for batch in batches for row in batch) == len(mine)


def test_more_wordings_than_five_take_turns_and_cost_no_more() -> None:
    def beside(wordings: int) -> int:
        curriculum = Curriculum(rows(wordings), recipe(question_copies=1), EMBEDDINGS)
        return sum(row.repeated for batch in curriculum.batches(0, ()) for row in batch)

    assert beside(5) == beside(9) == 5 * 12


@pytest.mark.parametrize("epoch", [0, 3])
def test_where_every_answer_has_one_wording_an_epoch_is_what_it_always_was(epoch: int) -> None:
    mine, settings = rows(1, answers=10), recipe(question_copies=1)
    plain = replace(settings, question_wear=0.0)
    expected = plan_epoch(
        range(len(mine)),
        lambda i: len(mine[i].ids),
        token_budget=settings.token_budget,
        max_rows=settings.max_rows,
        seed=settings.seed,
        epoch=epoch,
        owner=lambda i: mine[i].adapter,
    )
    taken = Curriculum(mine, plain, EMBEDDINGS).batches(epoch, ())
    assert taken == [[mine[i] for i in batch] for batch in expected]
    owners = [row.adapter for row in mine]
    ones = dict.fromkeys(owners, 1)
    others = other_questions(expected, owners, ones, settings.seed, epoch)
    batches = Curriculum(mine, settings, EMBEDDINGS).batches(epoch, ())
    assert [[answer(row) for row in batch if row.repeated] for batch in batches] == [
        [answer(mine[i]) for i in places] for places in others
    ]


def test_an_epoch_that_mends_asks_every_wording_of_what_is_lacking() -> None:
    mine = rows(3)
    batches = Curriculum(mine, recipe(question_copies=1), EMBEDDINGS).batches(4, ["facts0"])
    asked = {row.ids for batch in batches for row in batch if row.section == "facts0"}
    assert asked == {row.ids for row in mine if row.section == "facts0"}
