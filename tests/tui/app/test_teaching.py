"""A wrong reply is put right from the chat: chosen, seen in the editor, trained, asked again."""

import pytest
from textual import events
from textual.color import Color
from textual.widgets import TextArea

from dlm_core.document import load
from dlm_core.events import Place
from dlm_core.requests import Train
from dlm_tui.screens.edit_choice import EditChoice
from dlm_tui.screens.workbench import Workbench
from dlm_tui.widgets.dialogs import TextScreen, TwoLineScreen
from dlm_tui.widgets.reply_view import ReplyView
from tests.fakes.engine import Script
from tests.tui.app.conftest import DOCUMENT, Open, Stage
from tests.tui.app.test_parts import contrast

OWNER = Place(line=22, end_line=26, adapter="knowledge", question="Who owns it?", probability=0.4)
SCRIPT = Script(
    adapters=("knowledge", "tone"), candidates=(OWNER,), reply="No idea.", taught_reply="Ada does."
)


async def asked(stage: Stage, question: str = "whose is it then") -> None:
    await stage.ask(question)
    await stage.answered(1)


async def offered(stage: Stage, key: str = "alt+t") -> None:
    await stage.pilot.press(key)
    await stage.until(lambda: isinstance(stage.app.screen, TwoLineScreen), "the choice")


async def taught(stage: Stage, replies: int = 3) -> None:
    await stage.until(
        lambda: len(answers(stage)) == replies and not stage.bench.chat.busy, "the reply asked again"
    )
    await stage.until(lambda: not stage.bench.session.corrections.under_way, "the end of the run")


def answers(stage: Stage) -> list[str]:
    return [view.answer.text for view in stage.bench.query(ReplyView) if view.answer is not None]


async def test_a_key_offers_sections_and_shows_both_replies_once_it_is_taught(open_workbench: Open) -> None:
    async with open_workbench(SCRIPT, size=(160, 50)) as stage:
        await asked(stage)
        await offered(stage)
        text = stage.screen_text()
        assert "“whose is it then” should have said" in text
        assert "knowledge, line 22 · 40 %  Who owns it?" in text and "Ada does." in text
        await stage.pilot.press("enter")
        await taught(stage)
        assert answers(stage) == ["No idea.", "No idea.", "Ada does."]
        area = stage.bench.editor.area
        assert area.selected_text == "### Q\nwhose is it then"
        assert stage.path.read_text("utf-8") == area.text and not stage.bench.editor.unsaved
        sections = load(stage.path).sections
        assert sections[1].questions[0].wordings == ("Who owns it?", "whose is it then")
        assert "+whose is it then" in stage.screen_text()
        area.focus()
        await stage.pilot.press("ctrl+z")
        assert area.text == DOCUMENT


async def test_an_answer_is_written_with_the_reply_to_begin_with(open_workbench: Open) -> None:
    async with open_workbench(SCRIPT) as stage:
        await asked(stage, "tone of it")
        await offered(stage)
        await stage.pilot.press("down", "enter")
        await stage.until(lambda: isinstance(stage.app.screen, TextScreen), "the place to write")
        area = stage.app.screen.query_one(TextArea)
        assert area.text == area.selected_text == "No idea."
        area.load_text("Calm")
        area.move_cursor(area.document.end)
        await stage.pilot.press("ctrl+j", "x", "enter")
        await taught(stage)
        (section,) = [s for s in load(stage.path).sections if "Calm" in s.text]
        assert section.adapter == "tone" and section.questions[0].answer == "Calm\nx"


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_escape_leaves_all_as_it_is(open_workbench: Open, size: tuple[int, int]) -> None:
    async with open_workbench(SCRIPT, size=size) as stage:
        await asked(stage)
        await offered(stage)
        assert "not for the document" in stage.screen_text()
        await stage.pilot.press("escape")
        await stage.until(lambda: isinstance(stage.app.screen, Workbench), "the workbench")
        assert stage.path.read_text("utf-8") == DOCUMENT
        assert not any(isinstance(request, Train) for request in stage.client.sent)


async def test_an_answer_typed_in_one_go_with_enter_is_taken_whole(open_workbench: Open) -> None:
    async with open_workbench(SCRIPT) as stage:
        await asked(stage)
        await offered(stage)
        await stage.pilot.press("down", "enter")
        await stage.until(lambda: isinstance(stage.app.screen, TextScreen), "the place to write")
        await stage.pilot.pause()
        for key in (*"Calm", "ctrl+j", "x", "enter"):  # as a terminal sends them: all at once
            stage.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await taught(stage)
        assert any(q.answer == "Calm\nx" for s in load(stage.path).sections for q in s.questions)


async def test_what_is_not_for_the_document_joins_its_list_and_trains_nothing(open_workbench: Open) -> None:
    async with open_workbench(SCRIPT) as stage:
        await asked(stage, "who won the cup")
        await offered(stage)
        await stage.pilot.press("end", "enter")
        listed = stage.path.with_name("guide.offtopic.txt")
        await stage.until(listed.is_file, "the list")
        await stage.until(
            lambda: "guide.offtopic.txt has it now" in " ".join(stage.screen_text().split()), "the word"
        )
        assert listed.read_text("utf-8") == "who won the cup\n" and stage.path.read_text("utf-8") == DOCUMENT
        assert not any(isinstance(request, Train) for request in stage.client.sent)


async def test_the_highlighted_section_can_be_read_in_every_theme(open_workbench: Open) -> None:
    """An adapter's colour on the cursor's own would be colour on colour."""
    async with open_workbench(SCRIPT, size=(120, 36)) as stage:
        await asked(stage)
        for theme in ("ink", "paper", "okabe", "contrast"):
            stage.app.choose_theme(theme)
            await offered(stage)
            await stage.pilot.pause()
            rows = stage.app.screen._compositor.render_strips()
            (style,) = {s.style for row in rows for s in row if "line 22" in s.text}
            assert style is not None and style.color is not None and style.bgcolor is not None
            ink, ground = (Color.from_rich_color(color).hex6 for color in (style.color, style.bgcolor))
            assert contrast(ink, ground) >= 3.0, (theme, ink, ground)
            await stage.pilot.press("escape")
            await stage.until(lambda: isinstance(stage.app.screen, Workbench), "the workbench")


async def test_a_key_on_an_earlier_reply_teaches_that_one(open_workbench: Open) -> None:
    async with open_workbench(SCRIPT) as stage:
        await asked(stage)
        await stage.ask("and how do I greet")
        await stage.answered(2)
        stage.bench.query(ReplyView).first().focus()
        await offered(stage, "t")
        assert "“whose is it then”" in stage.screen_text()
        await stage.pilot.press("enter")
        await taught(stage, 4)
        assert load(stage.path).sections[1].questions[0].others == ("whose is it then",)


async def test_with_unsaved_work_the_edit_is_made_in_what_the_editor_shows(open_workbench: Open) -> None:
    async with open_workbench(SCRIPT) as stage:
        await asked(stage)
        area = stage.bench.editor.area
        area.put("\n::prose::\nMore prose.\n", area.document.end, area.document.end)
        await offered(stage)
        await stage.pilot.press("enter")
        await taught(stage)
        assert stage.path.read_text("utf-8").endswith("More prose.\n")
        assert "whose is it then" in area.text


async def test_a_document_with_errors_is_not_changed(open_workbench: Open) -> None:
    async with open_workbench(SCRIPT) as stage:
        await asked(stage)
        area = stage.bench.editor.area
        area.put("\n::instruction#nobody::\n### Q\na\n### A\nb\n", area.document.end, area.document.end)
        text = area.text
        await offered(stage)
        await stage.pilot.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, TextScreen), "the place to write")
        stage.app.screen.query_one(TextArea).load_text("Else.")
        await stage.pilot.press("enter")
        await stage.until(lambda: "has errors" in stage.screen_text(), "the reason")
        assert area.text == text and stage.path.read_text("utf-8") == DOCUMENT


async def test_one_of_two_replies_is_preferred(open_workbench: Open) -> None:
    async with open_workbench(Script(adapters=("knowledge", "tone")), size=(160, 50)) as stage:
        await asked(stage, "tone please")
        await stage.pilot.press("ctrl+r")
        await stage.until(lambda: len(answers(stage)) == 2 and not stage.bench.chat.busy, "the second reply")
        stage.bench.query(ReplyView).last().focus()
        await stage.pilot.press("p")
        await stage.until(lambda: "say the same" in stage.screen_text(), "that both say the same")
        stage.bench.session.toggle_gate()
        await stage.pilot.press("alt+c", "ctrl+r")
        await stage.until(lambda: len(answers(stage)) == 3 and not stage.bench.chat.busy, "the third reply")
        stage.bench.query(ReplyView).last().focus()
        await stage.pilot.press("p")
        await taught(stage, 5)
        (pair,) = [p for s in load(stage.path).sections for p in s.preferences]
        assert (pair.chosen, pair.rejected) == ("Turn 1, off: tone please", "Turn 1, auto: tone please")


@pytest.mark.parametrize("key", ["keys", "click"])
async def test_a_follow_up_is_shown_with_its_turns_and_a_key_leaves_them_out(
    open_workbench: Open, key: str
) -> None:
    async with open_workbench(SCRIPT, size=(80, 24)) as stage:
        await asked(stage)
        await stage.ask("and for them")
        await stage.answered(2)
        await offered(stage)
        await stage.pilot.press("down", "enter")
        await stage.until(lambda: isinstance(stage.app.screen, TextScreen), "the place to write")
        await stage.pilot.press(*"Half", "enter")
        await stage.until(lambda: isinstance(stage.app.screen, EditChoice), "the edit")
        shown = stage.screen_text()
        assert "+### Q !before" in shown and "+whose is it then" in shown and "after a turn" in shown
        assert stage.path.read_text("utf-8") == DOCUMENT
        if key == "keys":
            await stage.pilot.press("t", "enter")
        else:
            await stage.click("t makes")
            await stage.until(lambda: "!before" not in stage.screen_text(), "the other edit")
            await stage.click("teaches this")
        await taught(stage, 4)
        text = stage.path.read_text("utf-8")
        assert "!before" not in text and "### Q\nand for them\n" in text
