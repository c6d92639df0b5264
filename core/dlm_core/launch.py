"""One training in several engine processes of this machine.

    command ─▶ process 0, which writes and speaks; its events are passed on
            └▶ processes 1…, which help it train and say nothing

They find each other at a port of this machine and train as one (`dlm_core.training.processes`). Whichever
fails or dies ends the run. torch is in the processes, not here.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import structs

from dlm_core.client import EngineClient, default_log_path
from dlm_core.engine_protocol import Emit, ShouldStop
from dlm_core.errors import DlmError, HostError
from dlm_core.events import AnyEvent, Failure, RunEnded
from dlm_core.requests import Open, Train, TrainOptions, path_text

SETTLES_S = 5.0
"""How long the others may take to notice that one process is gone, and the first to record it."""
_LOOKS_S = 0.1  # between two looks at whether to stop


def run_train(
    path: Path,
    options: TrainOptions,
    processes: int,
    emit: Emit,
    stop: ShouldStop,
    *,
    engine: str | None = None,
) -> RunEnded:
    """Train the document at `path` in so many processes; every event of the first goes to `emit`, the last
    one included.

    `stop` is asked several times a second, and ends them all at their next step. An exception from `emit`
    kills them.

    Raises:
        HostError: a process died; the log that is named is its own.
        DlmError: as `oneshot.run_train`.
    """

    async def run() -> RunEnded:
        async with _team(processes, engine) as team:
            await team.open(path, emit)
            return await team.train(options, emit, stop)

    return asyncio.run(run())


def watch_train(
    path: Path,
    options: TrainOptions,
    processes: int,
    emit: Emit,
    stop: ShouldStop,
    saved: Callable[[], bool],
    *,
    engine: str | None = None,
) -> None:
    """As `run_train`, and again whenever the document was saved; see `oneshot.watch_train`."""

    async def watch(options: TrainOptions) -> None:
        async with _team(processes, engine) as team:
            await team.open(path, emit)
            while True:
                try:
                    await team.train(options, emit, stop)
                except HostError:
                    raise
                except DlmError as error:
                    emit(Failure(kind=type(error).__name__, message=error.message, hint=error.hint))
                options = structs.replace(options, fresh=False, resume=False)
                if stop() or not saved():
                    return

    asyncio.run(watch(options))


class Team:
    """Engine processes that train one document together; made by `_team`."""

    def __init__(self, clients: Sequence[EngineClient], deaths: Sequence[str]) -> None:
        self._clients, self._deaths = list(clients), deaths

    async def open(self, path: Path, emit: Emit) -> None:
        """Open the document in all of them."""
        text = path_text(path)
        await self._together(
            [self._follow(c, Open(request_id=c.new_id(), path=text), emit) for c in self._clients]
        )

    async def train(self, options: TrainOptions, emit: Emit, stop: ShouldStop) -> RunEnded:
        """One run; what the first process says."""
        fields = structs.asdict(options)
        asks = [Train(request_id=client.new_id(), **fields) for client in self._clients]
        stopping = asyncio.create_task(self._stop_when(stop))
        try:
            last = await self._together(
                [self._follow(c, ask, emit) for c, ask in zip(self._clients, asks, strict=True)]
            )
        finally:
            stopping.cancel()
        if not isinstance(last, RunEnded):
            raise HostError("the first process ended without a word")
        return last

    async def _follow(self, client: EngineClient, request: Open | Train, emit: Emit) -> AnyEvent | None:
        """A request's last event; those of the first process go to `emit`."""
        last = None
        async for event in client.stream(request):
            last = structs.replace(event, request_id="")
            if client is self._clients[0]:
                emit(last)
        return last

    async def _stop_when(self, asked: ShouldStop) -> None:
        while not asked():
            await asyncio.sleep(_LOOKS_S)
        for client in self._clients:
            await client.stop()

    async def _together(self, parts: Sequence[Coroutine[Any, Any, AnyEvent | None]]) -> AnyEvent | None:
        """Do all parts, and give the result of the first process's. Raises the error that says most."""
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            if any(isinstance(error, HostError) for error in _errors(tasks)):
                await asyncio.wait(
                    tasks, timeout=SETTLES_S
                )  # who lost the connection notices before who died
            errors = _errors(tasks)
        finally:
            for task in tasks:
                task.cancel()
        if self._deaths:
            raise HostError(self._deaths[0], "the versions from before stand; train again")
        for error in sorted(errors, key=lambda error: isinstance(error, HostError)):
            raise error
        found: AnyEvent | None = tasks[0].result()
        return found


def _errors(tasks: Sequence["asyncio.Future[AnyEvent | None]"]) -> list[BaseException]:
    found = (task.exception() for task in tasks if task.done() and not task.cancelled())
    return [error for error in found if error is not None]


@asynccontextmanager
async def _team(count: int, engine: str | None) -> AsyncIterator[Team]:
    """So many processes, started; closed afterwards, and killed where the block raises."""
    deaths: list[str] = []
    clients: list[EngineClient] = []
    port = _free_port()
    for rank in range(count):
        log = default_log_path().with_name(f"process-{rank}.log")
        client = EngineClient(
            engine=engine,
            log_path=log,
            environ=_environ(rank, count, port),
            on_death=lambda told, rank=rank: deaths.append(_blamed(told, rank, count)),  # type: ignore[misc]
        )
        clients.append(client)
    try:
        for client in clients:
            await client.start()
        yield Team(clients, deaths)
    except BaseException:
        for client in clients:
            client.kill()
        raise
    finally:
        await asyncio.gather(*(client.close() for client in clients))


def _blamed(told: str, rank: int, count: int) -> str:
    return f"process {rank} of {count} ended the run: {told}"


def _environ(rank: int, count: int, port: int) -> dict[str, str]:
    """The environment of one process: its place, and its share of the cores unless the user has set one."""
    here = {
        "RANK": f"{rank}",
        "LOCAL_RANK": f"{rank}",
        "WORLD_SIZE": f"{count}",
        "LOCAL_WORLD_SIZE": f"{count}",
    }
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": f"{port}"}
    threads = {"OMP_NUM_THREADS": f"{max(1, _cores() // count)}"}
    return {**threads, **os.environ, **here, **meeting}


def most_processes() -> int:
    """How many processes this machine can hold: one a core, and two on any, to see that it works."""
    return max(2, os.cpu_count() or 1)


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
