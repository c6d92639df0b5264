"""What the gate reads of a prompt: the base's last hidden state, adapters off, averaged over real tokens,
float32.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

_MAX_TOKENS = 512
_BATCH = 8


class TextEncoder(Protocol):
    """The tokenizer's side of an embedding."""

    def encode_text(self, text: str) -> list[int]: ...


class Embedder:
    """Embeds texts on a base whose bank is off; the caller sees to that. Keeps the last few hundred by text.

    Args:
        model: a causal LM of transformers; its decoder is run without the output head.
        pad_id: used to pad batches.
    """

    def __init__(
        self, model: nn.Module, encoder: TextEncoder, pad_id: int, device: str, remember: int = 512
    ) -> None:
        # The stack without the output head, in every causal LM of transformers.
        self._decoder: Any = model.base_model
        self._encoder = encoder
        self._pad = pad_id
        self._device = device
        self._known: OrderedDict[str, Tensor] = OrderedDict()
        self._remember = remember

    def embed(self, texts: Sequence[str]) -> Tensor:
        """Embeddings [n, hidden], float32 on the CPU. Long texts are read up to 512 tokens, the last ones."""
        missing = [t for t in dict.fromkeys(texts) if t not in self._known]
        found = {t: self._known[t] for t in texts if t in self._known}
        missing.sort(key=len)
        for i in range(0, len(missing), _BATCH):
            part = missing[i : i + _BATCH]
            for text, vector in zip(part, self._run(part), strict=True):
                found[text] = self._known[text] = vector
        for text in texts:
            if text in self._known:
                self._known.move_to_end(text)
        while len(self._known) > self._remember:
            self._known.popitem(last=False)
        return torch.stack([found[t] for t in texts])

    def _run(self, texts: Sequence[str]) -> Tensor:
        rows = [self._encoder.encode_text(t)[-_MAX_TOKENS:] or [self._pad] for t in texts]
        width = max(map(len, rows))
        ids = torch.full((len(rows), width), self._pad, dtype=torch.long)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = 1
        ids, mask = ids.to(self._device), mask.to(self._device)
        with torch.no_grad():
            hidden = self._decoder(
                input_ids=ids, attention_mask=mask, use_cache=False
            ).last_hidden_state.float()
        weights = mask.unsqueeze(-1).float()
        pooled: Tensor = (hidden * weights).sum(1) / weights.sum(1)
        return pooled.cpu()
