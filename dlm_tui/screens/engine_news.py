"""The messages in which news of the engine process reaches the workbench."""

from typing import Literal

from textual.message import Message

from dlm_core.events import AnyEvent

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
