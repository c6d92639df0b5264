"""Replies of a trained document on a tiny base: routing, memory between turns, limits and openness."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from dlm_core.errors import UsageError
from dlm_core.events import Reply, Token
from dlm_core.inference import generate as generating
from dlm_core.requests import Message, RoutingChoice, Sampling
from tests.tiny import AUTO, CONTEXT, Desk, slow

PIN_FACTS = RoutingChoice(mode="pin", adapter="facts")
PIN_TONE = RoutingChoice(mode="pin", adapter="tone")
CHOICES = {
    "auto": AUTO,
    "off": RoutingChoice(mode="off"),
    "pin": PIN_FACTS,
    "mix": RoutingChoice(mode="mix", mix={"facts": 3, "tone": 1}),
    "base": RoutingChoice(mode="base"),
}


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Desk:
    """A trained document that no test changes."""
    desk = Desk(tmp_path_factory.mktemp("talker"), tiny_base)
    desk.open(num_epochs=8, gate={"enabled": True, "cold_start_floor": 2, "lr": 0.01}).train()
    return desk


@pytest.fixture
def fresh(talker: Desk) -> Desk:
    """The same document in an engine that has said nothing yet."""
    desk = Desk(talker.folder, talker.base)
    desk.engine.open(desk.path)
    return desk


@pytest.fixture
def forwards(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tokens each reply could take over from the one before."""
    taken: list[int] = []
    real = generating.KeyValueCache.take

    def take(cache: Any, key: Any, ids: Any) -> Any:
        past, known = real(cache, key, ids)
        taken.append(known)
        return past, known

    monkeypatch.setattr(generating.KeyValueCache, "take", take)
    return taken


@pytest.mark.parametrize("mode", ["auto", slow("base"), slow("mix"), slow("off"), "pin"])
def test_a_second_turn_equals_the_reply_of_a_fresh_process(
    talker: Desk, fresh: Desk, mode: str, forwards: list[int]
) -> None:
    settings: dict[str, Any] = {"choice": CHOICES[mode], "temperature": 0.8, "seed": 5, "max_tokens": 16}
    first = talker.ask("Say hello.", **settings)[2].reply
    # Under auto each turn has its own routing, so the second turn must not build on the first one's memory.
    turns = ("Say hello.", first, "And then?")
    second = talker.ask(*turns, **settings)[2]
    anew = fresh.ask(*turns, **settings)[2]
    assert second.reply == anew.reply and second.routing == anew.routing
    if mode != "auto":
        assert forwards[1] > 20 and forwards[2] == 0


def test_memory_is_never_reused_under_other_weights(fresh: Desk, forwards: list[int]) -> None:
    for choice in (PIN_FACTS, PIN_TONE, CHOICES["mix"], CHOICES["base"], PIN_TONE):
        fresh.ask("Say hello.", choice=choice)
    assert forwards == [0] * 5
    fresh.ask("Say hello.", choice=PIN_TONE)
    assert forwards[-1] > 0


@pytest.mark.slow
def test_memory_is_never_reused_under_other_versions(desk: Desk, forwards: list[int]) -> None:
    desk.open().train()
    desk.ask("Say hello.", choice=PIN_TONE)
    desk.write(num_epochs=3)
    desk.train()
    reply = desk.ask("Say hello.", choice=PIN_TONE)[2]
    assert forwards == [0, 0] and reply.version == "g2"
    other = Desk(desk.folder, desk.base)
    other.engine.open(other.path)
    assert other.ask("Say hello.", choice=PIN_TONE)[2].reply == reply.reply


def test_an_edited_history_is_read_again_from_where_it_differs(talker: Desk, fresh: Desk) -> None:
    talker.ask("One thing.", "Yes.", "Another thing?", choice=PIN_TONE)
    edited = talker.ask("One thing.", "No.", "Another thing?", choice=PIN_TONE)[2]
    assert edited.reply == fresh.ask("One thing.", "No.", "Another thing?", choice=PIN_TONE)[2].reply


def test_an_interrupted_reply_can_be_continued_from(talker: Desk, fresh: Desk) -> None:
    talker.ask("Count for me.", choice=PIN_TONE, stop=talker.stop_after(4), temperature=1.0, seed=3)
    whole = talker.ask("Count for me.", choice=PIN_TONE, temperature=1.0, seed=3)[2]
    assert whole.reply == fresh.ask("Count for me.", choice=PIN_TONE, temperature=1.0, seed=3)[2].reply


def test_stop_comes_within_one_token(talker: Desk) -> None:
    stopping = False
    events: Iterator[Any] = talker.engine.generate(
        (Message("user", "Go on and on."),),
        CHOICES["base"],
        Sampling(max_tokens=50, temperature=5.0, seed=1),
        lambda: stopping,
    )
    rest = []
    for event in events:
        if isinstance(event, Token):
            if stopping:
                rest.append(event)
            stopping = True
        if isinstance(event, Reply):
            assert event.finish_reason == "interrupted" and event.timing.tokens <= 2
    assert len(rest) <= 1


@pytest.mark.parametrize("mode", ["auto", "base"])
def test_a_reply_that_waits_switches_nothing_for_the_rest(talker: Desk, mode: str) -> None:
    events = talker.engine.generate(
        (Message("user", "Hello"),),
        CHOICES[mode],
        Sampling(max_tokens=9, temperature=5.0, seed=1),
        lambda: False,
    )
    for _ in range(3):
        next(events)
    assert not torch.is_inference_mode_enabled() and torch.is_grad_enabled()
    events.close()
    workshop = talker.engine._workshop
    assert workshop is not None and all(layer.plan is None for layer in workshop.bank.layers.values())


def test_the_length_limit_ends_a_reply(talker: Desk) -> None:
    reply = talker.ask("Go on.", choice=CHOICES["base"], max_tokens=3, temperature=5.0, seed=1)[2]
    assert reply.finish_reason == "length" and reply.timing.tokens == 3


def test_streamed_tokens_make_the_reply(talker: Desk) -> None:
    for seed in range(5):
        _, parts, reply = talker.ask("Hello?", choice=CHOICES["base"], temperature=5.0, seed=seed)
        assert "".join(parts) == reply.reply


def test_the_oldest_turns_are_left_out_and_counted(talker: Desk) -> None:
    turns = ["x" * 60, "y" * 60] * 5 + ["The question?"]
    reply = talker.ask(*turns, choice=PIN_TONE, max_tokens=8)[2]
    assert reply.dropped_turns > 0 and reply.dropped_turns % 2 == 0
    assert reply.prompt_tokens + 8 <= CONTEXT
    kept = turns[reply.dropped_turns :]
    same = talker.ask(*kept, choice=PIN_TONE, max_tokens=8)[2]
    assert same.reply == reply.reply and same.dropped_turns == 0
    assert same.prompt_tokens == reply.prompt_tokens


def test_a_message_too_long_for_the_base_is_a_usage_error(talker: Desk) -> None:
    with pytest.raises(UsageError, match=r"has \d+ tokens"):
        talker.ask("x" * 600, choice=PIN_TONE)
    with pytest.raises(UsageError, match="nothing to answer"):
        talker.ask("Hello", "I answered.", choice=PIN_TONE)
    with pytest.raises(UsageError, match="nothing to answer"):
        list(talker.engine.generate((), AUTO, Sampling(), lambda: False))


def test_an_unknown_adapter_is_a_usage_error_with_the_names(talker: Desk) -> None:
    with pytest.raises(UsageError) as caught:
        talker.ask("Hello", choice=RoutingChoice(mode="pin", adapter="tome"))
    assert "facts, tone" in caught.value.hint


def test_an_untrained_document_answers_from_the_base(desk: Desk, talker: Desk) -> None:
    ready_events = desk.open()
    routed, _, reply = ready_events.ask("Hello?", max_tokens=8)
    assert routed.routing.mode == "base" and "not trained" in routed.routing.reason
    assert reply.reply == talker.ask("Hello?", choice=CHOICES["base"], max_tokens=8)[2].reply
    assert reply.openness == {}


def by_hand(desk: Desk, adapter: str, ids: list[int], first: int) -> float:
    """Mean openness of a pinned adapter over the positions from `first` on, from its own gates."""
    chat, workshop = desk.engine._chat, desk.engine._workshop
    assert chat is not None and workshop is not None
    from dlm_core.adapters.bank import ServingPlan

    weights = next(a for a in chat.serving.adapters if a.spec.name == adapter)
    values: list[torch.Tensor] = []

    def look(module: Any, args: tuple[torch.Tensor, ...]) -> None:
        layer = weights.layers[module.name]
        assert layer.gate_weight is not None and layer.gate_bias is not None
        values.append(torch.sigmoid(args[0][0, first:] @ layer.gate_weight.T + layer.gate_bias).mean(0))

    handles = [layer.register_forward_pre_hook(look) for layer in workshop.bank.layers.values()]
    workshop.bank.use(ServingPlan(workshop.bank, chat.serving.adapters, {adapter: 1.0}))
    with torch.no_grad():
        workshop.base.model(input_ids=torch.tensor([ids]), use_cache=False)
    workshop.bank.use(None)
    for handle in handles:
        handle.remove()
    return float(torch.stack(values).mean())


@pytest.mark.parametrize("length", [1, 6])
@pytest.mark.parametrize("question", ["Hello?", "x" * 300])
def test_openness_is_that_of_the_replys_tokens(
    talker: Desk, length: int, question: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generating, "PREFILL_CHUNK", 128)
    base = talker.engine._base
    assert base is not None
    drawn: list[int] = []
    real = generating.Sampler.draw

    def draw(sampler: Any, logits: torch.Tensor, seen: list[int]) -> int:
        logits[list(base.end_token_ids)] = -torch.inf
        drawn.append(real(sampler, logits, seen))
        return drawn[-1]

    monkeypatch.setattr(generating.Sampler, "draw", draw)
    talker.engine._chat._cache.drop()  # type: ignore[union-attr]
    reply = talker.ask(question, choice=PIN_TONE, max_tokens=length)[2]
    prompt = base.chat.encode([Message("user", question)], True)
    found = reply.openness["tone"]
    assert set(reply.openness) == {"tone"} and 0 <= found.mean <= 1
    assert found.mean == pytest.approx(sum(found.per_layer) / 2) and len(found.per_rank[0]) == 8
    if length > 1:
        assert found.mean == pytest.approx(
            by_hand(talker, "tone", prompt + drawn[:-1], len(prompt)), abs=1e-4
        )
    else:
        assert 0 < found.mean < 1, "a reply of one token has its prompt's openness"


@pytest.mark.slow
def test_a_lora_adapter_counts_as_open(desk: Desk) -> None:
    desk.open(adapters={"facts": {"adapter": "lora"}, "tone": {}}).train()
    openness = desk.ask("Hello?", choice=RoutingChoice(mode="off"))[2].openness
    assert openness["facts"].mean == 1.0 and openness["tone"].mean < 1.0


@pytest.mark.parametrize("architecture", ["qwen2", "gemma3", "gpt2", "opt"])
@pytest.mark.slow
def test_other_architectures_train_and_talk_over_two_turns(architecture: str, tmp_path: Path) -> None:
    from tests.tiny import CHATML, make_base_folder

    template = None if architecture in ("gpt2", "opt") else CHATML
    base = make_base_folder(tmp_path, architecture, template=template)
    desk = Desk(tmp_path, base)
    desk.open(num_epochs=1, rehearsal={"enabled": True}).train()
    settings: dict[str, Any] = {"choice": PIN_TONE, "temperature": 1.0, "seed": 2, "max_tokens": 8}
    first = desk.ask("Hi", **settings)[2].reply
    second = desk.ask("Hi", first, "More", **settings)[2].reply
    other = Desk(tmp_path, base)
    other.engine.open(other.path)
    assert other.ask("Hi", first, "More", **settings)[2].reply == second


@pytest.mark.parametrize("mode", [slow("pin"), "auto", slow("base")])
def test_routing_another_line_between_two_tokens_leaves_the_reply_as_it_was(fresh: Desk, mode: str) -> None:
    sampling = Sampling(max_tokens=12, temperature=0.7, seed=3)
    messages = (Message("user", "Say hello."),)
    undisturbed = [
        e
        for e in fresh.engine.generate(messages, CHOICES[mode], sampling, lambda: False)
        if isinstance(e, Reply)
    ]
    disturbed: list[Reply] = []
    for number, event in enumerate(fresh.engine.generate(messages, CHOICES[mode], sampling, lambda: False)):
        if isinstance(event, Token):
            fresh.engine.route((Message("user", f"What is port {number}?"),), AUTO)
        if isinstance(event, Reply):
            disturbed.append(event)
    assert [r.reply for r in disturbed] == [r.reply for r in undisturbed]
    means = [{n: round(o.mean, 5) for n, o in r.openness.items()} for r in (*disturbed, *undisturbed)]
    assert means[0] == means[1]
