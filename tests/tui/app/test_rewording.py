"""Further wordings of a section's questions: who is asked is said, and nothing goes in that was not taken."""

from pathlib import Path

import pytest
from textual.widgets import Input

from dlm_core.document import load
from dlm_core.document.parse import parse_text
from dlm_tui.screens.rewording import RewordScreen
from dlm_tui.screens.teacher import TeacherScreen
from dlm_tui.screens.workbench import Workbench
from tests.tui.app.conftest import DOCUMENT, Open, Stage
from tests.unit.reword import server
from tests.unit.reword.server import Script, serving

LIMITS = server.says("1. What is the limit??\n2. How much is allowed at most?\n3. what may I send")


async def ask_for(stage: Stage, script: Script, row: int = 15) -> None:
    """Open the question for a teacher with the cursor in a row of the document, and name one."""
    stage.bench.editor.go_to(row)
    await stage.pilot.press("ctrl+t")
    await stage.until(lambda: isinstance(stage.app.screen, TeacherScreen), "the question for a teacher")
    url, model = stage.app.screen.query(Input)
    url.value, model.value = script.url, "small"
    await stage.pilot.pause()


async def proposed(stage: Stage) -> None:
    await stage.pilot.press("enter")
    await stage.until(lambda: isinstance(stage.app.screen, RewordScreen), "the list of wordings")
    await stage.until(lambda: "wordings from small" in stage.screen_text(), "the teacher's answer")


def limits(stage: Stage) -> tuple[str, ...]:
    document = parse_text(stage.bench.editor.area.text, stage.path).document
    assert document is not None
    return document.sections[0].questions[0].wordings


async def test_one_wording_is_taken_goes_in_with_its_origin_and_out_with_undo(open_workbench: Open) -> None:
    with serving(LIMITS) as script:
        async with open_workbench() as stage:
            await ask_for(stage, script)
            host = script.url.removeprefix("http://").removesuffix("/v1")
            shown = stage.screen_text()
            assert f"The question and its answer go to {host}, on this machine." in shown
            assert not script.requests
            await proposed(stage)
            assert "left out, nearly one that is there: What is the limit??" in stage.screen_text()
            await stage.pilot.press("space", "enter")
            await stage.until(lambda: isinstance(stage.app.screen, Workbench), "the workbench")
            assert limits(stage) == ("What is the limit?", "How much is allowed at most?")
            assert f'<!-- dlm-auto-reword by "small" at "{host}" -->' in stage.bench.editor.area.text
            assert load(stage.path).text == DOCUMENT  # it is in the text, and not saved yet
            await stage.pilot.press("ctrl+z")
            assert stage.bench.editor.area.text == DOCUMENT
            assert (stage.bench.section_work._state.teacher_model) == "small"


async def test_all_are_taken_with_a_key_and_with_clicks(open_workbench: Open) -> None:
    with serving(LIMITS) as script:
        async with open_workbench() as stage:
            await ask_for(stage, script)
            await proposed(stage)
            await stage.pilot.press("a", "enter")
            await stage.until(lambda: isinstance(stage.app.screen, Workbench), "the workbench")
            assert len(limits(stage)) == 3


async def test_a_click_takes_a_wording_and_nothing_goes_in_that_was_not_taken(open_workbench: Open) -> None:
    with serving(LIMITS) as script:
        async with open_workbench() as stage:
            await ask_for(stage, script)
            await proposed(stage)
            await stage.pilot.press("enter")
            assert isinstance(stage.app.screen, RewordScreen)
            await stage.click("what may I send")
            await stage.pilot.press("enter")
            await stage.until(lambda: isinstance(stage.app.screen, Workbench), "the workbench")
            assert limits(stage) == ("What is the limit?", "what may I send")


async def test_nothing_is_sent_before_it_is_agreed_to(open_workbench: Open) -> None:
    with serving(LIMITS) as script:
        async with open_workbench() as stage:
            await ask_for(stage, script)
            await stage.pilot.press("escape")
            await stage.until(lambda: isinstance(stage.app.screen, Workbench), "the workbench")
            assert not script.requests and stage.bench.editor.area.text == DOCUMENT


async def test_a_key_never_goes_out_unencrypted(
    open_workbench: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLM_TEACHER_KEY", "s3cret")
    async with open_workbench() as stage:
        await ask_for(stage, Script([], url="http://example.org/v1"))
        assert "the key would go to example.org unencrypted" in stage.screen_text()
        await stage.pilot.press("enter")
        assert isinstance(stage.app.screen, TeacherScreen) and "s3cret" not in stage.screen_text()


async def test_a_teacher_that_fails_is_said_and_one_that_hangs_is_left(open_workbench: Open) -> None:
    with serving(server.sends(b"no", 500), server.hangs) as script:
        async with open_workbench(size=(80, 24)) as stage:
            await ask_for(stage, script)
            await stage.pilot.press("enter")
            await stage.until(lambda: "answered 500" in stage.screen_text(), "the failure")
            await stage.pilot.press("escape")
            await ask_for(stage, script)
            await stage.pilot.press("enter")
            await stage.until(lambda: "Asking 127.0.0.1" in stage.screen_text(), "the question")
            await stage.pilot.press("escape")
            await stage.until(lambda: isinstance(stage.app.screen, Workbench), "the workbench")
            assert stage.bench.editor.area.text == DOCUMENT


async def test_where_nothing_is_asked_nothing_can_be_reworded(open_workbench: Open, tmp_path: Path) -> None:
    async with open_workbench() as stage:
        stage.bench.editor.go_to(3)
        await stage.pilot.press("ctrl+t")
        await stage.until(
            lambda: any("no question is asked at line 4" in n.message for n in stage.app._notifications),
            "the reason",
        )
