"""What the workbench asks of its engine process, and the messages in which its news arrives."""

from pathlib import Path
from typing import Literal

from msgspec import structs
from textual.message import Message

from dlm_core.client import EngineClient
from dlm_core.events import AnyEvent, Masked, MaskedRow, RunEnded, Why
from dlm_core.requests import Explain, Mask, Open, Reload, RoutingChoice, Train
from dlm_core.requests import Message as Said

EngineState = Literal["starting", "loading", "ready", "dead", "refused"]


class EngineSpoke(Message):
    """The engine said something; `event` is what."""

    def __init__(self, event: AnyEvent) -> None:
        super().__init__()
        self.event = event


class EngineChanged(Message):
    """The engine is in another state; `text` says so in a sentence."""

    def __init__(self, state: EngineState, text: str) -> None:
        super().__init__()
        self.state = state
        self.text = text


class EngineRoom:
    """One document in one engine process. Every coroutine raises DlmError for what a person can put right."""

    def __init__(self, client: EngineClient, path: Path) -> None:
        self.client = client
        self._path = path

    async def open(self) -> None:
        """Start the process unless it runs, and open the document in it."""
        if not self.client.alive:
            await self.client.start()
        request = Open(request_id=self.client.new_id(), path=str(self._path.resolve()))
        async for _ in self.client.stream(request):
            pass

    async def restart(self) -> None:
        """End the process, start another one, and open the document in it."""
        await self.client.restart()
        await self.open()

    async def reload(self) -> None:
        """Take up what another process committed."""
        async for _ in self.client.stream(Reload(request_id=self.client.new_id())):
            pass

    async def train(self, wanted: Train) -> RunEnded | None:
        """Train the document as it stands on disk; answers how the run ended."""
        ended: RunEnded | None = None
        async for event in self.client.stream(structs.replace(wanted, request_id=self.client.new_id())):
            if isinstance(event, RunEnded):
                ended = event
        return ended

    async def explain(self, asked: tuple[Said, ...], choice: RoutingChoice) -> Why | None:
        """What stands behind the routing of a prompt."""
        why: Why | None = None
        request = Explain(request_id=self.client.new_id(), messages=asked, choice=choice)
        async for event in self.client.stream(request):
            if isinstance(event, Why):
                why = event
        return why

    async def mask(self) -> tuple[MaskedRow, ...]:
        """The rows that a training of the document, as it stands on disk, would learn from."""
        rows: tuple[MaskedRow, ...] = ()
        request = Mask(request_id=self.client.new_id(), path=str(self._path.resolve()))
        async for event in self.client.stream(request):
            if isinstance(event, Masked):
                rows = event.rows
        return rows
