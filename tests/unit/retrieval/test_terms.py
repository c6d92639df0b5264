"""BM25 over words and character n-grams: as bm25s scores it, share by share, and reused text by text."""

import bm25s
import numpy as np
import pytest

from dlm_core.retrieval.terms import Terms, words_of

TEXTS = (
    "Run the settlement again, then run the balance check.",
    "The payout queue grows at night.",
    "Who owns the ledger schema? The ledger is owned by Core Data.",
    "",
)


def test_words_are_weighed_as_bm25s_weighs_them() -> None:
    query = "who runs the ledger schema"
    reference = bm25s.BM25()
    reference.index([words_of(text) for text in TEXTS], show_progress=False)
    known = [word for word in words_of(query) if word in set(words_of(" ".join(TEXTS)))]
    expected = reference.get_scores(known)
    found = Terms("words", TEXTS).scores(query)
    assert np.argsort(-found).tolist() == np.argsort(-expected).tolist()
    assert found[:3] / found[2] == pytest.approx(expected[:3] / expected[2], abs=1e-5)


def test_a_misspelt_word_is_found_by_its_letters_alone() -> None:
    assert Terms("words", TEXTS).scores("settlemnt").max() == 0
    assert int(Terms("ngrams", TEXTS).scores("settlemnt").argmax()) == 0


def test_two_characters_of_a_script_without_spaces_are_enough() -> None:
    texts = ("支付队列一直在增长", "如何恢复账本")
    assert int(Terms("ngrams", texts).scores("账本坏了").argmax()) == 1


def test_scores_are_shares_and_nothing_in_common_is_none() -> None:
    for kind in ("words", "ngrams"):
        scores = Terms(kind, TEXTS).scores(TEXTS[2])
        assert 0.25 < scores.max() < 1 and scores[3] == 0
        assert not Terms(kind, TEXTS).scores("zzz").any() and not Terms(kind, TEXTS).scores("").any()
        assert len(Terms(kind, ()).scores("ledger")) == 0


def test_a_further_text_is_scored_as_if_it_were_among_them() -> None:
    for kind in ("words", "ngrams"):
        terms = Terms(kind, TEXTS)
        assert terms.score("ledger check", TEXTS[2]) == pytest.approx(terms.scores("ledger check")[2])


def test_known_texts_are_taken_over_and_score_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Terms("ngrams", TEXTS)
    texts = (*TEXTS[:2], "The ledger is closed.")
    fresh: list[str] = []
    from dlm_core.retrieval import terms as module

    row_of = module.row_of
    monkeypatch.setattr(module, "row_of", lambda kind, text: (fresh.append(text), row_of(kind, text))[1])
    again = Terms("ngrams", texts, known)
    assert fresh == ["The ledger is closed."]
    assert again.scores("ledger").tolist() == Terms("ngrams", texts).scores("ledger").tolist()
