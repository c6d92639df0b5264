"""The routing of the line while it is typed: asked for when the keys rest, the newest line wins."""

import asyncio
from collections.abc import Callable

from dlm_core.errors import DlmError
from dlm_core.events import Routed, Routing
from dlm_core.requests import Message, Route, RoutingChoice
from dlm_tui.session.engine_session import EngineLink

REST_S = 0.06
"""Seconds without a key before the engine is asked; a fifth of a second is to suffice for all."""


class LiveRouting:
    """Keeps `routing` at that of the last line wanted; `stale` while a newer one is on its way."""

    def __init__(self, link: EngineLink, on_change: Callable[[], None], rest_s: float = REST_S) -> None:
        self.routing: Routing | None = None
        self.stale = False
        self._link = link
        self._on_change = on_change
        self._rest_s = rest_s
        self._timer: asyncio.TimerHandle | None = None
        self._asking: asyncio.Task[None] | None = None

    def want(self, messages: tuple[Message, ...] | None, choice: RoutingChoice) -> None:
        """The line is now the last of `messages`; None: there is nothing to route."""
        self.cancel()
        if messages is None:
            self.routing, self.stale = None, False
            return
        self.stale = True
        if self._link.state == "ready":
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._rest_s, self._ask, messages, choice)

    def cancel(self) -> None:
        """Nothing is on its way any more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._asking is not None:
            self._asking.cancel()
        self._timer = self._asking = None

    def _ask(self, messages: tuple[Message, ...], choice: RoutingChoice) -> None:
        self._asking = asyncio.create_task(self._follow(messages, choice), name="live routing")

    async def _follow(self, messages: tuple[Message, ...], choice: RoutingChoice) -> None:
        request = Route(request_id=self._link.new_id(), messages=messages, choice=choice)
        try:
            async for event in self._link.stream(request):
                if isinstance(event, Routed):
                    self.routing, self.stale = event.routing, False
                    self._on_change()
        except DlmError:
            self.routing, self.stale = None, False  # the reply itself will say what is wrong
            self._on_change()
