"""What was asked is kept with what was said of it; after a run, what was right is asked again."""

from pathlib import Path

import pytest

from dlm_core.requests import Generate
from dlm_core.store.asked import AskedQuestion, AskedQuestions
from dlm_core.store.paths import StorePaths
from dlm_tui.session.question_log import says_the_same
from dlm_tui.session.shown import Failed, Told
from tests.fakes.engine import Script
from tests.fakes.front import SessionStage, open_session

TWO = ("knowledge", "tone")
DLM_ID = "01HZX3V5J8K2M4N6P7Q8R9S0TA"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AskedQuestions:
    monkeypatch.setenv("DLM_HOME", str(tmp_path / "home"))
    paths = StorePaths(tmp_path / "home", DLM_ID)
    paths.root.mkdir(parents=True)
    return AskedQuestions(paths.asked)


def kept(store: AskedQuestions) -> list[tuple[str, str, str]]:
    return [(entry.question, entry.verdict, entry.answer) for entry in store.load()]


async def keeping(stage: SessionStage, *lines: str) -> None:
    stage.session.questions.open(DLM_ID)
    for line in lines:
        await stage.do(line)


async def test_questions_are_kept_with_verdicts(tmp_path: Path, store: AskedQuestions) -> None:
    async with open_session(tmp_path, Script(adapters=TWO, reply="It is so.")) as stage:
        await keeping(stage, "what is it", "/right", "and what else", "/wrong")
        assert stage.front.said == [
            Told(("noted as right: asked again after every run",)),
            Told(("noted as wrong: /teach puts it right",)),
        ]
    assert kept(store) == [("what is it", "right", "It is so."), ("and what else", "wrong", "")]


async def test_nothing_is_kept_where_that_was_not_asked_for(tmp_path: Path, store: AskedQuestions) -> None:
    async with open_session(tmp_path, Script(adapters=TWO)) as stage:
        await stage.do("what is it")
        assert await stage.do("/right") == [Told(("what is asked is not kept here",))]
    assert store.load() == ()


async def test_a_reply_under_a_routing_of_its_own_is_not_kept_nor_judged(
    tmp_path: Path, store: AskedQuestions
) -> None:
    async with open_session(tmp_path, Script(adapters=TWO)) as stage:
        await keeping(stage, "/adapter tone", "what is it")
        (said,) = await stage.do("/right")
        assert isinstance(said, Failed) and "of the document itself" in said.error.message
    assert store.load() == ()


async def test_clearing_the_chat_forgets_what_was_asked(tmp_path: Path, store: AskedQuestions) -> None:
    async with open_session(tmp_path, Script(adapters=TWO)) as stage:
        await keeping(stage, "what is it")
        assert store.load()
        await stage.do("/clear")
    assert store.load() == ()


async def test_what_was_taught_is_kept_with_the_answer_it_is_to_have(
    tmp_path: Path, store: AskedQuestions
) -> None:
    script = Script(adapters=TWO, reply="No idea.", taught_reply="Four hundred.")
    async with open_session(tmp_path, script) as stage:
        await keeping(stage, "what is the most", "/teach 14")
    assert kept(store) == [("what is the most", "taught", "Four hundred.")]


async def test_a_taught_reply_that_did_not_come_is_said(tmp_path: Path, store: AskedQuestions) -> None:
    async with open_session(tmp_path, Script(adapters=TWO, reply="No idea.")) as stage:
        await keeping(stage, "what is the most", "/teach 14")
        said = [shown for shown in stage.front.said if isinstance(shown, Told) and shown.warning]
        assert said == [Told(("that is not yet what was taught: another wording of it helps",), warning=True)]


async def test_a_run_that_loses_what_was_right_is_said_with_the_way_back(
    tmp_path: Path, store: AskedQuestions
) -> None:
    script = Script(adapters=TWO, reply="Ada does.", taught_reply="Something else now.")
    async with open_session(tmp_path, script) as stage:
        await keeping(stage, "who owns it", "/right", "who else", "/wrong", "and who", "/train")
        lost = stage.front.said[-1]
        assert isinstance(lost, Told) and lost.warning
        assert lost.sentences == (
            "1 of what was answered right is not any more: “who owns it”",
            "/rollback goes back to the run before",
        )
        asked = [request for request in stage.client.sent if isinstance(request, Generate)]
        assert [request.messages[-1].content for request in asked[3:]] == ["who owns it"]
        assert len(stage.session.conversation.turns) == 3, "nothing of it is said in the chat"


async def test_a_run_that_keeps_what_was_right_says_nothing(tmp_path: Path, store: AskedQuestions) -> None:
    script = Script(adapters=TWO, reply="Ada does.", taught_reply="Ada does!")
    async with open_session(tmp_path, script) as stage:
        await keeping(stage, "who owns it", "/right")
        before = len(stage.front.said)
        await stage.do("/train")
        assert stage.front.said[before:] == []
        assert sum(isinstance(request, Generate) for request in stage.client.sent) == 2


def test_a_question_whose_last_reply_was_another_is_not_one_that_was_right() -> None:
    from dlm_tui.session.question_log import was_right

    def entry(verdict: str, reply: str, answer: str) -> AskedQuestion:
        return AskedQuestion(messages=(), reply=reply, verdict=verdict, answer=answer)  # type: ignore[arg-type]

    assert was_right(entry("right", "Ada does.", "ada does"))
    assert was_right(entry("taught", "Ada does.", "Ada does."))
    assert not was_right(entry("taught", "No idea.", "Ada does."))
    assert not was_right(entry("wrong", "Ada does.", "Ada does."))
    assert not says_the_same("", "")
