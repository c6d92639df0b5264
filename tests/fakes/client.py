"""An engine client without a process: the real host over a fake engine, in a thread. For tests of front ends.

client = FakeClient(Script(reply="yes"))          # same surface as EngineClient
client = FakeClient(Script(steps=9, step_delay=1), sleep=turnstile.sleep)   # waits until a test lets it pass
client.die("the engine process was killed by SIGKILL")
"""

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

from dlm_core.client import EngineClient
from dlm_core.errors import HostError
from dlm_core.events import AnyEvent, Done, Event
from dlm_core.host import Host, Inbox
from dlm_core.requests import AnyRequest, Shutdown, Stop
from tests.fakes.engine import FakeEngine, Script


class Turnstile:
    """Stands in for `time.sleep` in the fake engine: every delay waits until the test lets it pass."""

    def __init__(self) -> None:
        self._passes = threading.Semaphore(0)
        self._open = threading.Event()

    def sleep(self, seconds: float) -> None:
        """One delay. Ten seconds without a pass is a test that went wrong, and the delay is over."""
        del seconds
        if not self._open.is_set():
            self._passes.acquire(timeout=10)

    def let_pass(self, times: int = 1) -> None:
        """Let that many delays end."""
        self._passes.release(times)

    def open(self) -> None:
        """Let every delay end at once from now on."""
        self._open.set()
        self._passes.release(1000)


class FakeClient(EngineClient):
    """`EngineClient` whose process is a thread; `engine` is the fake one, `sent` every request in order."""

    def __init__(
        self,
        script: Script | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        on_death: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(log_path=Path("engine.log"), on_death=on_death)
        self.script = script or Script()
        self.sent: list[AnyRequest] = []
        self.engine = FakeEngine(self.script, sleep)
        self._sleep = sleep
        self._inbox: Inbox | None = None
        self._thread: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        return self._inbox is not None

    @property
    def pid(self) -> int | None:
        return 4242 if self.alive else None

    async def start(self) -> None:
        if self.alive:
            raise HostError("the engine process runs already")
        loop = asyncio.get_running_loop()
        inbox = self._inbox = Inbox()
        self._leaving = False
        self.engine = FakeEngine(self.script, self._sleep)

        def write(event: Event) -> None:
            if self._inbox is inbox and not loop.is_closed():
                loop.call_soon_threadsafe(self._hand_out, cast(AnyEvent, event))

        self._write = write
        host = Host(lambda: self.engine, inbox, write, self.log_path)
        self._thread = threading.Thread(target=host.run, name="fake engine", daemon=True)
        self._thread.start()

    async def send(self, request: AnyRequest) -> None:
        if self._inbox is None:
            raise HostError("the engine process is not running", "restart it")
        self.sent.append(request)
        for superseded in self._inbox.put(request):
            self._write(Done(request_id=superseded))
        if isinstance(request, Stop | Shutdown):
            self._write(Done(request_id=request.request_id))

    def die(self, sentence: str = "the engine process was killed by SIGKILL") -> None:
        """The process is gone: open requests fail, `on_death` is told."""
        self._drop()
        self._fail_open(HostError(sentence, "restart it"))

    async def _end(self) -> None:
        self._leaving = True
        thread = self._thread
        self._drop()
        if thread is not None:
            await asyncio.to_thread(thread.join, 10)
        self._fail_open(HostError("the engine process was closed"))

    def _drop(self) -> None:
        inbox, self._inbox = self._inbox, None
        if inbox is not None:
            inbox.close()
