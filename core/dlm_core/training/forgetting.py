"""The forgetting meter: perplexity and KL against the base on neutral text that training never sees."""

import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
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
    """Texts of one length with what the base says of them: `ids` [n, T], `log_probs` [n * (T - 1),
    vocabulary] (float16), summed NLL; `places` are the texts' among all.
    """

    ids: Tensor
    places: tuple[int, ...]
    log_probs: Tensor
    nll: float


class ForgettingMeter:
    """Measures how far an adapted model has drifted on neutral text. Texts of one length are read together.

    Args:
        head: the model; its bank must be off while this is built.
        texts: held-out neutral texts.
        limit: tokens read of each.
        autocast: the number formats that the forward runs in; by default the model's own.
    """

    def __init__(
        self,
        head: SelectiveHead,
        encoder: Encoder,
        texts: Sequence[str],
        device: str,
        limit: int = METER_TOKENS,
        autocast: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._head, self._autocast = head, autocast
        by_length: dict[int, list[list[int]]] = {}
        for text in texts:
            ids = encoder.encode_text(text)[:limit]
            if len(ids) > 1:
                by_length.setdefault(len(ids), []).append(ids)
        self._texts: list[Measured] = []
        at = 0
        with torch.no_grad():
            for rows in by_length.values():
                together = torch.tensor(rows, device=device)
                logits = self._logits(together)
                nll = float(functional.cross_entropy(logits, _next(together), reduction="sum"))
                log_probs = torch.log_softmax(logits, -1).half()
                self._texts.append(Measured(together, tuple(range(at, at + len(rows))), log_probs, nll))
                at += len(rows)
        self.tokens = sum(len(t.log_probs) for t in self._texts)
        self.base_perplexity = token_perplexity(sum(t.nll for t in self._texts), self.tokens)

    def _logits(self, ids: Tensor) -> Tensor:
        """What is said before every token of ids [n, T] but the first: [n * (T - 1), vocabulary]."""
        places = torch.arange(ids.numel(), device=ids.device).view(ids.shape)[:, :-1].flatten()
        with self._autocast():
            return self._head.logits(ids, torch.ones_like(ids), places)

    def measure(self) -> tuple[float, float]:
        """(perplexity, KL(base ‖ adapted) per token in nats) under the plan in use."""
        return self._measure(lambda _: None)

    def measure_pinned(self, bank: Bank, plan: TrainingPlan, seed: int) -> tuple[float, float]:
        """As `measure`, each text under one adapter alone; texts and adapters are paired by `seed`."""
        order = list(range(len(plan.adapters)))
        random.Random(seed).shuffle(order)

        def pin(text: Measured) -> None:
            weights = torch.zeros(len(text.places), len(plan.adapters), device=text.ids.device)
            for row, place in enumerate(text.places):
                weights[row, order[place % len(order)]] = 1.0
            plan.set_rows(weights)
            bank.use(plan)

        dropping, plan.dropping = plan.dropping, False
        try:
            return self._measure(pin)
        finally:
            plan.dropping = dropping
            plan.forget()

    def _measure(self, prepare: Callable[[Measured], None]) -> tuple[float, float]:
        nll = divergence = 0.0
        with torch.no_grad():
            for text in self._texts:
                prepare(text)
                logits = self._logits(text.ids)
                nll += float(functional.cross_entropy(logits, _next(text.ids), reduction="sum"))
                base = text.log_probs.float()
                divergence += float((base.exp() * (base - torch.log_softmax(logits, -1))).sum())
        return token_perplexity(nll, self.tokens), divergence / max(self.tokens, 1)


def _next(ids: Tensor) -> Tensor:
    """The tokens [n * (T - 1)] that follow in ids [n, T]."""
    return ids[:, 1:].flatten()
