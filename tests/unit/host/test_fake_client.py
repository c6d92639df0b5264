"""The fake client behaves as the real one does, so that tests of front ends mean something."""

import asyncio

import pytest

from dlm_core.errors import HostError
from dlm_core.events import AnyEvent, Reply, RunEnded, TrainStep
from dlm_core.requests import Generate, Message, Open, Train
from tests.fakes.client import FakeClient, Turnstile
from tests.fakes.engine import Script

HELLO = (Message("user", "hello there"),)


async def opened(client: FakeClient) -> FakeClient:
    await client.start()
    async for _ in client.stream(Open(request_id=client.new_id(), path="x.dlm")):
        pass
    return client


async def collect(client: FakeClient, request: Generate | Train) -> list[AnyEvent]:
    return [event async for event in client.stream(request)]


async def test_it_answers_and_records_what_was_asked() -> None:
    client = await opened(FakeClient(Script(reply="yes indeed")))
    reply = (await collect(client, Generate(request_id="1", messages=HELLO)))[-1]
    assert isinstance(reply, Reply)
    assert reply.reply == "yes indeed"
    assert [type(r).__name__ for r in client.sent] == ["Open", "Generate"]
    await client.close()
    assert not client.alive


async def test_a_run_can_be_held_between_steps_and_stopped() -> None:
    turnstile = Turnstile()
    client = await opened(FakeClient(Script(steps=5, step_delay=1), sleep=turnstile.sleep))
    run = asyncio.create_task(collect(client, Train(request_id="t")))
    turnstile.let_pass(2)
    events = client.subscribe()
    async for event in events:
        if isinstance(event, TrainStep) and event.step == 2:
            break
    await client.stop("t")
    turnstile.open()
    ended = (await run)[-1]
    assert isinstance(ended, RunEnded)
    assert ended.status == "stopped"
    await client.close()


async def test_its_death_fails_what_is_open_and_a_restart_helps() -> None:
    told: list[str] = []
    turnstile = Turnstile()
    client = await opened(FakeClient(Script(token_delay=1), sleep=turnstile.sleep, on_death=told.append))
    asking = asyncio.create_task(collect(client, Generate(request_id="1", messages=HELLO)))
    await asyncio.sleep(0)
    client.die()
    with pytest.raises(HostError, match="SIGKILL"):
        await asking
    assert len(told) == 1
    turnstile.open()
    await client.restart()
    await opened_again(client)
    assert client.alive
    await client.close()


async def opened_again(client: FakeClient) -> None:
    async for _ in client.stream(Open(request_id=client.new_id(), path="x.dlm")):
        pass
