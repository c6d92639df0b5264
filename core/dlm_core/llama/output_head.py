"""What the output head says at chosen places, with the gradient of a loss worked out at once.

The gradient of the hidden states follows from the same probabilities as the loss, so both are computed in one
go, a few hundred places at a time: the logits of all places together would take more memory than the base.
What is done to the logits goes over them many times, so that is done to a few places at a time, which a
processor's cache holds.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_PLACES = 256  # multiplied at a time
_AT_HAND = 16  # of them in float32 at a time


@dataclass(frozen=True)
class Answered:
    """Per answer the loss in nats [n] and whether the target was the likeliest token [n]; per place of a
    neutral text the divergence in nats [m]; and the gradient `d_hidden` [n + m, hidden].
    """

    losses: Tensor
    hits: Tensor
    apart: Tensor
    d_hidden: Tensor


class OutputHead:
    """The base's output head, `weight` [vocabulary, hidden] with `bias` or None."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight, self._turned, self._bias = weight, weight.t(), bias

    def _logits(self, hidden: Tensor) -> Tensor:
        return functional.linear(hidden, self._weight, self._bias)

    def learn(
        self, hidden: Tensor, targets: Tensor, scales: Tensor, base: Tensor | None, scale: float
    ) -> Answered:
        """Cross-entropy of `targets` [n] at the first of the hidden states [n + m, hidden], KL(adapted ‖
        base) at the others; `d_hidden` is the gradient of the losses times `scales` [n] and the divergences
        times `scale`, summed.

        Args:
            base: the base's log-probabilities [m, vocabulary], None where m is 0.
        """
        count = targets.shape[0]
        losses, hits, apart, gradients = [], [], [], []
        for begin in range(0, hidden.shape[0], _PLACES):
            logits = self._logits(hidden[begin : begin + _PLACES])
            for some in _spans(begin, begin + logits.shape[0], count):
                here = slice(some.start - begin, some.stop - begin)
                at_hand = logits[here].float()
                if some.start < count:
                    loss, hit = _answered(at_hand, targets[some], scales[some])
                    losses.append(loss)
                    hits.append(hit)
                else:
                    assert base is not None
                    told = base[some.start - count : some.stop - count]
                    apart.append(_diverged(at_hand, told, scale))
                logits[here] = at_hand
            gradients.append(logits @ self._weight)
        none = hidden.new_zeros(0, dtype=torch.float32)
        return Answered(
            torch.cat([none, *losses]),
            torch.cat([none.bool(), *hits]),
            torch.cat([none, *apart]),
            torch.cat(gradients),
        )

    def check(self, hidden: Tensor, targets: Tensor, margin: float) -> tuple[Tensor, Tensor]:
        """Losses of `targets` [n] in nats, and whether each leads by at least `margin` nats."""
        losses, hits = [], []
        for part, wanted in _in_parts(_PLACES, hidden, targets):
            for some, these in _in_parts(_AT_HAND, self._logits(part), wanted):
                logits = some.float()
                losses.append(functional.cross_entropy(logits, these, reduction="none"))
                hits.append(leads(logits, these, margin))
        return torch.cat(losses), torch.cat(hits)

    def foresee(self, hidden: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Losses of `targets` [n] in nats, and the likeliest token [n] at each place."""
        losses, likeliest = [], []
        for part, wanted in _in_parts(_PLACES, hidden, targets):
            for some, these in _in_parts(_AT_HAND, self._logits(part), wanted):
                logits = some.float()
                losses.append(functional.cross_entropy(logits, these, reduction="none"))
                likeliest.append(logits.argmax(-1))
        return torch.cat(losses), torch.cat(likeliest)

    def log_probs(self, hidden: Tensor) -> Tensor:
        """Log-probabilities [n, vocabulary] at hidden states [n, hidden], in float16."""
        return torch.cat(
            [torch.log_softmax(self._logits(p).float(), -1).half() for p in torch.split(hidden, _PLACES)]
        )


def _answered(logits: Tensor, targets: Tensor, scales: Tensor) -> tuple[Tensor, Tensor]:
    """Losses of `targets` [n] at logits [n, vocabulary], and whether each was the likeliest. The logits
    become the gradient of the losses times `scales` [n].

    L = log Σ_j e^(z_j) − z_t,  dL/dz = softmax(z) − onehot(t); the largest logit is taken off first.
    """
    best, where = logits.max(-1, keepdim=True)
    right = logits.gather(-1, targets[:, None])
    weights = logits.sub_(best).exp_()
    total = weights.sum(-1, keepdim=True)
    weights.mul_(scales[:, None] / total)
    weights.scatter_add_(-1, targets[:, None], -scales[:, None])
    return (total.log() + best - right)[:, 0], where[:, 0] == targets


def _diverged(logits: Tensor, base: Tensor, scale: float) -> Tensor:
    """KL(adapted ‖ base) per place [m] in nats for logits and the base's log-probabilities [m, vocabulary].
    The logits become the gradient of the sum over places times `scale`.

    With p = softmax(z) and q the base's, KL = Σ_j p_j (log p_j − log q_j) and
    dKL/dz_j = p_j (log p_j − log q_j − KL).
    """
    adapted = torch.log_softmax(logits, -1)
    weights = torch.exp(adapted, out=logits)
    apart = adapted.sub_(base)
    each = (weights * apart).sum(-1, keepdim=True)
    weights.mul_(apart.sub_(each)).mul_(scale)
    return each[:, 0]


def leads(logits: Tensor, targets: Tensor, margin: float) -> Tensor:
    """Whether each target [n] lies at least `margin` nats above all others in logits [n, vocabulary]."""
    right = logits.gather(-1, targets[:, None])
    others = logits.scatter(-1, targets[:, None], float("-inf")).amax(-1, keepdim=True)
    return (right - others >= margin)[:, 0]


def _spans(begin: int, end: int, border: int) -> Iterator[slice]:
    """[begin, end) in spans of at most `_AT_HAND`, none of them across `border`."""
    while begin < end:
        until = min(begin + _AT_HAND, end, border if begin < border else end)
        yield slice(begin, until)
        begin = until


def _in_parts(size: int, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    return zip(*(torch.split(t, size) for t in tensors), strict=True)
