"""A small document on the real base, through the command line: train, recall, route, stop, resume."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dlm_core.engine import Engine
from dlm_core.events import Log, Reply, RunEnded, TrainStep
from dlm_core.requests import Message, RoutingChoice, Sampling, TrainOptions

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
