"""The document in hand: what a hypothesis does to the next token, greedy and by chance, drafted or not."""

from collections import Counter
from typing import Any

import pytest
import torch

from dlm_core.inference.decoders import LeanDecoder
from dlm_core.inference.draft import Passages
from dlm_core.inference.generate import KeyValueCache, generate
from dlm_core.inference.grounding import GroundedDrafter, GroundedSampler, Grounding, Hypothesis
from dlm_core.inference.sampling import Sampler
from dlm_core.llama.decode_forward import take_over
from dlm_core.requests import Sampling
from tests.tiny import make_model

PROMPT = [3, 17, 42, 5, 60, 1]
END = 7
ANSWER, OTHER = (11, 12, 13, 14, END), (11, 12, 90, END)
LOGITS = torch.tensor([2.0, 1.0, 0.5, -1.0])
OWN = torch.softmax(LOGITS.double(), -1)


@pytest.fixture(scope="module")
def base() -> Any:
    lean = take_over(make_model())
    assert lean is not None
    return lean


def say(base: Any, sampler: Sampler, draft: Any = None, limit: int = 12) -> list[int]:
    steps = generate(
        LeanDecoder(base, None), PROMPT, sampler, limit=limit, end_tokens=frozenset({END}),
        cache=KeyValueCache(), key=0, stop=lambda: False, draft=draft,
    )  # fmt: skip
    return [step.token for step in steps if step.token is not None]


def grounded(base: Any, *hypotheses: Hypothesis, free: float = 0.1, drafted: bool = False) -> Any:
    grounding = Grounding(hypotheses, free)
    draft = GroundedDrafter(Passages(()), PROMPT, grounding) if drafted else None
    return say(base, GroundedSampler(Sampling(), grounding), draft), grounding


@pytest.mark.parametrize("drafted", [False, True])
def test_an_answer_that_is_likely_is_said_to_its_end_whatever_the_weights_would_say(
    base: Any, drafted: bool
) -> None:
    said, grounding = grounded(base, Hypothesis(ANSWER, 0.8), drafted=drafted)
    assert said == list(ANSWER[:-1])
    assert grounding.overruled >= 4, "a random model would have said something else at every token"


def test_where_two_answers_part_the_likelier_goes_on(base: Any) -> None:
    likely, unlikely = Hypothesis(ANSWER, 0.3), Hypothesis(OTHER, 0.6)
    assert grounded(base, likely, unlikely)[0] == list(OTHER[:-1])
    assert grounded(base, Hypothesis(ANSWER, 0.6), Hypothesis(OTHER, 0.3))[0] == list(ANSWER[:-1])


def test_a_free_reply_that_is_much_likelier_is_the_models_own(base: Any) -> None:
    own = say(base, Sampler(Sampling()))
    said, grounding = grounded(base, Hypothesis(ANSWER, 1e-7), free=0.99)
    assert said == own and grounding.overruled == 0


def test_without_hypotheses_tokens_are_drawn_as_ever(base: Any) -> None:
    sampling = Sampling(temperature=0.9, top_p=0.8, seed=5)
    alone = say(base, Sampler(sampling))
    assert say(base, GroundedSampler(sampling, Grounding((), 1.0))) == alone


def test_what_agrees_with_the_model_overrules_nothing() -> None:
    grounding = Grounding([Hypothesis((0, 1), 0.9)], 0.1)
    sampler = GroundedSampler(Sampling(), grounding)
    assert sampler.draw(LOGITS, []) == 0
    assert grounding.overruled == 0 and grounding.best is not None


def test_a_hypothesis_is_dropped_once_another_token_was_drawn() -> None:
    grounding = Grounding([Hypothesis((3, 1), 0.2)], 0.8)
    assert GroundedSampler(Sampling(), grounding).draw(LOGITS, []) == 0
    assert grounding.alive == [] and grounding.best is None


@pytest.mark.slow
def test_tokens_are_drawn_from_the_mixture_and_the_temperature_shapes_the_models_share_alone() -> None:
    drawn: Counter[int] = Counter()
    for seed in range(3000):
        grounding = Grounding([Hypothesis((3, 1), 0.5)], 0.5)
        drawn[GroundedSampler(Sampling(temperature=0.5, seed=seed), grounding).draw(LOGITS, [])] += 1
    expected = 0.5 * torch.softmax(LOGITS.double() / 0.5, -1)
    expected[3] += 0.5
    for token in range(4):
        assert drawn[token] / 3000 == pytest.approx(float(expected[token]), abs=0.03)


def test_after_a_prefix_the_free_reply_weighs_what_the_model_gave_the_prefix() -> None:
    grounding = Grounding([Hypothesis((1, 2, 3), 0.5)], 0.5)
    grounding.took(1, 0.25)
    given, free = grounding.shares(OWN)
    assert free / float(given[2]) == pytest.approx(0.25)


def test_a_greedy_choice_that_hangs_on_rounding_is_told_from_one_that_does_not() -> None:
    near = torch.tensor([2.0, 1.999, 0.5, -1.0])
    alive = GroundedSampler(Sampling(), Grounding([Hypothesis((3, 1), 0.9)], 0.1))
    assert not alive.undecided(near, [], 0.01), "the answer leads by far"
    weak = GroundedSampler(Sampling(), Grounding([Hypothesis((3, 1), 0.01)], 0.99))
    assert weak.undecided(near, [], 0.01)
    assert not weak.undecided(LOGITS, [], 0.01)
