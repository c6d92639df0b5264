"""The workbench in a real browser (headless Chromium), on a scripted engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui.browser.served import CHROMIUM, Served, Watched, until, watching

pytest.importorskip("textual_serve", reason="`dlm serve` needs textual-serve")
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright's client is not installed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium)"),
]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    server = Served(tmp_path)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def watched() -> Iterator[Watched]:
    with playwright.sync_playwright() as client, watching(client) as page:
        yield page


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
