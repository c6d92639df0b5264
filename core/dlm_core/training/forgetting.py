"""The forgetting meter: perplexity and KL against the base on neutral text, and KL where replies to chat
questions begin. Training sees neither.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from dlm_core.adapters.bank import Bank, TrainingPlan
from dlm_core.training.examples import Encoder
from dlm_core.training.forward import SelectiveHead, token_perplexity

METER_TEXTS = 4
METER_TOKENS = 64
METER_QUESTIONS = 8


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

        with _not_dropping(plan):
            return self._measure(pin)

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


class ChatMeter:
    """Measures how far an adapted model has drifted where replies to chat questions begin.

    Args:
        head: the model; its bank must be off while this is built.
        questions: ones that no document answers and no training sees.
        system: the document's system prompt.
        autocast: the number formats that the forward runs in; by default the model's own.
    """

    def __init__(
        self,
        head: SelectiveHead,
        encoder: Encoder,
        questions: Sequence[str],
        system: str | None,
        device: str,
        autocast: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._head, self._autocast = head, autocast
        self.questions = tuple(questions)
        self._prompts = [
            torch.tensor([_prompt(encoder, question, system)], device=device) for question in questions
        ]
        self._base = [self._log_probs(ids) for ids in self._prompts]

    def measure(self, prepare: Callable[[int], None]) -> float:
        """KL(base ‖ adapted) of the next token in nats, the mean over all questions; `prepare` is told the
        place of each and puts the plan in use.
        """
        total = 0.0
        for place, ids in enumerate(self._prompts):
            prepare(place)
            base = self._base[place]
            total += float((base.exp() * (base - self._log_probs(ids))).sum())
        return total / max(len(self._prompts), 1)

    def measure_pinned(self, bank: Bank, plan: TrainingPlan) -> float:
        """As `measure`, each question under one adapter alone, in turn."""

        def pin(place: int) -> None:
            weights = torch.zeros(1, len(plan.adapters), device=self._prompts[place].device)
            weights[0, place % len(plan.adapters)] = 1.0
            plan.set_rows(weights)
            bank.use(plan)

        with _not_dropping(plan):
            return self.measure(pin)

    def _log_probs(self, ids: Tensor) -> Tensor:
        """Log-probabilities [vocabulary] of what follows ids [1, T]."""
        last = torch.tensor([ids.shape[1] - 1], device=ids.device)
        with torch.no_grad(), self._autocast():
            return torch.log_softmax(self._head.logits(ids, torch.ones_like(ids), last)[0], -1)


@contextmanager
def _not_dropping(plan: TrainingPlan) -> Iterator[None]:
    """Within it a plan has no dropout; afterwards it holds nothing of what was measured."""
    dropping, plan.dropping = plan.dropping, False
    try:
        yield
    finally:
        plan.dropping = dropping
        plan.forget()


def _prompt(encoder: Encoder, question: str, system: str | None) -> list[int]:
    """The ids of a question up to where its answer begins."""
    ids, loss = encoder.encode_row(question, "x", system)
    return ids[: loss.index(True)] if True in loss else ids


def _next(ids: Tensor) -> Tensor:
    """The tokens [n * (T - 1)] that follow in ids [n, T]."""
    return ids[:, 1:].flatten()
