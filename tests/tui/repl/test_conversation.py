"""A conversation keeps its turns, knows how the next reply is routed, and survives a file."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlm_core.errors import DlmError, UsageError
from dlm_core.events import AdapterOpenness, Routing, Timing
from dlm_core.requests import Message, RoutingChoice, Sampling
from dlm_tui.session.conversation import Answer, Conversation, Turn

ADAPTERS = ("knowledge", "tone")
WEIGHTS = Routing(mode="auto", weights={"knowledge": 0.8, "tone": 0.2}, reason="the gate -- decides")


def answer(text: str, mode: str = "auto") -> Answer:
    return Answer(
        text=text,
        finish_reason="stop",
        routing=Routing(mode=mode, weights=WEIGHTS.weights, reason="-->"),  # type: ignore[arg-type]
        openness={"tone": AdapterOpenness(mean=0.25, per_layer=(0.2, 0.3))},
        timing=Timing(load_s=0, route_s=0.01, first_token_s=0.2, tokens_per_s=20, tokens=3),
        version="v0002",
    )


def test_the_engine_is_sent_the_whole_conversation() -> None:
    conversation = Conversation(system="Be brief.")
    conversation.answered("One?", answer("1"))
    assert conversation.messages("Two?") == (
        Message("system", "Be brief."),
        Message("user", "One?"),
        Message("assistant", "1"),
        Message("user", "Two?"),
    )


def test_answering_again_asks_the_same_and_replaces_the_answer_but_keeps_the_old_one() -> None:
    conversation = Conversation()
    conversation.answered("One?", answer("1"))
    conversation.answered("Two?", answer("2"))
    assert conversation.asked_last()[0] == (*conversation.messages("Two?")[:2], Message("user", "Two?"))
    conversation.answered_again(answer("zwei", "off"))
    assert conversation.last == Turn(question="Two?", answer=answer("zwei", "off"), others=(answer("2"),))


def test_an_answer_of_the_bare_base_does_not_enter_the_conversation() -> None:
    conversation = Conversation()
    conversation.answered("One?", answer("1"))
    conversation.answered_again(answer("bare", "base"))
    assert conversation.messages("Two?")[1] == Message("assistant", "1")
    assert conversation.last is not None
    assert conversation.last.others == (answer("bare", "base"),)


def test_answering_again_needs_a_question() -> None:
    with pytest.raises(UsageError, match="nothing has been asked"):
        Conversation().asked_last()


texts = st.text(
    st.characters(exclude_categories=("Cs",)) | st.sampled_from(list("\n\r-<!>\\ #*")), max_size=40
) | st.sampled_from(
    [
        "<!-- dlm: answer -->",
        "\\<!-- dlm: x",
        "\n\n",
        "## Question\n\n",
        "a\n<!-- dlm: question -->\nb",
        "\r\n",
    ]
)


@settings(max_examples=150, deadline=None)
@given(
    turns=st.lists(st.tuples(texts, texts, st.lists(texts, max_size=2)), max_size=3),
    system=st.none() | texts,
    ending=st.sampled_from([".json", ".md"]),
)
def test_a_saved_conversation_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory,
    turns: list[tuple[str, str, list[str]]],
    system: str | None,
    ending: str,
) -> None:
    conversation = Conversation(
        system=system, choice=RoutingChoice(mode="pin", adapter="tone"), sampling=Sampling(seed=5)
    )
    for question, reply, others in turns:
        turn = Turn(question=question, answer=answer(reply), others=tuple(answer(o) for o in others))
        conversation.turns.append(turn)
    path = tmp_path_factory.mktemp("saved") / f"talk{ending}"
    conversation.save(path)
    loaded = Conversation()
    loaded.load(path)
    assert loaded == conversation


def test_saving_overwrites_nothing_and_wants_a_known_ending(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        Conversation().save(tmp_path / "a.md")
    assert (tmp_path / "a.md").read_text() == "mine"
    with pytest.raises(UsageError, match="neither"):
        Conversation().save(tmp_path / "a.txt")
    with pytest.raises(DlmError, match="cannot be written"):
        Conversation().save(tmp_path / "no" / "a.md")


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\xff", b"[" * 50_000, b"# Hello\n", b'{"format": 99, "turns": []}']
)
@pytest.mark.parametrize("ending", [".json", ".md"])
def test_loading_something_else_is_refused_and_changes_nothing(
    tmp_path: Path, content: bytes, ending: str
) -> None:
    path = tmp_path / f"other{ending}"
    path.write_bytes(content)
    conversation = Conversation()
    conversation.answered("One?", answer("1"))
    with pytest.raises(DlmError):
        conversation.load(path)
    assert len(conversation.turns) == 1


def test_a_saved_conversation_reads_well_as_markdown(tmp_path: Path) -> None:
    conversation = Conversation()
    conversation.answered("Who is on call?", answer("Ada."))
    conversation.save(tmp_path / "talk.md")
    text = (tmp_path / "talk.md").read_text()
    assert "## Question\n\nWho is on call?\n" in text
    assert "### Reply\n*auto: knowledge 0.80, tone 0.20*\n\nAda.\n" in text
