"""What of a document can be found: answers, prose in pieces of whole sentences, chosen replies."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_core.document.model import Section, SectionKind, Span
from dlm_core.document.parse import parse_text
from dlm_core.retrieval import passages as module
from dlm_core.retrieval.passages import passages_of

DOCUMENT = """---
dlm_id: 01JZX3VD0M8Q6Y2T4W9RB5KCNE
dlm_version: 15
base_model: smollm2-135m
---

::prose::
One sentence. Another one.

::instruction::
### Q
How?

### Q
In which way?

### Q !probe
how so

### A
So.

::preference::
### Prompt
Say it.

### Chosen
Gladly.

### Rejected
No.
"""


def prose(text: str) -> Section:
    return Section(SectionKind.PROSE, None, text, Span(1, 1, 1, 1), None, "key")


def test_every_kind_of_section_gives_its_passages_and_probes_and_rejected_replies_give_none() -> None:
    document = parse_text(DOCUMENT, Path("a.dlm")).document
    assert document is not None
    found = [(p.kind, p.questions, p.text) for p in passages_of(document.sections)]
    assert found == [
        ("prose", (), "One sentence. Another one."),
        ("answer", ("How?", "In which way?"), "So."),
        ("preference", ("Say it.",), "Gladly."),
    ]


def test_the_key_of_a_passage_is_its_sections_hash() -> None:
    document = parse_text(DOCUMENT, Path("a.dlm")).document
    assert document is not None
    assert [p.key for p in passages_of(document.sections)] == [s.content_hash for s in document.sections]


def test_long_prose_is_cut_after_sentences() -> None:
    sentences = [f"This is sentence number {i} of a text that goes on for quite a while." for i in range(30)]
    pieces = [p.text for p in passages_of([prose(" ".join(sentences))])]
    assert len(pieces) > 3 and all(piece.endswith("while.") and len(piece) < 500 for piece in pieces)
    assert " ".join(pieces) == " ".join(sentences)


@given(st.text())
def test_no_word_of_prose_is_lost_or_said_twice(text: str) -> None:
    pieces = [p.text for p in passages_of([prose(text)])]
    assert " ".join(pieces).split() == text.split()


def test_of_a_huge_document_the_first_passages_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PASSAGES", 3)
    assert [p.text for p in passages_of([prose(str(i)) for i in range(5)])] == ["0", "1", "2"]
