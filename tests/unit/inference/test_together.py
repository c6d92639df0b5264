"""Several replies under way at a time: each is what it would be alone."""

from pathlib import Path

import pytest
import torch

from dlm_core.events import Reply
from dlm_core.inference.chat import Asked, Chat
from dlm_core.llama.decode_forward import LeanBase
from dlm_core.requests import Message, RoutingChoice, Sampling
from tests.tiny import BODY, Desk, make_base_folder, slow

QUESTIONS = (
    "What is the port?",
    "Hi",
    "Say goodbye, and then tell me who owns billing.",
    "Who?",
    "Say hello.",
)
CHOICES = (
    RoutingChoice(mode="off"),
    RoutingChoice(mode="pin", adapter="facts"),
    RoutingChoice(mode="mix", mix={"facts": 0.25, "tone": 0.75}),
    RoutingChoice(mode="base"),
    RoutingChoice(mode="pin", adapter="tone"),
)


def asked(limits: tuple[int, ...] = (12, 3, 7, 12, 1), **sampling: float) -> list[Asked]:
    """Five conversations of different lengths, each under a routing of its own."""
    return [
        Asked((Message("user", question),), choice, Sampling(max_tokens=limit, **sampling))  # type: ignore[arg-type]
        for question, choice, limit in zip(QUESTIONS, CHOICES, limits, strict=True)
    ]


def alone(chat: Chat, one: Asked) -> Reply:
    *_, last = chat.generate(one.messages, one.choice, one.sampling, lambda: False)
    assert isinstance(last, Reply)
    return last


def chat_of(desk: Desk) -> Chat:
    """A chat over two trained adapters, one of them without gates."""
    desk.open(BODY, adapters={"facts": {}, "tone": {"adapter": "lora"}}, num_epochs=4).train()
    chat = desk.engine._chat
    assert chat is not None
    return chat


@pytest.fixture(scope="module")
def chat(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Chat:
    """Trained once: replies change nothing in it."""
    return chat_of(Desk(tmp_path_factory.mktemp("desk"), tiny_base))


@pytest.mark.parametrize("at_once", [slow(1), slow(2), 3, slow(8)])
def test_every_reply_is_what_it_is_alone(chat: Chat, at_once: int) -> None:
    questions = asked()
    found = dict(chat.replies(questions, lambda: False, at_once=at_once))
    for place, one in enumerate(questions):
        wanted, said = alone(chat, one), found[place]
        assert (said.reply, said.finish_reason) == (wanted.reply, wanted.finish_reason)
        assert said.routing == wanted.routing and said.timing.tokens == wanted.timing.tokens
        assert said.openness.keys() == wanted.openness.keys()
        for name, openness in wanted.openness.items():
            assert said.openness[name].mean == pytest.approx(openness.mean, abs=1e-3)
            assert said.openness[name].per_layer == pytest.approx(openness.per_layer, abs=1e-3)


def test_replies_that_are_drawn_by_chance_are_too(chat: Chat) -> None:
    questions = asked(temperature=0.7, seed=3)
    found = dict(chat.replies(questions, lambda: False))
    assert [found[i].reply for i in range(5)] == [alone(chat, one).reply for one in questions]


def test_short_replies_leave_and_others_join(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    real = LeanBase.next_logits

    def counted(base: LeanBase, ids: list[int], *others: object) -> torch.Tensor:
        rows.append(len(ids))
        return real(base, ids, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(LeanBase, "next_logits", counted)
    order = [place for place, _ in chat.replies(asked((6, 2, 4, 6, 3)), lambda: False, at_once=2)]
    assert order[0] == 1 and sorted(order) == [0, 1, 2, 3, 4]
    assert max(rows) == 2 and len(rows) < sum((6, 2, 4, 6, 3)) - 5


def test_a_close_choice_is_made_again_alone(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    assert chat.lean is not None
    wanted = [alone(chat, one).reply for one in asked()]
    monkeypatch.setattr(chat.lean, "lead", 1e9)
    real = LeanBase.next_logits

    def otherwise(base: LeanBase, *arguments: object) -> torch.Tensor:
        return torch.randn(real(base, *arguments).shape)  # type: ignore[arg-type]

    monkeypatch.setattr(LeanBase, "next_logits", otherwise)
    found = dict(chat.replies(asked(), lambda: False, at_once=3))
    assert [found[i].reply for i in range(5)] == wanted


def test_stopping_gives_what_there_is(chat: Chat) -> None:
    steps = iter(range(3))
    found = dict(chat.replies(asked(), lambda: next(steps, None) is None, at_once=2))
    assert {place: r.finish_reason for place, r in found.items() if r.finish_reason == "interrupted"}
    assert all(r.timing.tokens for r in found.values()) and len(found) < 5


@pytest.mark.slow
def test_a_base_whose_layers_see_windows_too(tmp_path: Path) -> None:
    chat = chat_of(Desk(tmp_path, make_base_folder(tmp_path, "gemma3")))
    assert chat.lean is not None
    found = dict(chat.replies(asked(), lambda: False))
    assert [found[i].reply for i in range(5)] == [alone(chat, one).reply for one in asked()]


@pytest.mark.slow
def test_other_shapes_answer_one_by_one(tmp_path: Path) -> None:
    desk = Desk(tmp_path, make_base_folder(tmp_path, "opt", template=None))
    chat = chat_of(desk)
    assert chat.lean is None
    found = dict(chat.replies(asked(), lambda: False))
    assert [found[i].reply for i in range(5)] == [alone(chat, one).reply for one in asked()]
