"""`dlm serve` in a process of its own, and what a page of it asks for and shows."""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psutil
import pyte

from tests.tui.repl.terminal import DOCUMENT, ROOT, environment

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SERVE = """
import sys
from pathlib import Path
from dlm_tui.serve import serve
serve(Path(sys.argv[1]), port=int(sys.argv[2]), token="sesame", engine=sys.argv[3] or None)
"""


class Served:
    """`dlm serve` on a document of `home`, made if it is not there; `engine` "" is the real one."""

    def __init__(
        self, home: Path, name: str = "doc.dlm", engine: str = "tests.fakes.engine:create_engine"
    ) -> None:
        document = home / name
        if not document.exists():
            document.write_text(DOCUMENT, encoding="utf-8")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.logs = home / "logs"
        self.said = home / "said.txt"
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVE, str(document), str(self.port), engine],
                cwd=ROOT,
                env=environment(home, {}, DLM_CONFIG_HOME=str(home / "config")),
                stdout=said,
                stderr=subprocess.STDOUT,
            )
        until(self._listens, "the server")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(20)


class Watched:
    """What a page asked for, and the screen that its terminal was sent."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.hosts: set[str] = set()
        self.failed: list[str] = []
        self._screen: pyte.Screen | None = None
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        page.on("requestfailed", lambda request: self.failed.append(request.url))
        page.on("websocket", self._open)

    def _open(self, websocket: Any) -> None:
        size = parse_qs(urlsplit(websocket.url).query)
        self._screen = pyte.Screen(int(size["width"][0]), int(size["height"][0]))
        stream = pyte.ByteStream(self._screen)
        websocket.on("framereceived", lambda data: stream.feed(data) if isinstance(data, bytes) else None)

    @property
    def shown(self) -> str:
        """The screen as text."""
        return "\n".join(self._screen.display) if self._screen else ""

    def until(self, *texts: str, seconds: float = 60) -> None:
        """Wait until the screen has all of these texts."""
        self.wait(lambda: all(text in self.shown for text in texts), f"{texts} on screen", seconds)

    def wait(self, happened: Callable[[], bool], what: str, seconds: float = 60) -> None:
        """Wait until something has happened on the screen."""

        def looked() -> bool:
            self.page.wait_for_timeout(20)
            return happened()

        try:
            until(looked, what, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.shown}") from None


def until(happened: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Wait until something has happened."""
    patience = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > patience:
            raise AssertionError(f"{what} did not happen")
        time.sleep(0.02)


@contextmanager
def watching(client: Any) -> Iterator[Watched]:
    """A page in a headless Chromium, by Playwright's `client`."""
    browser = client.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    try:
        yield Watched(browser.new_page(viewport={"width": 1400, "height": 900}))
    finally:
        browser.close()
