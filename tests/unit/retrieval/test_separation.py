"""What a document's own wordings, left out one at a time, say about how to search it."""

import pytest

from dlm_core.retrieval.calibration import shipped
from dlm_core.retrieval.index import Index
from dlm_core.retrieval.separation import Separation
from tests.unit.retrieval.conftest import Counting, wordy


def test_what_finds_wordings_left_out_weighs_more_than_an_encoder_that_knows_no_words(
    encoder: Counting,
) -> None:
    separation = Index.build(wordy(), encoder).separation
    assert separation.asked == 16 and separation.found is not None and separation.found > 0.8
    assert separation.scales["lexical"] > separation.scales["encoder"]


def test_a_document_with_few_wordings_is_searched_as_shipped(encoder: Counting) -> None:
    separation = Index.build(wordy(5), encoder).separation
    assert (separation.scales, separation.asked) == ({}, 0)
    assert separation.separates and not Index.build(wordy(5), None).separation.separates


def test_scales_touch_their_own_parts_alone() -> None:
    coefficients = shipped("encoder")
    scaled = Separation(scales={"lexical": 2.0}).choice(coefficients)
    assert scaled["words"] == 2 * coefficients.choice["words"]
    assert scaled["question"] == coefficients.choice["question"]


def test_an_edit_keeps_what_was_measured_and_a_rewrite_measures_anew(encoder: Counting) -> None:
    known = Index.build(wordy(), encoder)
    assert Index.build(wordy(), encoder, known=known).separation is known.separation
    assert Index.build(wordy(7), encoder, known=known).separation.asked == 14


def test_where_nothing_separates_nothing_is_outside(encoder: Counting) -> None:
    index = Index.build(wordy(5), None)
    found = index.search("What about the ledger?")
    assert (found.separates, found.outside) == (False, 0.0)
    assert sum(c.probability for c in found.answers) == pytest.approx(1)
