"""What a document was asked stays in its store, bounded, and with what the user said of it."""

from pathlib import Path

import pytest

from dlm_core.errors import StoreError
from dlm_core.requests import Message
from dlm_core.store.asked import BEFORE, MOST, AskedQuestions


def asks(question: str) -> tuple[Message, ...]:
    return (Message("user", question),)


@pytest.fixture
def kept(tmp_path: Path) -> AskedQuestions:
    return AskedQuestions(tmp_path / "asked.json", clock=lambda: 7.0)


def test_a_question_is_kept_with_its_last_reply_and_its_verdict(kept: AskedQuestions) -> None:
    kept.keep(asks("a"), "one")
    kept.keep(asks("b"), "two", "right", "two")
    kept.keep(asks("a"), "three", "wrong")
    kept.keep(asks("b"), "four")
    found = [(e.question, e.reply, e.verdict, e.answer, e.at) for e in kept.load()]
    assert found == [("a", "three", "wrong", "", 7.0), ("b", "four", "right", "two", 7.0)]


def test_the_same_words_behind_other_words_are_another_question(kept: AskedQuestions) -> None:
    long = tuple(Message("user", str(n)) for n in range(20))
    kept.keep((*long, *asks("a")), "one")
    kept.keep(asks("a"), "two")
    first, second = kept.load()
    assert len(first.messages) == BEFORE + 1 and len(second.messages) == 1


def test_of_too_many_the_oldest_without_a_verdict_go_first(
    kept: AskedQuestions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlm_core.store.asked.MOST", 2)
    assert MOST > 2
    kept.keep(asks("a"), "x", "right", "x")
    for question in "bc":
        kept.keep(asks(question), "x")
    assert [e.question for e in kept.load()] == ["a", "c"]


def test_without_a_store_nothing_is_kept(tmp_path: Path) -> None:
    nowhere = AskedQuestions(tmp_path / "no store" / "asked.json")
    assert not nowhere.keep(asks("a"), "one")
    assert nowhere.load() == () and not (tmp_path / "no store").exists()
    nowhere.clear()


def test_all_is_forgotten(kept: AskedQuestions, tmp_path: Path) -> None:
    assert kept.keep(asks("a"), "one")
    kept.clear()
    assert kept.load() == () and not (tmp_path / "asked.json").exists()


@pytest.mark.parametrize("content", ["", "[]", '{"format": 1}', "\x00"])
def test_a_damaged_file_is_said(kept: AskedQuestions, tmp_path: Path, content: str) -> None:
    (tmp_path / "asked.json").write_text(content)
    with pytest.raises(StoreError):
        kept.load()
