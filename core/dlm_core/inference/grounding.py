"""The document in hand while a reply is drawn: whole answers as neighbours of a language model.

Hypotheses are "the reply is answer i", with prior π_i, and "a free reply", with prior π_0. After a prefix y
hypothesis i lives while its answer, as trained token ids, begins with y; the free reply weighs π_0·p(y) under
the model. The next token's distribution is their mixture (as in kNN-LM, arXiv 1911.00172, with answers for
neighbours). Temperature, top-k, top-p and the repetition penalty shape the model's share alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dlm_core.inference.draft import Drafter, Passages
from dlm_core.inference.sampling import Sampler, filtered
from dlm_core.requests import Sampling

_DRAFTED = 16
_GONE = 1e-9  # what weighs less beside the heaviest is not followed any more


@dataclass(frozen=True)
class Hypothesis:
    """The reply is this answer: token ids with the end token, and a prior probability above 0."""

    ids: tuple[int, ...]
    prior: float


class Grounding:
    """The hypotheses about one reply, and what its tokens so far leave of them.

    Args:
        hypotheses: with different ids.
        free: π_0, the prior of a free reply.
    """

    def __init__(self, hypotheses: Sequence[Hypothesis], free: float) -> None:
        self.hypotheses = tuple(hypotheses)
        self.alive = list(self.hypotheses)
        self._free = math.log(max(free, 1e-12))
        self._place = 0
        self.overruled = 0
        """Tokens that the model alone would not have drawn."""

    @property
    def best(self) -> Hypothesis | None:
        """The heaviest hypothesis that lives; None once the reply is a free one."""
        return max(self.alive, key=lambda h: h.prior, default=None)

    def shares(self, own: Tensor) -> tuple[Tensor, float]:
        """What hypotheses give each token [vocabulary], and the weight of the model's `own` distribution.

        Not normalised: both are to the same scale.
        """
        given = torch.zeros_like(own)
        free = self._free
        scale = max(free, *(math.log(h.prior) for h in self.alive))
        for hypothesis in self.alive:
            given[hypothesis.ids[self._place]] += math.exp(math.log(hypothesis.prior) - scale)
        return given, math.exp(free - scale)

    def took(self, token: int, own: float) -> None:
        """A token was drawn, which has the probability `own` under the model alone."""
        self._free += math.log(own) if own > 0 else -math.inf
        self._place += 1
        self.alive = [h for h in self.alive if len(h.ids) > self._place and h.ids[self._place - 1] == token]
        if self._free > -math.inf:
            self.alive = [h for h in self.alive if math.log(h.prior) - self._free > math.log(_GONE)]


class GroundedSampler(Sampler):
    """Draws tokens from the mixture; where no hypothesis lives, exactly as `Sampler` does."""

    def __init__(self, sampling: Sampling, grounding: Grounding) -> None:
        super().__init__(sampling)
        self.grounding = grounding

    def draw(self, logits: Tensor, seen: list[int]) -> int:
        """The next token id from logits [vocabulary]; called once for each token of the reply."""
        if not self.grounding.alive:
            return super().draw(logits, seen)
        own = self._own(logits, seen)
        given, free = self.grounding.shares(own)
        mixed = given + free * own
        if self.sampling.greedy:
            token, alone = int(mixed.argmax()), int(own.argmax())
        else:
            chance = torch.rand((), generator=self._generator, dtype=torch.float64)
            token, alone = _drawn(mixed, chance), _drawn(own, chance)
        self.grounding.overruled += token != alone
        self.grounding.took(token, float(own[token]))
        return token

    def undecided(self, logits: Tensor, seen: list[int], lead: float) -> bool:
        """Whether a greedy choice hangs on less than `lead` in the model's logits."""
        if not self.grounding.alive:
            return super().undecided(logits, seen, lead)
        if not self.sampling.greedy:
            return False
        own = self._own(logits, seen)
        given, free = self.grounding.shares(own)
        best = int((given + free * own).argmax())
        least = float(given[best] + free * own[best] * math.exp(-lead))
        return int((given + free * own * math.exp(lead) > least).sum()) > 1

    def _own(self, logits: Tensor, seen: list[int]) -> Tensor:
        """The model's own distribution [vocabulary], shaped as the person asked; float64."""
        weighed = self._weighed(logits, seen)
        if not self.sampling.greedy:
            weighed = filtered(weighed / self.sampling.temperature, self.sampling)
        return torch.softmax(weighed.double(), -1)


class GroundedDrafter(Drafter):
    """Proposes what the heaviest living hypothesis says, and else what the document says elsewhere."""

    def __init__(self, passages: Passages, prompt: Sequence[int], grounding: Grounding | None) -> None:
        super().__init__(passages, prompt)
        self._grounding = grounding

    def propose(self, ids: Sequence[int], room: int) -> list[int]:
        """Up to `room` ids that may follow `ids`."""
        best = self._grounding.best if self._grounding is not None else None
        if best is None:
            return super().propose(ids, room)
        self._last = len(ids)
        said = len(ids) - self._prompt
        return list(best.ids[said : said + min(_DRAFTED, room)])


def _drawn(mass: Tensor, chance: Tensor) -> int:
    """The token at a share `chance` [0, 1) of a distribution's cumulated mass; it need not sum to 1."""
    summed = mass.cumsum(-1)
    return min(int(torch.searchsorted(summed, chance * summed[-1], right=True)), len(mass) - 1)
