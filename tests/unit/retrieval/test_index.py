"""What a search finds in what was trained, what an edit costs, and what lies on disk."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dlm_core.errors import Stopped, StoreError
from dlm_core.retrieval import parts
from dlm_core.retrieval.index import Index
from dlm_core.retrieval.passages import Passage
from dlm_core.store import seal
from tests.unit.retrieval.conftest import Counting, answer, wordy

QUESTION = "How do I recover the ledger?"
Passages = tuple[Passage, ...]


def states(texts: object) -> Tensor:
    """States in which texts of one length are alike."""
    return torch.tensor([[float(len(t)), float(len(t) % 7), 1.0] for t in texts])  # type: ignore[attr-defined]


@pytest.mark.parametrize("with_encoder", [True, False])
def test_a_trained_question_finds_its_answer_and_says_in_which_words_it_is_asked(
    passages: Passages, encoder: Counting, with_encoder: bool
) -> None:
    index = Index.build(passages, encoder if with_encoder else None)
    for passage in passages[:4]:
        for question in passage.questions:
            best = index.search(question).answers[0]
            assert best.passage == passage
            assert not with_encoder or best.question == question


def test_probabilities_of_answers_and_of_none_of_them_make_one(passages: Passages, encoder: Counting) -> None:
    found = Index.build(passages, encoder).search(QUESTION)
    assert sum(c.probability for c in found.candidates) + found.outside == pytest.approx(1)
    assert found.margin == pytest.approx(found.answers[0].probability - found.answers[1].probability)


def test_prose_and_preferences_are_cited_but_no_reply_can_be_one(
    passages: Passages, encoder: Counting
) -> None:
    found = Index.build(passages, encoder).search("Kestrel Payments was founded in a harbour shed.")
    assert found.candidates[0].passage.kind == "prose"
    assert {c.probability for c in found.candidates if c.passage.kind != "answer"} == {0.0}
    assert all(c.passage.kind == "answer" for c in found.answers)


def test_an_answer_counts_as_its_adapter_does_and_one_without_weight_not_at_all(
    passages: Passages, encoder: Counting
) -> None:
    index = Index.build(passages, encoder)
    even = index.search(QUESTION, {"help": 1.0, "voice": 1.0})
    tilted = index.search(QUESTION, {"help": 0.5, "voice": 1.0})

    def odds(found: object) -> float:
        share = {c.passage.adapter: 0.0 for c in found.answers}  # type: ignore[attr-defined]
        for c in found.answers:  # type: ignore[attr-defined]
            share[c.passage.adapter] += c.probability
        return share["help"] / share["voice"]

    assert odds(tilted) == pytest.approx(odds(even) / 2)
    pinned = index.search(QUESTION, {"voice": 1.0, "help": 0.0})
    assert {c.passage.adapter for c in pinned.answers} == {"voice"}
    nothing = index.search(QUESTION, {"voice": 0.0, "help": 0.0})
    assert not nothing.answers and nothing.outside == 1.0


def test_much_prose_that_is_nearer_crowds_out_no_answer(passages: Passages, encoder: Counting) -> None:
    prose = tuple(Passage(str(i), "prose", None, (), f"{QUESTION} {i}") for i in range(30))
    found = Index.build((*passages, *prose), encoder).search(QUESTION)
    assert len(found.candidates) == 8 and len(found.answers) == 4
    assert found.answers[0].passage == passages[1]


def test_candidates_stand_in_the_order_of_their_probabilities(passages: Passages, encoder: Counting) -> None:
    found = Index.build(passages[:4], encoder).search(QUESTION, {"help": 0.01, "voice": 1.0})
    shares = [c.probability for c in found.candidates]
    assert shares == sorted(shares, reverse=True) and found.candidates == found.answers


def test_equal_answers_are_one_candidate_and_the_nearest_wording_says_which_section(
    encoder: Counting,
) -> None:
    both = (
        answer("Page Tomas.", "Who is on call?", key="first"),
        answer("Page Tomas.", "Whom do I wake at night?", key="second"),
        answer("Use the red form.", "How do I claim expenses?"),
    )
    found = Index.build(both, encoder).search("Whom do I wake at night?")
    assert [c.passage.text for c in found.answers] == ["Page Tomas.", "Use the red form."]
    assert found.answers[0].passage.key == "second"


def test_an_edit_encodes_its_own_texts_alone(passages: Passages, encoder: Counting) -> None:
    known = Index.build(passages, encoder)
    encoder.asked.clear()
    edited = (*passages[:3], replace(passages[3], text="It is set by the fraud filter."), *passages[4:])
    again = Index.build(edited, encoder, known=known)
    assert set(encoder.asked) == {
        "It is set by the fraud filter.", "What does risk_score mean? It is set by the fraud filter.",
    }  # fmt: skip
    new = Index.build(edited, encoder)
    assert again.search(QUESTION) == new.search(QUESTION)


def test_of_very_many_answers_no_more_than_questions_and_texts_are_encoded(
    passages: Passages, encoder: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "MOST_ENCODED_WHOLE", 3)
    index = Index.build(passages, encoder)
    assert set(encoder.asked) == {text for p in passages for text in (*p.questions, p.text)}
    assert index.search(QUESTION).answers[0].passage == passages[1]
    assert Index.build(wordy(), encoder).separation.asked == 16


def test_what_another_encoder_made_is_not_taken_over(passages: Passages, encoder: Counting) -> None:
    other = Counting("another")
    Index.build(passages, other, known=Index.build(passages, encoder))
    assert passages[0].text in other.asked


def test_an_index_read_back_says_what_it_said(passages: Passages, encoder: Counting, folder: Path) -> None:
    index = Index.build(passages, encoder, states=states)
    index.save(folder)
    seal.seal(folder, name="index", generation=1, run_id=1, at=0.0)
    encoder.asked.clear()
    again = Index.load(folder, encoder)
    assert not encoder.asked
    for state in (None, states([QUESTION])[0]):
        assert again.search(QUESTION, state=state) == index.search(QUESTION, state=state)


def test_an_index_of_another_encoder_is_encoded_anew_and_works_without_one(
    passages: Passages, encoder: Counting, folder: Path
) -> None:
    Index.build(passages, encoder).save(folder)
    other = Counting("another")
    assert Index.load(folder, other).search(QUESTION).answers[0].passage == passages[1]
    assert passages[0].text in other.asked
    bare = Index.load(folder, None)
    assert bare.encoder is None and bare.search(QUESTION).answers[0].passage == passages[1]


@pytest.mark.parametrize("name", ["index.json", "vectors.safetensors"])
def test_a_damaged_index_is_refused_sealed_or_not(
    passages: Passages, encoder: Counting, folder: Path, name: str
) -> None:
    Index.build(passages, encoder).save(folder)
    seal.seal(folder, name="index", generation=1, run_id=1, at=0.0)
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[:-3] + bytes(3))
    with pytest.raises(StoreError):
        Index.load(folder, encoder)
    (folder / seal.SEAL).unlink()
    (folder / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match="cannot be read"):
        Index.load(folder, encoder)


def test_vectors_of_other_passages_are_refused(passages: Passages, encoder: Counting, folder: Path) -> None:
    Index.build(passages[:2], encoder).save(folder)
    vectors = (folder / "vectors.safetensors").read_bytes()
    Index.build(passages, encoder).save(folder)
    (folder / "vectors.safetensors").write_bytes(vectors)
    with pytest.raises(StoreError, match="its vectors are not those of its passages"):
        Index.load(folder, encoder)


def test_nothing_trained_is_nothing_found(encoder: Counting) -> None:
    for some in (None, encoder):
        found = Index.build((), some).search("anything")
        assert (found.candidates, found.margin) == ((), 0.0)


def test_a_document_of_prose_alone_can_be_searched(encoder: Counting) -> None:
    found = Index.build((Passage("p", "prose", None, (), "The bell rings once."),), encoder, states=states)
    assert found.search("bell").candidates[0].passage.key == "p"


def test_building_ends_when_asked_to(passages: Passages, encoder: Counting) -> None:
    with pytest.raises(Stopped):
        Index.build(passages, encoder, stop=lambda: True)
