"""The engine as a child process: requests in on stdin, events out on stdout, one line of JSON each.

    front end ──stdin──▶ reader thread ─▶ Inbox ─▶ main thread ─▶ engine ─▶ events ──stdout──▶ front end

The main thread alone touches the engine. Between two training steps it serves what waits; a stop, a shutdown
or the end of stdin is seen by the reader at once and by the engine at its next step or token. What libraries
print goes to the log file: the file descriptors are redirected before torch is imported.
"""

import argparse
import importlib
import logging
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import msgspec

from dlm_core import requests
from dlm_core.engine_protocol import (
    DEFAULT_ENGINE,
    CompareOptions,
    EngineFactory,
    EngineProtocol,
    EvalOptions,
    ExportOptions,
)
from dlm_core.errors import NOT_JSON, DlmError, HostError, UsageError
from dlm_core.events import Compared, Done, Event, Examined, ExportDone, Failure, Masked, encode
from dlm_core.requests import (
    AnyRequest,
    Compare,
    Doctor,
    Embed,
    Evaluate,
    Explain,
    Export,
    Generate,
    Mask,
    Open,
    Reload,
    Route,
    Shutdown,
    Stop,
    Train,
    path_of,
    path_text,
)
from dlm_core.safetext import visible
from dlm_core.surroundings import leave_quickly, paused_collector, settle

MAX_LINE_BYTES = 16 * 1024 * 1024
NICENESS = 5
"""Training takes every core there is; the front end, which has little to do, must not wait for it."""
_BETWEEN_STEPS = (Route, Generate, Explain, Embed, Doctor)
_BETWEEN_TOKENS = (Route,)
_log = logging.getLogger(__name__)


class Inbox:
    """Requests that wait, and the ids that were asked to stop. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[AnyRequest] = deque()
        self._running: list[str] = []
        self._stopped: set[str] = set()
        self._closing = False

    def put(self, request: AnyRequest) -> list[str]:
        """Take a request in. Returns the ids of waiting requests that this one makes pointless.

        A newer Route supersedes a waiting one, and so does a newer Train. A Stop withdraws what waits under
        its target and marks what runs under it; a Shutdown stops all.
        """
        with self._changed:
            if isinstance(request, Shutdown):
                return self._close()
            if isinstance(request, Stop):
                self._stopped.update(r for r in self._running if request.target in ("", r))
                return self._withdraw(lambda r: request.target in ("", r.request_id))
            dropped: list[str] = []
            if isinstance(request, Route | Train):
                kind = type(request)
                dropped = self._withdraw(lambda r: isinstance(r, kind))
            self._waiting.append(request)
            self._changed.notify()
            return dropped

    def close(self) -> list[str]:
        """No more requests will come: stop what runs. Returns the ids that were still waiting."""
        with self._changed:
            return self._close()

    def take(self) -> AnyRequest | None:
        """The next request, marked as running; blocks. None once the inbox is closed."""
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            if self._closing:
                return None
            return self._start(self._waiting.popleft())

    def take_between(self, kinds: tuple[type[AnyRequest], ...]) -> AnyRequest | None:
        """The next waiting request of these kinds, to be served while another is under way; never blocks."""
        with self._changed:
            for request in self._waiting:
                if isinstance(request, kinds):
                    self._waiting.remove(request)
                    return self._start(request)
            return None

    def finished(self, request_id: str) -> None:
        """The request no longer runs."""
        with self._changed:
            self._running.remove(request_id)
            self._stopped.discard(request_id)

    def should_stop(self, request_id: str) -> bool:
        """Whether this request was asked to stop, or the process was."""
        return self._closing or request_id in self._stopped

    def _start(self, request: AnyRequest) -> AnyRequest:
        self._running.append(request.request_id)
        return request

    def _close(self) -> list[str]:
        self._closing = True
        self._changed.notify()
        return self._withdraw(lambda r: True)

    def _withdraw(self, chosen: Callable[[AnyRequest], bool]) -> list[str]:
        gone = [r for r in self._waiting if chosen(r)]
        for request in gone:
            self._waiting.remove(request)
        return [r.request_id for r in gone]


class Host:
    """Serves requests from an inbox with one engine, which is made when the first document is opened."""

    def __init__(
        self, factory: EngineFactory, inbox: Inbox, write: Callable[[Event], None], log_path: Path
    ) -> None:
        self._factory = factory
        self._inbox = inbox
        self._write = write
        self._log_path = log_path
        self._engine: EngineProtocol | None = None
        self._serving = ""

    def run(self) -> None:
        """Serve until the inbox is closed, then close the engine."""
        while (request := self._inbox.take()) is not None:
            self._serve(request)
        if self._engine is not None:
            self._engine.close()

    def _serve(self, request: AnyRequest) -> None:
        outer, self._serving = self._serving, request.request_id
        try:
            self._answer(request)
        except DlmError as error:
            message, hint = visible(error.message), visible(error.hint)
            self._emit(Failure(kind=type(error).__name__, message=message, hint=hint))
        except Exception as error:
            _log.exception("%s failed", type(request).__name__)
            self._emit(
                Failure(
                    kind=HostError.__name__,
                    message=f"the engine met an unexpected {type(error).__name__}",
                    hint=f"the log has the details: {self._log_path}",
                )
            )
        finally:
            self._emit(Done())
            self._inbox.finished(request.request_id)
            self._serving = outer

    def _answer(self, request: AnyRequest) -> None:
        request_id = request.request_id

        def stop() -> bool:
            return self._inbox.should_stop(request_id)

        match request:
            case Open():
                self._emit(self._made_engine().open(path_of(request.path)))
            case Reload():
                self._emit(self._opened().reload())
            case Route():
                self._emit(self._opened().route(request.messages, request.choice))
            case Generate():
                engine = self._opened()
                for event in engine.generate(request.messages, request.choice, request.sampling, stop):
                    self._emit(event)
                    self._serve_between(_BETWEEN_TOKENS)
            case Explain():
                self._emit(
                    self._opened().explain(request.messages, request.choice, request.nearest, request.alone)
                )
            case Embed():
                self._emit(self._made_engine().embed(request.texts))
            case Mask():
                self._emit(Masked(rows=tuple(self._opened().mask(path_of(request.path)))))
            case Evaluate():
                self._emit(self._opened().evaluate(EvalOptions(), self._emit, stop))
            case Export():
                self._emit(self._exported(self._opened(), request, stop))
            case Compare():
                found = self._made_engine().compare(
                    path_of(request.path), _compare_options(request), self._emit, stop
                )
                self._emit(Compared(comparison=found))
            case Doctor():
                self._emit(Examined(checkup=self._made_engine().doctor(path_of(request.path))))
            case Train():
                self._emit(self._opened().train(request, self._emit, stop, self._serve_between_steps))

    def _exported(self, engine: EngineProtocol, request: Export, stop: Callable[[], bool]) -> ExportDone:
        options = ExportOptions(
            target=request.target,
            choice=request.choice,
            folder=path_of(request.folder) if request.folder is not None else None,
            quant=request.quant,
            fold=request.fold,
            merge=request.merge,
            overwrite=request.overwrite,
        )
        done = engine.export(options, self._emit, stop)
        return ExportDone(folder=path_text(done.folder), banner=done.banner, manifest=dict(done.manifest))

    def _serve_between_steps(self) -> None:
        self._serve_between(_BETWEEN_STEPS)

    def _serve_between(self, kinds: tuple[type[AnyRequest], ...]) -> None:
        while (request := self._inbox.take_between(kinds)) is not None:
            self._serve(request)

    def _made_engine(self) -> EngineProtocol:
        if self._engine is None:
            self._engine = self._factory()
            self._engine.emit = self._emit
            self._engine.should_stop = lambda: self._inbox.should_stop(self._serving)
        return self._engine

    def _opened(self) -> EngineProtocol:
        if self._engine is None:
            raise UsageError("no document is open in the engine process", "send an open request first")
        return self._engine

    def _emit(self, event: Event) -> None:
        self._write(msgspec.structs.replace(event, request_id=self._serving))


def _compare_options(request: Compare) -> CompareOptions:
    return CompareOptions(
        methods=request.methods, epochs=request.epochs, rehearsal=request.rehearsal, fresh=request.fresh
    )


def read_lines(descriptor: int) -> Iterator[bytes | None]:
    """The lines of a file descriptor without their ends; None stands for one longer than MAX_LINE_BYTES.

    Reads the descriptor itself: the interpreter cannot exit while a thread waits in a buffered file object.
    """
    pending = bytearray()
    too_long = False
    while chunk := os.read(descriptor, 1 << 16):
        *ends, rest = chunk.split(b"\n")
        for piece in ends:
            pending += piece
            yield None if too_long or len(pending) > MAX_LINE_BYTES else bytes(pending)
            pending.clear()
            too_long = False
        pending += rest
        if len(pending) > MAX_LINE_BYTES:
            pending.clear()
            too_long = True


def feed(inbox: Inbox, lines: Iterator[bytes | None], write: Callable[[Event], None]) -> None:
    """Put requests into the inbox, answer lines that are none, and close the inbox after the last."""
    try:
        for line in lines:
            if line is None or line.strip():
                _feed_line(inbox, line, write)
    except OSError as error:
        _log.warning("stdin cannot be read any more: %s", error)
    finally:
        for waiting in inbox.close():
            write(Done(request_id=waiting))


def _feed_line(inbox: Inbox, line: bytes | None, write: Callable[[Event], None]) -> None:
    try:
        if line is None:
            raise msgspec.DecodeError(f"longer than {MAX_LINE_BYTES} bytes")
        request = requests.decode(line)
    except NOT_JSON as error:
        request_id = _request_id(line or b"")
        message = visible(f"this is not a request: {error}")
        write(Failure(request_id=request_id, kind=HostError.__name__, message=message))
        if request_id:
            write(Done(request_id=request_id))
        return
    for superseded in inbox.put(request):
        write(Done(request_id=superseded))
    if isinstance(request, Stop | Shutdown):
        write(Done(request_id=request.request_id))


class _Identified(msgspec.Struct):
    request_id: str = ""


def _request_id(line: bytes) -> str:
    try:
        return msgspec.json.decode(line, type=_Identified).request_id
    except NOT_JSON:
        return ""


class _Output:
    """Writes events to a descriptor, whole lines, from any thread; quiet once nobody reads any more."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._gone = False

    def write(self, event: Event) -> None:
        line = memoryview(encode(event) + b"\n")
        with self._lock:
            try:
                while line and not self._gone:
                    line = line[os.write(self._descriptor, line) :]
            except OSError as error:
                self._gone = True
                _log.warning("nobody reads the events any more: %s", error)


def load_factory(name: str) -> EngineFactory:
    """A factory that imports `module:function` only when it is called."""
    module, _, function = name.partition(":")

    def create() -> EngineProtocol:
        with paused_collector():
            engine: EngineProtocol = getattr(importlib.import_module(module), function)()
        return engine

    return create


def _redirect(log_path: Path) -> tuple[int, int]:
    """Keep stdin and stdout for the protocol under new descriptors; 0, 1 and 2 become nothing and the log."""
    reads, writes = os.dup(0), os.dup(1)
    log_path.parent.mkdir(parents=True, exist_ok=True)
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(nothing)
    os.close(log)
    return reads, writes


def main(arguments: list[str] | None = None) -> None:
    """Run the engine process until stdin ends, a shutdown is asked for, or SIGTERM comes."""
    parser = argparse.ArgumentParser(prog="python -m dlm_core.host", description=__doc__)
    parser.add_argument("--engine", default=DEFAULT_ENGINE, metavar="MODULE:FUNCTION")
    parser.add_argument("--log", type=Path, required=True, metavar="FILE")
    options = parser.parse_args(arguments)
    os.umask(0o077)
    reads, writes = _redirect(options.log)
    os.nice(NICENESS)
    settle()
    leave_quickly()
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(process)d %(name)s %(message)s"
    )
    output = _Output(writes)
    inbox = Inbox()

    def leave(number: int, frame: FrameType | None) -> None:
        del number, frame
        inbox.close()

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the front end's, which says what it means
    signal.signal(signal.SIGTERM, leave)
    reader = threading.Thread(
        target=feed, args=(inbox, read_lines(reads), output.write), name="requests", daemon=True
    )
    reader.start()
    Host(load_factory(options.engine), inbox, output.write, options.log).run()


if __name__ == "__main__":
    main()
