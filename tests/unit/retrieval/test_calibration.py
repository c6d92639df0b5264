"""From scores to probabilities, and how sure a reply may be."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_core.retrieval.calibration import LEAST_WORDINGS, probabilities, shipped, support
from dlm_core.retrieval.index import Found, Index
from tests.unit.retrieval.conftest import Counting, wordy

KINDS = ("encoder+states", "encoder", "states", "lexical")
floats = st.floats(-50, 50)


@given(st.lists(st.tuples(floats, st.floats(0, 1)), max_size=6), floats)
def test_shares_and_none_of_them_make_one_and_no_weight_is_no_share(
    rows: list[tuple[float, float]], inside: float
) -> None:
    utility = np.array([u for u, _ in rows])
    weights = np.array([w for _, w in rows])
    shares, outside = probabilities(utility, weights, inside)
    assert shares.sum() + outside == pytest.approx(1)
    assert not shares[weights == 0].any() and (shares >= 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_more_likeness_is_more_probability_under_every_set_of_coefficients(kind: str) -> None:
    coefficients = shipped(kind)
    assert all(value > 0 for value in coefficients.choice.values())
    assert coefficients.support["agree"] > coefficients.support["differ"]
    assert coefficients.openness >= 0


def found_in(count: int, encoder: Counting) -> Found:
    return Index.build(wordy(count), encoder).search("What about the ledger?")


def test_agreement_makes_surer_and_difference_less(encoder: Counting) -> None:
    found = found_in(8, encoder)
    sure = {agreement: support(found, agreement=agreement) for agreement in (True, None, False)}
    assert sure[True] is not None and sure[None] is not None and sure[False] is not None
    assert 0 < sure[False] < sure[True] < 1


def test_there_is_no_support_under_twelve_wordings_or_without_an_answer(encoder: Counting) -> None:
    assert found_in(5, encoder).wordings < LEAST_WORDINGS
    assert support(found_in(5, encoder), agreement=True) is None
    assert support(replace(found_in(8, encoder), candidates=()), agreement=True) is None


def test_open_gates_speak_for_the_document(encoder: Counting) -> None:
    index = Index.build(wordy(), encoder)
    closed, opened = (index.search("Tell of it.", openness=value).outside for value in (0.0, 1.0))
    assert opened < closed
