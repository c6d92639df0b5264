"""What texts mean, asked of an engine process's sentence encoder from the thread that reads an import."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from dlm_core.errors import DlmError, Stopped
from dlm_core.events import AnyEvent, Embedded
from dlm_core.requests import AnyRequest, Embed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Vectors = Callable[[Sequence[str]], "Coroutine[Any, Any, NDArray[np.float32] | None]"]
"""Gives texts their vectors [texts, width], or None."""
_AT_ONCE = 64  # texts to a request: between two of them the engine trains, routes and replies
_LOOKED_EVERY_S = 0.1


class Asked(Protocol):
    """An engine process that takes requests: an `EngineClient`, or a session's `EngineSession`."""

    def stream(self, request: AnyRequest) -> AsyncIterator[AnyEvent]: ...

    def new_id(self) -> str: ...


async def vectors_of(engine: Asked, texts: Sequence[str]) -> "NDArray[np.float32] | None":
    """The texts' vectors [texts, width]; None where the engine has no sentence encoder, or is not there."""
    import numpy as np

    found: list[NDArray[np.float32]] = []
    try:
        for start in range(0, len(texts), _AT_ONCE):
            request = Embed(request_id=engine.new_id(), texts=tuple(texts[start : start + _AT_ONCE]))
            async for event in engine.stream(request):
                if isinstance(event, Embedded):
                    if not event.width:
                        return None
                    found.append(np.frombuffer(event.vectors, "<f4").reshape(-1, event.width))
    except DlmError:
        return None
    matrix = np.concatenate(found) if found else None
    return matrix if matrix is not None and len(matrix) == len(texts) else None


def meaning_from(
    vectors: Vectors, loop: asyncio.AbstractEventLoop, stop: Callable[[], bool]
) -> "Callable[[Sequence[str]], NDArray[np.float32] | None]":
    """`vectors`, run on `loop`, as a function for another thread. It raises Stopped once `stop` says so."""

    def meaning(texts: Sequence[str]) -> "NDArray[np.float32] | None":
        asked = asyncio.run_coroutine_threadsafe(vectors(texts), loop)
        while True:
            try:
                return asked.result(_LOOKED_EVERY_S)
            except TimeoutError:
                if stop():
                    asked.cancel()
                    raise Stopped("stopped by you; nothing was brought in") from None

    return meaning
