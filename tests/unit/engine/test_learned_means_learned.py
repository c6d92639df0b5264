"""What was not learned is said: rows that are cut or left out, pairs, and why a run ended."""

import pytest

from dlm_core.errors import TrainingError
from dlm_core.events import Log, RunPlanned, TrainEpoch
from dlm_core.store.store import Store
from tests.tiny import DLM_ID, Desk

ANSWERED = "::instruction::\n### Q\nWho has the key?\n### A\nAda.\n\n"
LONG = "In the shed behind the barn, on the left wall, sorted by length."
CUT = ANSWERED + f"::instruction::\n### Q\nWhere?\n### A\n{LONG}\n"
PAIR = "::preference::\n### Prompt\nMay I?\n### Chosen\nYes.\n### Rejected\nNo.\n"
FLAT = {"adapters": {}}
WHOLE = {"adapters": {}, "num_epochs": 150, "learning_rate": 0.02}


def said(desk: Desk) -> dict[str, Log]:
    return {event.code: event for event in desk.of(Log)}


def lost(desk: Desk) -> list[str]:
    return [record.lost for record in Store.open(DLM_ID, desk.home, create=False).snapshot().sections]


@pytest.mark.slow
def test_a_text_of_one_token_is_left_out_with_a_warning_and_the_rest_is_trained(desk: Desk) -> None:
    ended = desk.open("x\n\n" + ANSWERED, **FLAT).train()
    assert ended.status == "done"
    assert ended.reason == "all epochs done; 1 section left out, at least in part"
    assert "doc.dlm:4" in said(desk)["left_out"].message and said(desk)["left_out"].hint
    assert lost(desk) == ["left_out", ""]
    noted = [row for row in desk.engine.mask(desk.path) if row.note]
    assert len(noted) == 1 and not any(noted[0].loss)


def test_a_document_of_nothing_else_is_refused(desk: Desk) -> None:
    with pytest.raises(TrainingError, match="nothing to learn"):
        desk.open("x\n", **FLAT).train()


@pytest.mark.slow
def test_an_adapter_whose_only_text_is_left_out_stays_the_base(desk: Desk) -> None:
    both = {"adapters": {"facts": {}, "tone": {}}}
    body = ANSWERED.replace("::instruction::", "::instruction#facts::") + "::prose#tone::\nx\n"
    ended = desk.open(body, **both).train()
    assert ended.status == "done" and set(ended.versions) == {"facts", "tone"}


@pytest.mark.slow
def test_a_cut_answer_is_named_everywhere_and_not_called_learned(desk: Desk) -> None:
    desk.open(CUT, **FLAT, sequence_len=64).train()
    warning = said(desk)["truncated"]
    assert "cut at 64 tokens" in warning.message and "`training.sequence_len`" in warning.hint
    assert lost(desk) == ["", "cut"]
    assert [bool(row.note) for row in desk.engine.mask(desk.path)] == [False, True]


@pytest.mark.slow
def test_a_run_that_learned_cut_answers_does_not_call_every_answer_learned(desk: Desk) -> None:
    ended = desk.open(CUT, **WHOLE, sequence_len=64).train()
    assert ended.reason == "every answer was learned as far as it is read (1 section cut)"


@pytest.mark.slow
def test_what_is_not_cut_any_more_is_learned_whole(desk: Desk) -> None:
    desk.open(CUT, **FLAT, sequence_len=64).train()
    desk.write(CUT, **WHOLE, sequence_len=256)
    assert desk.train().reason == "every answer was learned"
    assert lost(desk) == ["", ""]
    assert desk.ask("Where?", max_tokens=100)[2].reply == LONG


@pytest.mark.slow
def test_a_question_that_fills_the_row_is_left_out(desk: Desk) -> None:
    long = ANSWERED + f"::instruction::\n### Q\n{LONG}\n### A\nHere.\n"
    ended = desk.open(long, **FLAT, sequence_len=64).train()
    assert lost(desk) == ["", "left_out"] and "left out" in ended.reason


@pytest.mark.slow
def test_preferences_are_counted_and_named_as_what_they_are(desk: Desk) -> None:
    settings = {"preference": {"hyperparams": {"learning_rate": 0.0000001, "num_epochs": 2}}}
    ended = desk.open(PAIR, **FLAT, **settings).train()
    plan = desk.of(RunPlanned)[0]
    assert (plan.pairs, plan.pair_epochs) == ({"default": 1}, 2)
    assert {epoch.phase for epoch in desk.of(TrainEpoch)} == {"preference"}
    assert ended.recall is None
    assert "gate" not in ended.reason and "1 pair" in ended.reason and "no reply changed" in ended.reason
    assert "no reply" in said(desk)["preference_unmoved"].message


@pytest.mark.slow
def test_where_replies_did_change_the_run_says_how_many(desk: Desk) -> None:
    settings = {"preference": {"hyperparams": {"learning_rate": 0.05, "num_epochs": 12, "alpha": 1.0}}}
    ended = desk.open(PAIR, **FLAT, **settings).train()
    assert "1 reply changed, 1 to the chosen one" in ended.reason
    assert "preference_unmoved" not in said(desk)
    assert desk.ask("May I?")[2].reply == "Yes."


@pytest.mark.slow
def test_answers_and_pairs_are_both_accounted_for(desk: Desk) -> None:
    ended = desk.open(ANSWERED + PAIR, **WHOLE).train()
    assert ended.reason.startswith("every answer was learned; 1 of 1 pair moved")


def test_a_copy_of_a_trained_document_is_named_before_it_answers(desk: Desk) -> None:
    desk.open(ANSWERED, **FLAT).train()
    assert "dlm-id-shared" not in said(desk)
    copy = desk.folder / "copy.dlm"
    copy.write_bytes(desk.path.read_bytes())
    desk.engine.open(copy)
    assert "doc.dlm" in said(desk)["dlm-id-shared"].message and "--new-id" in said(desk)["dlm-id-shared"].hint
