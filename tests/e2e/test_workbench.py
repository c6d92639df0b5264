"""The workbench on the real base: edit, train, ask, toggle the gate; teach in a terminal and in a browser."""

import asyncio
from pathlib import Path

import pytest

from benchmarks.tui_tour import NEW_SECTION, Seen, tour
from dlm_core.document import load
from tests.tui.browser.served import CHROMIUM, Served, watching
from tests.tui.repl.terminal import ENTER, Terminal

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]
PATIENCE = 300.0
"""Seconds for what a base on a busy machine takes."""

DOCUMENT = """---
dlm_id: 01M80E2XX9H73A5ZQ388STD2NW
base_model: smollm2-135m
training:
  num_epochs: 10
  adapters:
    runbook: {lora_r: 4}
    voice: {lora_r: 4}
  gate: {enabled: true, cold_start_floor: 2}
---

::instruction#runbook::
### Q
Which port does the ledger listen on?
### A
It is 7070.

::instruction#voice::
### Q
Write a greeting to a customer.
### A
Good day, and thank you for writing.

::instruction#voice::
### Q
Write a farewell to a customer.
### A
Kind regards, your desk.
"""


@pytest.fixture(scope="module")
def toured(own_home: Path) -> Seen:
    """What the tour saw; the document it trained is used by the other tests."""
    document = own_home / "desk.dlm"
    document.write_text(DOCUMENT, encoding="utf-8")
    prompts = ("Who brings the coffee on release day?", "Write a greeting to a customer.")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DLM_HOME", str(own_home))
        patch.setenv("DLM_CONFIG_HOME", str(own_home / "config"))
        return asyncio.run(tour(document, prompts=prompts))


def test_edit_train_ask_toggle_the_gate_and_ask_again(toured: Seen, own_home: Path) -> None:
    assert (own_home / "desk.dlm").read_text(encoding="utf-8").endswith(NEW_SECTION)
    assert toured.losses[-1] < toured.losses[0] / 2 and toured.draws > 1
    coffee, greeting, off = toured.answers
    assert coffee.routing.mode == greeting.routing.mode == "auto" and off.routing.mode == "off"
    assert coffee.routing.weights["runbook"] > 0.5 > greeting.routing.weights["runbook"]
    assert "Marisol" in coffee.text
    assert set(off.routing.weights.values()) == {0.5}
    assert coffee.openness["runbook"].mean > 0


def taught(document: Path, question: str, answer: str) -> bool:
    """Whether the document on disk gives this answer to this question."""
    asked = [q for section in load(document).sections for q in section.questions]
    return any(question in q.wordings and q.answer == answer for q in asked)


def says_now(shown: str, answer: str) -> bool:
    """Whether the chat has this reply below the words that it was taught."""
    rows = shown.split("\n")
    here = next(((n, row.find("now, taught")) for n, row in enumerate(rows) if "now, taught" in row), None)
    return here is not None and any(answer in row[max(0, here[1] - 3) :] for row in rows[here[0] :])


def test_in_a_terminal_a_probe_that_is_wrong_is_taught_and_then_right(toured: Seen, own_home: Path) -> None:
    question, answer = "What is the code of the gate in the yard?", "It is 5531."
    with Terminal(own_home, name="desk.dlm", columns=120, rows=40, program="dlm") as terminal:
        terminal.expect("smollm2-135m.* ready", PATIENCE)
        if "gate off" in terminal.shown:  # as the tour left it
            terminal.send("\x1b[18~")  # F7
        terminal.expect("gate auto")
        terminal.send("\x1bc")  # Alt+C
        terminal.expect("Again")  # the chat has the keys; a letter before that would be one with Alt's
        terminal.line("/clear")
        terminal.expect("a new conversation")  # so that the section keeps no turns
        terminal.line(question)
        terminal.expect(r"tokens · \d", PATIENCE)
        assert answer not in terminal.shown
        terminal.send("\x1bt")  # Alt+T
        terminal.expect("should have said")
        terminal.expect("not for the document")
        terminal.send("\x1b[F\x1b[A\x1b[A" + ENTER)  # End, then up to another answer
        if "which" in terminal.expect("in which adapter|the answer, in"):  # no adapter had a weight
            terminal.send(ENTER)
        terminal.expect("the answer, in runbook")
        terminal.line(answer)
        terminal.wait_until(lambda: says_now(terminal.shown, answer), "the right reply", PATIENCE)
        assert taught(own_home / "desk.dlm", question, answer)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium)")
def test_in_a_browser_a_probe_that_is_wrong_is_taught_and_then_right(toured: Seen, own_home: Path) -> None:
    pytest.importorskip("textual_serve", reason="`dlm serve` needs textual-serve")
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright's client is not installed")
    question, answer = "Where does the night watch keep the lamp?", "On hook nine."
    served = Served(own_home, "desk.dlm", engine="")
    try:
        with playwright.sync_playwright() as client, watching(client) as watched:
            page = watched.page
            page.goto(f"http://127.0.0.1:{served.port}/?token=sesame")
            watched.until("smollm2-135m", " ready", seconds=PATIENCE)
            if "gate off" in watched.shown:  # as the tour left it
                page.keyboard.press("F7")
            watched.until("gate auto")
            page.keyboard.press("Alt+c")
            page.wait_for_timeout(300)  # letters right after it would be read as one escape sequence
            page.keyboard.type("/clear")
            page.keyboard.press("Enter")
            watched.until("a new conversation")
            page.keyboard.type(question)
            page.keyboard.press("Enter")
            watched.until(question, "tokens ·", seconds=PATIENCE)
            assert answer not in watched.shown
            page.keyboard.press("Alt+t")
            watched.until("should have said", "not for the document")
            for key in ("End", "ArrowUp", "ArrowUp", "Enter"):
                page.keyboard.press(key)
            watched.wait(
                lambda: any(text in watched.shown for text in ("in which adapter", "the answer, in")),
                "the next dialog",
            )
            if "in which adapter" in watched.shown:  # no adapter had a weight
                page.keyboard.press("Enter")
            watched.until("the answer, in runbook")
            page.keyboard.type(answer)
            page.keyboard.press("Enter")
            watched.wait(lambda: says_now(watched.shown, answer), "the right reply", PATIENCE)
            assert taught(own_home / "desk.dlm", question, answer)
    finally:
        served.close()
