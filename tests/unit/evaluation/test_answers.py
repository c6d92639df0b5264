"""When a reply is right, what search alone finds, and when a reply to something else says the document."""

from pathlib import Path

import msgspec
import pytest

from dlm_core.errors import DocumentError
from dlm_core.evaluation.answers import Judge, scores, word_f1
from dlm_core.evaluation.offtopic import Leaks, load_offtopic, offtopic_prompts
from dlm_core.evaluation.probes import all_probes
from dlm_core.evaluation.search import DocumentSearch
from dlm_core.reports import Evaluation
from dlm_core.training.rehearsal import bundled_lines
from tests.fakes.reports import EVALUATION
from tests.tiny import make_document

BODY = """\
::instruction#facts::
### Q
How do I reset my password?
### Q
I cannot log in any more
### Q !probe
forgot my login
### A
Open the account page and choose a new one.

### Q
How do I change my address?
### A
Open the account page and choose another one.

::prose#tone::
The hedge keeps its own calendar, and it is never early.

::preference#tone::
### Prompt
Is it late?
### Chosen
Not if the ground still crumbles.
### Rejected
I cannot know your garden at all.
"""
RESET = "Open the account page and choose a new one."
MOVED = "Open the account page and choose another one."
SECTIONS = make_document(BODY).sections


def test_a_reply_is_right_if_no_other_answer_is_nearer() -> None:
    judge = Judge(SECTIONS)
    assert judge.judge(f"{RESET} ", RESET).right and judge.judge(f"{RESET} ", RESET).verbatim
    near = judge.judge("open the account page, choose a new one", RESET)
    assert near.right and not near.verbatim and near.f1 > 0.9
    assert word_f1(MOVED, RESET) > 0.8, "the two answers are near each other"
    assert not judge.judge(MOVED, RESET).right
    assert not judge.judge("Open the account page.", RESET).right, "too short for F1 0.8"


def test_an_answer_that_the_document_does_not_have_can_be_expected() -> None:
    assert Judge(SECTIONS).judge("Ask Ada.", "Ask Ada.").right
    assert not Judge(SECTIONS).judge("Ask Ada.", RESET).right


def test_scores_are_means() -> None:
    judge = Judge(SECTIONS)
    found = scores([judge.judge(RESET, RESET), judge.judge("", RESET)])
    assert (found.right, found.f1, found.verbatim) == (0.5, 0.5, 0.5)


def test_search_finds_answers_by_any_wording_and_by_their_own_words() -> None:
    search = DocumentSearch(SECTIONS)
    assert search.answer("my address is another") == MOVED
    assert search.answer("why can I not LOG in?") == RESET
    assert search.answer("a new one, please") == RESET
    assert search.answer("is it late, does it crumble?") == "Not if the ground still crumbles."
    assert search.answer("Zwiebelkuchen") == ""
    assert DocumentSearch(()).answer("anything") == ""


def test_four_words_in_a_row_are_a_leak_unless_the_base_says_them_too() -> None:
    leaks = Leaks(SECTIONS)
    assert leaks.leaked("Well: open the ACCOUNT page!", "Hello.")
    assert not leaks.leaked("Well: open the account page!", "You could open the account page.")
    assert not leaks.leaked("Open the account.", "Hello.")
    assert leaks.leaked("It keeps its own calendar, always", "")
    assert leaks.leaked("if the ground still crumbles", "")
    assert not leaks.leaked("How do I reset my password?", ""), "a question is not what is taught"
    assert not leaks.leaked("I cannot know your garden", ""), "nor is what was rejected"


def test_a_list_of_prompts_is_read_line_by_line_after_the_bundled_ones(tmp_path: Path) -> None:
    document = tmp_path / "doc.dlm"
    assert offtopic_prompts(document) == bundled_lines("chat")
    (tmp_path / "doc.offtopic.txt").write_bytes(
        "\ufeffIs it late?\r\n\n  Who won? \nTell me a joke.\n".encode()
    )
    assert offtopic_prompts(document) == (*bundled_lines("chat"), "Is it late?", "Who won?")


def test_a_list_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="cannot be read"):
        load_offtopic(tmp_path / "none.txt")
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DocumentError, match="not UTF-8"):
        load_offtopic(tmp_path / "bad.txt")


def test_probes_of_a_file_come_before_those_of_the_document(tmp_path: Path) -> None:
    document = make_document(BODY, tmp_path / "doc.dlm")
    (own,) = all_probes(document, None)
    assert (own.question, own.answer, own.adapter) == ("forgot my login", RESET, "facts")
    (tmp_path / "doc.probes.yaml").write_text("- {question: Lost it., answer: X., adapter: facts}\n")
    assert [probe.question for probe in all_probes(document, None)] == ["Lost it.", "forgot my login"]


def test_an_evaluation_of_before_still_loads() -> None:
    old = msgspec.to_builtins(EVALUATION)
    for key in ("answers", "offtopic", "replies"):
        del old[key]
    del old["retention"]["chat"]
    found = msgspec.json.decode(msgspec.json.encode(old), type=Evaluation)
    assert found.answers is None and found.offtopic is None and found.replies == ()
    assert found.recall == EVALUATION.recall


def test_training_sees_no_question_that_the_meter_asks() -> None:
    asked = bundled_lines("chat")
    assert len(asked) >= 20 and len(set(asked)) == len(asked)
