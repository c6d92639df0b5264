"""The chat on the real base: trained here, asked in a pipe and through the client."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dlm_core.client import EngineClient
from dlm_core.events import Reply, Routed
from dlm_core.requests import Generate, Message, Open, Route, RoutingChoice, Sampling

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

DOCUMENT = """---
dlm_id: 01M80E2XX9H73A5ZQ388STD2NV
base_model: smollm2-135m
training:
  num_epochs: 3
  adapters:
    facts: {lora_r: 4}
    tone: {lora_r: 4}
  gate: {enabled: true, cold_start_floor: 2}
---

::instruction#facts::
### Q
What is the extension of the duty desk?
### A
It is 4410.

::instruction#facts::
### Q
Which port does the ledger listen on?
### A
It is 7070.

::instruction#tone::
### Q
Write a greeting to a customer.
### A
Good day, and thank you for writing.

::instruction#tone::
### Q
Write a farewell to a customer.
### A
Kind regards, your desk.
"""


@pytest.fixture(scope="module")
def trained(own_home: Path) -> Path:
    """A trained document in a home of its own."""
    path = own_home / "desk.dlm"
    path.write_text(DOCUMENT, encoding="utf-8")
    said = dlm(path, "train")
    assert said.returncode == 0, said.stderr
    return path


def dlm(path: Path, command: str, text: str = "", *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("dlm")), command, str(path), *flags],
        input=text,
        env={**os.environ, "DLM_HOME": str(path.parent)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


@pytest.fixture
async def engine(trained: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EngineClient]:
    monkeypatch.setenv("DLM_HOME", str(trained.parent))
    client = await opened(trained)
    yield client
    await client.close()


async def opened(path: Path) -> EngineClient:
    client = EngineClient()
    await client.start()
    async for _ in client.stream(Open(request_id=client.new_id(), path=str(path))):
        pass
    return client


async def reply_to(
    client: EngineClient, said: list[str], choice: RoutingChoice, seed: int | None = None
) -> Reply:
    messages = tuple(Message("user" if n % 2 == 0 else "assistant", text) for n, text in enumerate(said))
    sampling = Sampling(max_tokens=24, temperature=0.0 if seed is None else 0.8, seed=seed)
    request = Generate(request_id=client.new_id(), messages=messages, choice=choice, sampling=sampling)
    replies = [e async for e in client.stream(request) if isinstance(e, Reply)]
    return replies[0]


def test_a_pipe_gets_routed_replies_turn_after_turn(trained: Path) -> None:
    asked = "What is the extension of the duty desk?\n/gate off\nWhich port does the ledger listen on?\n"
    said = dlm(trained, "repl", asked, "--json")
    assert said.returncode == 0, said.stderr
    first, second = (json.loads(line) for line in said.stdout.splitlines())
    assert first["reply"].strip()
    assert first["routing"]["mode"] == "auto"
    assert first["routing"]["weights"]["facts"] > 0.5
    assert second["routing"]["weights"] == {"facts": 0.5, "tone": 0.5}


async def test_a_reply_equals_that_of_a_fresh_process_whatever_was_asked_before(
    engine: EngineClient, trained: Path
) -> None:
    """Keys and values kept under other weights, or of another conversation, must not leak in."""
    question = ["What is the extension of the duty desk?"]
    first = await reply_to(engine, question, RoutingChoice())
    await reply_to(engine, question, RoutingChoice(mode="pin", adapter="tone"))
    await reply_to(engine, question, RoutingChoice(mode="base"))
    history = [*question, first.reply, "Which port does the ledger listen on?"]
    for choice in (RoutingChoice(), RoutingChoice(mode="off"), RoutingChoice(mode="base")):
        here = [await reply_to(engine, history, choice, seed) for seed in (None, 7)]
        fresh_engine = await opened(trained)
        fresh = [await reply_to(fresh_engine, history, choice, seed) for seed in (None, 7)]
        await fresh_engine.close()
        assert [r.reply for r in here] == [r.reply for r in fresh]
        assert [r.routing for r in here] == [r.routing for r in fresh]


async def test_routing_of_a_line_agrees_with_the_routing_of_its_reply(engine: EngineClient) -> None:
    messages = (Message("user", "Write a greeting to a customer."),)
    request = Route(request_id=engine.new_id(), messages=messages)
    routed = [e async for e in engine.stream(request) if isinstance(e, Routed)]
    reply = await reply_to(engine, [messages[0].content], RoutingChoice())
    assert routed[0].routing == reply.routing
