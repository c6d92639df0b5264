"""The gate as part of a run: cold start, records, failures, and what a reply then says."""

import sqlite3
from typing import Any

import pytest
import torch

from dlm_core import gate_health
from dlm_core.errors import GateTrainingError
from dlm_core.events import GateStep, GateTrained, Log
from dlm_core.routing import train as gates
from dlm_core.store.store import Store
from tests.tiny import BODY, DLM_ID, Desk

GATE = {"enabled": True, "cold_start_floor": 2, "lr": 0.01, "steps": 60}
QUERY = (
    "SELECT adapter_name, mean_weight, sample_count, mode FROM gate_events"
    " WHERE run_id = (SELECT MAX(run_id) FROM runs);"
)


def gate_rows(desk: Desk) -> list[tuple[Any, ...]]:
    store = Store.open(DLM_ID, desk.home, create=False)
    with sqlite3.connect(store.paths.metrics) as db:
        return db.execute(QUERY).fetchall()


def gate_files(desk: Desk) -> set[str]:
    folder = Store.open(DLM_ID, desk.home, create=False).snapshot().gate_dir()
    return set() if folder is None else {p.name for p in folder.iterdir()}


@pytest.mark.slow
def test_a_trained_gate_routes_by_the_prompt(desk: Desk) -> None:
    desk.open(gate=GATE).train()
    found = desk.of(GateTrained)[0]
    assert (found.mode, found.train_accuracy, found.sample_counts) == (
        "trained",
        1.0,
        {"facts": 2, "tone": 2},
    )
    assert {"gate_config.json", "gate.safetensors"} <= gate_files(desk)
    assert desk.of(GateStep)[-1].step == 60
    assert {(r[0], r[2], r[3]) for r in gate_rows(desk)} == {("facts", 2, "trained"), ("tone", 2, "trained")}
    for question, adapter in (("What is the port?", "facts"), ("Say hello.", "tone")):
        routing = desk.ask(question)[0].routing
        assert routing.mode == "auto" and max(routing.weights, key=lambda n: routing.weights[n]) == adapter
        assert sum(routing.weights.values()) == pytest.approx(1.0)


@pytest.mark.slow
def test_a_cold_start_is_uniform_said_and_recorded(desk: Desk) -> None:
    desk.open(gate=GATE | {"cold_start_floor": 3}).train()
    said = [e for e in desk.of(Log) if e.code == "cold_start"]
    assert len(said) == 2 and "`facts` has 2 tagged sections and the gate needs 3" in said[0].message
    assert "gate_config.json" in gate_files(desk) and "gate.safetensors" not in gate_files(desk)
    assert {r[:4] for r in gate_rows(desk)} == {("facts", 0.5, 2, "uniform"), ("tone", 0.5, 2, "uniform")}
    routing = desk.ask("What is the port?")[0].routing
    assert routing.mode == "uniform" and routing.weights == {"facts": 0.5, "tone": 0.5}
    assert routing.reason.startswith("cold start")
    assert desk.train().reason == "nothing changed since the last run"


@pytest.mark.slow
def test_more_sections_end_a_cold_start(desk: Desk) -> None:
    more = BODY + "".join(
        f"\n::instruction#{name}::\n### Q\nMore {name}?\n### A\nYes.\n" for name in ("facts", "tone")
    )
    desk.open(gate=GATE | {"cold_start_floor": 3}).train()
    desk.write(more, gate=GATE | {"cold_start_floor": 3})
    desk.train()
    assert desk.of(GateTrained)[-1].mode == "trained"
    assert desk.ask("What is the port?")[0].routing.mode == "auto"


@pytest.mark.slow
def test_a_gate_that_fails_leaves_the_adapters_committed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise GateTrainingError("the adapter gate's loss is not finite at step 3", "lower `training.gate.lr`")

    desk.open(gate=GATE)
    with monkeypatch.context() as patch:
        patch.setattr(gates, "train_gate", fail)
        ended = desk.train()
    assert ended.status == "done" and set(desk.hashes()) == {"facts", "tone"}
    assert desk.of(GateTrained)[-1].mode == "failed" and "gate_failed" in desk.codes()
    routing = desk.ask("What is the port?")[0].routing
    assert routing.mode == "uniform" and "gate" in routing.reason
    before = desk.hashes()
    desk.train()
    assert desk.of(GateTrained)[-1].mode == "trained" and desk.hashes() == before


@pytest.mark.slow
def test_new_questions_train_the_gate_and_answers_alone_do_not(desk: Desk) -> None:
    desk.open(gate=GATE).train()
    desk.write(BODY.replace("8443.", "9090."), gate=GATE)
    desk.train()
    assert len(desk.of(GateTrained)) == 1 and desk.ask("What is the port?")[0].routing.mode == "auto"
    desk.write(BODY.replace("What is the port?", "Which port?"), gate=GATE)
    desk.train()
    assert len(desk.of(GateTrained)) == 2


@pytest.mark.slow
def test_a_gate_switched_on_later_trains_alone(desk: Desk) -> None:
    desk.open().train()
    before = desk.hashes()
    desk.write(gate=GATE)
    ended = desk.train()
    assert ended.reason == "gate trained" and desk.hashes() == before
    desk.write()
    assert desk.train().reason == "nothing changed since the last run"
    assert desk.engine.reload().gate_mode == "none"
    assert desk.ask("What is the port?")[0].routing.mode == "uniform"


@pytest.mark.slow
def test_a_damaged_gate_is_uniform_with_a_warning(desk: Desk) -> None:
    desk.open(gate=GATE).train()
    folder = Store.open(DLM_ID, desk.home, create=False).snapshot().gate_dir()
    assert folder is not None
    (folder / "gate.safetensors").write_bytes(b"broken")
    ready = desk.engine.reload()
    assert "gate_unreadable" in desk.codes() and ready.gate_mode == "uniform"
    routed, _, reply = desk.ask("What is the port?")
    assert routed.routing.weights == {"facts": 0.5, "tone": 0.5} and "cannot be read" in routed.routing.reason
    assert reply.finish_reason in ("stop", "length")


@pytest.mark.slow
def test_a_damaged_adapter_leaves_the_rest_answering(desk: Desk) -> None:
    desk.open(gate=GATE).train()
    before = desk.hashes()
    folder = Store.open(DLM_ID, desk.home, create=False).snapshot().adapter_dir("tone")
    (folder / "adapter_model.safetensors").write_bytes(b"broken")
    elsewhere = Desk(desk.folder, desk.base)
    assert elsewhere.engine.open(desk.path).adapters == ("facts",)
    assert "adapter_unreadable" in elsewhere.codes()
    assert elsewhere.ask("What is the port?")[0].routing.weights == {"facts": 1.0}
    elsewhere.train(fresh=True)
    assert elsewhere.hashes() == before


@pytest.mark.slow
def test_another_base_is_told_and_answers_bare(desk: Desk, tmp_path: Any) -> None:
    from tests.tiny import make_base_folder

    desk.open(gate=GATE).train()
    other = make_base_folder(tmp_path, "llama_untied", name="other")
    desk.write(gate=GATE, base=f"path:{other}")
    ready = desk.engine.reload()
    assert ready.adapters == () and "foreign_base" in desk.codes()
    routed, _, _ = desk.ask("What is the port?")
    assert routed.routing.mode == "base"
    desk.train()
    assert desk.engine.reload().adapters == ("facts", "tone")
    assert desk.ask("What is the port?")[0].routing.mode == "auto"


@pytest.mark.slow
def test_explaining_names_the_nearest_trained_question(desk: Desk) -> None:
    from dlm_core.requests import Message, RoutingChoice

    desk.open(gate=GATE).train()
    why = desk.engine.explain((Message("user", "Say hello."),), RoutingChoice(), 3)
    assert why.neighbours[0].question == "Say hello." and why.neighbours[0].adapter == "tone"
    assert why.neighbours[0].similarity == pytest.approx(1.0, abs=1e-4)
    assert len(why.neighbours) == 3 and why.routing.mode == "auto"


@pytest.mark.slow
def test_collapse_is_warned_about(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.open(gate=GATE | {"entropy_lambda": 10.0, "lr": 0.05})
    desk.train()
    (gate,) = desk.of(GateTrained)
    fault = gate_health.fault_of(gate)
    assert gate.question_counts == {"facts": 2, "tone": 2} and fault is not None
    said = [(e.message, e.hint) for e in desk.of(Log) if e.code == "gate_collapse"]
    assert said == [(fault.sentence, gate_health.remedy(fault))]
    assert torch.is_grad_enabled()
