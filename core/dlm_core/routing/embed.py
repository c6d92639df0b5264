"""What the gate reads of a prompt: the base's last hidden state, adapters off, where its answer would begin;
float32.

The prompt is the user's message in the base's chat template, and the state is the one at the template's
last token. It routes better than a mean over the message's tokens on every sample document (table in
ARCHITECTURE.md), costs one prefill of the prompt like the mean does, and needs no padding to be averaged
away.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from dlm_core.requests import Message

_MAX_CHARACTERS = 4096
_BATCH = 8


class PromptEncoder(Protocol):
    """The part of a base's chat template that embedding needs."""

    def encode(self, messages: Sequence[Message], add_generation_prompt: bool) -> list[int]: ...


class States(Protocol):
    """Something quicker than the model for one prompt: the last state of its ids [hidden], or their mean."""

    def __call__(self, ids: Sequence[int]) -> Tensor: ...
    def mean(self, ids: Sequence[int]) -> Tensor: ...


class Embedder:
    """Embeds messages on a base whose bank is off; the caller sees to that. Keeps the last few hundred by
    text.

    Args:
        model: a causal LM of transformers; its decoder is run without the output head.
        pad_id: used to pad batches.
        state: states of one prompt, where there is something quicker than the model.
    """

    def __init__(
        self,
        model: nn.Module,
        encoder: PromptEncoder,
        pad_id: int,
        device: str,
        remember: int = 512,
        state: States | None = None,
    ) -> None:
        # The stack without the output head, in every causal LM of transformers.
        self._decoder: Any = model.base_model
        config: Any = model.config
        self.hidden_size: int = config.get_text_config().hidden_size
        self._encoder = encoder
        self._pad = pad_id
        self._device = device
        self._known: OrderedDict[str, Tensor] = OrderedDict()
        self._means: OrderedDict[str, Tensor] = OrderedDict()
        self._remember = remember
        self._state = state

    def recall(self, texts: Sequence[str], embeddings: Tensor) -> None:
        """Take up embeddings [n, hidden] that this base gave for `texts` earlier."""
        self._remember = max(self._remember, 2 * len(texts))
        for text, vector in zip(texts, embeddings, strict=True):
            self._known[text] = vector.clone()

    def forget(self) -> None:
        """Drop every remembered embedding."""
        self._known.clear()
        self._means.clear()

    def embed(self, texts: Sequence[str]) -> Tensor:
        """Embeddings [n, hidden], float32 on the CPU. Of a long text its last 4,096 characters are read."""
        return self._of(texts, self._known, mean=False)

    def means(self, texts: Sequence[str]) -> Tensor:
        """As `embed`, the mean of the states at all of a prompt's tokens."""
        return self._of(texts, self._means, mean=True)

    def _of(self, texts: Sequence[str], known: OrderedDict[str, Tensor], *, mean: bool) -> Tensor:
        missing = [t for t in dict.fromkeys(texts) if t not in known]
        found = {t: known[t] for t in texts if t in known}
        missing.sort(key=len)
        for i in range(0, len(missing), _BATCH):
            part = missing[i : i + _BATCH]
            for text, vector in zip(part, self._run(part, mean), strict=True):
                found[text] = known[text] = vector
        for text in texts:
            known.move_to_end(text)
        while len(known) > max(self._remember, len(texts)):
            known.popitem(last=False)
        return torch.stack([found[t] for t in texts])

    def _run(self, texts: Sequence[str], mean: bool) -> Tensor:
        rows = [self._encoder.encode([Message("user", t[-_MAX_CHARACTERS:])], True) for t in texts]
        if self._state is not None:
            return torch.stack([self._state.mean(row) if mean else self._state(row) for row in rows])
        lengths = torch.tensor([len(r) for r in rows])
        ids = torch.full((len(rows), int(lengths.max())), self._pad, dtype=torch.long)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
        mask = (torch.arange(ids.shape[1])[None, :] < lengths[:, None]).long()
        with torch.no_grad():
            hidden: Tensor = self._decoder(
                input_ids=ids.to(self._device), attention_mask=mask.to(self._device), use_cache=False
            ).last_hidden_state
        if mean:
            shown = mask.to(hidden.device)[:, :, None]
            return ((hidden * shown).sum(1).float() / shown.sum(1)).cpu()
        return hidden[torch.arange(len(rows)), (lengths - 1).to(hidden.device)].float().cpu()
