"""Drawing the next token: greedy, or by temperature with top-k and top-p, from a seeded generator."""

import torch
from torch import Tensor

from dlm_core.requests import Sampling


class Sampler:
    """Draws tokens for one reply; the same seed and logits give the same tokens.

    `seed` is the seed in use, drawn at random where the request had none.
    """

    def __init__(self, sampling: Sampling) -> None:
        self.sampling = sampling
        self._generator = torch.Generator()
        if sampling.seed is None:
            self.seed = self._generator.seed()
        else:
            self.seed = sampling.seed
            self._generator.manual_seed(sampling.seed)

    def draw(self, logits: Tensor, seen: list[int]) -> int:
        """The next token id from logits [vocabulary]; `seen` are the ids a repetition penalty looks at."""
        logits = self._weighed(logits, seen)
        if self.sampling.greedy:
            return int(logits.argmax())
        probabilities = torch.softmax(filtered(logits / self.sampling.temperature, self.sampling), -1)
        # The cumulative distribution inverted: one random number, where torch.multinomial draws one for each.
        mass = probabilities.double().cumsum(-1)
        drawn = torch.rand((), generator=self._generator, dtype=torch.float64) * mass[-1]
        return min(int(torch.searchsorted(mass, drawn, right=True)), len(mass) - 1)

    def undecided(self, logits: Tensor, seen: list[int], lead: float) -> bool:
        """Whether a greedy choice hangs on less than `lead`; never where tokens are drawn by chance."""
        if not self.sampling.greedy:
            return False
        logits = self._weighed(logits, seen)
        return int((logits > logits.max() - lead).sum()) > 1

    def _weighed(self, logits: Tensor, seen: list[int]) -> Tensor:
        """Logits on the CPU, those of `seen` ids pushed down by the repetition penalty."""
        logits = logits.float().cpu()
        penalty = self.sampling.repetition_penalty
        if penalty != 1.0 and seen:
            ids = torch.tensor(sorted(set(seen)))
            picked = logits[ids]
            logits = logits.clone()
            logits[ids] = torch.where(picked > 0, picked / penalty, picked * penalty)
        return logits


def filtered(logits: Tensor, sampling: Sampling) -> Tensor:
    """Logits with everything outside top-k and top-p (nucleus, arXiv 1904.09751) at minus infinity."""
    if sampling.top_k > 0:
        keep = min(sampling.top_k, logits.shape[-1])
        logits = logits.masked_fill(logits < logits.topk(keep).values[-1], -torch.inf)
    if sampling.top_p < 1.0:
        ordered, order = logits.sort(descending=True)
        mass = torch.softmax(ordered, -1)
        beyond = mass.cumsum(-1) - mass >= sampling.top_p  # the token that crosses the threshold stays
        logits = logits.masked_fill(torch.zeros_like(beyond).scatter(0, order, beyond), -torch.inf)
    return logits
