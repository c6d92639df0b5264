"""The forgetting meter: perplexity and KL against the base on neutral text that training never sees."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from dlm_core.adapters.bank import Bank, TrainingPlan
from dlm_core.training.examples import Encoder
from dlm_core.training.forward import SelectiveHead, token_perplexity

METER_TEXTS = 4
METER_TOKENS = 64


@dataclass(frozen=True)
class Measured:
    """One text with what the base says of it: `ids` [1, T], `log_probs` [T - 1, vocabulary] (float16), summed
    NLL.
    """

    ids: Tensor
    log_probs: Tensor
    nll: float


class ForgettingMeter:
    """Measures how far an adapted model has drifted on neutral text.

    Args:
        head: the model; its bank must be off while this is built.
        texts: held-out neutral texts.
        limit: tokens read of each.
    """

    def __init__(
        self,
        head: SelectiveHead,
        encoder: Encoder,
        texts: Sequence[str],
        device: str,
        limit: int = METER_TOKENS,
    ) -> None:
        self._head = head
        self._texts: list[Measured] = []
        with torch.no_grad():
            for text in texts:
                ids = torch.tensor([encoder.encode_text(text)[:limit]], device=device)
                if ids.shape[1] < 2:
                    continue
                logits = self._logits(ids)
                nll = float(functional.cross_entropy(logits, ids[0, 1:], reduction="sum"))
                self._texts.append(Measured(ids, torch.log_softmax(logits, -1).half(), nll))
        self.tokens = sum(t.ids.shape[1] - 1 for t in self._texts)
        self.base_perplexity = token_perplexity(sum(t.nll for t in self._texts), self.tokens)

    def _logits(self, ids: Tensor) -> Tensor:
        return self._head.logits(ids, torch.ones_like(ids), torch.arange(ids.shape[1] - 1, device=ids.device))

    def measure(self) -> tuple[float, float]:
        """(perplexity, KL(base ‖ adapted) per token in nats) under the plan in use."""
        return self._measure(lambda _: None)

    def measure_pinned(self, bank: Bank, plan: TrainingPlan, seed: int) -> tuple[float, float]:
        """As `measure`, each text under one adapter alone; texts and adapters are paired by `seed`."""
        order = list(range(len(plan.adapters)))
        random.Random(seed).shuffle(order)

        def pin(i: int) -> None:
            weights = torch.zeros(1, len(plan.adapters), device=self._texts[i].ids.device)
            weights[0, order[i % len(order)]] = 1.0
            plan.set_rows(weights)
            bank.use(plan)

        dropping, plan.dropping = plan.dropping, False
        try:
            return self._measure(pin)
        finally:
            plan.dropping = dropping
            plan.forget()

    def _measure(self, prepare: Callable[[int], None]) -> tuple[float, float]:
        nll = divergence = 0.0
        with torch.no_grad():
            for i, text in enumerate(self._texts):
                prepare(i)
                logits = self._logits(text.ids)
                nll += float(functional.cross_entropy(logits, text.ids[0, 1:], reduction="sum"))
                base = text.log_probs.float()
                divergence += float((base.exp() * (base - torch.log_softmax(logits, -1))).sum())
        return token_perplexity(nll, self.tokens), divergence / max(self.tokens, 1)
