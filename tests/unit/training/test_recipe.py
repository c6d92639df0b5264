"""What the recipe settles where a document leaves it open."""

from typing import Any

import pytest

from dlm_core.training.recipe import resolve
from dlm_core.training.settings import settings_of
from tests.tiny import BODY, make_document

PROSE = "\n::prose::\nThe bell rings at dusk.\n"


@pytest.mark.parametrize(
    ("settings", "flag", "most", "least"),
    [
        ({}, None, 11, 9),
        ({"num_epochs": 7}, None, 7, 1),
        ({}, 7, 7, 1),
        ({"num_epochs": 7, "min_epochs": 5}, None, 7, 5),
        ({"min_epochs": 1}, None, 11, 1),
    ],
)
def test_a_number_of_epochs_that_is_given_is_an_upper_bound_alone(
    settings: dict[str, Any], flag: int | None, most: int, least: int
) -> None:
    recipe = resolve(make_document(BODY, **{"num_epochs": "auto"} | settings), epochs=flag)
    assert (recipe.epochs, recipe.min_epochs) == (most, least)


def test_prose_alone_changes_what_is_automatic_but_no_setting() -> None:
    answers, prose = (make_document(body, num_epochs="auto") for body in (BODY, PROSE))
    assert (resolve(prose).epochs, resolve(prose).min_epochs) == (4, 1)
    assert settings_of(answers, resolve(answers)) == settings_of(prose, resolve(prose))
