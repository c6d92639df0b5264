"""Data into the workbench: shown first, taken with a key, one undo away; a path dropped on the start."""

import re
import threading
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.widgets import Input

from dlm_core.data import importing as data_importing
from dlm_core.document import load, parse_text
from dlm_core.errors import DataError
from dlm_tui.app import WorkbenchApp
from dlm_tui.screens.importing import ImportPreview
from dlm_tui.screens.start import StartScreen
from dlm_tui.screens.workbench import Workbench
from dlm_tui.session.dropped import document_beside, dropped_path
from dlm_tui.settings import Loaded, Settings, State
from dlm_tui.widgets.dialogs import ChoiceScreen, LineScreen
from tests.fakes.client import FakeClient, Turnstile
from tests.fakes.engine import Script
from tests.tui.app.conftest import DOCUMENT, Open, Stage

ROWS = "question,answer\nWhere?,Here.\nWho?,Me.\n"


@pytest.fixture
def faq(tmp_path: Path) -> Path:
    path = tmp_path / "our faq.csv"
    path.write_text(ROWS)
    return path


async def bring(stage: Stage, path: Path) -> None:
    """Type the path of an import."""
    await stage.pilot.press("alt+i")
    await stage.until(lambda: isinstance(stage.app.screen, LineScreen), "the question for a path")
    stage.app.screen.query_one(Input).value = str(path)
    await stage.pilot.press("enter")


async def preview(stage: Stage, path: Path, adapter: int) -> None:
    """Type the path of an import, choose an adapter, and wait for the preview."""
    await bring(stage, path)
    await stage.until(lambda: isinstance(stage.app.screen, ChoiceScreen), "the choice of an adapter")
    await stage.pilot.press(*["down"] * adapter, "enter")
    await stage.until(lambda: isinstance(stage.app.screen, ImportPreview), "the preview")


@pytest.mark.slow
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
        assert area.document.get_line(area.cursor_location[0]).startswith("::instruction#tone::")
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


@pytest.mark.slow
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


async def test_what_is_typed_on_the_first_screen_is_a_path_from_the_first_key_on(
    homes: Path, faq: Path
) -> None:
    settings = Settings(cursor_blink=False, diagnostics_delay=0.05)
    app = WorkbenchApp(None, client=lambda: FakeClient(Script()), loaded=Loaded(settings), state=State())
    async with app.run_test(size=(100, 30)) as pilot:
        stage = Stage(app, pilot, FakeClient(Script()), faq)
        await stage.until(lambda: isinstance(app.screen, StartScreen), "the first screen")
        await pilot.press("down", "up", *"/q?", "space", *"x")
        assert app.screen.query_one(Input).value == "/q? x"


@pytest.mark.parametrize("typed", ["/", "//", "~nobody-is-called-so/faq.html"])
async def test_a_path_that_cannot_be_imported_is_said_to_be_so(homes: Path, typed: str) -> None:
    settings = Settings(cursor_blink=False, diagnostics_delay=0.05)
    app = WorkbenchApp(None, client=lambda: FakeClient(Script()), loaded=Loaded(settings), state=State())
    async with app.run_test(size=(100, 30)) as pilot:
        stage = Stage(app, pilot, FakeClient(Script()), homes)
        await stage.until(lambda: isinstance(app.screen, StartScreen), "the first screen")
        await pilot.press(*typed, "enter")
        await stage.until(lambda: any(typed[:1] in n.message for n in app._notifications), "what is wrong")
        assert isinstance(app.screen, StartScreen)


def test_a_dropped_path_is_understood_however_the_terminal_writes_it(faq: Path) -> None:
    written = [str(faq), f"'{faq}'", str(faq).replace(" ", "\\ "), f"file://{str(faq).replace(' ', '%20')}\n"]
    assert [dropped_path(text) for text in written] == [faq] * 4
    assert dropped_path("  ") is None
    assert dropped_path("it's") == Path("it's")
    assert dropped_path("~nobody-is-called-so") == Path("~nobody-is-called-so")
    assert dropped_path("x" * 10_000) == Path("x" * 10_000)


def test_a_new_document_gets_a_name_that_is_free(faq: Path) -> None:
    assert document_beside(faq).name == "our faq.dlm"
    faq.with_name("our faq.dlm").touch()
    assert document_beside(faq).name == "our faq-2.dlm"


def test_a_document_for_this_folder_stands_beside_it(faq: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (faq.parent / "notes").mkdir()
    monkeypatch.chdir(faq.parent / "notes")
    assert document_beside(Path()) == faq.parent / "notes.dlm" == document_beside(Path("x/.."))


def slow(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Makes reading wait, once it has told how far it is, until the event is set or it is stopped."""
    going_on = threading.Event()
    real = data_importing.prepare

    def prepare(
        inputs: Any, target: Any, before: Any, wanted: Any, tell: Any, meaning: Any, stop: Any
    ) -> data_importing.Import:
        tell("long.csv", 12_000)
        going_on.wait(10)
        return real(inputs, target, before, wanted, tell, meaning, stop)

    monkeypatch.setattr(data_importing, "prepare", prepare)
    return going_on


async def test_while_it_reads_a_box_says_how_far_it_is(
    open_workbench: Open, faq: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    going_on = slow(monkeypatch)
    async with open_workbench() as stage:
        await bring(stage, faq)
        await stage.until(lambda: "long.csv: 12,000 rows so far" in stage.screen_text(), "how far it is")
        assert "Esc stops it" in stage.screen_text()
        going_on.set()
        await stage.until(lambda: isinstance(stage.app.screen, ChoiceScreen), "what comes after the reading")


async def test_escape_stops_the_reading_at_once_even_while_a_page_is_still_taken_apart(
    open_workbench: Open, faq: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    going_on = slow(monkeypatch)
    async with open_workbench() as stage:
        await bring(stage, faq)
        await stage.until(lambda: "long.csv" in stage.screen_text(), "the box")
        await stage.pilot.press("escape")
        await stage.until(lambda: isinstance(stage.app.screen, Workbench), "the workbench")
        await stage.until(
            lambda: any("nothing was brought in" in n.message for n in stage.app._notifications), "the word"
        )
        going_on.set()  # the thread ends; what it found is nobody's
        await stage.pilot.pause()
        assert isinstance(stage.app.screen, Workbench) and stage.bench.editor.area.text == DOCUMENT


MANY = "question,answer\n" + "".join(
    f"{asked} {n}?,Shelf {n * 7} of {place}.\n"
    for n, (asked, place) in enumerate([("Where is seed", "barn"), ("Is this a cable", "office")] * 6)
)


async def choose_topics(stage: Stage) -> None:
    await stage.until(lambda: isinstance(stage.app.screen, ChoiceScreen), "the choice of an adapter")
    await stage.pilot.press(*["down"] * 2, "enter")
    await stage.until(lambda: isinstance(stage.app.screen, ImportPreview), "the preview")


@pytest.mark.parametrize("encoder", [True, False])
async def test_topics_are_told_by_the_engines_encoder_where_it_has_one_and_the_preview_says_so(
    open_workbench: Open, faq: Path, encoder: bool
) -> None:
    faq.write_text(MANY)
    async with open_workbench(Script(encoder=encoder)) as stage:
        await bring(stage, faq)
        await choose_topics(stage)
        said = "by what sections mean" if encoder else "by the words of sections alone"
        await stage.until(lambda: said in stage.screen_text(), "what they were told by")
        assert "embed 12" in stage.client.engine.calls
        if encoder:
            assert re.findall(r"topic \w+: (\d+) sections", stage.screen_text()) == ["6", "6"]


async def test_escape_ends_the_wait_for_an_encoder_that_takes_long(open_workbench: Open, faq: Path) -> None:
    turnstile = Turnstile()
    faq.write_text(MANY)
    async with open_workbench(Script(encoder=True, embed_delay=1), turnstile=turnstile) as stage:
        await bring(stage, faq)
        await stage.until(lambda: isinstance(stage.app.screen, ChoiceScreen), "the choice of an adapter")
        await stage.pilot.press(*["down"] * 2, "enter")
        await stage.until(lambda: "what 12 sections mean" in stage.screen_text(), "the encoder at work")
        await stage.pilot.press("escape")
        await stage.until(lambda: isinstance(stage.app.screen, Workbench), "the workbench")
        turnstile.open()


async def test_sections_that_were_taken_out_are_brought_back_with_a_key_of_the_preview(
    open_workbench: Open, faq: Path
) -> None:
    async with open_workbench() as stage:
        area = stage.bench.editor.area
        await preview(stage, faq, 0)
        await stage.pilot.press("enter")
        await stage.until(lambda: "Here." in area.text, "the new sections")
        fence = "::instruction#knowledge::\n<!-- dlm-auto-import"
        start = area.text.index(fence)
        area.replace_all(area.text[:start] + area.text[area.text.index(fence, start + 1) :])
        assert "Here." not in area.text and "Me." in area.text
        await preview(stage, faq, 0)
        await stage.until(lambda: "[ ] bring back 1 section that was taken out" in stage.screen_text(), "it")
        assert "--restore" not in stage.screen_text()
        await stage.pilot.press("r")
        await stage.until(lambda: "[x] bring back sections" in stage.screen_text(), "the option turned on")
        assert "+Here." in stage.screen_text() and "Here." not in area.text
        await stage.pilot.press("enter")
        await stage.until(lambda: "Here." in area.text, "the section again")


async def test_an_option_that_cannot_be_had_leaves_the_preview_as_it_was(
    open_workbench: Open, faq: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faq.write_text(MANY)
    async with open_workbench() as stage:
        await preview(stage, faq, 0)
        await stage.until(lambda: "[ ] an adapter for each topic" in stage.screen_text(), "the option")

        def refuse(*_: Any, **__: Any) -> None:
            raise DataError("no words recur in these sections")

        monkeypatch.setattr(data_importing, "find_topics", refuse)
        await stage.pilot.press("t")
        await stage.until(lambda: any("no words recur" in n.message for n in stage.app._notifications), "why")
        await stage.until(lambda: isinstance(stage.app.screen, ImportPreview), "the preview")
        await stage.until(lambda: "[ ] an adapter for each topic" in stage.screen_text(), "the option")


@pytest.mark.slow
async def test_on_the_first_screen_an_engine_is_started_for_the_topics_alone(homes: Path, faq: Path) -> None:
    faq.write_text(MANY)
    clients: list[FakeClient] = []

    def client() -> FakeClient:
        clients.append(FakeClient(Script(encoder=True)))
        return clients[-1]

    settings = Settings(cursor_blink=False, diagnostics_delay=0.05)
    app = WorkbenchApp(None, client=client, loaded=Loaded(settings), state=State())
    async with app.run_test(size=(100, 30)) as pilot:
        stage = Stage(app, pilot, FakeClient(Script()), faq)
        await stage.until(lambda: isinstance(app.screen, StartScreen), "the first screen")
        app.screen.post_message(events.Paste(str(faq)))
        await stage.until(lambda: "[ ] an adapter for each topic" in stage.screen_text(), "the option")
        assert not clients
        await pilot.press("t")
        await stage.until(lambda: "by what sections mean" in stage.screen_text(), "the topics")
        (asked,) = clients
        assert asked.engine.calls == ["embed 12", "close"] and not asked.alive


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [("sheet.xlsx", b"PK", "save it as CSV"), ("photo.png", b"\x89PNG\0", "neither a document nor")],
)
async def test_a_file_that_is_neither_data_nor_a_document_is_refused_on_the_first_screen(
    homes: Path, name: str, content: bytes, said: str
) -> None:
    (homes / name).write_bytes(content)
    settings = Settings(cursor_blink=False, diagnostics_delay=0.05)
    app = WorkbenchApp(None, client=lambda: FakeClient(Script()), loaded=Loaded(settings), state=State())
    async with app.run_test(size=(100, 30)) as pilot:
        stage = Stage(app, pilot, FakeClient(Script()), homes / name)
        await stage.until(lambda: isinstance(app.screen, StartScreen), "the first screen")
        app.screen.post_message(events.Paste(str(homes / name)))
        await stage.until(lambda: any(said in n.message for n in app._notifications), "the reason")
        assert isinstance(app.screen, StartScreen)


async def test_the_preview_begins_with_what_the_import_comes_to(open_workbench: Open, faq: Path) -> None:
    faq.write_text(ROWS + "".join(f"Q{n}?,\n" for n in range(30)))
    async with open_workbench(size=(80, 24)) as stage:
        await preview(stage, faq, 1)
        await stage.until(lambda: "30 rows without" in stage.screen_text(), "what was noticed")
        said = stage.screen_text()
        assert said.index("sections: 2 new (tone 2)") < said.index("30 rows without")
