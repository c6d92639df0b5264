"""Whole runs on a tiny base: what is committed, what stays, and what comes out the same again."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from dlm_core.errors import TrainingError, UsageError
from dlm_core.events import GateTrained, Log, RunEnded, RunPlanned, TrainEpoch, TrainStep
from dlm_core.store.store import Store
from dlm_core.training.examples import Row
from tests.tiny import BODY, DLM_ID, RATE, Desk

PROSE = "::prose::\nThe lighthouse keeper rings the bell at dusk, and again at dawn.\n\n"
PREFERENCE = """\
::preference#tone::
### Prompt
How do I greet?
### Chosen
Ahoy, sailor!
### Rejected
Dear Sir or Madam.

"""


def snapshot(desk: Desk) -> Any:
    return Store.open(DLM_ID, desk.home, create=False).snapshot()


def recalls(desk: Desk) -> Any:
    return [(s.content_hash, s.last_recall, s.last_loss) for s in snapshot(desk).sections]


def test_a_run_commits_a_version_of_every_adapter(desk: Desk) -> None:
    ended = desk.open().train()
    assert (ended.status, ended.versions) == ("done", {"facts": "v0001", "tone": "v0001"})
    assert snapshot(desk).generation == 1
    Store.open(DLM_ID, desk.home, create=False).verify()
    planned = desk.of(RunPlanned)[0]
    assert planned.rows == {"facts": 2, "tone": 2} and planned.adapters == ("facts", "tone")
    steps = desk.of(TrainStep)
    assert steps[-1].step == planned.steps == steps[-1].steps
    assert all(0 <= o <= 1 for s in steps for o in s.openness.values())
    assert [e.epoch for e in desk.of(TrainEpoch)] == [1, 2]


def test_training_lowers_the_loss_and_learns_the_answers(desk: Desk) -> None:
    body = BODY
    for long, short in (("8443.", "a"), ("Team Ada.", "b"), ("Ahoy!", "c"), ("Fair winds!", "d")):
        body = body.replace(long, short)
    gate = {"enabled": True, "cold_start_floor": 2, "lr": 0.01}
    ended = desk.open(body, num_epochs=60, gate=gate).train()
    epochs = desk.of(TrainEpoch)
    assert ended.reason == "every answer was learned" and len(epochs) < 60
    assert epochs[-1].loss < 0.5 * epochs[0].loss and epochs[-1].recall >= 0.995
    answers = {"What is the port?": "a", "Who owns billing?": "b", "Say hello.": "c", "Say goodbye.": "d"}
    for question, answer in answers.items():
        assert desk.ask(question)[2].reply == answer


@pytest.mark.slow
def test_training_goes_on_to_the_least_number_of_epochs_and_mends_nothing_before(desk: Desk) -> None:
    body = BODY
    for long, short in (("8443.", "a"), ("Team Ada.", "b"), ("Ahoy!", "c"), ("Fair winds!", "d")):
        body = body.replace(long, short)
    desk.open(body, num_epochs=60).train()
    sooner, later = len(desk.of(TrainEpoch)), desk.another("later")
    later.open(body, num_epochs=60, min_epochs=sooner + 3).train()
    epochs = later.of(TrainEpoch)
    assert len(epochs) == sooner + 3 and epochs[-1].recall == 1.0
    each = len({step.step for step in later.of(TrainStep) if step.epoch == 1})
    assert later.of(TrainStep)[-1].step == each * len(epochs)


@pytest.mark.slow
def test_the_same_document_and_seed_give_bit_identical_adapters(desk: Desk) -> None:
    settings: dict[str, Any] = {"adapters": {"facts": {"lora_dropout": 0.2}, "tone": {"adapter": "lora"}}}
    desk.open(**settings).train()
    torch.manual_seed(99)
    again, other = desk.another("again"), desk.another("other")
    again.open(**settings).train()
    assert again.hashes() == desk.hashes()
    other.open(**settings).train(seed=43)
    assert not set(other.hashes().values()) & set(desk.hashes().values())


@pytest.mark.slow
@pytest.mark.parametrize(("after", "dropout"), [(1, 0.2), (3, 0.0), (4, 0.2)])
def test_a_stopped_and_resumed_run_equals_an_unbroken_one(desk: Desk, after: int, dropout: float) -> None:
    settings: dict[str, Any] = {
        "adapters": {"facts": {"lora_dropout": dropout}, "tone": {"lora_dropout": dropout, "lora_r": 3}},
        "num_epochs": 3,
        "micro_batch_size": 2,
        "rehearsal": {"enabled": True, "every": 2},
        "validation_share": 0.25,
    }
    desk.open(**settings).train()
    broken = desk.another("broken").open(**settings)
    ended = broken.train(stop=broken.stop_after(after))
    assert ended.status == "stopped" and ended.checkpoint and broken.hashes() == {}
    elsewhere = Desk(broken.folder, broken.base)
    elsewhere.engine.open(elsewhere.path)
    assert elsewhere.train(resume=True).status == "done"
    assert elsewhere.hashes() == desk.hashes()
    assert recalls(elsewhere) == recalls(desk)


@pytest.mark.slow
def test_other_wordings_are_taught_beside_but_not_counted(desk: Desk) -> None:
    desk.open(num_epochs=1).train()
    once, more = desk.another("once"), desk.another("more")
    once.open(num_epochs=1, question_copies=0, lead_weight=1).train()
    more.open(num_epochs=1, question_copies=3).train()
    speeds = {name: len(d.of(TrainStep)) for name, d in (("once", once), ("more", more), ("auto", desk))}
    assert len(set(speeds.values())) == 1
    assert len({tuple(sorted(d.hashes().values())) for d in (desk, once, more)}) == 3
    first = [d.of(TrainStep)[0].loss for d in (desk, once, more)]
    assert max(first) - min(first) < 1e-3  # the loss of the same answers before anything was learned


@pytest.mark.slow
def test_mending_teaches_what_lacks_and_is_resumed_there(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    found = iter([["open"], ["open"], [], []] * 2)

    def first_of_tone(rows: Sequence[Row], recall: float, recalls: Mapping[str, float]) -> list[str]:
        return [r.section for r in rows if r.adapter == "tone"][: len(next(found))]

    monkeypatch.setattr("dlm_core.training.sft.unlearned", first_of_tone)
    monkeypatch.setattr("dlm_core.training.recipe.VERIFY_RECALL", 0.0)
    settings: dict[str, Any] = {"num_epochs": 4, "micro_batch_size": 2}
    desk.open(**settings).train()
    steps = desk.of(TrainStep)
    taught = {epoch: set().union(*(s.losses for s in steps if s.epoch == epoch)) for epoch in (1, 2, 3, 4)}
    assert taught == {1: {"facts", "tone"}, 2: {"tone"}, 3: {"tone"}, 4: {"facts", "tone"}}
    rates = [s.learning_rate for s in steps if s.epoch > 1]
    assert rates == sorted(rates, reverse=True) and steps[-1].step == steps[-1].steps
    found = iter([["open"], ["open"], [], []])
    broken = desk.another("broken").open(**settings)
    broken.train(stop=broken.stop_after(max(s.step for s in steps if s.epoch == 2)))
    assert broken.of(TrainStep)[-1].epoch == 2
    assert broken.train(resume=True).status == "done"
    assert broken.hashes() == desk.hashes()


@pytest.mark.slow
@pytest.mark.parametrize("after", [3, 5])
def test_a_run_stopped_among_its_preferences_resumes_too(desk: Desk, after: int) -> None:
    settings: dict[str, Any] = {
        "adapters": {"facts": {}, "tone": {"lora_dropout": 0.1}},
        "micro_batch_size": 6,
        "preference": {"hyperparams": {"num_epochs": 4}},
    }
    desk.open(BODY + PREFERENCE, **settings).train()
    phases = [s.phase for s in desk.of(TrainStep)]
    assert "preference" in phases
    broken = desk.another("broken").open(BODY + PREFERENCE, **settings)
    ended = broken.train(stop=broken.stop_after(after))
    assert ended.status == "stopped" and broken.of(TrainStep)[-1].phase == "preference"
    assert broken.train(resume=True).status == "done"
    assert broken.hashes() == desk.hashes()
    assert snapshot(broken).extra["recall"] == snapshot(desk).extra["recall"]


@pytest.mark.slow
def test_stopping_leaves_the_version_before(desk: Desk) -> None:
    desk.open().train()
    before = desk.hashes()
    desk.write(BODY.replace("8443", "9090"))
    ended = desk.train(stop=desk.stop_after(1))
    assert ended.status == "stopped" and desk.hashes() == before
    assert ended.versions == {"facts": "v0001", "tone": "v0001"}


@pytest.mark.slow
def test_a_checkpoint_of_adapters_on_other_layers_is_not_resumed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr("dlm_core.training.run.resolve_targets", lambda layers, wanted: layers[:2])
        desk.open().train(stop=desk.stop_after(1))
    with pytest.raises(TrainingError, match="changed since"):
        desk.train(resume=True)
    assert desk.train().status == "done"


@pytest.mark.slow
def test_a_checkpoint_of_another_document_is_not_resumed(desk: Desk) -> None:
    with pytest.raises(TrainingError, match="no run was stopped"):
        desk.open().train(resume=True)
    desk.train(stop=desk.stop_after(1))
    desk.write(BODY.replace("8443", "9090"))
    with pytest.raises(TrainingError, match="changed since"):
        desk.train(resume=True)
    assert desk.train().status == "done"
    with pytest.raises(UsageError, match="exclude"):
        desk.train(fresh=True, resume=True)


@pytest.mark.parametrize("gate", [True, False])
@pytest.mark.slow
def test_without_a_change_nothing_runs(desk: Desk, gate: bool) -> None:
    desk.open(gate={"enabled": gate, "cold_start_floor": 2, "steps": 5}).train()
    before = snapshot(desk)
    desk.events.clear()
    ended = desk.train()
    assert (ended.status, ended.reason) == ("done", "nothing changed since the last run")
    assert snapshot(desk) == before and "nothing_to_do" in desk.codes()
    assert not desk.of(TrainStep) and not desk.of(GateTrained)


@pytest.mark.slow
def test_one_adapter_alone_has_no_gate_and_nothing_left_to_do(desk: Desk) -> None:
    body = "::instruction::\n### Q\nWhat is the port?\n### A\n8443.\n"
    desk.open(body, adapters={}).train()
    assert list(desk.hashes()) == ["default"]
    assert desk.train().reason == "nothing changed since the last run"
    routed, _, _ = desk.ask("What is the port?")
    assert routed.routing.weights == {"default": 1.0}


@pytest.mark.slow
def test_an_edit_trains_its_adapter_alone(desk: Desk) -> None:
    desk.open().train()
    before = desk.hashes()
    desk.write(BODY.replace("Ahoy!", "Ahoy there!"))
    ended = desk.train()
    assert ended.versions == {"facts": "v0001", "tone": "v0002"}
    after = desk.hashes()
    assert after["facts"] == before["facts"] and after["tone"] != before["tone"]
    assert desk.of(RunPlanned)[-1].rows == {"tone": 2}, "the edited row and one replayed"


@pytest.mark.slow
def test_a_removed_section_alone_trains_nothing(desk: Desk) -> None:
    desk.open().train()
    before = desk.hashes()
    desk.write(BODY.rsplit("::instruction#tone::", 1)[0])
    assert desk.train().reason == "1 section is gone; nothing to train"
    assert desk.hashes() == before and len(snapshot(desk).sections) == 3
    assert desk.train().reason == "nothing changed since the last run"


@pytest.mark.parametrize(
    "change",
    [{"warmup_ratio": 0.5}, {"system_prompt": "Be brief."}, {"seed": 7}],
    ids=lambda c: next(iter(c)),
)
@pytest.mark.slow
def test_a_changed_recipe_trains_everything_anew(desk: Desk, change: dict[str, Any]) -> None:
    desk.open().train()
    desk.write(BODY, **change)
    ended = desk.train()
    planned = desk.of(RunPlanned)[-1]
    assert planned.reason.startswith(f"the recipe changed: `{next(iter(change))}`")
    assert planned.rows == {"facts": 2, "tone": 2}
    assert ended.versions == {"facts": "v0002", "tone": "v0002"}


@pytest.mark.slow
def test_untagged_answers_follow_the_adapter_that_is_declared_first(desk: Desk) -> None:
    body = BODY + "\n::instruction::\n### Q\nWhere?\n### A\nHere.\n"
    desk.open(body).train()
    assert desk.of(RunPlanned)[-1].rows == {"facts": 3, "tone": 2}
    desk.write(body, adapters={"tone": {}, "facts": {}})
    desk.train()
    planned = desk.of(RunPlanned)[-1]
    assert planned.rows == {"tone": 3} and planned.new == {"tone": 1} and planned.untouched == ("facts",)


@pytest.mark.slow
def test_fresh_starts_over(desk: Desk) -> None:
    desk.open().train()
    before = desk.hashes()
    desk.write(BODY.replace("Ahoy!", "Ahoy there!"))
    desk.train()
    desk.write(BODY)
    ended = desk.train(fresh=True)
    assert desk.hashes() == before and ended.versions == {"facts": "v0002", "tone": "v0003"}


@pytest.mark.slow
def test_prose_alone_is_learned_by_every_adapter(desk: Desk) -> None:
    desk.open(PROSE).train()
    assert desk.of(RunPlanned)[0].rows == {"facts": 1, "tone": 1}
    assert desk.of(TrainEpoch)[-1].loss < desk.of(TrainEpoch)[0].loss


@pytest.mark.slow
def test_preferences_alone_train_their_adapter(desk: Desk) -> None:
    ended = desk.open(PREFERENCE).train()
    assert ended.status == "done" and desk.of(RunPlanned)[0].rows == {"facts": 0, "tone": 1}
    assert {s.phase for s in desk.of(TrainStep)} == {"preference"}


@pytest.mark.slow
def test_prose_answers_and_preferences_train_together(desk: Desk) -> None:
    desk.open(PROSE + BODY + PREFERENCE).train()
    assert desk.of(RunPlanned)[0].rows == {"facts": 3, "tone": 4}
    assert [s.phase for s in desk.of(TrainEpoch)][:3] == ["sft", "sft", "preference"]
    assert desk.train().reason == "nothing changed since the last run"


@pytest.mark.slow
def test_preferences_that_are_switched_off_do_not_train(desk: Desk) -> None:
    desk.open(BODY + PREFERENCE, preference={"enabled": False}).train()
    assert {s.phase for s in desk.of(TrainStep)} == {"sft"}
    with pytest.raises(TrainingError, match="nothing to learn"):
        desk.another("only").open(PREFERENCE, preference={"enabled": False}).train()


@pytest.mark.slow
def test_a_loss_that_is_not_finite_commits_nothing(desk: Desk) -> None:
    desk.open().train()
    before = desk.hashes()
    workshop = desk.engine._workshop
    assert workshop is not None
    embeddings = workshop.base.model.get_input_embeddings()
    with torch.no_grad():
        embeddings.weight[10].fill_(math.nan)
    with pytest.raises(TrainingError, match="not finite"):
        desk.train(fresh=True)
    assert desk.hashes() == before
    with Store.open(DLM_ID, desk.home, create=False).metrics() as metrics:
        assert [r.status for r in metrics.runs()][-1] == "failed"


@pytest.mark.slow
def test_rates_ranks_and_kinds_may_differ_between_adapters(desk: Desk) -> None:
    desk.open(
        adapters={
            "facts": {"adapter": "lora", "lora_r": 2, "learning_rate": 1e-12, "target_modules": ["q_proj"]},
            "tone": {"lora_r": 5, "lora_alpha": 3, "learning_rate": RATE},
        }
    ).train()
    from dlm_core.adapters.folder import load_adapter

    found = snapshot(desk)
    workshop = desk.engine._workshop
    assert workshop is not None
    facts, tone = (load_adapter(found.adapter_dir(n), n, workshop.bank.features) for n in ("facts", "tone"))
    assert (facts.spec.kind, facts.spec.rank, tone.spec.kind, tone.spec.rank) == ("lora", 2, "disel", 5)
    assert all(m.endswith("q_proj") for m in facts.spec.modules) and len(facts.spec.modules) == 2
    moved = {a.spec.name: max(float(w.b.abs().max()) for w in a.layers.values()) for a in (facts, tone)}
    assert moved["facts"] < 1e-9 and moved["tone"] > 1e-3


@pytest.mark.slow
def test_validation_keeps_the_best_weights_not_the_last(desk: Desk) -> None:
    settings: dict[str, Any] = {"validation_share": 0.25, "lr_scheduler": "constant"}
    desk.open(num_epochs=8, **settings).train()
    losses = [e.validation_loss for e in desk.of(TrainEpoch)]
    best = losses.index(min(losses)) + 1
    assert 0 < best < 8, f"the rate is meant to overfit: {losses}"
    shorter = desk.another("shorter").open(num_epochs=best, **settings)
    shorter.train()
    assert shorter.of(TrainEpoch)[-1].validation_loss == losses[best - 1]
    assert shorter.hashes() == desk.hashes()


@pytest.mark.slow
def test_a_row_longer_than_the_base_reads_is_cut_and_said(tmp_path: Path) -> None:
    from tests.tiny import make_base_folder

    desk = Desk(tmp_path, make_base_folder(tmp_path, "gpt2"))
    ended = desk.open(
        "::prose::\n" + "long words " * 40 + "\n\n::instruction#tone::\n### Q\nq\n### A\n" + "a" * 300 + "\n"
    ).train()
    assert ended.status == "done" and "truncated" in desk.codes()
    desk.ask("Who?")


@pytest.mark.slow
def test_chat_works_between_steps_and_changes_nothing(desk: Desk) -> None:
    settings: dict[str, Any] = {"num_epochs": 3, "adapters": {"facts": {"lora_dropout": 0.1}, "tone": {}}}
    desk.open(**settings).train()
    replies = []
    talking = desk.another("talking").open(**settings)
    ended = talking.train(between=lambda: replies.append(talking.ask("Hello?", temperature=1.0, seed=1)[2]))
    assert talking.hashes() == desk.hashes()
    assert replies and all(r.during_run == ended.run_id for r in replies)
    assert len({r.reply for r in replies}) == 1, "the serving set stands still while it trains"
    assert talking.ask("Hello?")[2].during_run is None


@pytest.mark.slow
def test_the_run_ends_with_what_it_said(desk: Desk) -> None:
    ended = desk.open().train()
    assert isinstance(ended, RunEnded) and ended.recall == desk.of(TrainEpoch)[-1].recall
    assert not [e for e in desk.of(Log) if e.level == "error"]
