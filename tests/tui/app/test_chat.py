"""The chat pane, as a person uses it."""

import asyncio
from pathlib import Path

import pytest

from dlm_core.events import Citation, Place, Unsupported
from dlm_core.requests import Generate, Route
from dlm_tui.screens.reply_detail import ReplyDetail
from dlm_tui.widgets.chat_input import ChatInput
from dlm_tui.widgets.reply_view import ReplyView
from tests.fakes.client import Turnstile
from tests.fakes.engine import Script
from tests.tui.app.conftest import Open, Stage

TWO = ("knowledge", "tone")


def last_reply(stage: Stage) -> ReplyView:
    return list(stage.bench.query(ReplyView))[-1]


async def test_a_reply_comes_with_its_bars_mode_speed_and_version(open_workbench: Open) -> None:
    async with open_workbench(size=(160, 40)) as stage:
        await stage.ask("tone please")
        await stage.answered(1)
        await stage.until(lambda: "tokens · 20/s · v0001" in stage.screen_text(), "the reply's facts")
        shown = stage.screen_text()
        assert "❯ tone please" in shown and "Turn 1, auto: tone please" in shown
        assert "▲ tone" in shown and "0.88" in shown and "0.12" in shown


async def test_a_reply_names_its_line_says_what_that_lacks_and_a_key_goes_there(open_workbench: Open) -> None:
    cited = Citation(
        kind="answer",
        line=16,
        end_line=20,
        adapter="tone",
        question="What is the limit?",
        support=0.41,
        see_also=(Place(line=22, end_line=26, adapter="knowledge", question="And else?", probability=0.3),),
        unsupported=(Unsupported(start=0, end=2, text="43"),),
    )
    async with open_workbench(size=(160, 40), script=Script(adapters=TWO, citation=cited)) as stage:
        await stage.ask("tone please")
        await stage.answered(1)
        await stage.until(lambda: "▲ tone, line 16 · 41 %" in stage.screen_text(), "the line")
        shown = stage.screen_text()
        assert "unsure: line 22 (● knowledge)" in shown and "not in that section: 43" in shown
        assert "(o" in shown and "takes" in shown
        stage.bench.chat.query(ReplyView).last().focus()
        await stage.pilot.press("g")
        await stage.until(lambda: stage.bench.editor.area.cursor_location[0] == 15, "the section")
        stage.bench.chat.query(ReplyView).last().focus()
        await stage.pilot.press("o")
        await stage.answered(1)
        await stage.until(lambda: len(stage.bench.chat.conversation.turns[0].others) == 1, "the other reply")
        asked = [r for r in stage.client.sent if isinstance(r, Generate)]
        assert asked[-1].choice.section == "And else?" and asked[-1].messages == asked[0].messages


async def test_details_say_where_a_reply_comes_from_and_what_else_would_fit(open_workbench: Open) -> None:
    place = Place(line=22, end_line=26, adapter="knowledge", question="And else?", probability=0.3)
    cited = Citation(kind="answer", line=16, adapter="tone", question="What is the limit?", support=0.41)
    script = Script(adapters=TWO, citation=cited, candidates=(place,))
    async with open_workbench(size=(160, 60), script=script) as stage:
        await stage.ask("tone please")
        await stage.answered(1)
        stage.bench.chat.query(ReplyView).last().focus()
        await stage.pilot.press("w")
        await stage.until(lambda: "Where it comes from" in stage.screen_text(), "the sections")
        shown = stage.screen_text()
        assert "▲ tone, line 16 · 41 %" in shown and "sections that fit" in shown
        assert "● knowledge, line 22  0.30  And else?" in shown


async def test_a_key_lets_the_weights_alone_reply_and_back(open_workbench: Open) -> None:
    async with open_workbench(size=(160, 40)) as stage:
        await stage.pilot.press("alt+c", "alt+s")
        await stage.until(lambda: stage.bench.chat.conversation.choice.ground == "off", "the choice")
        await stage.ask("tone please")
        await stage.answered(1)
        asked = [r for r in stage.client.sent if isinstance(r, Generate)]
        assert asked[-1].choice.ground == "off"


async def test_the_bars_of_the_next_prompt_show_while_it_is_typed(open_workbench: Open) -> None:
    async with open_workbench(size=(160, 40)) as stage:
        stage.bench.frame.bring_up("chat")
        await stage.pilot.press(*"tone")
        await stage.until(lambda: "0.88" in stage.screen_text(), "the bars")
        assert not stage.bench.chat.conversation.turns
        assert any(isinstance(r, Route) for r in stage.client.sent)
        assert not any(isinstance(r, Generate) for r in stage.client.sent)


async def test_one_key_toggles_the_gate_and_the_next_reply_follows_it(open_workbench: Open) -> None:
    async with open_workbench(size=(160, 40)) as stage:
        await stage.pilot.press("f7")
        assert "gate off" in stage.screen_text().splitlines()[0]
        await stage.ask("tone please")
        await stage.answered(1)
        await stage.pilot.press("ctrl+g")
        await stage.ask("tone please")
        await stage.answered(2)
        modes = [turn.answer.routing.mode for turn in stage.bench.chat.conversation.turns]
        assert modes == ["off", "auto"]


async def test_pinning_goes_through_the_adapters_and_back_to_the_gate(open_workbench: Open) -> None:
    async with open_workbench() as stage:
        stage.bench.frame.bring_up("chat")
        chosen = []
        for _ in range(3):
            await stage.pilot.press("alt+n")
            choice = stage.bench.chat.conversation.choice
            chosen.append((choice.mode, choice.adapter))
        assert chosen == [("pin", "knowledge"), ("pin", "tone"), ("auto", None)]


async def test_slash_commands_work_and_an_unknown_one_names_the_nearest(open_workbench: Open) -> None:
    async with open_workbench(size=(160, 40)) as stage:
        await stage.ask("/mix knowledge:1,tone:3")
        await stage.until(lambda: stage.bench.chat.conversation.choice.mode == "mix", "the mix")
        await stage.ask("/gaet off")
        await stage.until(lambda: "did you mean /gate?" in stage.screen_text(), "the nearest command")
        await stage.ask("/help train")
        await stage.until(lambda: "Train the document as it stands on disk" in stage.screen_text(), "help")
        await stage.ask("/show")
        await stage.until(lambda: "4 sections, not trained yet" in stage.screen_text(), "the overview")


async def test_escape_stops_the_reply_and_keeps_what_was_said(open_workbench: Open) -> None:
    turnstile = Turnstile()
    script = Script(adapters=TWO, reply="one two three four five", token_delay=1.0)
    async with open_workbench(script, turnstile=turnstile) as stage:
        await stage.ask("go")
        turnstile.let_pass(2)
        await stage.until(lambda: stage.bench.query(ReplyView) and last_reply(stage).text == "one two", "two")
        await stage.pilot.press("escape")
        turnstile.open()
        await stage.answered(1)
        answer = stage.bench.chat.conversation.turns[0].answer
        assert answer.finish_reason == "interrupted" and answer.text.startswith("one two")
        await stage.until(lambda: "■ stopped" in stage.screen_text(), "the mark")


async def test_chat_works_while_training_runs_and_says_so(open_workbench: Open) -> None:
    turnstile = Turnstile()
    script = Script(adapters=TWO, steps=20, step_delay=1.0)
    async with open_workbench(script, turnstile=turnstile, size=(160, 40)) as stage:
        await stage.pilot.press("f5")
        turnstile.let_pass(2)
        await stage.until(lambda: stage.bench.dashboard.run_view and stage.bench.dashboard.run_view.last)
        await stage.ask("tone please")
        turnstile.let_pass(2)
        await stage.answered(1)
        assert stage.bench.chat.conversation.turns[0].answer.during_run == 1
        await stage.until(lambda: "while run 1 trains" in stage.screen_text(), "the mark")


async def test_comparing_shows_the_same_prompt_under_two_routings_with_one_seed(open_workbench: Open) -> None:
    async with open_workbench(size=(200, 50)) as stage:
        await stage.ask("tone please")
        await stage.answered(1)
        await stage.pilot.press("alt+v")
        await stage.until(lambda: len(stage.app.screen_stack) == 3, "the choice")
        await stage.pilot.press("enter")
        await stage.until(lambda: len(stage.bench.query("Comparison ReplyView")) == 2, "two replies")
        await stage.until(lambda: all(v.answer for v in stage.bench.query(ReplyView)), "both being complete")
        asked = [r for r in stage.client.sent if isinstance(r, Generate)][1:]
        assert [r.choice.mode for r in asked] == ["auto", "base"]
        assert asked[0].messages == asked[1].messages
        assert asked[0].sampling.seed == asked[1].sampling.seed is not None
        assert len(stage.bench.chat.conversation.turns) == 1


async def test_answering_again_keeps_one_turn_with_both_answers(open_workbench: Open) -> None:
    async with open_workbench() as stage:
        await stage.ask("tone please")
        await stage.answered(1)
        await stage.pilot.press("ctrl+r")
        conversation = stage.bench.chat.conversation
        await stage.until(lambda: len(conversation.turns[0].others) == 1, "the second answer")
        assert len(conversation.turns) == 1


async def test_the_last_question_goes_back_into_the_line_to_be_changed(open_workbench: Open) -> None:
    async with open_workbench() as stage:
        await stage.ask("tone please")
        await stage.answered(1)
        await stage.pilot.press("alt+u")
        await stage.pilot.pause()
        assert stage.bench.query_one(ChatInput).text == "tone please"
        assert not stage.bench.chat.conversation.turns


async def test_the_history_comes_back_when_the_document_is_opened_again(
    open_workbench: Open, homes: Path
) -> None:
    async with open_workbench() as stage:
        await stage.ask("What is the limit?")
        await stage.answered(1)
    kept = homes / "home" / "workbench" / "chats" / "01HZX3V5J8K2M4N6P7Q8R9S0TA.json"
    assert kept.stat().st_mode & 0o077 == 0
    async with open_workbench() as stage:
        await stage.until(lambda: stage.bench.chat.conversation.turns, "the history")
        await stage.until(lambda: "❯ What is the limit?" in stage.screen_text())
        stage.bench.frame.bring_up("chat")
        await stage.pilot.press("up")
        assert stage.bench.query_one(ChatInput).text == "What is the limit?"
        last_reply(stage).focus()
        await stage.pilot.press("enter")
        await stage.until(lambda: "least" in stage.screen_text(), "openness token by token")
        assert "not recorded" not in stage.screen_text()


async def test_a_question_asked_while_the_base_loads_is_asked_when_it_is_there(open_workbench: Open) -> None:
    turnstile = Turnstile()
    script = Script(adapters=TWO, open_delay=1.0)
    async with open_workbench(script, turnstile=turnstile, wait=False) as stage:
        await stage.ask("tone please")
        await stage.until(lambda: "still loading" in stage.screen_text(), "the note")
        assert not any(isinstance(r, Generate) for r in stage.client.sent)
        turnstile.open()
        await stage.answered(1)


@pytest.mark.slow
async def test_the_engines_death_is_one_sentence_and_a_restart_goes_on(open_workbench: Open) -> None:
    async with open_workbench(size=(160, 40)) as stage:
        await stage.ask("tone please")
        await stage.answered(1)
        stage.client.die("the engine process was killed by SIGKILL")
        await stage.until(lambda: "killed by SIGKILL" in stage.screen_text(), "the sentence")
        assert not stage.bench.chat.ready
        await stage.ask("/restart")
        await stage.until(lambda: stage.bench.chat.ready, "the engine being back")
        await stage.ask("tone again")
        await stage.answered(2)


async def test_the_detail_of_a_reply_shows_openness_token_by_token_and_why(open_workbench: Open) -> None:
    async with open_workbench(size=(160, 50)) as stage:
        await stage.ask("tone please")
        await stage.answered(1)
        last_reply(stage).focus()
        await stage.pilot.press("enter")
        await stage.until(lambda: "Openness token by token" in stage.screen_text(), "the detail")
        assert "Rank openness" in stage.screen_text() and "layer 0, rank 0" in stage.screen_text()
        await stage.pilot.press("escape", "w")
        await stage.until(lambda: "A question about tone?" in stage.screen_text(), "the nearest questions")


async def test_escape_sequences_of_the_model_are_shown_and_not_obeyed(open_workbench: Open) -> None:
    script = Script(adapters=TWO, reply="before \x1b[2J\x07 after")
    async with open_workbench(script, size=(160, 40)) as stage:
        await stage.ask("go")
        await stage.answered(1)
        await stage.until(lambda: "after" in stage.screen_text())
        assert "\x1b" not in stage.screen_text() and "␛[2J" in stage.screen_text()


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), (100, 30), (140, 40)])
async def test_why_typed_into_the_chat_shows_what_stands_behind_the_reply(
    open_workbench: Open, size: tuple[int, int]
) -> None:
    async with open_workbench(size=size) as stage:
        await stage.ask("what is it")
        await stage.answered(1)
        await stage.ask("/why")
        await stage.until(lambda: isinstance(stage.app.screen, ReplyDetail), "the detail")
        await stage.until(
            lambda: "A question about knowledge?" in stage.screen_text(), "the nearest question"
        )


async def test_the_ghost_of_a_command_is_taken_with_tab(open_workbench: Open) -> None:
    async with open_workbench() as stage:
        stage.bench.frame.bring_up("chat")
        await stage.pilot.press(*"/ada", "tab")
        assert stage.bench.query_one(ChatInput).text == "/adapter"


async def test_a_cleared_chat_says_what_was_forgotten_and_one_without_a_turn_is_welcoming(
    open_workbench: Open,
) -> None:
    async with open_workbench(size=(160, 40)) as stage:
        await stage.ask("tone please")
        await stage.answered(1)
        await stage.ask("/clear")
        await stage.until(lambda: "a new conversation (1 turn forgotten)" in stage.screen_text(), "the note")
        assert "tone please" not in stage.screen_text()
        stage.bench.chat.show_turns()  # as when the last question is taken back into the line
        await stage.until(lambda: "Ask the document something." in stage.screen_text(), "the welcome")


async def test_the_app_outlives_a_history_that_is_exchanged_while_it_is_shown(open_workbench: Open) -> None:
    async with open_workbench(size=(160, 40)) as stage:
        await stage.ask("tone please")
        await stage.answered(1)
        for _ in range(3):  # each is cancelled by the next
            stage.bench._open_history(stage.bench.dlm_id)
            await asyncio.sleep(0)
        await stage.ask("once more")
        await stage.answered(2)
        assert stage.pilot.app.is_running
