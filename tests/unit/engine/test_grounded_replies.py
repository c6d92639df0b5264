"""Replies with the document in hand, on a tiny base that hardly learned anything, without an encoder."""

import shutil
from pathlib import Path

import pytest

from dlm_core import taught
from dlm_core.engine_protocol import EvalOptions
from dlm_core.errors import BaseModelError, UsageError
from dlm_core.events import Reply
from dlm_core.requests import Message, RoutingChoice, Sampling
from tests.tiny import Desk, slow, tiny_base

__all__ = ["tiny_base"]

FACTS = {
    "Where does the gardener keep the ladder?": "Behind the green shed.",
    "Which bulb flowers first in spring?": "The snowdrop does.",
    "How deep is the pond by the willow?": "Two metres at most.",
    "Who repairs the broken fence?": "Otto repairs it.",
    "When is the compost turned over?": "On every second Friday.",
}
TALK = """\
::instruction#facts::
### Q !before
I lost the key.
### A !before
Which one?
### Q
The garage one.
### A
Ask the porter.

### Q !before
I need the van.
### A !before
Which one?
### Q
The garage one.
### A
It is in repair.
"""
BODY = "".join(f"::instruction#facts::\n### Q\n{q}\n### A\n{a}\n\n" for q, a in FACTS.items())
MANNER = "::prose#manner::\nShort words, plain words.\n"
ON = {"grounding": {"enabled": True}, "adapters": {"facts": {}, "manner": {}}}


@pytest.fixture(scope="module")
def trained(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a document that was trained once, for all tests here."""
    folder = tmp_path_factory.mktemp("grounded")
    Desk(folder, tiny_base).open(BODY + MANNER, **ON).train()
    return folder


@pytest.fixture
def grounded(trained: Path, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    def none(*_: object, **__: object) -> None:
        raise BaseModelError("there is no encoder here", "none is needed")

    monkeypatch.setenv("DLM_ENCODER", "auto")
    monkeypatch.setattr(taught, "load_encoder", none)
    desk = Desk(shutil.copytree(trained, tmp_path / "desk"), tiny_base)
    desk.engine.open(desk.path)
    return desk


def ask(desk: Desk, *said: str, choice: RoutingChoice | None = None, tokens: int = 40) -> Reply:
    roles = ("user", "assistant")
    messages = [Message(roles[i % 2], text) for i, text in enumerate(said)]  # type: ignore[arg-type]
    events = list(
        desk.engine.generate(messages, choice or RoutingChoice(), Sampling(max_tokens=tokens), lambda: False)
    )
    assert isinstance(events[-1], Reply)
    return events[-1]


def test_a_question_in_other_words_gets_its_answer_and_the_line_it_stands_on(grounded: Desk) -> None:
    reply = ask(grounded, "the ladder of the gardener, where is it kept?")
    assert reply.reply == "Behind the green shed." and reply.grounded and reply.overruled > 0
    cited = reply.citation
    assert cited is not None and (cited.kind, cited.adapter) == ("answer", "facts")
    lines = grounded.path.read_text().splitlines()
    assert cited.line is not None and cited.end_line is not None
    assert "Behind the green shed." in lines[cited.line - 1 : cited.end_line]
    assert cited.question == "Where does the gardener keep the ladder?" and cited.unsupported == ()


def test_that_there_is_no_encoder_is_said_once(grounded: Desk) -> None:
    ask(grounded, "the fence is broken, who repairs it?")
    ask(grounded, "the compost, when is it turned?")
    assert len([log for log in grounded.events if getattr(log, "code", "") == "no_encoder"]) == 1


def test_off_the_reply_is_that_of_the_weights_token_for_token(grounded: Desk) -> None:
    off = ask(grounded, "the ladder of the gardener?", choice=RoutingChoice(ground="off"))
    grounded.write(BODY + MANNER, **ON | {"grounding": {"enabled": False}})
    grounded.engine.reload()
    bare = ask(grounded, "the ladder of the gardener?")
    assert off.reply == bare.reply and not off.grounded and off.routing.outside is None


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["off", slow("pin"), slow("mix"), "base"])
def test_other_routings_look_nothing_up_unless_they_are_asked_to(grounded: Desk, mode: str) -> None:
    choice = RoutingChoice(mode=mode, adapter="facts", mix={"facts": 1.0})  # type: ignore[arg-type]
    assert not ask(grounded, "the pond by the willow, how deep?", choice=choice).grounded
    asked = RoutingChoice(mode=mode, adapter="facts", mix={"facts": 1.0}, ground="auto")  # type: ignore[arg-type]
    assert ask(grounded, "the pond by the willow, how deep?", choice=asked).grounded is (mode != "base")


def test_outside_the_document_only_manner_is_at_work_and_the_base_has_a_bar(grounded: Desk) -> None:
    reply = ask(grounded, "qqq zzz")
    assert reply.citation is not None and reply.citation.kind == "outside"
    assert reply.routing.weights["facts"] == 0.0 and reply.routing.weights["manner"] > 0.0
    assert reply.routing.base == pytest.approx(1 - reply.routing.weights["manner"])
    assert "outside the document" in reply.routing.reason


def test_outside_a_document_of_facts_alone_the_base_answers_as_it_always_does(grounded: Desk) -> None:
    grounded.write(BODY + MANNER, **ON | {"adapters": {"facts": {}, "manner": {"scope": "document"}}})
    grounded.engine.reload()
    base = ask(grounded, "qqq zzz", choice=RoutingChoice(mode="base"))
    assert ask(grounded, "qqq zzz").reply == base.reply


@pytest.mark.slow
def test_neither_scope_nor_grounding_trains_anything_anew(grounded: Desk) -> None:
    grounded.write(
        BODY + MANNER,
        grounding={"enabled": False},
        adapters={"facts": {"scope": "any"}, "manner": {"scope": "document"}},
    )
    assert "nothing" in grounded.train().reason


@pytest.mark.slow
def test_a_follow_up_keeps_the_routing_of_the_turn_before_and_is_answered_freely(grounded: Desk) -> None:
    first = "How deep is the pond by the willow?"
    reply = ask(grounded, first, "Two metres at most.", "and why is that?")
    assert not reply.grounded and reply.routing.weights == ask(grounded, first).routing.weights
    assert reply.citation is not None and reply.citation.kind != "outside"


@pytest.mark.slow
def test_a_taught_follow_up_is_said_after_the_turns_it_was_taught_after(grounded: Desk) -> None:
    grounded.write(BODY + TALK + MANNER, **ON)
    grounded.engine.reload()
    grounded.train()
    key = ask(grounded, "I lost the key.", "Which one?", "The garage one.")
    van = ask(grounded, "I need the van.", "Which one?", "The garage one.")
    assert (key.reply, van.reply) == ("Ask the porter.", "It is in repair.")
    assert key.grounded and key.citation is not None and key.citation.kind == "answer"
    other = ask(grounded, "I lost the key.", "Which one?", "Who repairs the broken fence?")
    assert other.reply == "Otto repairs it."


@pytest.mark.slow
def test_a_section_that_was_edited_since_is_not_found_until_it_is_trained(grounded: Desk) -> None:
    body = BODY.replace("Behind the green shed.", "On the roof.")
    grounded.write(body + MANNER, **ON)
    grounded.engine.reload()
    assert ask(grounded, "Where does the gardener keep the ladder?").reply != "On the roof."
    grounded.train()
    assert ask(grounded, "Where does the gardener keep the ladder?").reply == "On the roof."


@pytest.mark.slow
def test_many_at_a_time_say_what_each_says_alone(grounded: Desk) -> None:
    from dlm_core.inference.chat import Asked

    questions = [*FACTS, "qqq zzz", "the fence, who repairs it?"]
    alone = [ask(grounded, q) for q in questions]
    chat = grounded.engine._opened()
    asked = [Asked([Message("user", q)], RoutingChoice(), Sampling(max_tokens=40)) for q in questions]
    together = dict(chat.replies(asked, lambda: False))
    for place, one in enumerate(alone):
        assert (together[place].reply, together[place].citation) == (one.reply, one.citation)


def test_by_chance_too_a_likely_answer_is_said(grounded: Desk) -> None:
    events = grounded.engine.generate(
        [Message("user", "Who repairs the broken fence?")],
        RoutingChoice(),
        Sampling(max_tokens=40, temperature=0.8, seed=3),
        lambda: False,
    )
    replies = [event.reply for event in events if isinstance(event, Reply)]
    assert replies == ["Otto repairs it."]


def test_why_lists_the_sections_with_their_scores(grounded: Desk) -> None:
    why = grounded.engine.explain([Message("user", "the ladder of the gardener?")], RoutingChoice(), 3)
    assert why.candidates[0].question == "Where does the gardener keep the ladder?"
    assert why.candidates[0].line is not None and set(why.scores[0]) >= {"words"}


@pytest.mark.slow
def test_why_can_say_how_the_weights_alone_would_begin(grounded: Desk) -> None:
    asked = [Message("user", "the ladder of the gardener?")]
    why = grounded.engine.explain(asked, RoutingChoice(), 3, 12)
    off = ask(grounded, asked[0].content, choice=RoutingChoice(ground="off"), tokens=12)
    assert why.alone == off.reply != "Behind the green shed."
    assert grounded.engine.explain(asked, RoutingChoice(), 3).alone is None


@pytest.mark.parametrize("mode", ["auto", slow("off"), slow("pin")])
def test_a_reply_can_be_asked_for_from_another_section_that_fits(grounded: Desk, mode: str) -> None:
    question, other = "the ladder of the gardener, who repairs the fence?", "Who repairs the broken fence?"
    first = ask(grounded, question)
    other = next(q for q in (other, "Where does the gardener keep the ladder?") if FACTS[q] != first.reply)
    choice = RoutingChoice(mode=mode, adapter="facts", section=other)  # type: ignore[arg-type]
    reply = ask(grounded, question, choice=choice)
    assert reply.reply == FACTS[other] and reply.grounded and reply.citation is not None
    assert (reply.citation.question, reply.citation.support) == (other, None)
    assert not reply.citation.see_also


def test_a_section_that_does_not_fit_is_refused_by_name_of_the_remedy(grounded: Desk) -> None:
    for choice in (RoutingChoice(section="What is the rule?"), RoutingChoice(mode="base", section="x")):
        with pytest.raises(UsageError, match="does not fit"):
            ask(grounded, "the ladder of the gardener?", choice=choice)


@pytest.mark.slow
def test_measured_without_looking_up_the_figures_are_those_of_the_weights(
    grounded: Desk, tmp_path: Path
) -> None:
    probes = tmp_path / "asked.yaml"
    probes.write_text(
        "- question: the ladder of the gardener?\n  answer: Behind the green shed.\n  adapter: facts\n",
        encoding="utf-8",
    )
    by_ground = {
        ground: grounded.engine.evaluate(
            EvalOptions(probes=probes, ground=ground), lambda _: None, lambda: False
        ).evaluation
        for ground in (True, False)
    }
    with_it, without = by_ground[True].answers, by_ground[False].answers
    assert with_it is not None and with_it.grounded is not None and by_ground[True].missed is not None
    assert without is not None and without.grounded is None and by_ground[False].missed is None
    assert with_it.weights == without.weights


@pytest.mark.slow
def test_the_index_is_kept_in_the_store_and_taken_from_there(
    grounded: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ask(grounded, "the fence is broken, who repairs it?")
    kept = list((grounded.home / "store").glob("*/index/*"))
    assert len(kept) == 1 and (kept[0] / "version.json").is_file()

    def build(*_: object, **__: object) -> None:
        raise AssertionError("it is there already")

    monkeypatch.setattr(taught.Index, "build", build)
    grounded.engine = grounded.new_engine()
    grounded.engine.open(grounded.path)
    assert ask(grounded, "the fence is broken, who repairs it?").citation == first.citation


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["torn", slow("gone")])
def test_an_index_that_is_damaged_is_made_anew(grounded: Desk, damage: str) -> None:
    first = ask(grounded, "the fence is broken, who repairs it?")
    (kept,) = (grounded.home / "store").glob("*/index/*")
    for file in kept.iterdir():
        if file.name != "version.json":
            file.write_bytes(file.read_bytes()[:9]) if damage == "torn" else file.unlink()
    grounded.engine = grounded.new_engine()
    grounded.engine.open(grounded.path)
    assert ask(grounded, "the fence is broken, who repairs it?").citation == first.citation
