"""Near misses: where they lie, what is read, and how a bad file is refused."""

from pathlib import Path

import pytest

from dlm_core.document.model import Document
from dlm_core.errors import DocumentError
from dlm_core.evaluation.near import NearMiss, default_near, load_near, near_misses
from tests.tiny import make_document

BODY = """\
::instruction#facts::
### Q
Which port does the API use?
### Q
Where does the API listen?
### Q !probe
api port pls
### A
8443.

::preference#tone::
### Prompt
Write to Ada that I am late.
### Chosen
Dear Ada, start without me.
### Rejected
Dear Ada, I am so terribly sorry!
"""
GOOD = "- question: Which port does the mail use?\n  near: Which port does the API use?\n  kind: subject\n"


@pytest.fixture
def document(tmp_path: Path) -> Document:
    return make_document(BODY, tmp_path / "doc.dlm")


def write(document: Document, text: str) -> Path:
    path = document.path.with_name("doc.near.yaml")
    path.write_text(text, "utf-8")
    return path


def test_the_file_beside_a_document_is_read_and_a_remark_may_be_left_out(document: Document) -> None:
    assert default_near(document.path) is None and near_misses(document) == ()
    path = write(document, f"{GOOD}  why: 8443 is the API's.\n")
    mail = NearMiss(
        "Which port does the mail use?", "Which port does the API use?", "subject", "8443 is the API's."
    )
    assert default_near(document.path) == path and near_misses(document) == (mail,)
    write(document, GOOD)
    assert near_misses(document)[0].why == ""


@pytest.mark.parametrize("near", ["Where does the API listen?", "Write to Ada that I am late."])
def test_a_further_wording_and_a_preference_prompt_can_be_near(document: Document, near: str) -> None:
    written = GOOD.replace("Which port does the API use?", near)
    assert load_near(write(document, written), document)[0].near == near


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("- question: [\n", ":2:1", "expected the node content"),
        ("just words\n", "doc.near.yaml:", "no list of near misses"),
        ("", "doc.near.yaml:", "no list of near misses"),
        (f"{GOOD}- question: Who?\n  kind: name\n", ":4: near miss 2", "near"),
        (GOOD.replace("subject", "topic"), ":1: near miss 1", "Invalid enum value 'topic'"),
        (f"{GOOD}  answer: x\n", ":1: near miss 1", "answer"),
        (GOOD.replace("Which port does the mail use?", "' '"), ":1: near miss 1", "question is empty"),
        (f"{GOOD}- *there\n", ":4:3", "aliases"),
        (GOOD * 2, ":4: near miss 2", "asked before"),
        (GOOD.replace("the mail", "the API"), ":1: near miss 1", "the document answers"),
        (GOOD.replace("the mail use", "the api use"), ":1: near miss 1", "the document answers"),
        (GOOD.replace("Which port does the mail use?", "Api port, pls."), ":1: near miss 1", "answers"),
    ],
)
def test_a_bad_file_is_refused_with_its_place_and_a_remedy(
    document: Document, text: str, place: str, said: str
) -> None:
    with pytest.raises(DocumentError) as caught:
        load_near(write(document, text), document)
    assert place in caught.value.message and said in caught.value.message
    assert caught.value.hint


def test_a_question_that_the_document_does_not_have_is_guessed(document: Document) -> None:
    with pytest.raises(DocumentError, match="no question `Which port has the API\\?`") as caught:
        load_near(write(document, GOOD.replace("does the API use", "has the API")), document)
    assert caught.value.hint == "did you mean `Which port does the API use?`?"
    with pytest.raises(DocumentError) as caught:
        load_near(write(document, GOOD.replace("Which port does the API use?", "Zzz")), document)
    assert caught.value.hint == "copy one from the document"


def test_what_is_too_large_or_no_text_is_refused(document: Document) -> None:
    path = document.path.with_name("doc.near.yaml")
    for content, said in ((b"\xff\xfe\x00", "cannot be read"), (b"x" * 4_000_001, "larger than 4 MB")):
        path.write_bytes(content)
        with pytest.raises(DocumentError, match=said):
            load_near(path, document)


def test_nothing_in_a_file_reaches_the_terminal_raw_or_at_length(document: Document) -> None:
    with pytest.raises(DocumentError) as caught:
        load_near(
            write(document, GOOD.replace("Which port does the API use?", '"\\e[31m' + "x" * 900 + '"')),
            document,
        )
    assert "\x1b" not in caught.value.message and len(caught.value.message) < 600
