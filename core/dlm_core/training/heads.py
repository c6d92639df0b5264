"""What the output head says at chosen places, with the gradient of a loss worked out at once.

The gradient of the hidden states follows from the same probabilities as the loss, so both are computed in one
go, a few places at a time: the logits of all places together would take more memory than the base.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_PLACES = 256  # so many at a time


@dataclass(frozen=True)
class Answered:
    """Per place: the loss in nats [n], and whether the target was the likeliest token [n]. `d_hidden` [n,
    hidden] is the gradient of the scaled sum of losses, empty if none was asked for.
    """

    losses: Tensor
    hits: Tensor
    d_hidden: Tensor


class OutputHead:
    """The base's output head, `weight` [vocabulary, hidden] with `bias` or None."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight, self._turned, self._bias = weight, weight.t(), bias

    def _logits(self, hidden: Tensor) -> Tensor:
        return functional.linear(hidden, self._weight, self._bias).float()

    def answers(
        self, hidden: Tensor, targets: Tensor, scales: Tensor | None, margin: float = 0.0
    ) -> Answered:
        """Cross-entropy of `targets` [n] at hidden states [n, hidden]; `scales` [n] are the factors of the
        losses in the sum whose gradient is wanted, None for no gradient; `margin` is by how many nats a
        target must lead to count as predicted.
        """
        losses, hits, gradients = [], [], []
        rates = targets.new_ones(targets.shape) if scales is None else scales
        for part, wanted, rate in _in_parts(hidden, targets, rates):
            logits = self._logits(part)
            best, where = logits.max(-1, keepdim=True)
            right = logits.gather(-1, wanted[:, None])
            hits.append(where[:, 0] == wanted if margin <= 0 else leads(logits, wanted, margin))
            weights = logits.sub_(best).exp_()
            total = weights.sum(-1, keepdim=True)
            losses.append((total.log() + best - right)[:, 0])
            if scales is not None:
                weights.mul_(rate[:, None] / total)
                weights.scatter_add_(-1, wanted[:, None], -rate[:, None])
                gradients.append(weights.to(part.dtype) @ self._weight)
        d_hidden = torch.cat(gradients) if gradients else hidden[:0]
        return Answered(torch.cat(losses), torch.cat(hits), d_hidden)

    def log_probs(self, hidden: Tensor) -> Tensor:
        """Log-probabilities [n, vocabulary] at hidden states [n, hidden], in float16."""
        return torch.cat(
            [torch.log_softmax(self._logits(p), -1).half() for p in torch.split(hidden, _PLACES)]
        )

    def divergence(self, hidden: Tensor, base: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        """KL(adapted ‖ base) per place [n] in nats, for the base's log-probabilities [n, vocabulary], and the
        gradient [n, hidden] of the sum over places times `scale`.
        """
        divergences, gradients = [], []
        for part, wanted in _in_parts(hidden, base):
            adapted = torch.log_softmax(self._logits(part), -1)
            weights = adapted.exp()
            apart = adapted.sub_(wanted.float())
            each = (weights * apart).sum(-1, keepdim=True)
            divergences.append(each[:, 0])
            gradients.append(weights.mul_(apart.sub_(each)).mul_(scale).to(part.dtype) @ self._weight)
        return torch.cat(divergences), torch.cat(gradients)


def leads(logits: Tensor, targets: Tensor, margin: float) -> Tensor:
    """Whether each target [n] lies at least `margin` nats above all others in logits [n, vocabulary]."""
    right = logits.gather(-1, targets[:, None])
    others = logits.scatter(-1, targets[:, None], float("-inf")).max(-1, keepdim=True).values
    return (right - others >= margin)[:, 0]


def _in_parts(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    return zip(*(torch.split(t, _PLACES) for t in tensors), strict=True)
