"""A session's line to the engine process: opens the document, says how it stands, comes back from a death."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from msgspec import structs

from dlm_core.client import EngineClient, Subscription
from dlm_core.errors import DlmError, HostError, Stopped
from dlm_core.events import (
    AnyEvent,
    BaseProgress,
    Compared,
    Evaluated,
    Examined,
    ExportDone,
    Log,
    Masked,
    MaskedRow,
    Ready,
    Why,
    Working,
)
from dlm_core.reports import Checkup, Comparison, Evaluation
from dlm_core.requests import (
    AnyRequest,
    Compare,
    Doctor,
    Evaluate,
    Explain,
    Export,
    Mask,
    Message,
    Open,
    Reload,
    RoutingChoice,
    path_text,
)
from dlm_tui.session.meaning import vectors_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RESTART_HINT = "/restart brings it back; the conversation stays"

EngineState = Literal["starting", "loading", "comparing", "ready", "refused", "dead"]
"""`comparing`: the process trains methods side by side, and the document is closed meanwhile."""

Told = Callable[[Working | Log], None]
"""Hears how far something has come."""
Answered = TypeVar("Answered", bound=AnyEvent)


class EngineSession:
    """One document open in one engine process.

    `on_log` gets what the engine says while it opens the document; `on_state` is called whenever `state` or
    `detail` (what is going on, in a few words) changes, `on_trouble` with what keeps the document from being
    open.
    """

    def __init__(
        self,
        client: EngineClient,
        path: Path,
        *,
        on_log: Callable[[Log], None],
        on_state: Callable[[], None],
        on_trouble: Callable[[DlmError], None],
    ) -> None:
        self.state: EngineState = "starting"
        self.detail = ""
        self.ready: Ready | None = None
        self._client = client
        self._path = path
        self._on_log = on_log
        self._on_state = on_state
        self._on_trouble = on_trouble
        self._trouble: DlmError | None = None
        self._settled = asyncio.Event()
        self._opening: asyncio.Task[None] | None = None
        self._told_of_log = False
        client.on_death = self._died

    @property
    def pid(self) -> int | None:
        """The process id; None while there is no process."""
        return self._client.pid

    async def start(self) -> None:
        """Start the process and begin to open the document; returns before it is open."""
        await self._start(self._client.start)

    async def restart(self) -> None:
        """End the process, start it anew and open the document again."""
        await self._cancel_opening()
        self._set("starting")
        self._settled.clear()
        await self._start(self._client.restart)

    def reopen(self) -> None:
        """Open the document again in the running process, after it was refused or something else changed."""
        if self.state == "comparing":
            return  # it is opened again after that anyway
        if self._client.alive and (self._opening is None or self._opening.done()):
            self._open(Reload(request_id=self.new_id()) if self.state == "ready" else self._open_request())

    def committed(self, adapters: Iterable[str], version: str) -> None:
        """A run in this process ended with new versions of these adapters; `ready` says so from now on."""
        if self.ready is not None:
            served = tuple(dict.fromkeys((*self.ready.adapters, *adapters)))
            self.ready = structs.replace(self.ready, adapters=served, version=version)

    async def until_ready(self) -> Ready:
        """Wait until the document is open. Raises DlmError if it cannot be, or the process is gone."""
        await self._settled.wait()
        if self._trouble is not None:
            raise self._trouble
        assert self.ready is not None
        return self.ready

    async def explain(self, messages: tuple[Message, ...], choice: RoutingChoice, *, alone: int = 0) -> Why:
        """What stands behind the routing of the last of `messages`, and the first `alone` tokens that the
        weights would say without the document.
        """
        await self.until_ready()
        request = Explain(request_id=self.new_id(), messages=messages, choice=choice, alone=alone)
        found = [event async for event in self.stream(request) if isinstance(event, Why)]
        if not found:
            raise HostError("the engine did not say why")
        return found[-1]

    async def vectors(self, texts: Sequence[str]) -> "NDArray[np.float32] | None":
        """What texts mean; see `vectors_of`."""
        return await vectors_of(self, texts)

    async def mask(self) -> tuple[MaskedRow, ...]:
        """The rows that a training of the document, as it stands on disk, would learn from."""
        rows: tuple[MaskedRow, ...] = ()
        async for event in self.stream(Mask(request_id=self.new_id(), path=path_text(self._path))):
            if isinstance(event, Masked):
                rows = event.rows
        return rows

    async def evaluate(self, on_working: Callable[[Working], None]) -> Evaluation:
        """Measure the committed versions, as `dlm eval`; `on_working` hears how far it has come.

        Cancelled, it stops at the next token, and nothing is recorded. Raises DlmError as the engine does.
        """
        await self.until_ready()

        def told(event: Working | Log) -> None:
            if isinstance(event, Working):
                on_working(event)
            else:
                self._on_log(event)

        return (await self._answer(Evaluate(request_id=self.new_id()), Evaluated, told)).evaluation

    async def export(self, request: Export, told: Told) -> ExportDone:
        """Write the committed versions for other programs, as `dlm export`.

        Asked to `stop` (or cancelled), it does at the next forward or tensor, and nothing is written. Raises
        DlmError as the engine does, ExportExistsError where an earlier export would have to be replaced.
        """
        await self.until_ready()
        return await self._answer(request, ExportDone, told)

    async def doctor(self) -> Checkup:
        """What the document needs of this machine, as `dlm doctor`; also while it cannot be opened."""
        request = Doctor(request_id=self.new_id(), path=path_text(self._path))
        return (await self._answer(request, Examined, lambda event: None)).checkup

    async def compare(self, request: Compare, told: Told) -> Comparison:
        """Train methods on the document's rows and measure them, as `dlm compare`.

        The process lets go of the document for it, and opens it again in the end. Asked to `stop`, it does at
        the next step, and the trainings that are done are kept. Raises DlmError as the engine does.
        """
        await self.until_ready()
        self._set("comparing")
        self._settled.clear()
        try:
            return (await self._answer(request, Compared, told)).comparison
        finally:
            if self.state == "comparing":
                self._open(self._open_request())

    async def _answer(self, request: AnyRequest, kind: type[Answered], told: Told) -> Answered:
        """The event of this kind that answers a request; cancelled, it is asked to stop."""
        found: Answered | None = None
        try:
            async for event in self.stream(request):
                if isinstance(event, kind):
                    found = event
                elif isinstance(event, Working | Log):
                    told(event)
        except asyncio.CancelledError:
            await self.stop(request.request_id)
            raise
        if found is None:
            raise Stopped("stopped before it began")
        return found

    async def stream(self, request: AnyRequest) -> AsyncIterator[AnyEvent]:
        """The events that answer a request, as `EngineClient.stream`."""
        try:
            async for event in self._client.stream(request):
                yield event
        except HostError as error:
            if self.state != "dead":
                raise
            raise HostError(error.message, RESTART_HINT) from error

    def subscribe(self) -> Subscription:
        """Follow every event from now on, whoever asked for it."""
        return self._client.subscribe()

    def new_id(self) -> str:
        """An id for the next request."""
        return self._client.new_id()

    async def stop(self, target: str = "") -> None:
        """Ask that a request stops; "" means whatever runs."""
        await self._client.stop(target)

    async def close(self) -> None:
        """Let the process save what can be resumed, and leave."""
        await self._cancel_opening()
        await self._client.close()

    async def _start(self, start: Callable[[], Awaitable[None]]) -> None:
        try:
            await start()
        except HostError as error:
            self._settle("dead", error)
        else:
            if (trouble := self._client.log_trouble) and not self._told_of_log:
                self._told_of_log = True
                self._on_log(Log(level="warning", message=trouble, code="log_not_kept"))
            self._open(self._open_request())

    def _open_request(self) -> Open:
        return Open(request_id=self.new_id(), path=path_text(self._path))

    def _open(self, request: Open | Reload) -> None:
        self._set("loading")
        self._settled.clear()
        self._opening = asyncio.create_task(self._follow(request), name="open document")

    async def _follow(self, request: Open | Reload) -> None:
        try:
            async for event in self.stream(request):
                match event:
                    case Ready():
                        self.ready = event
                        self._settle("ready")
                    case BaseProgress():
                        self._set("loading", _loading(event))
                    case Log():
                        self._on_log(event)
        except DlmError as error:
            if self.state != "dead":
                self._settle("refused", error)
            return
        if self.state == "loading":
            self._settle("refused", HostError("the engine did not open the document"))

    def _died(self, sentence: str) -> None:
        self._settle("dead", HostError(sentence, RESTART_HINT))

    def _settle(self, state: EngineState, trouble: DlmError | None = None) -> None:
        self._trouble = trouble
        self._set(state)
        self._settled.set()
        if trouble is not None:
            self._on_trouble(trouble)

    def _set(self, state: EngineState, detail: str = "") -> None:
        self.state, self.detail = state, detail
        self._on_state()

    async def _cancel_opening(self) -> None:
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)


def _loading(event: BaseProgress) -> str:
    if event.total_bytes:
        share = f"{event.done_bytes / event.total_bytes:.0%} of {event.total_bytes / 1e6:.0f} MB"
        return f"{event.base} from {event.source}, {share}"
    return f"{event.base} from {event.source}"
