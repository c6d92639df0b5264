"""Runs that a session asks for: sends them, follows their events, stops them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec import structs

from dlm_core.events import Event, RunEnded, RunPlanned
from dlm_core.requests import Train
from dlm_tui.session.engine_session import EngineSession
from dlm_tui.session.run_view import RunView


@dataclass(kw_only=True)
class Runs:
    """At most one run is under way, the newest of the others waits.

    `view` is the run under way, from its plan on. `on_event` gets every event of a run; `on_waiting` is
    called where one is asked for while another goes on, `on_change` where `view` or `under_way` moved.
    """

    engine: EngineSession
    on_event: Callable[[Event], None]
    on_waiting: Callable[[], None]
    on_change: Callable[[], None]
    view: RunView | None = field(default=None, init=False)
    _asked: list[str] = field(default_factory=list, init=False)
    _idle: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def __post_init__(self) -> None:
        self._idle.set()

    @property
    def under_way(self) -> bool:
        """Whether a run goes on or waits to."""
        return bool(self._asked)

    async def train(self, request: Train) -> RunEnded | None:
        """Send a training and follow it to its end; None if a newer one took its place.

        Raises DlmError as the engine does.
        """
        await self.engine.until_ready()
        request = structs.replace(request, request_id=self.engine.new_id())
        if self.under_way:
            self.on_waiting()
        self._asked.append(request.request_id)
        self._idle.clear()
        self.on_change()
        ended: RunEnded | None = None
        try:
            async for event in self.engine.stream(request):
                if isinstance(event, RunPlanned):
                    self.view = RunView(event.run_id)
                elif isinstance(event, RunEnded):
                    ended = event
                if self.view is not None and self.view.take(event):
                    self.on_change()
                self.on_event(event)
        finally:
            self._asked.remove(request.request_id)
            if not self._asked:
                self._idle.set()
            self.view = None
            self.on_change()
        return ended

    async def idle(self) -> None:
        """Wait until no run is under way."""
        await self._idle.wait()

    async def stop(self) -> None:
        """Ask every run to stop at its next step."""
        for request_id in tuple(self._asked):
            await self.engine.stop(request_id)
