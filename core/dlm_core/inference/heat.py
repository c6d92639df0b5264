"""How open the rank gates stood while a reply was written: token by token, and over the whole of it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dlm_core.adapters.openness import OpennessLayout


class Heat:
    """Gathers the gate values that led to each token.

    The first token was led to by the prompt; once there is a second one, the prompt's share no longer counts.

    Args:
        layout: the gated ranks; None where nothing is gated.
        adapters: the adapters in use; one without gates counts as fully open.
    """

    def __init__(self, layout: OpennessLayout | None, adapters: Sequence[str]) -> None:
        self.layout = layout
        self.shares: dict[str, float] = {}
        self._names = list(adapters)
        self._tokens = 0
        if layout is None:
            return
        self._total = torch.zeros(layout.width())
        self._means = torch.zeros(len(adapters), layout.width())
        self._open = torch.zeros(len(adapters))
        for row, name in enumerate(adapters):
            stretches = layout.index(name)
            count = sum(end - begin for _, begin, end in stretches)
            for _, begin, end in stretches:
                self._means[row, begin:end] = 1 / count
            self._open[row] = 0.0 if count else 1.0

    def token(self, gates: Tensor) -> None:
        """Take the gate values [width] that led to the next token."""
        with torch.inference_mode():
            if self._tokens == 1:
                self._total = torch.zeros_like(self._total)
            self._total = self._total + gates
            self._tokens += 1
            means = torch.addmv(self._open, self._means, gates).tolist()
        self.shares = dict(zip(self._names, means, strict=True))

    def mean(self) -> Tensor:
        """Mean gate values [width] over the reply's own tokens; over the prompt for a reply of one token."""
        with torch.inference_mode():
            return self._total / max(self._tokens - 1, 1)
