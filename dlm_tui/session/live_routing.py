"""The routing of the line while it is typed: asked for when the keys rest, the newest line wins."""

import asyncio
from collections.abc import Callable, Sequence

from dlm_core.errors import DlmError
from dlm_core.events import Routed, Routing
from dlm_core.requests import Message, Route, RoutingChoice
from dlm_tui.session.conversation import describe
from dlm_tui.session.engine_session import EngineSession

REST_S = 0.06
"""Seconds without a key before the engine is asked; a fifth of a second is to suffice for all."""


class LiveRouting:
    """Keeps `routing` at that of the last line wanted; `stale` while a newer one is on its way."""

    def __init__(self, engine: EngineSession, on_change: Callable[[], None], rest_s: float = REST_S) -> None:
        self.routing: Routing | None = None
        self.stale = False
        self._engine = engine
        self._on_change = on_change
        self.rest_s = rest_s
        self._timer: asyncio.TimerHandle | None = None
        self._asking: asyncio.Task[None] | None = None

    def want(
        self, messages: tuple[Message, ...] | None, choice: RoutingChoice, adapters: Sequence[str]
    ) -> None:
        """The line is now the last of `messages`; None: there is nothing to route."""
        self.cancel()
        static = static_routing(choice, adapters)
        if messages is None or static is not None:
            self.routing, self.stale = static if messages is not None else None, False
            return
        self.stale = True
        if self._engine.state == "ready":
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self.rest_s, self._ask, messages, choice)

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
        request = Route(request_id=self._engine.new_id(), messages=messages, choice=choice)
        try:
            async for event in self._engine.stream(request):
                if isinstance(event, Routed):
                    self.routing, self.stale = event.routing, False
                    self._on_change()
        except DlmError:
            self.routing, self.stale = None, False  # the reply itself will say what is wrong
            self._on_change()


def static_routing(choice: RoutingChoice, adapters: Sequence[str]) -> Routing | None:
    """The routing that needs no engine to be known: every one but the gate's. None in mode auto."""
    match choice.mode:
        case "auto":
            return None
        case "off":
            weights = dict.fromkeys(adapters, 1 / len(adapters)) if adapters else {}
        case "pin":
            weights = {name: float(name == choice.adapter) for name in adapters}
        case "mix":
            total = sum(choice.mix.values()) or 1.0
            weights = {name: choice.mix.get(name, 0.0) / total for name in adapters}
        case "base":
            weights = dict.fromkeys(adapters, 0.0)
    return Routing(mode=choice.mode, weights=weights, reason=describe(choice))


def choice_of(routing: Routing) -> RoutingChoice:
    """The choice that led to `routing`."""
    match routing.mode:
        case "pin":
            return RoutingChoice(mode="pin", adapter=max(routing.weights, key=routing.weights.__getitem__))
        case "mix":
            return RoutingChoice(mode="mix", mix={name: w for name, w in routing.weights.items() if w > 0})
        case "off" | "base":
            return RoutingChoice(mode=routing.mode)
        case _:
            return RoutingChoice()
