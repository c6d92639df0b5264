"""The bundled neutral text: what is rehearsed is never what forgetting is measured on."""

from pathlib import Path

import pytest

import dlm_core

NEUTRAL = Path(dlm_core.__file__).parent / "training" / "neutral"


def texts(name: str) -> list[str]:
    return (NEUTRAL / f"{name}.txt").read_text(encoding="utf-8").strip().split("\n---\n")


def eight_word_runs(text: str) -> set[tuple[str, ...]]:
    words = text.casefold().split()
    return set(zip(*(words[start:] for start in range(8)), strict=False))


@pytest.mark.parametrize("name", ["rehearsal", "held_out"])
def test_there_are_twelve_short_texts(name: str) -> None:
    lengths = [len(text.split()) for text in texts(name)]
    assert len(lengths) == 12
    assert min(lengths) >= 60
    assert max(lengths) <= 110


def test_rehearsed_text_shares_no_run_of_eight_words_with_the_text_measured_on() -> None:
    rehearsed = set().union(*map(eight_word_runs, texts("rehearsal")))
    measured = set().union(*map(eight_word_runs, texts("held_out")))
    assert not rehearsed & measured


def test_neutral_text_is_not_in_the_sample_documents() -> None:
    samples = Path(__file__).parents[3] / "sample_docs"
    taught = set().union(
        *(eight_word_runs(path.read_text(encoding="utf-8")) for path in samples.glob("*.dlm"))
    )
    for name in ("rehearsal", "held_out"):
        assert not taught & set().union(*map(eight_word_runs, texts(name)))
