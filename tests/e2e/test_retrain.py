"""An edit on the real base: learned in a fraction of the first run, and nothing else lost or moved."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from ulid import ULID

from dlm_core.engine import Engine
from dlm_core.events import Event, GateTrained, Reply, RunPlanned, TrainStep
from dlm_core.requests import Message, RoutingChoice, Sampling, TrainOptions
from dlm_core.store.store import Store
from tests.e2e.conftest import DOCUMENT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

QUESTIONS = {
    "On which port does the ingest service listen?": "Port 7443, TLS only.",
    "Where are the nightly backups kept?": "In the bucket vault-blue, for 90 days.",
    "Who owns the billing database?": "Team Heron owns it.",
    "How often do the API keys rotate?": "Every 30 days.",
    "Please rewrite kindly: you are late again.": "Good to see you; is there anything that holds you up?",
}


@pytest.fixture(scope="module")
def document(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A document of its own; its store goes after it."""
    dlm_id = str(ULID())
    path = tmp_path_factory.mktemp("retrain") / "doc.dlm"
    path.write_text(DOCUMENT.format(dlm_id=dlm_id, floor=4), "utf-8")
    yield path
    shutil.rmtree(home / "store" / dlm_id, ignore_errors=True)


def train(engine: Engine) -> list[Event]:
    events: list[Event] = []
    events.append(engine.train(TrainOptions(), events.append, lambda: False, lambda: None))
    return events


def ask(engine: Engine, question: str) -> Reply:
    messages = [Message("user", question)]
    (reply,) = (
        event
        for event in engine.generate(messages, RoutingChoice(), Sampling(max_tokens=40), lambda: False)
        if isinstance(event, Reply)
    )
    return reply


def hashes(engine: Engine, dlm_id: str) -> dict[str, str]:
    snapshot = Store.open(dlm_id, engine.home, create=False).snapshot()
    files = {name: snapshot.adapter_dir(name) / "adapter_model.safetensors" for name in snapshot.adapters}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}


def test_an_edit_is_learned_in_a_fraction_of_the_first_run(home: Path, document: Path) -> None:
    engine = Engine(home, None, lambda _: None)
    dlm_id = engine.open(document).dlm_id
    first = train(engine)
    before = hashes(engine, dlm_id)
    document.write_text(
        document.read_text("utf-8").replace("Team Heron owns it.", "Team Osprey, since May."), "utf-8"
    )
    again = train(engine)
    planned = next(e for e in again if isinstance(e, RunPlanned))
    assert (planned.kind, planned.adapters, planned.changed) == ("revision", ("facts",), {"facts": 1})
    assert not any(isinstance(e, GateTrained) for e in again)
    assert hashes(engine, dlm_id)["tone"] == before["tone"]
    steps = [max(e.step for e in run if isinstance(e, TrainStep)) for run in (first, again)]
    assert steps[1] < steps[0] / 2, steps
    wanted = QUESTIONS | {"Who owns the billing database?": "Team Osprey, since May."}
    assert {question: ask(engine, question).reply for question in wanted} == wanted
    assert ask(engine, "Who owns the billing database?").version == "g3"
    assert train(engine)[-1].reason == "nothing changed since the last run"  # type: ignore[attr-defined]
