"""A reply that is wrong is put right in the document, trained, and asked again."""

from pathlib import Path

import pytest

from dlm_core.document import load
from dlm_core.errors import DlmError, UsageError
from dlm_core.events import Place, RunEnded
from dlm_core.requests import Explain, Generate, Message, Train
from dlm_tui.session.commands import TeachAnswer
from dlm_tui.session.handlers.teaching import correct
from dlm_tui.session.shown import Failed, Told
from tests.fakes.client import Turnstile
from tests.fakes.engine import Script
from tests.fakes.front import SessionStage, open_session

TWO = ("knowledge", "tone")
LIMIT = Place(line=12, end_line=15, adapter="knowledge", question="What is the limit?", probability=0.31)
GREETING = Place(line=18, end_line=21, adapter="tone", question="How do we greet?", probability=0.2)
SCRIPT = Script(adapters=TWO, candidates=(LIMIT, GREETING), reply="No idea.", taught_reply="Four hundred.")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLM_HOME", str(tmp_path / "home"))


def trained(stage: SessionStage) -> int:
    return sum(isinstance(request, Train) for request in stage.client.sent)


def wordings(stage: SessionStage) -> dict[str, tuple[str, ...]]:
    """Every answer of the document on disk, with the questions it answers."""
    sections = load(stage.session.path).sections
    return {asked.answer: asked.wordings for section in sections for asked in section.questions}


async def test_the_section_that_fits_takes_the_question_and_both_replies_are_shown(tmp_path: Path) -> None:
    async with open_session(tmp_path, SCRIPT) as stage:
        await stage.do("what is the most I may send")
        stage.front.choices = [0]
        await stage.do("/teach")
        (title, labels) = stage.front.asked[0]
        assert title == "“what is the most I may send” should have said"
        assert labels == (
            "line 12 · 31 %  What is the limit?",
            "line 18 · 20 %  How do we greet?",
            "another answer …",
            "another answer, in another adapter …",
            "not for the document",
        )
        assert wordings(stage)["Four hundred."] == ("What is the limit?", "what is the most I may send")
        assert trained(stage) == 1
        before, now = stage.front.replies
        assert now.asked.taught and now.asked.before == before.answer
        assert now.answer is not None and now.answer.text == "Four hundred."
        (turn,) = stage.session.conversation.turns
        assert turn.answer == now.answer and turn.others == (before.answer,)


async def test_an_answer_of_ones_own_becomes_a_section_of_the_adapter_that_the_gate_meant(
    tmp_path: Path,
) -> None:
    async with open_session(tmp_path, SCRIPT) as stage:
        await stage.do("knowledge of the owner")
        stage.front.choices, stage.front.written = [2], ["Ada owns it."]
        await stage.do("/teach")
        assert stage.front.asked[-1] == ("the answer, in knowledge", ("No idea.",))
        assert wordings(stage)["Ada owns it."] == ("knowledge of the owner",)
        (section,) = [s for s in load(stage.session.path).sections if "Ada" in s.text]
        assert section.adapter == "knowledge"


async def test_the_adapter_of_a_new_answer_can_be_chosen(tmp_path: Path) -> None:
    async with open_session(tmp_path, SCRIPT) as stage:
        await stage.do("knowledge of the owner")
        stage.front.choices, stage.front.written = [3, 1], ["Ada owns it."]
        await stage.do("/teach")
        (section,) = [s for s in load(stage.session.path).sections if "Ada" in s.text]
        assert section.adapter == "tone"


async def test_what_is_not_for_the_document_joins_its_list_and_trains_nothing(tmp_path: Path) -> None:
    async with open_session(tmp_path, SCRIPT) as stage:
        await stage.do("who won the cup")
        stage.front.choices = [4]
        said = await stage.do("/teach")
        assert (tmp_path / "doc.offtopic.txt").read_text("utf-8") == "who won the cup\n"
        assert trained(stage) == 0
        assert said == [Told(("doc.offtopic.txt has it now; `dlm eval` asks it",))]
        await stage.do("who was second")
        await stage.do("/teach none")
        assert (tmp_path / "doc.offtopic.txt").read_text("utf-8") == "who won the cup\nwho was second\n"


@pytest.mark.parametrize("declined", ["choice", "answer", "edit"])
async def test_nothing_is_written_that_the_user_declines(tmp_path: Path, declined: str) -> None:
    async with open_session(tmp_path, SCRIPT) as stage:
        before = stage.session.path.read_bytes()
        await stage.do("what is the most")
        stage.front.choices = {"choice": [], "answer": [2], "edit": [0]}[declined]
        stage.front.declines = True
        await stage.do("/teach")
        assert len(stage.front.edits) == (declined == "edit")
        assert stage.session.path.read_bytes() == before and trained(stage) == 0


async def test_sections_that_share_words_are_offered_where_search_finds_none(tmp_path: Path) -> None:
    async with open_session(tmp_path, Script(adapters=TWO)) as stage:
        await stage.do("is there a limit for me")
        await stage.do("/teach")
        assert stage.front.asked[0][1][0] == "line 12  What is the limit?"
        assert any(isinstance(request, Explain) for request in stage.client.sent)


async def test_a_line_and_an_answer_are_taught_without_asking(tmp_path: Path) -> None:
    async with open_session(tmp_path, SCRIPT) as stage:
        await stage.do("what is the most")
        await stage.do("/teach 14")
        assert wordings(stage)["Four hundred."] == ("What is the limit?", "what is the most")
        await stage.do("and whose is it")
        await stage.do("/teach tone: Ours, dear: all of it.")
        assert wordings(stage)["Ours, dear: all of it."] == ("and whose is it",)
        assert trained(stage) == 2 and not stage.front.asked


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("/teach 3", "no question is asked at line 3"),
        ("/teach nobody: so", "no adapter `nobody`"),
        ("/teach tone:", "no answer"),
        ("/teach what ever", "cannot be `what ever`"),
        ("/prefer", "cannot be ``"),
        ("/prefer now", "one reply"),
    ],
)
async def test_what_cannot_be_taught_is_said_and_nothing_is_written(
    tmp_path: Path, line: str, why: str
) -> None:
    async with open_session(tmp_path, SCRIPT) as stage:
        await stage.do("what is the most")
        before = stage.session.path.read_bytes()
        (said,) = await stage.do(line)
        assert isinstance(said, Failed) and isinstance(said.error, UsageError) and why in said.error.message
        assert stage.session.path.read_bytes() == before and trained(stage) == 0


@pytest.mark.parametrize("line", ["/teach", "/teach 14", "/prefer now"])
async def test_without_a_reply_there_is_nothing_to_correct(tmp_path: Path, line: str) -> None:
    async with open_session(tmp_path, SCRIPT) as stage:
        (said,) = await stage.do(line)
        assert isinstance(said, Failed) and said.error.hint == "ask something first"


async def test_a_line_of_a_file_that_changed_since_the_reply_is_refused(tmp_path: Path) -> None:
    async with open_session(tmp_path, SCRIPT) as stage:
        await stage.do("what is the most")
        path = stage.session.path
        path.write_text(path.read_text("utf-8").replace("---\n\n", "---\n\n\n"), "utf-8")
        before = path.read_bytes()
        (said,) = await stage.do("/teach 14")
        assert isinstance(said, Failed) and "changed since the reply" in said.error.message
        assert path.read_bytes() == before


async def test_a_file_that_changes_while_the_user_chooses_is_left_as_it_is(tmp_path: Path) -> None:
    async with open_session(tmp_path, SCRIPT) as stage:
        await stage.do("what is the most")
        text = stage.session.path.read_text("utf-8")

        class Slow(list[int]):
            def pop(self, index: int = -1) -> int:  # type: ignore[override]
                stage.session.path.write_text(f"{text}\nSomebody wrote this.\n", "utf-8")
                return super().pop(index)

        stage.front.choices = Slow([0])
        (said,) = await stage.do("/teach")
        assert isinstance(said, Failed) and isinstance(said.error, DlmError)
        assert "changed meanwhile" in said.error.message
        assert stage.session.path.read_text("utf-8").endswith("Somebody wrote this.\n")
        assert trained(stage) == 0


async def test_corrections_that_come_while_one_is_trained_share_the_next_run(tmp_path: Path) -> None:
    turnstile = Turnstile()
    script = Script(adapters=TWO, candidates=(LIMIT,), steps=4, step_delay=1.0)
    async with open_session(tmp_path, script) as stage:
        stage.client.engine._sleep = turnstile.sleep
        session = stage.session
        for number in range(3):
            await stage.do(f"question {number}")
        turns = list(session.conversation.turns)
        for number, turn in enumerate(turns):
            asked = (Message("user", turn.question),)
            wish = TeachAnswer("tone", f"Answer {number}.")
            session.spawn(correct(session, asked, turn.answer, wish), "command")
            await session.idle()
        assert trained(stage) == 1
        turnstile.open()
        await session.idle(runs=True)
        assert trained(stage) == 2
        taught = [reply.asked.question for reply in stage.front.replies if reply.asked.taught]
        assert taught == ["question 0", "question 1", "question 2"]
        assert [turn.question for turn in session.conversation.turns] == [turn.question for turn in turns]
        assert all(turn.others for turn in session.conversation.turns)


async def test_a_run_that_ends_badly_leaves_the_correction_in_the_document_and_says_so(
    tmp_path: Path,
) -> None:
    script = Script(adapters=TWO, train_error="the loss is not a number")
    async with open_session(tmp_path, script) as stage:
        await stage.do("what is the most")
        said = await stage.do("/teach 14")
        assert Told(("a correction is in the document, but not learned: /train",), warning=True) in said
        assert any(isinstance(shown, Failed) for shown in said)
        assert "what is the most" in wordings(stage)["Four hundred."]
        assert not stage.session.corrections.under_way


async def test_of_two_replies_one_is_preferred(tmp_path: Path) -> None:
    async with open_session(tmp_path, Script(adapters=TWO)) as stage:
        await stage.do("tone please")
        await stage.do("/again --gate off")
        for line, chosen, rejected in [
            ("/prefer now", "Turn 1, off: tone please", "Turn 1, auto: tone please"),
        ]:
            await stage.do(line)
            (pair,) = [p for s in load(stage.session.path).sections for p in s.preferences]
            assert (pair.prompt, pair.chosen, pair.rejected) == ("tone please", chosen, rejected)
        ended = [event for event in stage.front.events if isinstance(event, RunEnded)]
        assert len(ended) == 1 and stage.front.replies[-1].asked.taught


async def test_a_pinned_reply_is_asked_again_under_its_pin(tmp_path: Path) -> None:
    async with open_session(tmp_path, SCRIPT) as stage:
        await stage.do("/adapter tone")
        await stage.do("what is the most")
        await stage.do("/adapter")
        await stage.do("/teach 14")
        asked = [request for request in stage.client.sent if isinstance(request, Generate)]
        assert [request.choice.mode for request in asked] == ["pin", "pin"]


TURN = "### Q !before\nWhat is the limit?\n\n### A !before\nNo idea.\n\n"


async def follow_up(stage: SessionStage, question: str = "and for them") -> None:
    await stage.do("Who won the cup?")
    await stage.do("What is the limit?")
    await stage.do(question)


async def test_a_follow_up_is_taught_behind_the_turn_that_it_goes_on_from(tmp_path: Path) -> None:
    async with open_session(tmp_path, SCRIPT) as stage:
        await follow_up(stage)
        await stage.do("/teach tone: Half of it.")
        text = stage.session.path.read_text("utf-8")
        assert f"::instruction#tone::\n{TURN}### Q\nand for them\n\n### A\nHalf of it." in text
        assert stage.front.edits[-1].sentence == "a new section of tone, after a turn"
        (other,) = stage.front.others
        assert other is not None and "!before" not in other.after


async def test_the_turns_can_be_left_out_where_the_edit_is_shown(tmp_path: Path) -> None:
    async with open_session(tmp_path, SCRIPT) as stage:
        stage.front.swaps = True
        await follow_up(stage)
        await stage.do("/teach tone: Half of it.")
        assert "!before" not in stage.session.path.read_text("utf-8")
        assert wordings(stage)["Half of it."] == ("and for them",)
        assert stage.front.replies[-1].asked.taught == "Half of it."


async def test_a_section_chosen_for_a_follow_up_gives_its_answer_after_those_turns(tmp_path: Path) -> None:
    async with open_session(tmp_path, SCRIPT) as stage:
        await follow_up(stage)
        stage.front.choices = [1]
        await stage.do("/teach")
        (known, taught) = [
            asked
            for section in load(stage.session.path).sections
            for asked in section.questions
            if asked.answer == "Warmly."
        ]
        assert known.wordings == ("How do we greet?",)
        assert taught.wordings == ("and for them",) and taught.before[0].question == "What is the limit?"


async def test_a_question_that_stands_by_itself_is_taught_alone_unless_its_turns_are_asked_for(
    tmp_path: Path,
) -> None:
    async with open_session(tmp_path, SCRIPT) as stage:
        await follow_up(stage, "Name the owner")
        await stage.do("/teach tone: Ada.")
        assert "!before" not in stage.session.path.read_text("utf-8")
        (other,) = stage.front.others
        assert other is not None and TURN in other.after
        await stage.do("Name the owner of all")
        await stage.do("/teach --turns tone: Bob.")
        assert "### A !before\nAda" not in (text := stage.session.path.read_text("utf-8"))
        assert "### Q !before\nName the owner\n" in text
        await stage.do("and of this")
        await stage.do("/teach --alone tone: Eve.")
        assert wordings(stage)["Eve."] == ("and of this",)
        assert stage.session.path.read_text("utf-8").count("### Q !before") == text.count("### Q !before")


async def test_a_preference_for_a_follow_up_keeps_its_turns(tmp_path: Path) -> None:
    async with open_session(tmp_path, Script(adapters=TWO)) as stage:
        await follow_up(stage)
        await stage.do("/again --gate off")
        await stage.do("/prefer now")
        (pair,) = [p for s in load(stage.session.path).sections for p in s.preferences]
        assert [turn.question for turn in pair.before] == ["What is the limit?"]
