"""What an earlier checkout trained and stopped (`tests/fixtures/before`) loads, replies and resumes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dlm_core.engine import Engine
from dlm_core.events import Event, Log, Routed, Token
from dlm_core.requests import Message, RoutingChoice, Sampling, TrainOptions
from dlm_tui.cli import cli

FIXTURE = Path(__file__).parents[2] / "fixtures" / "before"


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """A copy of the fixture, to write to."""
    return shutil.copytree(FIXTURE, tmp_path / "before", ignore=shutil.ignore_patterns("*.py"))


def an_engine(before: Path, document: str, events: list[Event]) -> Engine:
    engine = Engine(before / "home", "cpu", events.append)
    engine.open(before / document)
    return engine


def ask(engine: Engine, question: str, choice: RoutingChoice) -> tuple[dict[str, float], str]:
    events = list(
        engine.generate([Message("user", question)], choice, Sampling(max_tokens=16), lambda: False)
    )
    weights = next(e for e in events if isinstance(e, Routed)).routing.weights
    return weights, "".join(e.text for e in events if isinstance(e, Token))


def test_nothing_is_to_be_trained_again(before: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLM_HOME", str(before / "home"))
    plan = CliRunner().invoke(cli, ["train", "--plan", "--json", str(before / "trained.dlm")])
    assert plan.exit_code == 0, plan.output
    found = json.loads(plan.stdout)
    assert found["reason"] == "nothing changed since the last run"
    assert (found["adapters"], found["untouched"], found["gate"]) == ([], ["facts", "tone"], False)


def test_adapters_and_gate_load_and_reply_as_they_did(before: Path) -> None:
    events: list[Event] = []
    engine = an_engine(before, "trained.dlm", events)
    expected: list[dict[str, Any]] = json.loads((before / "replies.json").read_text("utf-8"))
    for asked in expected:
        mode = "pin" if asked["pin"] else "auto"
        weights, reply = ask(engine, asked["question"], RoutingChoice(mode=mode, adapter=asked["pin"]))
        assert reply == asked["reply"], asked
        assert weights == pytest.approx(asked["weights"], abs=1e-3), asked
    assert not [e for e in events if isinstance(e, Log) and e.level != "info"]
    assert engine.train(TrainOptions(), events.append, lambda: False, lambda: None).reason == (
        "nothing changed since the last run"
    )


@pytest.mark.slow
def test_a_stopped_run_resumes(before: Path) -> None:
    events: list[Event] = []
    engine = an_engine(before, "stopped.dlm", events)
    ended = engine.train(TrainOptions(resume=True), events.append, lambda: False, lambda: None)
    assert ended.status == "done" and set(ended.versions) == {"facts", "tone"}
    resumed = [e.message for e in events if isinstance(e, Log) and e.code == "resumed"]
    assert resumed == ["resumed at step 12, in full"]
    assert ask(engine, "What is the port?", RoutingChoice())[1] == "8443."
