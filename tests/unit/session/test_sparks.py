"""A row of numbers as a row of characters."""

from dlm_tui.session.sparks import spark


def test_each_number_is_as_high_as_its_share() -> None:
    assert spark([0.0, 0.5, 1.0], 10) == "▁▅█"
    assert spark([0.0, 0.5, 1.0], 10, unicode=False) == "_-^"


def test_of_many_the_newest_of_each_part_stand_and_the_last_always() -> None:
    assert spark([0.0] * 99 + [1.0], 5) == "▁▁▁▁█"
    assert len(spark([0.3] * 7, 5)) == 5


def test_nothing_and_what_is_no_number_are_taken() -> None:
    assert spark([], 5) == spark([1.0], 0) == ""
    assert spark([float("nan"), 2.0, -1.0], 5) == "▁█▁"
