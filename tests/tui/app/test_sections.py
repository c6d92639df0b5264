"""Sections by their words, and what became of them since they were trained."""

from dataclasses import replace
from pathlib import Path

from dlm_core.document import load, parse_text
from dlm_core.document.diff import title
from dlm_core.kept_texts import save_kept
from dlm_core.store import SectionRecord
from dlm_core.store.paths import StorePaths, dlm_home
from dlm_tui.screens.section_diff import SectionDiff
from dlm_tui.screens.workbench import Workbench
from dlm_tui.session.section_states import section_states
from dlm_tui.widgets.section_jump import Matcher, SectionJump, ranking, words_of
from tests.tui.app.conftest import DOCUMENT, Open, Stage


async def jump(stage: Stage, letters: str) -> None:
    await stage.pilot.press("alt+j")
    await stage.until(lambda: isinstance(stage.app.screen, SectionJump), "the list of sections")
    await stage.pilot.press(*letters)
    await stage.pilot.pause()


async def test_some_letters_find_a_section_and_enter_goes_there(open_workbench: Open) -> None:
    async with open_workbench() as stage:
        stage.bench.frame.bring_up("editor")
        await jump(stage, "hwgrt")
        assert "1 of 4 sections" in stage.screen_text()
        await stage.pilot.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, Workbench), "the workbench")
        area = stage.bench.editor.area
        assert area.document.get_line(area.cursor_location[0]) == "::instruction#tone::"
        assert area.document.get_line(area.cursor_location[0] + 2) == "How do we greet?"


async def test_arrows_choose_while_letters_are_typed_and_escape_stays(open_workbench: Open) -> None:
    async with open_workbench(size=(80, 24)) as stage:
        stage.bench.editor.go_to(20)
        await jump(stage, "tone")
        await stage.pilot.press("down", "enter")
        await stage.until(lambda: isinstance(stage.app.screen, Workbench), "the workbench")
        area = stage.bench.editor.area
        assert area.document.get_line(area.cursor_location[0] + 2) == "How do we part?"
        here = area.cursor_location
        await jump(stage, "xyz")
        await stage.pilot.press("enter", "escape")
        await stage.until(lambda: isinstance(stage.app.screen, Workbench), "the workbench")
        assert area.cursor_location == here


def test_what_stands_as_it_was_typed_comes_before_scattered_letters() -> None:
    document = parse_text(
        DOCUMENT.replace("Who owns it?", "What goes round, each time?"), Path("x.dlm")
    ).document
    assert document is not None
    entries = [
        (state, words_of(state.section)) for state in section_states(document.sections, ()) if state.section
    ]
    found = [words for _, words in ranking(entries, "gree", Matcher("gree"))]
    assert found[0] == "How do we greet?"
    assert ranking(entries, "", Matcher("")) == entries


def trained(path: Path, dlm_id: str) -> tuple[SectionRecord, ...]:
    """Records and texts as a run leaves them of a document."""
    sections = load(path).sections
    kept = [replace(section, source=None) for section in sections]
    save_kept(StorePaths(dlm_home(), dlm_id).replay, kept, {})
    return tuple(
        SectionRecord(
            content_hash=s.content_hash, kind=s.kind.value, adapter=s.adapter, title=title(s), since=3
        )
        for s in sections
    )


async def compared(stage: Stage, row: int) -> str:
    stage.bench.editor.go_to(row)
    await stage.pilot.press("shift+f9")
    await stage.until(lambda: isinstance(stage.app.screen, SectionDiff), "the comparison")
    shown = stage.screen_text()
    await stage.pilot.press("escape")
    await stage.until(lambda: isinstance(stage.app.screen, Workbench), "the workbench")
    return shown


async def test_a_section_is_compared_with_what_was_last_trained_of_it(open_workbench: Open) -> None:
    async with open_workbench() as stage:
        editor = stage.bench.editor
        document = editor.document
        assert document is not None
        editor.show_records(trained(stage.path, document.dlm_id))
        area = editor.area
        row = area.text.split("\n").index("Forty-two.")
        area.replace("Forty-three.", (row, 0), (row, 10))
        area.put(
            "\n::instruction#tone::\n### Q\nAnd now?\n### A\nNow.\n", area.document.end, area.document.end
        )
        await stage.until(
            lambda: editor.document is not None and len(editor.document.sections) == 5, "the check"
        )
        shown = await compared(stage, row)
        assert "“What is the limit?” differs from what was trained, since run 3" in shown
        assert "-Forty-two." in shown and "+Forty-three." in shown
        assert "“Who owns it?” is as it was trained" in await compared(stage, row + 3)
        assert "“And now?” was never trained" in (new := await compared(stage, area.document.line_count - 2))
        assert "+And now?" in new


async def test_outside_a_section_there_is_nothing_to_compare(open_workbench: Open) -> None:
    async with open_workbench() as stage:
        stage.bench.editor.go_to(2)
        await stage.pilot.press("shift+f9")
        await stage.until(
            lambda: any("The cursor is in no section" in n.message for n in stage.app._notifications),
            "the reason",
        )
