"""The evaluation in the workbench: measured, filtered, asked, taught."""

import msgspec
import pytest
from textual.widgets import DataTable

from dlm_core.document import load
from dlm_core.events import Place
from dlm_core.reports import Bin, ProbeReply, Support
from dlm_core.requests import Evaluate, Stop
from dlm_tui.screens.edit_choice import EditChoice
from dlm_tui.screens.evaluating import EvaluateScreen, arranged
from dlm_tui.screens.workbench import Workbench
from dlm_tui.widgets.dialogs import TwoLineScreen
from dlm_tui.widgets.plot import Plot
from tests.fakes.client import Turnstile
from tests.fakes.engine import Script
from tests.fakes.reports import EVALUATION
from tests.tui.app.conftest import Open, Stage

TWO = ("knowledge", "tone")


async def opened(stage: Stage) -> EvaluateScreen:
    await stage.pilot.press("alt+q")
    await stage.until(lambda: isinstance(stage.app.screen, EvaluateScreen), "the screen")
    screen = stage.app.screen
    assert isinstance(screen, EvaluateScreen)
    return screen


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_it_is_measured_shown_filtered_and_a_question_asked(
    open_workbench: Open, size: tuple[int, int]
) -> None:
    async with open_workbench(Script(adapters=TWO), size=size) as stage:
        screen = await opened(stage)
        assert "Nothing was measured yet: r measures." in stage.screen_text()
        await stage.pilot.press("r")
        table = screen.query_one(DataTable)
        wrong = [reply for reply in EVALUATION.replies if not reply.right]
        await stage.until(lambda: table.row_count == len(wrong), "the wrong replies")
        assert sum(isinstance(request, Evaluate) for request in stage.client.sent) == 1
        assert "verbatim 100%" in stage.screen_text() and "✖" in stage.screen_text()
        await stage.pilot.press("f")
        await stage.until(lambda: table.row_count == len(EVALUATION.replies), "all replies")
        await stage.pilot.press("f", "f", "f")
        await stage.until(lambda: table.row_count == len(wrong), "the wrong ones again")
        assert f"expected  {wrong[0].expected}" in stage.screen_text()
        await stage.pilot.press("enter")
        await stage.answered(1)
        assert stage.bench.chat.conversation.turns[0].question == wrong[0].question


async def test_a_wrong_reply_is_taught_from_the_table(open_workbench: Open) -> None:
    owner = Place(line=22, end_line=26, adapter="knowledge", question="Who owns it?", probability=0.4)
    async with open_workbench(Script(adapters=TWO, candidates=(owner,))) as stage:
        screen = await opened(stage)
        await stage.pilot.press("r")
        await stage.until(lambda: screen.query_one(DataTable).row_count, "the wrong replies")
        await stage.pilot.press("t")
        await stage.until(lambda: isinstance(stage.app.screen, TwoLineScreen), "the choice")
        question = next(reply.question for reply in EVALUATION.replies if not reply.right)
        assert f"“{question}” should have said" in stage.screen_text()
        await stage.pilot.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, Workbench), "the workbench")
        await stage.until(
            lambda: any(question in q.wordings for s in load(stage.path).sections for q in s.questions),
            "the wording",
        )
        await stage.until(lambda: not stage.bench.session.corrections.under_way, "the end of the run")


async def test_escape_stops_what_is_measured_and_then_closes(open_workbench: Open) -> None:
    turnstile = Turnstile()
    async with open_workbench(Script(adapters=TWO, token_delay=1.0), turnstile=turnstile) as stage:
        await opened(stage)
        await stage.pilot.press("r")
        await stage.until(lambda: any(isinstance(r, Evaluate) for r in stage.client.sent), "the request")
        await stage.pilot.press("escape")
        turnstile.open()
        await stage.until(lambda: "nothing was recorded" in stage.screen_text(), "that it stopped")
        assert any(isinstance(request, Stop) for request in stage.client.sent)
        await stage.pilot.press("escape")
        await stage.until(lambda: isinstance(stage.app.screen, Workbench), "the workbench")


def test_replies_are_filtered_and_sorted() -> None:
    def reply(question: str, right: bool, support: float | None = None, adapter: str = "a") -> ProbeReply:
        return ProbeReply(
            question=question,
            expected="",
            reply="",
            adapter=adapter,
            right=right,
            f1=1.0,
            routing={},
            support=support,
        )

    replies = [reply("c", True, 0.9), reply("B", False, 0.2, "z"), reply("a", False, None, "b")]

    def names(show: str, sort: str) -> str:
        return "".join(r.question for r in arranged(replies, show, sort))  # type: ignore[arg-type]

    assert names("all", "confident") == "cBa" and names("wrong", "confident") == "Ba"
    assert names("right", "confident") == "c" and names("all", "question") == "aBc"
    assert names("all", "support") == "aBc" and names("all", "adapter") == "caB"
    assert "".join(r.question for r in arranged(replies, "all", "support", turned=True)) == "cBa"
    lost = msgspec.structs.replace(replies[0], question="o", outside=True)
    assert [r.question for r in arranged([*replies, lost], "outside", "confident")] == ["o"]


async def test_a_heading_sorts_and_a_second_click_turns_the_order_round(open_workbench: Open) -> None:
    async with open_workbench(Script(adapters=TWO), size=(120, 36)) as stage:
        screen = await opened(stage)
        screen._found = EVALUATION
        screen.action_filter()
        table = screen.query_one(DataTable)

        def first() -> str:
            return str(table.get_row_at(0)[1])

        await stage.pilot.pause()
        await stage.click("question   ")
        assert first() == "Which port is it?" and "by question" in stage.screen_text()
        await stage.click("question   ")
        await stage.until(lambda: first() == "Whose is it?", "the other order")
        await stage.pilot.press("d")
        await stage.until(lambda: first() == "Which port is it?", "the first order")


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_figures_reliability_and_confusion_stand_behind_a_key(
    open_workbench: Open, size: tuple[int, int]
) -> None:
    support = Support(brier=0.04, ece=0.06, count=40, table=(Bin(mean=0.4, right=0.5, count=20),) * 2)
    found = msgspec.structs.replace(EVALUATION, support=support)
    async with open_workbench(Script(adapters=TWO), size=size) as stage:
        screen = await opened(stage)
        screen._found = found
        screen.action_filter()
        await stage.click("v figures")
        await stage.until(lambda: "search in the document alone" in stage.screen_text(), "the tables")
        assert "paraphrase" in stage.screen_text() and "false facts" in stage.screen_text()
        await stage.pilot.press("v")
        await stage.until(lambda: "off by 0.06 on average" in stage.screen_text(), "the reliability")
        assert screen.query_one(Plot).draws > 0
        await stage.pilot.press("v")
        await stage.until(lambda: "89% routed right, 1 astray" in stage.screen_text(), "the confusion")
        await stage.pilot.press("v")
        await stage.until(lambda: "t teaches" in stage.screen_text(), "the questions")


async def test_a_probe_after_turns_is_taught_with_them(open_workbench: Open) -> None:
    after = msgspec.structs.replace(
        EVALUATION.replies[0], question="and for them", before=(("What is the limit?", "Forty-two."),)
    )
    owner = Place(line=22, end_line=26, adapter="knowledge", question="Who owns it?", probability=0.4)
    async with open_workbench(Script(adapters=TWO, candidates=(owner,)), size=(120, 36)) as stage:
        screen = await opened(stage)
        screen._found = msgspec.structs.replace(EVALUATION, replies=(after,))
        screen._fill()
        await stage.pilot.press("t")
        await stage.until(lambda: isinstance(stage.app.screen, TwoLineScreen), "the choice")
        await stage.pilot.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, EditChoice), "the edit")
        assert "+### Q !before" in stage.screen_text() and "+What is the limit?" in stage.screen_text()
