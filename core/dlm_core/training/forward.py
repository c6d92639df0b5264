"""A forward of the base that computes logits only where they are needed."""

import inspect
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

_KEEPS = ("position_ids", "past_key_values", "use_cache")
"""What a model's forward takes if it can go on from what it has read."""


class SelectiveHead:
    """Within the context, `logits(...)` runs the model and applies its output head at chosen positions only.

    The selection happens in a pre-hook of the model's own head, so whatever the model does after it (soft
    caps, scaling) still applies. Works for every causal LM of transformers with an output embedding.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self._positions: Tensor | None = None
        head = model.get_output_embeddings()  # type: ignore[operator]
        self._handle = head.register_forward_pre_hook(self._select)

    def _select(self, module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        if self._positions is None:
            return None
        hidden = args[0]
        return (hidden.reshape(-1, hidden.shape[-1]).index_select(0, self._positions).unsqueeze(0), *args[1:])

    @property
    def input_embeddings(self) -> Tensor:
        """The model's input embeddings [vocabulary, hidden]."""
        embedding: Any = self.model.get_input_embeddings()  # type: ignore[operator]
        weight: Tensor = embedding.weight
        return weight

    def logits(self, input_ids: Tensor, attention_mask: Tensor, positions: Tensor) -> Tensor:
        """Logits [n, vocabulary] in float32 at flat `positions` [n] of `input_ids` [rows, tokens]."""
        self._positions = positions
        try:
            out = self.model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False)
        finally:
            self._positions = None
        logits: Tensor = out.logits[0]
        return logits.float()

    @torch.no_grad()
    def greedy(self, rows: Sequence[Sequence[int]], count: int, pad_id: int) -> Tensor:
        """Continue each of some ids by its `count` likeliest tokens, one after the other: [rows, count], also
        beyond an end. Where the model can keep what it has read, it reads every token once.
        """
        taken = inspect.signature(self.model.forward).parameters
        keeps = all(name in taken for name in _KEEPS)
        device = self.input_embeddings.device
        width = max(map(len, rows))
        ids = torch.tensor([[pad_id] * (width - len(row)) + list(row) for row in rows], device=device)
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=device)
        said, cache, new = ids[:, :0], None, ids
        for _ in range(count):
            known: dict[str, Any] = {"use_cache": keeps}
            if keeps:
                places = (mask.cumsum(-1) - 1).clamp(min=0)
                known |= {"past_key_values": cache, "position_ids": places[:, -new.shape[1] :]}
            else:
                new = ids
            self._positions = torch.arange(1, len(rows) + 1, device=device) * new.shape[1] - 1
            try:
                out = self.model(input_ids=new, attention_mask=mask, **known)
            finally:
                self._positions = None
            new = out.logits[0].argmax(-1, keepdim=True)
            cache = out.past_key_values if keeps else None
            said, ids = torch.cat([said, new], 1), torch.cat([ids, new], 1)
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], 1)
        return said

    def close(self) -> None:
        self._handle.remove()

    def __enter__(self) -> "SelectiveHead":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def token_perplexity(nll_sum: float, tokens: int) -> float:
    """exp of the mean negative log-likelihood per token."""
    return float(torch.exp(torch.tensor(nll_sum / max(tokens, 1), dtype=torch.float64)))
