"""Edits and the runs that follow them, on a tiny base: what trains, what stays, what is remembered."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from dlm_core.bases import load
from dlm_core.engine import create_engine
from dlm_core.engine_protocol import TrainOptions
from dlm_core.events import GateTrained, RunEnded, RunPlanned, TrainStep
from dlm_core.kept_texts import load_all, load_kept
from dlm_core.store.history import keep_runs, outcomes
from dlm_core.store.store import Store
from dlm_core.training.rehearsal import bundled_lines
from dlm_core.training.revision import MOST_ROUNDS
from tests.tiny import BODY, DLM_ID, Desk

GATE = {"enabled": True, "cold_start_floor": 2, "lr": 0.01, "steps": 20}
SHORT = BODY
for long, short in (("8443.", "a"), ("Team Ada.", "b"), ("Ahoy!", "c"), ("Fair winds!", "d")):
    SHORT = SHORT.replace(long, short)


def store(desk: Desk) -> Store:
    return Store.open(DLM_ID, desk.home, create=False)


@pytest.mark.slow
def test_an_edit_is_learned_in_a_few_steps_and_the_rest_is_not_lost(desk: Desk) -> None:
    settings: dict[str, Any] = {"num_epochs": 60, "gate": GATE}
    desk.open(SHORT, **settings).train()
    whole = desk.of(TrainStep)[-1].step
    before = desk.hashes()
    desk.events.clear()
    desk.write(SHORT.replace("### A\nc", "### A\nd"), **settings)
    ended = desk.train()
    planned = desk.of(RunPlanned)[0]
    assert (planned.kind, planned.changed, planned.replayed) == ("revision", {"tone": 1}, {"tone": 1})
    assert ended.reason == "every answer was learned" and desk.of(TrainStep)[-1].step < whole
    assert desk.hashes()["facts"] == before["facts"]
    assert not desk.of(GateTrained), "the questions are the same"
    answers = {"Say hello.": "d", "Say goodbye.": "d", "What is the port?": "a", "Who owns billing?": "b"}
    assert {question: desk.ask(question)[2].reply for question in answers} == answers


@pytest.mark.slow
def test_a_plan_says_what_a_run_then_does_and_writes_nothing(desk: Desk) -> None:
    desk.open().train()
    desk.write(BODY.replace("Ahoy!", "Ahoy there!"))
    desk.engine.open(desk.path)
    before = sorted(p for p in desk.home.rglob("*") if p.is_file() and "sqlite" not in p.name)
    planned = desk.engine.plan(desk.path, TrainOptions())
    assert before == sorted(p for p in desk.home.rglob("*") if p.is_file() and "sqlite" not in p.name)
    assert planned.run_id == 0 and planned.estimated_s and planned.memory
    desk.train()
    told = desk.of(RunPlanned)[-1]
    assert (told.rows, told.tokens, told.reason) == (planned.rows, planned.tokens, planned.reason)
    assert desk.engine.plan(desk.path, TrainOptions()).adapters == ()


@pytest.mark.slow
def test_a_plan_reads_no_weights(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.open().train()
    desk.write(BODY.replace("Ahoy!", "Ahoy there!"))
    known = desk.engine.plan(desk.path, TrainOptions())

    def read(*_: object) -> None:
        raise AssertionError("the weights were read")

    monkeypatch.setattr(load, "_model", read)
    planned = create_engine(desk.home, "cpu").plan(desk.path, TrainOptions())
    assert (planned.rows, planned.tokens, planned.reason) == (known.rows, known.tokens, known.reason)
    assert planned.changed == {"tone": 1} and planned.memory == known.memory


@pytest.mark.slow
def test_an_adapter_with_another_rank_starts_over_alone(desk: Desk) -> None:
    desk.open().train()
    before = desk.hashes()
    desk.write(adapters={"facts": {"lora_r": 4}, "tone": {}})
    ended = desk.train()
    assert ended.versions == {"facts": "v0002", "tone": "v0001"}
    assert desk.hashes()["tone"] == before["tone"]
    planned = desk.of(RunPlanned)[-1]
    assert planned.fresh == ("facts",) and "`adapters.facts.lora_r` was 8 and is 4" in planned.reason


@pytest.mark.slow
def test_adapters_come_and_go_without_the_others(desk: Desk) -> None:
    gate: dict[str, Any] = {"gate": GATE}
    desk.open(**gate).train()
    before = desk.hashes()
    more = BODY + "\n::instruction#extra::\n### Q\nMore?\n### A\nYes.\n"
    desk.write(more, adapters={"facts": {}, "tone": {}, "extra": {}}, **gate)
    ended = desk.train()
    assert ended.versions == {"facts": "v0001", "tone": "v0001", "extra": "v0001"}
    assert {n: desk.hashes()[n] for n in before} == before
    desk.write(BODY, **gate)
    ended = desk.train()
    assert ended.versions == {"facts": "v0001", "tone": "v0001"} and desk.hashes() == before
    assert desk.of(GateTrained)[-1].sample_counts == {"facts": 2, "tone": 2}


@pytest.mark.slow
def test_a_new_adapter_and_an_edit_train_in_one_run(desk: Desk) -> None:
    desk.open(adapters={"facts": {}, "tone": {}}).train()
    more = BODY.replace("Ahoy!", "Ahoy there!") + "\n::instruction#extra::\n### Q\nMore?\n### A\nYes.\n"
    settings: dict[str, Any] = {"adapters": {"facts": {}, "tone": {}, "extra": {}}}
    desk.write(more, **settings)
    broken = Desk(desk.folder, desk.base)
    broken.engine.open(desk.path)
    assert broken.train(stop=broken.stop_after(3)).status == "stopped"
    ended = broken.train(resume=True)
    assert ended.versions == {"facts": "v0001", "tone": "v0002", "extra": "v0001"}
    assert broken.of(RunPlanned)[0].fresh == ("extra",)


@pytest.mark.slow
def test_gone_sections_are_replayed_only_where_they_are_kept(desk: Desk) -> None:
    desk.open().train()
    less = BODY.rsplit("::instruction#tone::", 1)[0]
    desk.write(less.replace("Ahoy!", "Ahoy there!"))
    desk.train(keep=True)
    assert desk.of(RunPlanned)[-1].replayed == {"tone": 1}
    assert [r.title for r in store(desk).snapshot().kept] == ["Say goodbye."]
    desk.write(less.replace("Ahoy!", "Ahoy here!"))
    desk.train()
    assert desk.of(RunPlanned)[-1].replayed == {"tone": 0}
    assert store(desk).snapshot().kept == ()


@pytest.mark.slow
def test_questions_are_embedded_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from dlm_core.routing.embed import Embedder

    embedded: list[str] = []
    run = Embedder._run

    def count(self: Embedder, texts: Sequence[str], mean: bool) -> torch.Tensor:
        embedded.extend(text for text in texts if text not in bundled_lines("chat"))
        return run(self, texts, mean)

    monkeypatch.setattr(Embedder, "_run", count)
    desk.open(gate=GATE).train()
    assert len(embedded) == 4
    again = Desk(desk.folder, desk.base)
    again.engine.open(desk.path)
    embedded.clear()
    desk.write(BODY.replace("Say hello.", "Say hi."), gate=GATE)
    again.train()
    desk.write(BODY, gate=GATE)
    again.train(fresh=True)
    assert embedded == ["Say hi."], "a question that was asked before is still known"


@pytest.mark.slow
def test_prose_that_changed_is_gone_through_a_few_times(desk: Desk) -> None:
    body = BODY + "\n::prose#tone::\nThe bell rings at dusk.\n"
    desk.open(body).train()
    desk.write(body.replace("dusk", "dawn"))
    desk.events.clear()
    desk.train()
    assert 0 < desk.of(TrainStep)[-1].step <= MOST_ROUNDS


@pytest.mark.slow
def test_a_version_knows_what_it_came_from(desk: Desk) -> None:
    ended: RunEnded = desk.open().train()
    now = store(desk).snapshot()
    assert now.settings["seed"] == "42" and now.libraries["torch"] == torch.__version__
    routed = {"chat_kl_auto": ended.retention["chat_kl_auto"]}  # under the gate, which follows the commit
    assert now.recall == ended.recall and {**now.retention, **routed} == ended.retention
    assert now.retention["perplexity_base"] > 0 and now.document_hash and now.base_fingerprint
    assert all(s.since == s.trained == ended.run_id for s in now.sections)


@pytest.mark.slow
def test_old_versions_are_removed_on_request(desk: Desk) -> None:
    gate: dict[str, Any] = {"gate": GATE}
    desk.open(**gate).train()
    for word in ("there", "here", "now"):
        desk.write(BODY.replace("Say hello.", f"Say hello {word}."), **gate)
        desk.train()
    assert len(outcomes(store(desk).versions())) == 4
    desk.write(BODY, **gate)
    ended = desk.train(keep_versions=2)
    kept = outcomes(store(desk).versions())
    assert [c.run_id for c in kept] == [ended.run_id - 1, ended.run_id]
    assert all(f.is_dir() for c in kept for f in c.folders().values())
    tone = {p.name for p in store(desk).paths.adapter("tone").glob("v*")}
    assert tone == {c.adapters["tone"] for c in kept}
    assert keep_runs(store(desk), 2) == []


@pytest.mark.slow
def test_edit_after_edit_leaves_the_other_sections_as_they_were(desk: Desk) -> None:
    """benchmarks/edits.py on a small scale: letters for answers, one of them changed in each round."""
    questions = [f"{word}?" for word in ("Port", "Owner", "Limit", "Queue", "Host", "Table")]
    answers = dict(zip(questions, "abcdef", strict=True))

    def body() -> str:
        return "".join(f"::instruction#facts::\n### Q\n{q}\n### A\n{a}\n\n" for q, a in answers.items())

    settings: dict[str, Any] = {"adapters": {"facts": {}}, "num_epochs": 80}
    desk.open(body(), **settings).train()
    for turn in range(6):
        answers[questions[turn % len(questions)]] = "uvwxyz"[turn]
        desk.write(body(), **settings)
        ended = desk.train()
        assert ended.status == "done"
    right = sum(desk.ask(question)[2].reply == answer for question, answer in answers.items())
    assert right == len(questions)


@pytest.mark.slow
def test_a_further_wording_is_learned_without_learning_the_answer_again(desk: Desk) -> None:
    settings: dict[str, Any] = {"num_epochs": 60, "gate": GATE}
    desk.open(SHORT, **settings).train()
    asked = {"Say hello.": "c", "Say goodbye.": "d", "What is the port?": "a", "Greet them now?": "c"}
    desk.events.clear()
    desk.write(SHORT.replace("### A\nc", "### Q\nGreet them now?\n### A\nc"), **settings)
    ended = desk.train()
    reworded = [step.tokens_per_s for step in desk.of(TrainStep)]
    planned = desk.of(RunPlanned)[0]
    assert (planned.kind, planned.changed, planned.rows) == ("revision", {"tone": 1}, {"tone": 3})
    assert ended.reason == "every answer was learned" and reworded
    assert {question: desk.ask(question)[2].reply for question in asked} == asked


@pytest.mark.slow
def test_the_text_of_an_edited_section_is_kept_as_long_as_a_version_has_it(desk: Desk) -> None:
    desk.open().train()
    (old,) = [s for s in store(desk).snapshot().sections if s.title == "Say hello."]
    desk.write(BODY.replace("Ahoy!", "Ahoy there!"))
    desk.train()
    folder = store(desk).paths.replay
    assert "Ahoy!" in load_all(folder)[old.content_hash].text and old.content_hash not in load_kept(folder)
    keep_runs(store(desk), 1)
    desk.write(BODY.replace("Ahoy!", "Ahoy you!"))
    desk.train()
    assert old.content_hash not in load_all(folder)
