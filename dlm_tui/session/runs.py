"""Runs that a session asks for: sends them, follows their events, stops them."""

import asyncio
from collections.abc import Callable

from msgspec import structs

from dlm_core.events import Event, RunEnded, RunPlanned
from dlm_core.requests import Train
from dlm_tui.session.engine_session import EngineSession
from dlm_tui.session.run_view import RunView


class Runs:
    """At most one run is under way, the newest of the others waits.

    `view` is the run under way, from its plan on. `on_event` gets every event of a run; `on_waiting` is
    called where one is asked for while another goes on, `on_change` where `view` or `under_way` moved.
    """

    def __init__(
        self,
        engine: EngineSession,
        *,
        on_event: Callable[[Event], None],
        on_waiting: Callable[[], None],
        on_change: Callable[[], None],
    ) -> None:
        self.view: RunView | None = None
        self._engine = engine
        self._on_event = on_event
        self._on_waiting = on_waiting
        self._on_change = on_change
        self._asked: list[str] = []
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def under_way(self) -> bool:
        """Whether a run goes on or waits to."""
        return bool(self._asked)

    async def train(self, request: Train) -> RunEnded | None:
        """Send a training and follow it to its end; None if a newer one took its place.

        Raises DlmError as the engine does.
        """
        await self._engine.until_ready()
        request = structs.replace(request, request_id=self._engine.new_id())
        if self.under_way:
            self._on_waiting()
        self._asked.append(request.request_id)
        self._idle.clear()
        self._on_change()
        ended: RunEnded | None = None
        try:
            async for event in self._engine.stream(request):
                if isinstance(event, RunPlanned):
                    self.view = RunView(event.run_id)
                elif isinstance(event, RunEnded):
                    ended = event
                if self.view is not None and self.view.take(event):
                    self._on_change()
                self._on_event(event)
        finally:
            self._asked.remove(request.request_id)
            if not self._asked:
                self._idle.set()
            self.view = None
            self._on_change()
        return ended

    async def idle(self) -> None:
        """Wait until no run is under way."""
        await self._idle.wait()

    async def stop(self) -> None:
        """Ask every run to stop at its next step."""
        for request_id in tuple(self._asked):
            await self._engine.stop(request_id)
