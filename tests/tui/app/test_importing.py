"""Data into the workbench: shown first, taken with a key, one undo away; a path dropped on the start."""

from pathlib import Path

import pytest
from textual import events
from textual.widgets import Input

from dlm_core.document import load, parse_text
from dlm_tui.app import WorkbenchApp
from dlm_tui.screens import importing
from dlm_tui.screens.importing import ImportPreview
from dlm_tui.screens.start import StartScreen
from dlm_tui.screens.workbench import Workbench
from dlm_tui.session.dropped import document_beside, dropped_path
from dlm_tui.settings import Loaded, Settings, State
from dlm_tui.widgets.dialogs import ChoiceScreen, LineScreen
from tests.fakes.client import FakeClient
from tests.fakes.engine import Script
from tests.tui.app.conftest import DOCUMENT, Open, Stage

ROWS = "question,answer\nWhere?,Here.\nWho?,Me.\n"


@pytest.fixture
def faq(tmp_path: Path) -> Path:
    path = tmp_path / "our faq.csv"
    path.write_text(ROWS)
    return path


async def preview(stage: Stage, path: Path, adapter: int) -> None:
    """Type the path of an import, choose an adapter, and wait for the preview."""
    await stage.pilot.press("alt+i")
    await stage.until(lambda: isinstance(stage.app.screen, LineScreen), "the question for a path")
    stage.app.screen.query_one(Input).value = str(path)
    await stage.pilot.press("enter")
    await stage.until(lambda: isinstance(stage.app.screen, ChoiceScreen), "the choice of an adapter")
    await stage.pilot.press(*["down"] * adapter, "enter")
    await stage.until(lambda: isinstance(stage.app.screen, ImportPreview), "the preview")


async def test_an_import_is_shown_goes_in_with_enter_and_out_with_undo(
    open_workbench: Open, faq: Path
) -> None:
    async with open_workbench() as stage:
        area = stage.bench.editor.area
        await preview(stage, faq, 1)
        await stage.until(lambda: "+Here." in stage.screen_text(), "the new lines")
        assert "sections: 2 new (tone 2)" in stage.screen_text()
        assert area.text == DOCUMENT
        await stage.pilot.press("enter")
        await stage.until(lambda: "Here." in area.text, "the new sections")
        document = parse_text(area.text).document
        assert document is not None
        assert [s.adapter for s in document.sections[-2:]] == ["tone", "tone"]
        assert stage.bench.editor.unsaved and stage.path.read_text() == DOCUMENT
        await stage.pilot.press("ctrl+z")
        assert area.text == DOCUMENT


async def test_escape_leaves_the_document_as_it_is(open_workbench: Open, faq: Path) -> None:
    async with open_workbench() as stage:
        await preview(stage, faq, 0)
        await stage.pilot.press("escape")
        await stage.until(lambda: isinstance(stage.app.screen, Workbench), "the workbench")
        assert stage.bench.editor.area.text == DOCUMENT


async def test_what_cannot_be_read_is_said(open_workbench: Open, faq: Path) -> None:
    async with open_workbench() as stage:
        faq.write_text("zig,zag,zog\n1,2,3\n")
        await stage.pilot.press("alt+i")
        await stage.until(lambda: isinstance(stage.app.screen, LineScreen), "the question for a path")
        stage.app.screen.query_one(Input).value = str(faq)
        await stage.pilot.press("enter")
        await stage.until(
            lambda: any("no column is known" in n.message for n in stage.app._notifications), "the reason"
        )
        assert stage.bench.editor.area.text == DOCUMENT


async def test_a_path_dropped_on_the_first_screen_becomes_a_document(homes: Path, faq: Path) -> None:
    settings = Settings(cursor_blink=False, diagnostics_delay=0.05)
    app = WorkbenchApp(None, client=lambda: FakeClient(Script()), loaded=Loaded(settings), state=State())
    async with app.run_test(size=(100, 30)) as pilot:
        stage = Stage(app, pilot, FakeClient(Script()), faq)
        await stage.until(lambda: isinstance(app.screen, StartScreen), "the first screen")
        app.screen.post_message(events.Paste(f"'{faq}'"))
        await stage.until(lambda: isinstance(app.screen, ImportPreview), "the preview")
        await stage.until(lambda: "+Here." in stage.screen_text(), "the new lines")
        new = faq.with_name("our faq.dlm")
        assert not new.exists()
        await pilot.press("enter")
        await stage.until(lambda: isinstance(app.screen, Workbench), "the workbench")
        assert [s.questions[0].answer for s in load(new).sections] == ["Here.", "Me."]


def test_a_dropped_path_is_understood_however_the_terminal_writes_it(faq: Path) -> None:
    written = [str(faq), f"'{faq}'", str(faq).replace(" ", "\\ "), f"file://{str(faq).replace(' ', '%20')}\n"]
    assert [dropped_path(text) for text in written] == [faq] * 4
    assert dropped_path("  ") is None
    assert dropped_path("it's") == Path("it's")
    assert dropped_path("x" * 10_000) == Path("x" * 10_000)


def test_a_new_document_gets_a_name_that_is_free(faq: Path) -> None:
    assert document_beside(faq).name == "our faq.dlm"
    faq.with_name("our faq.dlm").touch()
    assert document_beside(faq).name == "our faq-2.dlm"


async def test_what_takes_long_to_read_says_how_far_it_is_until_it_is_over(
    open_workbench: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "_SAID_AFTER_S", 0.0)
    async with open_workbench() as stage:
        reading = importing.Reading(stage.app.screen)
        reading.tell("long.csv", 12_000)

        def said() -> bool:
            return any("long.csv, 12,000 rows" in n.message for n in stage.app._notifications)

        async with reading.shown():
            await stage.until(said, "how far it is")
        await stage.until(lambda: not said(), "that it is over")
