"""The end of a training: only what single answers lack is gone through again."""

from collections.abc import Sequence
from dataclasses import replace

from dlm_core.document.model import SectionKind
from dlm_core.training.examples import Row
from dlm_core.training.mending import mending_batches, unlearned


def rows(each: int = 10, adapters: str = "ab") -> list[Row]:
    return [
        Row((1, 2, 3), (False, True, True), name, f"{name}{n}", f"{name}{n}", SectionKind.INSTRUCTION)
        for name in adapters
        for n in range(each)
    ]


def worn(given: Sequence[Row]) -> list[Row]:
    return [replace(row, label="worn") for row in given]


def batches(
    sections: Sequence[str], epoch: int = 0, most: int = 7, token_budget: int = 100
) -> list[list[Row]]:
    return mending_batches(
        rows(), sections, wear=worn, max_rows=3, token_budget=token_budget, most=most, seed=1, epoch=epoch
    )


def recalls(**lower: float) -> dict[str, float]:
    return {row.section: 1.0 for row in rows()} | lower


def test_little_that_lacks_is_mended_and_much_is_taught_again() -> None:
    assert unlearned(rows(), 0.99, recalls(a3=0.9, b1=0.5)) == ["a3", "b1"]
    assert unlearned(rows(), 0.96, recalls(a3=0.9)) == []
    assert unlearned(rows(), 0.98, dict.fromkeys(recalls(), 0.98)) == []
    assert unlearned(rows(), 1.0, recalls()) == []


def test_a_row_that_lacks_something_stands_beside_known_ones_of_its_adapter() -> None:
    found = batches(["a3", "b1"])
    assert [batch[0].section for batch in found].count("a3") == 3  # as often as fits into a whole epoch
    for first, *beside in found:
        assert first.section in ("a3", "b1") and first.label != "worn"
        assert len(beside) == 2 and all(row.label == "worn" for row in beside)
        assert all(row.adapter == first.adapter and row.section not in ("a3", "b1") for row in beside)


def test_known_rows_take_turns() -> None:
    beside = [row.section for batch in batches(["a3"], most=10) for row in batch[1:]]
    assert len(beside) == 8 and len(set(beside)) == 8


def test_epochs_differ_and_repeat_for_the_same_arguments() -> None:
    assert batches(["a3"], epoch=1) == batches(["a3"], epoch=1) != batches(["a3"], epoch=2)


def test_more_rows_than_a_whole_epoch_has_batches_come_once_each() -> None:
    found = batches([f"a{n}" for n in range(6)], most=4)
    assert sorted(batch[0].section for batch in found) == [f"a{n}" for n in range(6)]


def test_a_batch_keeps_to_its_budget() -> None:
    assert all(len(batch) == 1 for batch in batches(["a3"], token_budget=5))


def test_an_adapter_with_nothing_known_is_mended_alone() -> None:
    found = batches([f"a{n}" for n in range(10)], most=1)
    assert all(len(batch) == 1 for batch in found)
