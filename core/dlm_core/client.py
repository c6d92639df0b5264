"""The asyncio side of the engine process: starts it, sends requests, hands out events. No torch."""

import asyncio
import contextlib
import inspect
import itertools
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import platformdirs

from dlm_core import errors, events, requests
from dlm_core.engine_protocol import DEFAULT_ENGINE
from dlm_core.errors import NOT_JSON, DlmError, HostError
from dlm_core.events import AnyEvent, Done, Failure
from dlm_core.requests import AnyRequest, Shutdown, Stop
from dlm_core.safetext import visible_line

MAX_LINE_BYTES = 64 * 1024 * 1024
MAX_LOG_BYTES = 4 * 1024 * 1024
GRACE_S = 20.0
"""How long `close` waits for the process to save and leave by itself."""

_log = logging.getLogger(__name__)


def default_log_path() -> Path:
    """Where the engine process writes what libraries print: under `$DLM_HOME`, else the user's log folder."""
    home = os.environ.get("DLM_HOME")
    return (Path(home) / "logs" if home else platformdirs.user_log_path("dlm")) / "engine.log"


class Subscription:
    """Every event from the moment of subscribing, whoever asked for it; ends when the client is closed."""

    def __init__(self, forget: Callable[["Subscription"], None]) -> None:
        self._events: asyncio.Queue[AnyEvent | None] = asyncio.Queue()
        self._forget = forget

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AnyEvent:
        event = await self._events.get()
        if event is None:
            raise StopAsyncIteration
        return event

    def close(self) -> None:
        """No more events; an iteration that waits ends."""
        self._forget(self)
        self._events.put_nowait(None)

    def put(self, event: AnyEvent) -> None:
        """For the client: hand an event over."""
        self._events.put_nowait(event)


class EngineClient:
    """One engine process and the requests under way in it. Use from one event loop.

    `on_death` is called with one sentence when the process ends without having been asked to; requests that
    were open then raise the same sentence as `HostError`. `environ` is the process's environment, None for
    this one's.
    """

    def __init__(
        self,
        *,
        engine: str | None = None,
        log_path: Path | None = None,
        on_death: Callable[[str], None] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.log_path = log_path or default_log_path()
        self.on_death = on_death
        self._environ = environ
        self.log_trouble = ""
        """Why nothing is logged, where the log cannot be written; the process does without it."""
        self._engine = engine or DEFAULT_ENGINE
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._open: dict[str, asyncio.Queue[AnyEvent | HostError]] = {}
        self._subscriptions: list[Subscription] = []
        self._numbers = itertools.count(1)
        self._leaving = False

    @property
    def alive(self) -> bool:
        """Whether the process runs and is meant to."""
        return self._process is not None and self._process.returncode is None and not self._leaving

    @property
    def pid(self) -> int | None:
        """The process id, None before the start and after the end."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    def new_id(self) -> str:
        """An id for the next request, unique to this client."""
        return str(next(self._numbers))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Start the process; returns as soon as requests may be sent, which is at once.

        Raises:
            HostError: it runs already, or cannot be started.
        """
        if self.alive:
            raise HostError("the engine process runs already")
        try:
            with self._log() as log:
                # -P: nothing that lies in the current folder may be imported. A session of its own: Ctrl-C
                # and a closing terminal reach the front end, which then ends the process in order.
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-m", "dlm_core.host"),
                    *("--engine", self._engine, "--log", str(self.log_path)),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=log,
                    env=self._environ,
                    start_new_session=True,
                    limit=MAX_LINE_BYTES,
                )
        except OSError as error:
            raise HostError(f"the engine process cannot be started: {error}") from error
        self._leaving = False
        self._reading = asyncio.create_task(self._read(self._process), name="engine events")

    async def send(self, request: AnyRequest) -> None:
        """Send a request without following its events (a subscription sees them).

        Raises:
            HostError: the process does not run.
        """
        if not self.alive or self._process is None or self._process.stdin is None:
            raise HostError("the engine process is not running", "restart it")
        try:
            self._process.stdin.write(requests.encode(request) + b"\n")
            await self._process.stdin.drain()
        except (ConnectionError, UnicodeEncodeError) as error:
            raise HostError(f"the engine process does not take requests: {error}", "restart it") from error

    async def stream(self, request: AnyRequest) -> AsyncIterator[AnyEvent]:
        """The events that answer a request, ending where it is done.

        Raises:
            DlmError: of the class that the engine raised.
            HostError: the process does not run, or ended before the request was done.
        """
        answers: asyncio.Queue[AnyEvent | HostError] = asyncio.Queue()
        self._open[request.request_id] = answers
        try:
            await self.send(request)
            while True:
                answer = await answers.get()
                match answer:
                    case HostError():
                        raise answer
                    case Failure():
                        raise raised(answer)
                    case Done():
                        return
                    case _:
                        yield answer
        finally:
            self._open.pop(request.request_id, None)

    def subscribe(self) -> Subscription:
        """Follow every event from now on."""
        subscription = Subscription(self._subscriptions.remove)
        self._subscriptions.append(subscription)
        return subscription

    async def stop(self, target: str = "") -> None:
        """Ask that a request stops at its next step or token; "" means whatever runs."""
        if self.alive:
            with contextlib.suppress(HostError):
                await self.send(Stop(request_id=self.new_id(), target=target))

    async def restart(self) -> None:
        """End the process, if it still runs, and start a new one; documents have to be opened again."""
        await self._end()
        await self.start()

    async def close(self) -> None:
        """Let the process save what can be resumed and leave; killed if it does not. Ends subscriptions."""
        await self._end()
        for subscription in tuple(self._subscriptions):
            subscription.close()

    def kill(self) -> None:
        """End the process at once, without a word; `close` is still to follow."""
        self._leaving = True
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def _end(self) -> None:
        process = self._process
        if process is None:
            return
        if self.alive:
            with contextlib.suppress(HostError):
                await self.send(Shutdown(request_id=self.new_id()))
        self._leaving = True
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), GRACE_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if self._reading is not None:
            await self._reading
        self._process = None

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await _line(process.stdout):
            try:
                event = events.decode(line)
            except NOT_JSON as error:
                _log.warning("the engine said what is no event (%s): %.200r", error, line)
                continue
            self._hand_out(event)
        code = await process.wait()
        self._fail_open(HostError("the engine process was closed") if self._leaving else self._death(code))

    def _hand_out(self, event: AnyEvent) -> None:
        if (answers := self._open.get(event.request_id)) is not None:
            answers.put_nowait(event)
        for subscription in self._subscriptions:
            subscription.put(event)

    def _fail_open(self, why: HostError) -> None:
        for answers in self._open.values():
            answers.put_nowait(why)
        if not self._leaving and self.on_death is not None:
            self.on_death(why.message)

    def _death(self, code: int) -> HostError:
        how = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with code {code}"
        log = self.log_trouble or f"its log is {self.log_path}"
        return HostError(f"the engine process {how}; {log}", "restart it")

    def _log(self) -> BinaryIO:
        """The log, opened; nothing, in its place, where the file system does not take it."""
        try:
            return _open_log(self.log_path)
        except OSError as error:
            self.log_trouble = f"the engine's log cannot be kept: {visible_line(str(error))}"
            self.log_path = Path(os.devnull)
            return self.log_path.open("ab")


def raised(failure: Failure) -> DlmError:
    """The error that a Failure stands for: of the class named, or HostError where that is none of ours."""
    found = getattr(errors, failure.kind, None)
    kind = found if inspect.isclass(found) and issubclass(found, DlmError) else HostError
    return kind(failure.message, failure.hint)


def _open_log(path: Path) -> BinaryIO:
    """The log for appending, private to the user; one that has grown large is set aside first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
        path.replace(path.with_name(path.name + ".old"))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


async def _line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readline()
    except ValueError:  # a line over the limit: what is buffered of it has been dropped
        return b"\n"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
