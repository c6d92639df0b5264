"""The workbench in a real browser (headless Chromium), on a scripted engine."""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psutil
import pyte
import pytest

from tests.tui.repl.terminal import DOCUMENT, ROOT, environment

pytest.importorskip("textual_serve", reason="`dlm serve` needs textual-serve")
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright's client is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium)"),
]
SERVE = """
import sys
from pathlib import Path
from dlm_tui.serve import serve
serve(Path(sys.argv[1]), port=int(sys.argv[2]), token="sesame", engine="tests.fakes.engine:create_engine")
"""


class Served:
    """`dlm serve` in a process of its own."""

    def __init__(self, home: Path) -> None:
        document = home / "doc.dlm"
        document.write_text(DOCUMENT, encoding="utf-8")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.logs = home / "logs"
        self.said = home / "said.txt"
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVE, str(document), str(self.port)],
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

    def until(self, *texts: str) -> None:
        def shown() -> bool:
            self.page.wait_for_timeout(20)
            display = "\n".join(self._screen.display) if self._screen else ""
            return all(text in display for text in texts)

        try:
            until(shown, f"{texts} on screen")
        except AssertionError as error:
            raise AssertionError(
                "\n".join([str(error), *(self._screen.display if self._screen else ())])
            ) from None


def until(happened: Callable[[], object], what: str) -> None:
    patience = time.monotonic() + 60
    while not happened():
        if time.monotonic() > patience:
            raise AssertionError(f"{what} did not happen")
        time.sleep(0.02)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    server = Served(tmp_path)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def watched() -> Iterator[Watched]:
    with playwright.sync_playwright() as client:
        browser = client.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield Watched(browser.new_page(viewport={"width": 1400, "height": 900}))
        finally:
            browser.close()


def test_a_question_typed_without_a_click_is_answered_and_closing_the_page_is_an_ordinary_end(
    served: Served, watched: Watched
) -> None:
    page = watched.page
    page.goto(f"http://127.0.0.1:{served.port}/?token=sesame")
    watched.until("doc.dlm", "ready")
    page.keyboard.press("Alt+c")
    page.wait_for_timeout(300)  # letters right after it would be read as one escape sequence
    page.keyboard.type("What is the limit?")
    page.keyboard.press("Enter")
    watched.until("❯ What is the limit?", "knowledge", "0.")
    assert page.evaluate("document.fonts.check('16px \"Roboto Mono\"')")
    assert watched.hosts == {f"127.0.0.1:{served.port}"} and not watched.failed

    assert served.children
    page.close()
    until(lambda: not served.children, "the end of the workbench's processes")
    assert not list(served.logs.glob("error-*")) and "unforeseen" not in served.said.read_text("utf-8")
