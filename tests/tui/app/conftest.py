"""The workbench under test: a document in a folder of its own, a fake engine, nobody's own settings."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from textual.pilot import Pilot

from dlm_tui.app import WorkbenchApp
from dlm_tui.screens.workbench import Workbench
from dlm_tui.settings import Loaded, Settings, State
from dlm_tui.widgets.chat_input import ChatInput
from tests.fakes.client import FakeClient, Turnstile
from tests.fakes.engine import Script

QUICK = {
    "test_a_key_saves_and_trains_and_the_curves_move",
    "test_a_key_offers_sections_and_shows_both_replies_once_it_is_taught",
    "test_a_mistake_is_underlined_marked_listed_counted_and_put_right_by_a_key",
    "test_a_reply_comes_with_its_bars_mode_speed_and_version",
    "test_an_import_is_shown_goes_in_with_enter_and_out_with_undo",
    "test_cold_starts_have_a_panel_and_a_key_that_leads_to_the_remedy",
    "test_one_key_toggles_the_gate_and_the_next_reply_follows_it",
    "test_the_engines_death_is_one_sentence_and_a_restart_goes_on",
    "test_the_palette_finds_an_action_and_carries_it_out",
    "test_three_panes_from_120_columns_two_from_90_and_one_with_tabs_below",
    "test_what_is_typed_and_saved_is_on_disk_and_can_still_be_undone",
    "test_with_the_base_loaded_the_mask_is_by_token",
}
"""Of the tests that open the whole workbench, a second each: one of a kind. The others are slow ones."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "open_workbench" in getattr(item, "fixturenames", ()) and item.name.partition("[")[0] not in QUICK:
            item.add_marker(pytest.mark.slow)


DOCUMENT = """\
---
dlm_id: 01HZX3V5J8K2M4N6P7Q8R9S0TA
dlm_version: 15
base_model: smollm2-135m
training:
  adapters:
    knowledge: {}
    tone: {}
  gate:
    enabled: true
    cold_start_floor: 2
---

::instruction#knowledge::
### Q
What is the limit?

### A
Forty-two.

::instruction#knowledge::
### Q
Who owns it?

### A
Ada does.

::instruction#tone::
### Q
How do we greet?

### A
With a smile.

::instruction#tone::
### Q
How do we part?

### A
With thanks.
"""


@dataclass
class Stage:
    """A running workbench, with what a test wants to reach."""

    app: WorkbenchApp
    pilot: Pilot[int]
    client: FakeClient
    path: Path

    @property
    def bench(self) -> Workbench:
        screen = self.app.screen_stack[1]
        assert isinstance(screen, Workbench)
        return screen

    async def until(self, happened: Callable[[], object], what: str = "what was waited for") -> None:
        """Let the app run until something has happened; a minute without it is a failure."""
        patience = time.monotonic() + 60
        while time.monotonic() < patience:
            await self.pilot.pause(0.01)
            if happened():
                await self.pilot.pause()
                return
        raise AssertionError(f"{what} did not happen")

    async def ready(self) -> None:
        """The base is loaded, the document checked, the history read."""
        await self.until(lambda: self.bench.chat.ready, "the engine's readiness")
        await self.until(lambda: self.bench.editor.document is not None, "the first check")

    async def ask(self, question: str) -> None:
        """Type a question into the chat and send it."""
        self.bench.frame.bring_up("chat")
        line = self.bench.query_one(ChatInput)
        line.load_text(question)
        await self.pilot.press("enter")

    async def answered(self, turns: int) -> None:
        """That many turns are in the conversation and nothing is under way."""
        chat = self.bench.chat
        await self.until(lambda: len(chat.conversation.turns) == turns and not chat.busy, f"reply {turns}")

    async def click(self, words: str) -> None:
        """Click where some words stand on the screen."""
        for row, line in enumerate(self.screen_text().split("\n")):
            if (column := line.find(words)) >= 0:
                await self.pilot.click(offset=(column + 1, row))
                return
        raise AssertionError(f"{words} is not on screen")

    def screen_text(self) -> str:
        """Everything on screen, line by line, without colours; nothing yet of a screen pushed just now."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(s.text for s in strip)[: self.app.size.width] for strip in strips)


Open = Callable[..., AbstractAsyncContextManager[Stage]]


@pytest.fixture(autouse=True)
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stores, settings and states of the test alone."""
    monkeypatch.setenv("DLM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DLM_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("NO_COLOR", raising=False)
    return tmp_path


@pytest.fixture
def open_workbench(tmp_path: Path) -> Open:
    """Opens the workbench on a document."""

    @asynccontextmanager
    async def opened(
        script: Script | None = None,
        *,
        text: str = DOCUMENT,
        name: str = "guide.dlm",
        size: tuple[int, int] = (120, 36),
        settings: Settings | None = None,
        state: State | None = None,
        turnstile: Turnstile | None = None,
        wait: bool = True,
    ) -> AsyncIterator[Stage]:
        path = tmp_path / name
        if not path.exists():
            path.write_text(text, encoding="utf-8", newline="")
        script = script or Script(adapters=("knowledge", "tone"))
        client = FakeClient(script, **({"sleep": turnstile.sleep} if turnstile else {}))
        settings = settings or Settings(cursor_blink=False, diagnostics_delay=0.05, route_delay=0.02)
        app = WorkbenchApp(path, client=lambda: client, loaded=Loaded(settings), state=state or State())
        async with app.run_test(size=size) as pilot:
            stage = Stage(app, pilot, client, path)
            await stage.until(lambda: len(app.screen_stack) > 1, "the workbench's screen")
            if wait:
                await stage.ready()
            try:
                yield stage
            finally:
                if turnstile is not None:
                    turnstile.open()

    return opened
