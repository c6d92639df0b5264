"""A command is declared once, handled once, and does the same whatever shows it."""

import asyncio
from pathlib import Path

import pytest
from msgspec import structs

from dlm_core.errors import UsageError
from dlm_core.events import Citation, Place, RunEnded
from dlm_core.requests import Explain, Generate, Message, RoutingChoice, Sampling, Train
from dlm_tui.session.commands import COMMANDS
from dlm_tui.session.conversation import Conversation, describe
from dlm_tui.session.handlers import HANDLERS
from dlm_tui.session.shown import (
    BaseShown,
    DocumentShown,
    Failed,
    HelpShown,
    HistoryShown,
    Told,
    WarningsShown,
    WhyShown,
)
from tests.fakes.client import Turnstile
from tests.fakes.engine import Script
from tests.fakes.front import SessionStage, open_session

TWO = ("knowledge", "tone")


def generated(stage: SessionStage) -> list[Generate]:
    return [request for request in stage.client.sent if isinstance(request, Generate)]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLM_HOME", str(tmp_path / "home"))


def test_every_command_has_a_handler_and_every_handler_a_command() -> None:
    assert {command.name for command in COMMANDS} == set(HANDLERS)


@pytest.mark.parametrize(
    ("lines", "choice"),
    [
        (["/gate off"], RoutingChoice(mode="off")),
        (["/gate off", "/gate auto"], RoutingChoice()),
        (["/gate"], RoutingChoice(mode="off")),
        (["/gate", "/gate"], RoutingChoice()),
        (["/adapter tone"], RoutingChoice(mode="pin", adapter="tone")),
        (["/adapter tone", "/adapter"], RoutingChoice()),
        (["/adapter tone", "/gate"], RoutingChoice()),
        (["/mix tone:7,knowledge:3"], RoutingChoice(mode="mix", mix={"tone": 7.0, "knowledge": 3.0})),
    ],
)
async def test_commands_set_the_routing_of_the_next_reply(
    tmp_path: Path, lines: list[str], choice: RoutingChoice
) -> None:
    async with open_session(tmp_path) as stage:
        said = [await stage.do(line) for line in lines]
        assert stage.session.conversation.choice == choice
        assert said[-1] == [Told((describe(choice),))]
        await stage.do("hi")
        assert generated(stage)[-1].choice == choice


@pytest.mark.parametrize(
    "line", ["/adapter nobody", "/mix tone:-1", "/gate maybe", "/params heat=1", "/nope"]
)
async def test_a_wrong_command_is_said_and_changes_nothing(tmp_path: Path, line: str) -> None:
    async with open_session(tmp_path) as stage:
        (said,) = await stage.do(line)
        assert isinstance(said, Failed) and isinstance(said.error, UsageError)
        assert stage.session.conversation == Conversation()


async def test_params_and_system_prompt_are_set_and_shown(tmp_path: Path) -> None:
    async with open_session(tmp_path) as stage:
        (said,) = await stage.do("/params temperature=0.7 seed=3")
        assert isinstance(said, Told) and "temperature=0.7" in said.sentences[0]
        await stage.do("/params seed=none")
        assert stage.session.conversation.sampling == Sampling(temperature=0.7)
        assert await stage.do("/system Answer in verse.") == [Told(("system prompt: Answer in verse.",))]
        await stage.do("hi")
        assert generated(stage)[-1].messages[0] == Message("system", "Answer in verse.")
        assert await stage.do("/system none") == [Told(("the system prompt is the document's",))]


async def test_the_base_is_asked_with_history_and_system_prompt_and_its_reply_is_not_kept(
    tmp_path: Path,
) -> None:
    async with open_session(tmp_path) as stage:
        await stage.do("/system Be brief.")
        await stage.do("what is it")
        kept = list(stage.session.conversation.turns)
        await stage.do("/base and you?")
        asked = generated(stage)[-1]
        assert asked.choice.mode == "base"
        assert [m.role for m in asked.messages] == ["system", "user", "assistant", "user"]
        assert asked.messages[-1].content == "and you?"
        assert stage.front.replies[-1].answer is not None
        assert stage.session.conversation.turns == kept


async def test_the_base_alone_answers_the_last_question_beside_the_reply_it_had(tmp_path: Path) -> None:
    async with open_session(tmp_path) as stage:
        await stage.do("what is it")
        await stage.do("/base")
        (turn,) = stage.session.conversation.turns
        assert turn.answer.routing.mode == "auto" and turn.others[0].routing.mode == "base"
        assert stage.front.replies[-1].asked.before == turn.answer


async def test_again_asks_the_last_question_under_the_routing_given(tmp_path: Path) -> None:
    async with open_session(tmp_path) as stage:
        await stage.do("what is it")
        await stage.do("/again --gate off")
        (turn,) = stage.session.conversation.turns
        assert (turn.answer.routing.mode, turn.others[0].routing.mode) == ("off", "auto")
        first, second = generated(stage)
        assert first.messages == second.messages


@pytest.mark.parametrize(
    ("line", "choice"),
    [
        ("/gate off", RoutingChoice(mode="off")),
        ("/adapter tone", RoutingChoice(mode="pin", adapter="tone")),
        ("/gate auto", RoutingChoice()),
    ],
)
async def test_why_explains_the_reply_that_was_given_under_the_routing_it_had(
    tmp_path: Path, line: str, choice: RoutingChoice
) -> None:
    async with open_session(tmp_path) as stage:
        await stage.do(line)
        await stage.do("what is it")
        await stage.do("/adapter knowledge")
        (said,) = await stage.do("/why")
        assert isinstance(said, WhyShown) and said.why.neighbours
        assert said.answer == stage.session.conversation.turns[0].answer
        (explained,) = [request for request in stage.client.sent if isinstance(request, Explain)]
        assert explained.choice == choice and explained.messages == said.asked


RIVAL = Place(line=11, end_line=13, adapter="tone", question="And the tone?", probability=0.4)
UNSURE = Citation(kind="answer", line=16, adapter="tone", question="What is the limit?", support=0.4)


@pytest.mark.parametrize("line", ["/other", "/other 12"])
@pytest.mark.parametrize("named", [True, False], ids=["named beside the reply", "found by search"])
async def test_the_other_section_answers_in_place_of_the_reply(
    tmp_path: Path, line: str, named: bool
) -> None:
    own = Place(line=16, end_line=18, adapter="tone", question="What is the limit?", probability=0.5)
    cited = structs.replace(UNSURE, see_also=(RIVAL,) if named else ())
    script = Script(adapters=TWO, citation=cited, candidates=(own, RIVAL))
    async with open_session(tmp_path, script) as stage:
        await stage.do("what is it")
        before = stage.session.conversation.turns[0].answer
        await stage.do(line)
        await stage.session.idle()
        first, second = generated(stage)
        assert second.choice.section == "And the tone?" and second.messages == first.messages
        (turn,) = stage.session.conversation.turns
        assert turn.others == (before,)
        assert "And the tone?" in describe(stage.front.replies[-1].asked.choice)


@pytest.mark.parametrize(
    ("line", "said"),
    [("/other", "no other section"), ("/other 99", "at line 99"), ("/other x", "/other LINE")],
)
async def test_where_there_is_no_other_section_that_is_said(tmp_path: Path, line: str, said: str) -> None:
    script = Script(adapters=TWO, citation=UNSURE)
    async with open_session(tmp_path, script) as stage:
        await stage.do("what is it")
        (failed,) = await stage.do(line)
        assert isinstance(failed, Failed) and said in f"{failed.error.message} {failed.error.hint}"
        assert len(generated(stage)) == 1


@pytest.mark.parametrize("line", ["/why", "/again", "/base", "/copy", "/other"])
async def test_without_a_reply_there_is_nothing_to_do_it_to(tmp_path: Path, line: str) -> None:
    async with open_session(tmp_path) as stage:
        (said,) = await stage.do(line)
        assert isinstance(said, Failed) and said.error.hint == "ask something first"


async def test_the_last_reply_is_copied(tmp_path: Path) -> None:
    async with open_session(tmp_path) as stage:
        await stage.do("what is it")
        await stage.do("/copy")
        assert stage.front.copied == [stage.session.conversation.turns[0].answer.text]


async def test_stop_with_nothing_under_way_says_so(tmp_path: Path) -> None:
    async with open_session(tmp_path) as stage:
        assert await stage.do("/stop") == [Told(("nothing is under way",))]


async def test_stop_ends_a_run_at_its_next_step(tmp_path: Path) -> None:
    turnstile = Turnstile()
    script = Script(adapters=TWO, steps=500, step_delay=1.0)
    async with open_session(tmp_path, script) as stage:
        stage.client.engine._sleep = turnstile.sleep
        stage.session.train(Train(request_id=""))
        while stage.session.runs.view is None:
            await stage.session.engine.until_ready()
            turnstile.let_pass()
            await asyncio.sleep(0.01)
        assert stage.session.interrupt_run()
        turnstile.open()
        await stage.session.idle(runs=True)
        ended = [event for event in stage.front.events if isinstance(event, RunEnded)]
        assert [event.status for event in ended] == ["stopped"]


async def test_a_run_ends_in_a_version_that_answers(tmp_path: Path) -> None:
    async with open_session(tmp_path) as stage:
        await stage.do("/train --epochs 2")
        sent = [request for request in stage.client.sent if isinstance(request, Train)]
        assert sent[0].epochs == 2
        assert stage.session.version == "v0002" and not stage.session.runs.under_way
        assert stage.session.engine.ready is not None
        assert stage.session.engine.ready.version == "v0002"


async def test_the_document_its_base_its_warnings_and_the_help_are_shown(tmp_path: Path) -> None:
    async with open_session(tmp_path) as stage:
        (shown,) = await stage.do("/show")
        assert isinstance(shown, DocumentShown) and shown.document.sections == 2
        assert await stage.do("/model") == [BaseShown(stage.session.engine.ready)]
        assert await stage.do("/warnings") == [WarningsShown(())]
        (help_,) = await stage.do("/help gate")
        assert isinstance(help_, HelpShown) and help_.command is not None and help_.command.name == "gate"
        (help_,) = await stage.do("/help")
        assert isinstance(help_, HelpShown) and help_.keys == stage.front.keys


async def test_a_conversation_is_saved_cleared_and_loaded(tmp_path: Path) -> None:
    async with open_session(tmp_path) as stage:
        await stage.do("what is it")
        turns = list(stage.session.conversation.turns)
        assert await stage.do("/history") == [HistoryShown(tuple(turns))]
        await stage.do("/adapter tone")
        await stage.do(f"/save {tmp_path}/talk.json")
        (said,) = await stage.do("/clear")
        assert isinstance(said, Told) and "1 turn forgotten" in said.sentences[0]
        assert not stage.session.conversation.turns and stage.front.replaced == 1
        await stage.do("/gate off")
        await stage.do(f"/load {tmp_path}/talk.json")
        assert stage.session.conversation.turns == turns and stage.front.replaced == 2
        assert stage.session.conversation.choice == RoutingChoice(mode="pin", adapter="tone")


async def test_a_question_withdrawn_before_its_turn_leaves_the_line_free(tmp_path: Path) -> None:
    async with open_session(tmp_path) as stage:
        stage.session.replies.ask("never mind")
        assert stage.session.interrupt_reply()
        await asyncio.wait_for(stage.session.idle(), 10)
        assert not stage.session.replies.busy and not stage.session.conversation.turns
        await stage.do("and now")
        assert len(stage.session.conversation.turns) == 1


async def test_what_waits_is_withdrawn_with_the_reply_that_is_stopped(tmp_path: Path) -> None:
    async with open_session(tmp_path) as stage:
        for question in ("one", "two", "three"):
            stage.session.replies.ask(question)
        assert stage.session.replies.waiting == 3
        stage.session.interrupt_reply()
        await asyncio.wait_for(stage.session.idle(), 10)
        assert Told(("what waited for its turn is withdrawn",)) in stage.front.said
        assert not stage.session.conversation.turns


async def test_a_question_that_looks_like_a_command_is_asked_with_two_slashes(tmp_path: Path) -> None:
    async with open_session(tmp_path) as stage:
        await stage.do("//gate off")
        assert generated(stage)[0].messages[-1].content == "/gate off"


async def test_edit_goes_to_the_document_and_exit_leaves(tmp_path: Path) -> None:
    async with open_session(tmp_path) as stage:
        (said,) = await stage.do("/edit")
        assert isinstance(said, Told) and "2 sections are new or changed" in said.sentences[0]
        await stage.do("/exit")
        assert stage.front.edited == 1 and stage.front.left


async def test_a_dead_engine_fails_a_reply_with_the_way_back_and_restart_is_it(tmp_path: Path) -> None:
    async with open_session(tmp_path) as stage:
        stage.client.die("the engine process was killed by SIGKILL")
        await stage.do("hello")
        failure = stage.front.replies[-1].failure
        assert failure is not None and "/restart brings it back" in failure.hint
        await stage.do("/restart")
        await stage.do("hello")
        assert stage.front.replies[-1].answer is not None


@pytest.mark.parametrize(
    "line", ["caf\udce9 au lait", "/system caf\udce9", "half \ud83d and a pair \ud83d\ude00"]
)
async def test_bytes_that_are_no_text_are_asked_as_replacement_characters(tmp_path: Path, line: str) -> None:
    async with open_session(tmp_path) as stage:
        stage.session.typed(line)
        for said in await stage.do(line):
            assert not isinstance(said, Failed)
        await stage.do("hi")
        texts = [message.content for request in generated(stage) for message in request.messages]
        assert any("\ufffd" in text for text in texts)
        assert not any("\ud800" <= character <= "\udfff" for text in texts for character in text)
        assert "pair" not in line or any("pair \U0001f600" in text for text in texts)
