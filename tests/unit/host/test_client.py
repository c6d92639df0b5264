"""The client and a real child process with the fake engine: streams, deaths, restarts, no leftovers."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from dlm_core import requests
from dlm_core.client import MAX_LOG_BYTES, EngineClient, default_log_path
from dlm_core.errors import DlmError, HostError, UsageError
from dlm_core.events import AnyEvent, Done, Ready, Reply, Routed, RunEnded, Token, TrainStep
from dlm_core.requests import (
    Generate,
    Message,
    Open,
    Route,
    RoutingChoice,
    Train,
    path_of,
    path_text,
)

ROOT = Path(__file__).parents[3]
HELLO = (Message("user", "hello there"),)


@pytest.fixture
async def start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., EngineClient]]:
    """Makes clients of the fake engine, scripted by keywords; closes them at the end."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    clients: list[EngineClient] = []

    def make(**script: object) -> EngineClient:
        monkeypatch.setenv("DLM_FAKE_ENGINE", json.dumps(script))
        client = EngineClient(engine="tests.fakes.engine:create_engine", log_path=tmp_path / "engine.log")
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.close()


async def opened(client: EngineClient) -> EngineClient:
    await client.start()
    answers = [e async for e in client.stream(Open(request_id=client.new_id(), path="x.dlm"))]
    assert isinstance(answers[-1], Ready)
    return client


def ask(client: EngineClient, text: str = "hello there") -> Generate:
    return Generate(request_id=client.new_id(), messages=(Message("user", text),))


async def collect(client: EngineClient, request: Generate | Train | Route) -> list[AnyEvent]:
    return [event async for event in client.stream(request)]


async def test_a_reply_streams_and_ends(start: Callable[..., EngineClient]) -> None:
    client = await opened(start())
    events = await collect(client, ask(client))
    assert isinstance(events[0], Routed)
    assert isinstance(events[-1], Reply)
    assert "".join(e.text for e in events if isinstance(e, Token)) == events[-1].reply


async def test_a_failure_is_raised_as_the_error_it_was(start: Callable[..., EngineClient]) -> None:
    client = await opened(start())
    choice = RoutingChoice(mode="pin", adapter="nobody")
    with pytest.raises(UsageError, match="nobody") as caught:
        await collect(client, Generate(request_id=client.new_id(), messages=HELLO, choice=choice))
    assert "declared" in caught.value.hint


async def test_a_reply_comes_while_a_run_goes_on_and_a_subscriber_sees_both(
    start: Callable[..., EngineClient],
) -> None:
    client = await opened(start(steps=400, step_delay=0.002))
    subscription = client.subscribe()
    run = asyncio.create_task(collect(client, Train(request_id="train")))
    async for event in subscription:
        if isinstance(event, TrainStep):
            break
    reply = (await collect(client, ask(client)))[-1]
    assert isinstance(reply, Reply)
    assert reply.during_run == 1
    await client.stop("train")
    ended = (await run)[-1]
    assert isinstance(ended, RunEnded)
    assert ended.status == "stopped"
    subscription.close()
    assert any(isinstance(event, Reply) for event in [e async for e in subscription])


async def test_what_libraries_print_goes_to_the_log(
    start: Callable[..., EngineClient], tmp_path: Path
) -> None:
    client = start(raise_on="boom")
    await opened(client)
    with pytest.raises(HostError, match="unexpected ZeroDivisionError") as caught:
        await collect(client, ask(client, "boom"))
    assert str(client.log_path) in caught.value.hint
    assert "a fault in the fake engine" in client.log_path.read_text()
    assert client.log_path.stat().st_mode & 0o077 == 0


async def test_death_is_told_once_in_a_sentence_and_a_restart_brings_it_back(
    start: Callable[..., EngineClient],
) -> None:
    client = start(crash_on="crash")
    told: list[str] = []
    client.on_death = told.append
    await opened(client)
    with pytest.raises(HostError, match="ended with code 17"):
        await collect(client, ask(client, "crash now"))
    assert len(told) == 1
    assert not client.alive
    with pytest.raises(HostError, match="not running"):
        await collect(client, ask(client))
    await client.restart()
    await collect(client, ask(await opened_again(client)))
    assert len(told) == 1


async def opened_again(client: EngineClient) -> EngineClient:
    async for _ in client.stream(Open(request_id=client.new_id(), path="x.dlm")):
        pass
    return client


async def test_a_killed_process_is_named_by_its_signal(start: Callable[..., EngineClient]) -> None:
    client = await opened(start(token_delay=0.5))
    assert client.pid is not None
    with pytest.raises(HostError, match="killed by SIGKILL"):
        async for event in client.stream(ask(client)):
            if isinstance(event, Routed):
                os.kill(client.pid, signal.SIGKILL)


async def test_the_engine_gives_way_to_the_front_end(start: Callable[..., EngineClient]) -> None:
    client = await opened(start())
    assert psutil.Process(client.pid).nice() > psutil.Process().nice()


async def test_close_leaves_no_process_and_no_death_notice(start: Callable[..., EngineClient]) -> None:
    client = start()
    told: list[str] = []
    client.on_death = told.append
    await opened(client)
    pid = client.pid
    assert pid is not None
    await client.close()
    assert not psutil.pid_exists(pid)
    assert client.pid is None
    assert told == []


async def test_a_process_that_hangs_is_killed(
    start: Callable[..., EngineClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlm_core.client.GRACE_S", 0.2)
    client = await opened(start(route_delay=600))
    pid = client.pid
    assert pid is not None
    await client.send(Route(request_id="1", messages=HELLO))
    await client.close()
    assert not psutil.pid_exists(pid)


async def test_a_closed_client_ends_its_subscriptions(start: Callable[..., EngineClient]) -> None:
    client = await opened(start())
    subscription = client.subscribe()
    await client.close()
    assert all(isinstance(event, Done) for event in [e async for e in subscription])


@pytest.mark.slow
def test_the_process_leaves_by_itself_when_the_front_end_is_killed(tmp_path: Path) -> None:
    """A front end that dies by kill -9 closes the pipe; the host sees it and goes."""
    front_end = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from dlm_core.client import EngineClient\n"
        "from dlm_core.requests import Open, Train\n"
        "async def main():\n"
        "    client = EngineClient(engine='tests.fakes.engine:create_engine', log_path=Path(sys.argv[1]))\n"
        "    await client.start()\n"
        "    async for _ in client.stream(Open(request_id='o', path='x.dlm')): pass\n"
        "    async for event in client.stream(Train(request_id='t')):\n"
        "        print(client.pid, flush=True)\n"
        "asyncio.run(main())\n"
    )
    script = json.dumps({"steps": 100_000, "step_delay": 0.01})
    with subprocess.Popen(
        [sys.executable, "-c", front_end, str(tmp_path / "engine.log")],
        env={**os.environ, "PYTHONPATH": str(ROOT), "DLM_FAKE_ENGINE": script},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        host = psutil.Process(int(process.stdout.readline()))
        process.kill()
        process.stdout.close()
    psutil.wait_procs([host], timeout=20)
    assert not host.is_running()


async def test_starting_twice_is_refused(start: Callable[..., EngineClient]) -> None:
    client = start()
    await client.start()
    with pytest.raises(HostError, match="runs already"):
        await client.start()


async def test_an_engine_that_cannot_be_imported_is_a_failure_of_opening(tmp_path: Path) -> None:
    client = EngineClient(engine="no_such_module:create", log_path=tmp_path / "engine.log")
    await client.start()
    with pytest.raises(DlmError, match="ModuleNotFoundError"):
        async for _ in client.stream(Open(request_id="1", path="x.dlm")):
            pass
    await client.close()


async def test_modules_in_the_current_folder_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Callable[..., EngineClient]
) -> None:
    """A document's folder may hold anything, a file called msgspec.py included."""
    (tmp_path / "msgspec.py").write_text("raise SystemExit('imported from the current folder')")
    monkeypatch.chdir(tmp_path)
    await opened(start())


def test_the_log_lies_with_the_rest_of_what_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DLM_HOME", str(tmp_path))
    assert default_log_path() == tmp_path / "logs" / "engine.log"


def test_the_client_imports_no_torch() -> None:
    code = (
        "import sys, dlm_core.client, dlm_core.host\n"
        "print([m for m in ('torch', 'transformers', 'peft') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


async def test_a_log_that_has_grown_large_is_set_aside(
    start: Callable[..., EngineClient], tmp_path: Path
) -> None:
    (tmp_path / "engine.log").write_bytes(b"x" * (MAX_LOG_BYTES + 1))
    await opened(start())
    assert (tmp_path / "engine.log").stat().st_size < MAX_LOG_BYTES
    assert (tmp_path / "engine.log.old").exists()


@pytest.mark.parametrize("name", ["plain", "with blanks", "new\nline", os.fsdecode(b"caf\xe9"), "\u2028é"])
def test_a_path_of_any_bytes_goes_through_a_request_and_back(name: str) -> None:
    path = Path("/tmp") / name
    request = Open(request_id="1", path=path_text(path))
    read = requests.decode(requests.encode(request))
    assert isinstance(read, Open) and path_of(read.path) == path
