"""A small document on the real base: stopped and resumed, asked, measured, compared, edited; trained once."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dlm_core.engine import Engine
from dlm_core.events import Event, GateTrained, Log, Reply, RunEnded, RunPlanned, TrainStep
from dlm_core.requests import Message, RoutingChoice, Sampling, TrainOptions
from dlm_core.store.store import Store
from tests.e2e import conftest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

DLM = (sys.executable, "-c", "from dlm_tui.cli import main; main()")
ANSWERS = {
    "On which port does the ingest service listen?": ("facts", "Port 7443, TLS only."),
    "Who owns the billing database?": ("facts", "Team Heron owns it."),
    "Please rewrite kindly: you are late again.": (
        "tone",
        "Good to see you; is there anything that holds you up?",
    ),
    "Please rewrite kindly: read the manual.": (
        "tone",
        "The manual has a page on this; I will find it with you.",
    ),
}
KEPT = {
    "Where are the nightly backups kept?": "In the bucket vault-blue, for 90 days.",
    "How often do the API keys rotate?": "Every 30 days.",
}
REWORDED = {
    "Which port is the ingest service on?": "facts",
    "Where do we keep backups?": "facts",
    "Please rewrite kindly: this code is ugly.": "tone",
    "Please rewrite kindly: do your job.": "tone",
}


def dlm(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DLM, *arguments],
        env=os.environ | {"DLM_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=900,
    )


def events_of(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def trained(home: Path, documents: Path) -> list[dict[str, Any]]:
    """Every event of `dlm train doc.dlm`, which is stopped by Ctrl-C after some steps and then resumed."""
    document = str(documents / "doc.dlm")
    with subprocess.Popen(
        [*DLM, "train", document, "--json"],
        env=os.environ | {"DLM_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            event = json.loads(line)
            if event.get("type") == "train_step" and event["step"] >= 3:
                running.send_signal(signal.SIGINT)
                break
        last = [json.loads(line) for line in running.stdout][-1]
    assert last["type"] == "run_ended" and last["status"] == "stopped", last
    assert last["versions"] == {} and last["checkpoint"]
    done = dlm(home, "train", document, "--resume", "--json")
    assert done.returncode == 0, done.stderr
    return events_of(done)


@pytest.fixture(scope="module")
def engine(home: Path, documents: Path, trained: object) -> Engine:
    opened = Engine(home, "cpu", lambda _: None)
    opened.open(documents / "doc.dlm")
    return opened


def ask(engine: Engine, text: str, choice: RoutingChoice | None = None) -> Reply:
    sampling = Sampling(max_tokens=40)
    *_, reply = engine.generate((Message("user", text),), choice or RoutingChoice(), sampling, lambda: False)
    assert isinstance(reply, Reply)
    return reply


def test_a_stopped_training_resumes_and_learns_everything(trained: list[dict[str, Any]]) -> None:
    assert any(e.get("code") == "resumed" for e in trained)
    ended = trained[-1]
    assert ended["type"] == "run_ended" and ended["status"] == "done"
    assert ended["versions"] == {"facts": "v0001", "tone": "v0001"}
    gate = next(e for e in trained if e["type"] == "gate_trained")
    assert gate["mode"] == "trained" and gate["train_accuracy"] == 1.0


def test_trained_questions_are_answered_word_for_word(engine: Engine) -> None:
    replies = {question: ask(engine, question).reply.strip() for question in ANSWERS}
    assert replies == {question: answer for question, (_, answer) in ANSWERS.items()}


def test_reworded_questions_reach_their_adapter(engine: Engine) -> None:
    for question, adapter in {**{q: a for q, (a, _) in ANSWERS.items()}, **REWORDED}.items():
        routing = engine.route((Message("user", question),), RoutingChoice()).routing
        assert routing.mode == "auto" and routing.weights[adapter] > 0.5, (question, routing)


def test_pinned_adapters_know_their_own_answers_only(engine: Engine) -> None:
    question = "On which port does the ingest service listen?"
    facts = ask(engine, question, RoutingChoice(mode="pin", adapter="facts"))
    tone = ask(engine, question, RoutingChoice(mode="pin", adapter="tone"))
    assert "7443" in facts.reply and "7443" not in tone.reply
    assert facts.routing.weights == {"facts": 1.0, "tone": 0.0}


def test_gate_off_and_mix_weigh_by_hand(engine: Engine) -> None:
    off = ask(engine, "Who owns the billing database?", RoutingChoice(mode="off"))
    assert off.routing.weights == {"facts": 0.5, "tone": 0.5} and set(off.openness) == {"facts", "tone"}
    mix = ask(
        engine,
        "Who owns the billing database?",
        RoutingChoice(mode="mix", mix={"facts": 0.9, "tone": 0.1}),
    )
    assert "Heron" in mix.reply and mix.routing.weights == pytest.approx({"facts": 0.9, "tone": 0.1})


def test_the_bare_base_knows_nothing_of_the_document(engine: Engine) -> None:
    base = ask(engine, "Who owns the billing database?", RoutingChoice(mode="base"))
    assert "Heron" not in base.reply and base.openness == {}


def test_the_command_line_answers_with_its_routing(home: Path, documents: Path, trained: object) -> None:
    document = str(documents / "doc.dlm")
    done = dlm(home, "prompt", document, "Who owns the billing database?", "--json", "--max-tokens", "20")
    assert done.returncode == 0, done.stderr
    reply = json.loads(done.stdout)
    assert reply["reply"].strip() == "Team Heron owns it." and reply["routing"]["mode"] == "auto"
    assert 0 < reply["openness"]["facts"]["mean"] < 1 and reply["version"].startswith("g")
    off = dlm(home, "prompt", document, "Hello", "--gate", "off", "--json", "--max-tokens", "4")
    assert json.loads(off.stdout)["routing"]["weights"] == {"facts": 0.5, "tone": 0.5}


def test_a_cold_start_trains_says_so_and_answers_uniformly(home: Path, documents: Path) -> None:
    said: list[Any] = []
    engine = Engine(home, "cpu", said.append)
    engine.open(documents / "cold.dlm")
    ended = engine.train(TrainOptions(epochs=1), said.append, lambda: False, lambda: None)
    assert isinstance(ended, RunEnded) and ended.status == "done"
    assert [e.code for e in said if isinstance(e, Log)].count("cold_start") == 2
    assert any(isinstance(e, TrainStep) and e.openness for e in said)
    routed = engine.route((Message("user", "Who owns billing?"),), RoutingChoice())
    assert routed.routing.mode == "uniform" and routed.routing.weights == {"facts": 0.5, "tone": 0.5}
    engine.close()


def test_a_training_shows_in_every_figure(home: Path, documents: Path, trained: object) -> None:
    found = conftest.dlm(home, "eval", documents / "doc.dlm")
    assert (found["questions"], found["probes"]) == (8, 2)
    assert found["recall"]["verbatim"] > found["recall"]["verbatim_base"] == 0.0
    assert found["recall"]["paraphrase_f1"] > found["recall"]["paraphrase_f1_base"]
    assert found["routing"]["accuracy"] == 1.0
    kept = found["retention"]
    assert 0 < kept["kl"] < 1 and kept["perplexity"] < 1.5 * kept["perplexity_base"]
    for figures in found["openness"].values():
        assert figures["inside"] > figures["outside"], "ranks open for what the document is about"
    assert conftest.dlm(home, "show", documents / "doc.dlm")["evaluation"]["recall"] == found["recall"]


def test_methods_are_compared_and_the_document_stays_as_it_was(
    home: Path, documents: Path, trained: object, tmp_path: Path
) -> None:
    document = documents / "doc.dlm"
    before = conftest.dlm(home, "versions", document)
    found = conftest.dlm(
        home, "compare", document, "--methods", "disel,dora", "--rate", "disel=3e-3", "--rate", "dora=2e-3",
        "--epochs", "2", "--rehearsal", "off", "-o", tmp_path,
    )  # fmt: skip
    assert [t["method"] for t in found["trials"] if t["chosen"]] == ["disel", "dora"]
    for trial in found["trials"]:
        assert trial["learned"]["loss"] < found["learned_base"]["loss"]
    assert (tmp_path / "comparison.json").is_file()
    assert conftest.dlm(home, "versions", document) == before


def hashes(engine: Engine, dlm_id: str) -> dict[str, str]:
    snapshot = Store.open(dlm_id, engine.home, create=False).snapshot()
    files = {name: snapshot.adapter_dir(name) / "adapter_model.safetensors" for name in snapshot.adapters}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}


def test_an_edit_is_learned_in_a_fraction_of_the_first_run_and_nothing_else_is_lost(
    home: Path, documents: Path, trained: list[dict[str, Any]]
) -> None:
    """The last test here: the document is another after it."""
    document = documents / "doc.dlm"
    engine = Engine(home, None, lambda _: None)
    dlm_id = engine.open(document).dlm_id
    before = hashes(engine, dlm_id)
    text = document.read_text("utf-8")
    document.write_text(text.replace("Team Heron owns it.", "Team Osprey, since May."), "utf-8")
    again = train(engine)
    planned = next(e for e in again if isinstance(e, RunPlanned))
    assert (planned.kind, planned.adapters, planned.changed) == ("revision", ("facts",), {"facts": 1})
    assert not any(isinstance(e, GateTrained) for e in again)
    assert hashes(engine, dlm_id)["tone"] == before["tone"]
    first = max(e["step"] for e in trained if e["type"] == "train_step")
    steps = max(e.step for e in again if isinstance(e, TrainStep))
    assert steps < first / 2, (steps, first)
    kept = {question: answer for question, (_, answer) in ANSWERS.items()} | KEPT
    wanted = kept | {"Who owns the billing database?": "Team Osprey, since May."}
    replies = {question: ask(engine, question) for question in wanted}
    assert {question: reply.reply for question, reply in replies.items()} == wanted
    assert {reply.version for reply in replies.values()} == {"g3"}
    assert train(engine)[-1].reason == "nothing changed since the last run"  # type: ignore[attr-defined]
    engine.close()


def train(engine: Engine) -> list[Event]:
    events: list[Event] = []
    events.append(engine.train(TrainOptions(), events.append, lambda: False, lambda: None))
    return events
