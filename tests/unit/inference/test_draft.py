"""Drafts: the same tokens sooner, and the same chances where tokens are drawn by chance."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
import torch

from dlm_core.inference.decoders import LeanDecoder
from dlm_core.inference.draft import Drafter, Passage, Passages
from dlm_core.inference.generate import KeyValueCache, generate
from dlm_core.inference.sampling import Sampler
from dlm_core.llama.decode_forward import take_over
from dlm_core.requests import Sampling
from tests.tiny import make_model, slow

PROMPT = [3, 17, 42, 5, 60, 1, 99, 8, 21, 33]


class Proposals:
    """Proposes what it is given, position by position of the reply."""

    def __init__(self, reply: Sequence[int], length: int = 8) -> None:
        self.reply, self.length = list(reply), length
        self.counts: list[tuple[int, int]] = []

    def propose(self, ids: Sequence[int], room: int) -> list[int]:
        at = len(ids) - len(PROMPT)
        return self.reply[at : at + min(self.length, room)]

    def judged(self, proposed: int, accepted: int) -> None:
        self.counts.append((proposed, accepted))


class Counting(LeanDecoder):
    """Counts forwards."""

    forwards = 0

    def forward(self, ids: Sequence[int], read: int) -> torch.Tensor:
        self.forwards += 1
        return super().forward(ids, read)


@pytest.fixture(scope="module")
def base() -> Any:
    lean = take_over(make_model())
    assert lean is not None
    return lean


def say(
    base: Any, draft: Any, limit: int = 40, end: frozenset[int] = frozenset(), **sampling: Any
) -> tuple[list[int], int]:
    decoder = Counting(base, None)
    steps = generate(
        decoder,
        PROMPT,
        Sampler(Sampling(**sampling)),
        limit=limit,
        end_tokens=end,
        cache=KeyValueCache(),
        key=None,
        stop=lambda: False,
        draft=draft,
    )
    return [s.token for s in steps if s.token is not None], decoder.forwards


@pytest.mark.parametrize("sampling", [{}, {"temperature": 0.9, "seed": 4}, {"repetition_penalty": 1.3}])
@pytest.mark.parametrize("wrong", [slow(()), slow((1,)), (3, 4, 17), tuple(range(40))])
def test_a_reply_is_the_same_with_any_draft(
    base: Any, wrong: tuple[int, ...], sampling: dict[str, Any]
) -> None:
    plain, forwards = say(base, None, **sampling)
    assert forwards == 40
    draft = Proposals([(t + 1) % 200 if i in wrong else t for i, t in enumerate(plain)])
    drafted, fewer = say(base, draft, **sampling)
    assert drafted == plain
    if len(wrong) < 4:
        assert fewer < 12 and sum(a for _, a in draft.counts) > 25
    else:
        assert fewer == 40 and not any(a for _, a in draft.counts)


def test_an_end_token_ends_a_drafted_reply_where_it_would_have_ended(base: Any) -> None:
    plain, _ = say(base, None)
    end = frozenset({plain[12]})
    first = plain.index(plain[12])
    assert say(base, Proposals(plain), end=end)[0] == say(base, None, end=end)[0] == plain[:first]


def test_a_close_call_is_decided_by_a_step_of_its_own(base: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, _ = say(base, None)
    monkeypatch.setattr(base, "lead", 1e9)
    drafted, forwards = say(base, Proposals(plain))
    assert drafted == plain and forwards > 40


@pytest.mark.slow
def test_tokens_drawn_by_chance_keep_their_chances_under_a_draft() -> None:
    """Two tokens from known distributions over a vocabulary of four, a draft that is often wrong."""
    first = torch.tensor([0.1, 0.2, 0.3, 0.4])
    second = torch.tensor([[0.7, 0.1, 0.1, 0.1], [0.1, 0.2, 0.3, 0.4], [0.25] * 4, [0.05, 0.05, 0.2, 0.7]])

    class Chain:
        """The next token hangs on the last one alone; the prompt's token is 0, a reply's first one 1."""

        past: Any = None
        lead = 1e-3

        def forward(self, ids: Sequence[int], read: int) -> torch.Tensor:
            return torch.stack([second[i].log() if i >= 0 else first.log() for i in list(ids)[-read:]])

        def forget(self, count: int) -> None:
            pass

    class Stubborn:
        def propose(self, ids: Sequence[int], room: int) -> list[int]:
            return [3, 0][:room]

        def judged(self, proposed: int, accepted: int) -> None:
            pass

    counts = torch.zeros(4, 4)
    drawn = 0
    for seed in range(3000):
        steps = generate(
            Chain(),
            [-1],
            Sampler(Sampling(temperature=1.0, seed=seed)),
            limit=3,
            end_tokens=frozenset(),
            cache=KeyValueCache(),
            key=None,
            stop=lambda: False,
            draft=Stubborn(),
        )
        tokens = [s.token for s in steps if s.token is not None]
        for a, b in pairwise(tokens):
            counts[a, b] += 1
            drawn += 1
    found = counts / counts.sum(1, keepdim=True)
    torch.testing.assert_close(found, second, atol=0.04, rtol=0)


LEAD = (1, 2)
ANSWERS = ((11, 12, 13, 14, 15, 16), (21, 22, 13, 14, 25, 26), (31, 32, 33, 34, 35, 36))
QUESTIONS = ((51, 52, 53), (61, 62, 63), (71, 72, 73))


@pytest.fixture
def passages() -> Passages:
    pairs = zip(QUESTIONS, ANSWERS, strict=True)
    return Passages(Passage((*q, *LEAD, *a), len(q) + len(LEAD)) for q, a in pairs)


def test_the_answer_to_the_likest_question_is_proposed_first(passages: Passages) -> None:
    for question, answer in zip(QUESTIONS, ANSWERS, strict=True):
        prompt = [question[1], 99, question[0], *LEAD]
        assert Drafter(passages, prompt).propose(prompt, 50) == list(answer)


def test_the_reply_so_far_says_which_of_two_places_is_meant(passages: Passages) -> None:
    drafter = Drafter(passages, [51, 52, 53, *LEAD])
    assert drafter.propose([51, 52, 53, *LEAD, 21, 22, 13, 14], 50) == [25, 26]
    assert drafter.propose([51, 52, 53, *LEAD, 11, 12, 13, 14], 1) == [15]
    assert drafter.propose([51, 52, 53, *LEAD, 77, 78], 50) == []


def test_questions_are_never_proposed(passages: Passages) -> None:
    assert Drafter(passages, [9, 9]).propose([9, 9, 51, 52], 50) == []


def test_failures_make_proposals_rare_and_success_makes_them_longer() -> None:
    loop = Passages([Passage((1, 2) * 300, 2)])
    drafter = Drafter(loop, [9, 9])
    ids = [9, 9, 1, 2]
    proposals = 0
    for _ in range(100):
        if drafter.propose(ids, 50):
            proposals += 1
            drafter.judged(8, 0)
        ids += [2] if ids[-1] == 1 else [1]
    assert 3 < proposals < 9
    drafter.judged(8, 8)
    ids += [2] * 40 if ids[-1] == 1 else [1, 2]
    assert len(Drafter(loop, [9, 9]).propose([1, 2], 50)) == 8
    longer = Drafter(loop, [9, 9])
    longer.judged(8, 8)
    assert len(longer.propose([1, 2], 50)) == 16 and len(longer.propose([1, 2], 3)) == 3
