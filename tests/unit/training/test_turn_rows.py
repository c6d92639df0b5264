"""Earlier turns of a conversation stand before what is trained, as they will stand there when it is asked."""

from typing import Any

import pytest

from dlm_core.document.model import Turn
from dlm_core.document.schema import GateConfig
from dlm_core.evaluation.measure import trained_questions
from dlm_core.evaluation.probes import all_probes
from dlm_core.evaluation.search import DocumentSearch
from dlm_core.kept_texts import load_kept, save_kept
from dlm_core.requests import RoutingChoice
from dlm_core.retrieval.passages import passages_of
from dlm_core.routing.train import collect
from dlm_core.training.examples import build_rows
from tests.tiny import Desk, make_document
from tests.unit.training.test_wording_rows import Letters, texts

TALK = """\
::instruction#facts::
### Q !before
I lost my key.
### A !before
Which one?
### Q
The shed's.
### Q !probe
For the shed
### A
Ask the porter.
::preference#facts::
### Q !before
Hi.
### A !before
Hello.
### Prompt
Bye.
### Chosen
See you.
### Rejected
No.
"""
FIRST = (Turn("I lost my key.", "Which one?"),)


def test_a_row_is_the_whole_conversation_and_its_last_answer_is_learned() -> None:
    rows = build_rows(make_document(TALK), Letters(), 100)
    (row,) = rows.sft
    assert texts([row]) == ["I lost my key.|Which one?|The shed's.|Ask the porter."]
    assert "".join(chr(i) for i, loss in zip(row.ids, row.loss, strict=True) if loss) == "Ask the porter."
    assert "".join(map(chr, row.ids[slice(*row.question)])) == "The shed's."
    (pair,) = rows.preference
    assert texts([pair.chosen, pair.rejected]) == ["Hi.|Hello.|Bye.|See you.", "Hi.|Hello.|Bye.|No."]


def test_a_conversation_too_long_loses_its_oldest_turns_and_says_so() -> None:
    talk = TALK.partition("::preference")[0]
    talk = talk.replace("### Q !before", "### Q !before\nHi.\n### A !before\nHello.\n### Q !before", 1)
    (row,) = build_rows(make_document(talk, sequence_len=60), Letters(), 100).sft
    assert texts([row]) == ["I lost my key.|Which one?|The shed's.|Ask the porter."]
    assert "".join(map(chr, row.ids[slice(*row.question)])) == "The shed's."
    assert row.lost is not None and "its first turn is not read" in row.lost.message
    (row,) = build_rows(make_document(talk), Letters(), 20).sft
    assert texts([row]) == ["The shed's.|Ask the "]
    assert row.lost is not None and "not learned" in row.lost.message


def test_what_is_kept_for_replay_keeps_its_turns(tmp_path: Any) -> None:
    sections = make_document(TALK).sections
    save_kept(tmp_path, sections, {})
    kept = load_kept(tmp_path)
    assert kept[sections[0].content_hash].questions[0].before == FIRST


def test_questions_and_probes_are_asked_after_their_turns() -> None:
    document = make_document(TALK)
    (asked,), (probe,) = trained_questions(document), all_probes(document, None)
    assert asked.before == probe.before == FIRST


def test_a_follow_up_is_found_by_what_it_goes_on_from() -> None:
    sections = make_document(TALK).sections
    assert [p.questions for p in passages_of(sections)] == [
        ("I lost my key.\nThe shed's.",),
        ("Hi.\nBye.",),
    ]
    assert DocumentSearch(sections).answer("lost key") == "Ask the porter."


def test_the_gate_learns_what_it_will_be_asked_the_last_question() -> None:
    document = make_document(TALK, gate=GateConfig(enabled=True))
    assert [sample.text for sample in collect(document)] == ["The shed's.", "Bye."]


def test_the_mask_shows_turns_as_read_and_the_answer_as_learned(desk: Desk) -> None:
    desk.write(TALK)
    row = desk.engine.mask(desk.path)[0]
    read = "".join(piece for piece, loss in zip(row.pieces, row.loss, strict=True) if not loss)
    learned = "".join(piece for piece, loss in zip(row.pieces, row.loss, strict=True) if loss)
    assert "Which one?" in read and "Which" not in learned and "porter" in learned


@pytest.mark.slow
def test_a_follow_up_is_said_after_its_turns_by_the_weights_alone(desk: Desk) -> None:
    desk.open(TALK.partition("::preference")[0], num_epochs=40, min_epochs=40)
    desk.train()
    pinned = RoutingChoice(mode="pin", adapter="facts", ground="off")
    reply = desk.ask("I lost my key.", "Which one?", "The shed's.", choice=pinned)[2]
    assert reply.reply == "Ask the porter."
