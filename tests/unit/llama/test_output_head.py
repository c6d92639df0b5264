"""The output head's losses and gradients, written out, are those that autograd finds."""

from typing import Any

import pytest
import torch
from torch.nn import functional

from dlm_core.llama.output_head import OutputHead, leads

VOCABULARY, HIDDEN = 23, 6


def numbers(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def head(*, biased: bool) -> OutputHead:
    return OutputHead(numbers(VOCABULARY, HIDDEN, seed=1), numbers(VOCABULARY, seed=2) if biased else None)


@pytest.mark.parametrize(("answers", "neutral"), [(5, 0), (0, 4), (5, 4), (3, 4)])
@pytest.mark.parametrize(("at_a_time", "at_hand"), [(256, 16), (256, 3), (3, 2)])
@pytest.mark.parametrize("biased", [False, True])
def test_answers_and_a_neutral_text_are_learned_from_in_one_go(
    answers: int, neutral: int, at_a_time: int, at_hand: int, biased: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlm_core.llama.output_head._PLACES", at_a_time)
    monkeypatch.setattr("dlm_core.llama.output_head._AT_HAND", at_hand)
    hidden = numbers(answers + neutral, HIDDEN, seed=3).requires_grad_()
    targets = torch.arange(answers) * 5 % VOCABULARY
    scales, scale = numbers(answers, seed=4).abs(), 0.7
    base = torch.log_softmax(numbers(neutral, VOCABULARY, seed=5), -1) if neutral else None
    found = head(biased=biased).learn(hidden.detach(), targets, scales, base, scale)

    bias = numbers(VOCABULARY, seed=2) if biased else None
    log_p = torch.log_softmax(functional.linear(hidden, numbers(VOCABULARY, HIDDEN, seed=1), bias), -1)
    losses = -log_p[torch.arange(answers), targets]
    total = (losses * scales).sum()
    if base is not None:
        apart = (log_p[answers:].exp() * (log_p[answers:] - base)).sum(-1)
        total = total + scale * apart.sum()
        torch.testing.assert_close(found.apart, apart.detach())
    total.backward()
    torch.testing.assert_close(found.losses, losses.detach())
    assert torch.equal(found.hits, log_p[:answers].argmax(-1) == targets)
    assert hidden.grad is not None
    torch.testing.assert_close(found.d_hidden, hidden.grad, atol=1e-5, rtol=1e-4)
    assert found.apart.shape == (neutral,)


@pytest.mark.parametrize("at_a_time", [256, 3])
def test_a_check_asks_for_a_lead(at_a_time: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlm_core.llama.output_head._PLACES", at_a_time)
    monkeypatch.setattr("dlm_core.llama.output_head._AT_HAND", 2)
    hidden = numbers(8, HIDDEN, seed=3)
    logits = functional.linear(hidden, numbers(VOCABULARY, HIDDEN, seed=1))
    best = logits.topk(2).values
    margin = float((best[:, 0] - best[:, 1]).median())
    losses, hits = head(biased=False).check(hidden, logits.argmax(-1), margin)
    torch.testing.assert_close(losses, functional.cross_entropy(logits, logits.argmax(-1), reduction="none"))
    assert torch.equal(hits, best[:, 0] - best[:, 1] >= margin)
    assert 0 < int(hits.sum()) < 8


def test_what_does_not_come_first_leads_by_nothing() -> None:
    logits: Any = torch.tensor([[2.0, 1.0, 0.0], [2.0, 1.9, 0.0], [1.0, 2.0, 0.0]])
    assert leads(logits, torch.zeros(3, dtype=torch.long), 0.2).tolist() == [True, False, False]
