"""Drawing tokens and turning them into text."""

import random

import msgspec
import pytest
import torch

from dlm_core.errors import NOT_JSON, UsageError
from dlm_core.inference.sampling import Sampler, filtered
from dlm_core.inference.stream import TextStream
from dlm_core.requests import GREEDY_BELOW, Sampling, decode
from tests.tiny import make_tokenizer

LOGITS = torch.tensor([0.5, 3.0, 1.0, 2.0, -1.0])


def draws(sampling: Sampling, count: int = 200) -> list[int]:
    sampler = Sampler(sampling)
    return [sampler.draw(LOGITS, []) for _ in range(count)]


def test_temperature_zero_takes_the_likeliest() -> None:
    assert set(draws(Sampling(), 5)) == {1}


@pytest.mark.parametrize("temperature", [1e-5, 1e-40, 5e-324])
def test_a_tiny_temperature_takes_the_likeliest_too(temperature: float) -> None:
    assert set(draws(Sampling(temperature=temperature), 5)) == {1}
    assert Sampler(Sampling(temperature=temperature)).undecided(LOGITS, [], 2.0)


def test_the_lowest_temperature_that_draws_gives_probabilities() -> None:
    logits = torch.tensor([1e4, -1e4, 9.9999e3, -torch.inf])
    drawn = Sampler(Sampling(temperature=GREEDY_BELOW, seed=1))
    assert {drawn.draw(logits, []) for _ in range(50)} == {0}


NO_NUMBERS = [float("nan"), float("inf"), -float("inf")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in ("temperature", "top_p", "repetition_penalty") for value in NO_NUMBERS),
        *(("temperature", -1.0), ("temperature", 10.5), ("top_p", 0.0), ("top_p", 1.5), ("top_k", -1)),
        *(("repetition_penalty", 1e-40), ("max_tokens", 0), ("seed", -1), ("seed", 2**64)),
    ],
)
def test_a_parameter_out_of_bounds_is_refused_by_name_however_it_comes(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=name):
        Sampling(**{name: value})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=name):
        msgspec.structs.replace(Sampling(), **{name: value})
    written = msgspec.json.encode(
        {"type": "generate", "request_id": "1", "messages": [], "sampling": {name: value}}
    )
    with pytest.raises(NOT_JSON):
        decode(written)


def test_numbers_at_the_bounds_are_taken() -> None:
    edges = {"temperature": 10, "top_p": 1, "top_k": 10**30, "repetition_penalty": 0.01, "seed": 2**64 - 1}
    assert Sampling(max_tokens=10**400, **edges).seed == 2**64 - 1  # type: ignore[arg-type]
    Sampler(Sampling(seed=2**64 - 1, temperature=1.0, repetition_penalty=0.01)).draw(LOGITS, [1])


def test_a_seed_repeats_its_draws_and_no_seed_draws_one() -> None:
    warm = Sampling(temperature=1.0, seed=7)
    assert draws(warm) == draws(warm) != draws(Sampling(temperature=1.0, seed=8))
    unseeded = Sampler(Sampling(temperature=1.0))
    again = Sampler(Sampling(temperature=1.0, seed=unseeded.seed))
    assert [unseeded.draw(LOGITS, []) for _ in range(20)] == [again.draw(LOGITS, []) for _ in range(20)]


def test_draws_follow_the_softmax_at_their_temperature() -> None:
    found = torch.bincount(torch.tensor(draws(Sampling(temperature=0.7, seed=1), 4000)), minlength=5) / 4000
    torch.testing.assert_close(found, torch.softmax(LOGITS / 0.7, -1), atol=0.03, rtol=0)


@pytest.mark.parametrize(
    ("k", "kept"), [(1, {1}), (2, {1, 3}), (4, {0, 1, 2, 3}), (0, {0, 1, 2, 3, 4}), (99, {0, 1, 2, 3, 4})]
)
def test_top_k_keeps_the_k_likeliest(k: int, kept: set[int]) -> None:
    assert set(filtered(LOGITS, Sampling(top_k=k)).isfinite().nonzero().flatten().tolist()) == kept
    assert set(draws(Sampling(temperature=5.0, top_k=k, seed=1), 600)) == kept


def test_top_p_keeps_the_smallest_set_that_reaches_its_share() -> None:
    probabilities = torch.tensor([0.15, 0.5, 0.05, 0.3])
    logits = probabilities.log()

    def kept(p: float) -> set[int]:
        return set(filtered(logits, Sampling(top_p=p)).isfinite().nonzero().flatten().tolist())

    assert [kept(p) for p in (0.01, 0.45, 0.6, 0.9, 1.0)] == [{1}, {1}, {1, 3}, {0, 1, 3}, {0, 1, 2, 3}]


def test_a_repetition_penalty_pushes_down_what_was_said_whatever_its_sign() -> None:
    greedy = Sampling(repetition_penalty=2.0)
    assert Sampler(greedy).draw(LOGITS, [1]) == 3
    assert Sampler(greedy).draw(torch.tensor([-1.0, -1.5]), [0]) == 1
    assert Sampler(greedy).draw(LOGITS, []) == 1


TEXTS = (
    "plain words",
    "Grüße aus Köln – «schön»",
    "東京の天気は晴れです。",
    "🙂👩‍👩‍👧‍👦 family, 🇩🇪 flag",
    "tail é",
    " leading and trailing ",
)


@pytest.mark.parametrize("text", TEXTS)
def test_streamed_text_is_the_whole_text_and_never_half_a_character(text: str) -> None:
    tokenizer = make_tokenizer()
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    stream = TextStream(tokenizer.decode)
    parts = [stream.push(i) for i in ids]
    assert not any("�" in part for part in parts)
    parts.append(stream.finish())
    assert "".join(parts) == text == stream.text == tokenizer.decode(ids, skip_special_tokens=True)


def test_any_ids_stream_to_what_they_decode_to() -> None:
    tokenizer = make_tokenizer()
    chance = random.Random(3)
    for _ in range(100):
        ids = [chance.randrange(5, 261) for _ in range(chance.randrange(1, 30))]
        stream = TextStream(tokenizer.decode)
        streamed = "".join([*map(stream.push, ids), stream.finish()])
        assert streamed == tokenizer.decode(ids, skip_special_tokens=True)


def test_the_white_space_that_a_template_puts_before_an_answer_is_not_part_of_the_reply() -> None:
    tokenizer = make_tokenizer()
    for text, lead, shown in (
        (" At nine.", " ", "At nine."),
        ("  indented", " ", " indented"),
        ("x", " ", "x"),
    ):
        stream = TextStream(tokenizer.decode, lead)
        parts = [stream.push(i) for i in tokenizer(text, add_special_tokens=False)["input_ids"]]
        assert "".join([*parts, stream.finish()]) == shown == stream.text
