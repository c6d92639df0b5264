"""An OpenAI-compatible server on this machine that does as a script says, well or badly."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Script:
    """What the server does with each request in turn, the last again and again; and what it was sent."""

    behaviours: list[Behaviour]
    requests: list[tuple[str, Mapping[str, str], dict[str, Any]]] = field(default_factory=list)
    url: str = ""


def says(content: object) -> Behaviour:
    """A chat completion with this content."""
    return sends(json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]}).encode())


def sends(body: bytes, status: int = 200, **headers: str) -> Behaviour:
    """Any body under any status."""

    def act(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return act


def drips(handler: BaseHTTPRequestHandler) -> None:
    """A byte now and then: every one in time, and all together far too late."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)


def drips_headers(handler: BaseHTTPRequestHandler) -> None:
    """As `drips`, before any body."""
    for n in range(200):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n"[n : n + 1] if n < 17 else b"x")
        handler.wfile.flush()
        time.sleep(0.05)


def hangs(handler: BaseHTTPRequestHandler) -> None:
    """Nothing at all."""
    time.sleep(3)


def hangs_up(handler: BaseHTTPRequestHandler) -> None:
    """The line is cut in the middle of the body."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')


def speaks_nonsense(handler: BaseHTTPRequestHandler) -> None:
    """No HTTP."""
    handler.wfile.write(b"\x00\xff what is this\r\n\r\n")


@contextmanager
def serving(*behaviours: Behaviour) -> Iterator[Script]:
    """A server that acts so, and its script with the URL."""
    script = Script(list(behaviours))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            script.requests.append((self.path, dict(self.headers), json.loads(body)))
            act = script.behaviours.pop(0) if len(script.behaviours) > 1 else script.behaviours[0]
            with suppress(BrokenPipeError, ConnectionResetError):  # whoever asked has gone
                act(self)

        def log_message(self, *args: object) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    script.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
