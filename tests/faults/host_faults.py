"""Kills the engine process, and stops it in its tracks, while a front end waits for it.

Run it for the figures, as JSON:  python -m tests.faults.host_faults [--stride N]

After each fault: whoever waits gets one sentence that says what happened, where the log is and what to do;
another process starts in its place and answers; none is left over.
"""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import psutil

from dlm_core import client as clients
from dlm_core.client import EngineClient
from dlm_core.errors import HostError
from dlm_core.events import Ready
from dlm_core.requests import AnyRequest, Generate, Message, Open, Route, Train
from tests.faults.tally import Tally, report

ROOT = Path(__file__).parents[2]
GRACE_S = 0.3
_DONE = "the request was done with before"
HELLO = (Message("user", "what is tone"),)
REQUESTS: dict[str, Callable[[str], AnyRequest]] = {
    "open": lambda number: Open(request_id=number, path="notes.dlm"),
    "route": lambda number: Route(request_id=number, messages=HELLO),
    "generate": lambda number: Generate(request_id=number, messages=HELLO),
    "train": lambda number: Train(request_id=number),
}
PLACES = {"open": (0, 1, 2), "route": (0,), "generate": (0, 1, 3, 5), "train": (0, 1, 2, 5, 8)}
SIGNALS = {"killed": signal.SIGKILL, "hangs": signal.SIGSTOP}


async def spoilt(tally: Tally, log: Path, kind: str, request: str, at: int) -> None:
    """One request whose process is killed or stopped after `at` events."""
    place = f"{kind} after {at} events of {request}"
    told: list[str] = []
    client = EngineClient(engine="tests.fakes.engine:create_engine", log_path=log, on_death=told.append)
    try:
        await client.start()
        if request != "open":
            await _opened(client)
        first = client.pid
        assert first is not None
        said = await _said(client, REQUESTS[request](client.new_id()), kind, at)
        # One that is closed before it hangs for good may still have said that the request is done with.
        tally.expect(said is not None or kind == "hangs", f"{place}: nothing was said")
        if said is not None and kind == "killed" and said.hint != _DONE:
            tally.expect("restart" in said.hint and str(log) in said.message, f"{place}: {said}")
            tally.expect(told == [said.message], f"{place}: told {told}")
        if client.pid in (first, None):
            await client.restart()
        tally.expect(await _opened(client), f"{place}: the next process does not open the document")
        tally.expect(client.pid != first and not psutil.pid_exists(first), f"{place}: the old one lives")
    except Exception as error:
        tally.lost.append(f"{place}: {error!r}")
    finally:
        await client.close()


async def _said(client: EngineClient, request: AnyRequest, kind: str, at: int) -> HostError | None:
    """What the waiting side is told; one that hangs is ended by a restart, as the front ends offer."""
    assert client.pid is not None
    seen = 0
    restart: asyncio.Task[None] | None = None

    def strike() -> asyncio.Task[None] | None:
        assert client.pid is not None
        os.kill(client.pid, SIGNALS[kind])
        return asyncio.create_task(client.restart()) if kind == "hangs" else None

    try:
        if at == 0:
            restart = strike()
        async for _ in client.stream(request):
            seen += 1
            if seen == at:
                restart = strike()
    except HostError as error:
        return error
    finally:
        if restart is not None:
            await restart
    # What was said before the blow may have been all there was to say.
    return HostError(str(client.log_path), _DONE) if seen >= at > 0 else None


async def _opened(client: EngineClient) -> bool:
    answers = [event async for event in client.stream(REQUESTS["open"](client.new_id()))]
    return isinstance(answers[-1], Ready)


def run(stride: int) -> Tally:
    """All faults, at every `stride`-th place."""
    os.environ |= {"PYTHONPATH": str(ROOT), "DLM_FAKE_ENGINE": '{"step_delay": 0.02, "token_delay": 0.02}'}
    clients.GRACE_S = GRACE_S
    tally = Tally()
    places = [(kind, request, at) for kind in SIGNALS for request in PLACES for at in PLACES[request]]
    with tempfile.TemporaryDirectory() as folder:
        for kind, request, at in places[::stride]:
            tally.faults[kind] += 1
            asyncio.run(spoilt(tally, Path(folder) / "engine.log", kind, request, at))
    return tally


if __name__ == "__main__":
    sys.exit(report(run, __doc__))
