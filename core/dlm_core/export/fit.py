"""Fit a static export to the engine's predictions.

Minimises KL(engine ‖ export) on the replies to the document's questions, plus the same on neutral text, by
Adam: either on the factors c alone, one number per rank (`fitted`), or on B as a whole (`distilled`), which
is what it takes to put several adapters that the gate keeps apart into one LoRA. A and the base stay as
they are. With B' = B diag(c) the gradient of the factors is ∂L/∂c_i = Σ_o (∂L/∂B')_oi B_oi, so that the
training plan of the bank serves as it is.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dlm_core.adapters.bank import TrainingPlan
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.export.constants import Constants
from dlm_core.export.reference import Observer, Reference, Sample

_ROWS = 3
_LEARNING_RATE = 0.03
_LEARNING_RATE_OF_B = 5e-4  # for an adapter of weight 1
_NEUTRAL_WEIGHT = 1.0
_PASSES = 8
_MOST_STEPS = 240


@dataclass(frozen=True)
class FitStep:
    """Progress: pass `done` of `passes`, mean KL on the replies (nats per token), share of tokens chosen
    alike.
    """

    done: int
    passes: int
    kl: float
    agreement: float


class Fitter:
    """One fit of `adapters` under constant `weights`, begun at `start`: of the factors, or of B if
    `freely`.
    """

    def __init__(
        self,
        observer: Observer,
        adapters: Sequence[AdapterWeights],
        weights: Mapping[str, float],
        start: Constants,
        seed: int,
        *,
        freely: bool = False,
    ) -> None:
        self._observer, self._freely = observer, freely
        self._start = start
        self._static = [start.static(a) for a in adapters]
        self._whole = [(a.spec.name, m, layer.b.detach()) for a in adapters for m, layer in a.layers.items()]
        self._layers = [layer for a in self._static for layer in a.layers.values()]
        for layer in self._layers:
            layer.b.requires_grad_(True)
        parts = [start.values[name][module] for name, module, _ in self._whole]
        self._sizes = [len(p) for p in parts]
        self._factors = torch.cat(parts).clone().requires_grad_(True)
        self._plan = TrainingPlan(observer.bank, self._static)
        device = observer.chat.base.placement.device
        self._row = torch.tensor([weights[a.spec.name] for a in adapters], device=device)
        self._rng = random.Random(seed)

    def fit(self, reference: Reference, report: Callable[[FitStep], None]) -> Constants:
        """The fitted constants. Stops early once every reply token is chosen as the engine chooses it."""
        samples = reference.questions
        per_pass = math.ceil(len(samples) / _ROWS)
        passes = max(2, min(_PASSES, _MOST_STEPS // per_pass))
        parameters = [layer.b for layer in self._layers] if self._freely else [self._factors]
        rate = _LEARNING_RATE_OF_B / float(self._row.max()) if self._freely else _LEARNING_RATE
        optimiser = torch.optim.Adam(parameters, lr=rate, betas=(0.9, 0.95))
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, passes * per_pass, eta_min=rate / 20)
        turn = 0
        try:
            for done in range(1, passes + 1):
                order = self._rng.sample(range(len(samples)), len(samples))
                divergence, alike, tokens = 0.0, 0, 0
                for begin in range(0, len(order), _ROWS):
                    self._observer.check_stop()
                    part = [samples[i] for i in order[begin : begin + _ROWS]]
                    loss, same, count = self._divergence(part)
                    loss.backward()  # type: ignore[no-untyped-call]
                    if reference.rehearsal:
                        text = reference.rehearsal[turn % len(reference.rehearsal)]
                        rehearsed = _NEUTRAL_WEIGHT * self._divergence([text])[0]
                        rehearsed.backward()  # type: ignore[no-untyped-call]
                    self._step(optimiser)
                    schedule.step()
                    turn += 1
                    divergence += float(loss.detach()) * count
                    alike += same
                    tokens += count
                report(FitStep(done, passes, divergence / tokens, alike / tokens))
                if alike == tokens:
                    break
        finally:
            self._observer.bank.use(None)
        if not self._freely:
            return Constants("fitted", self._values())
        refitted: dict[str, dict[str, Tensor]] = {}
        for layer, (name, module, _) in zip(self._layers, self._whole, strict=True):
            refitted.setdefault(name, {})[module] = layer.b.detach().clone()
        return Constants("distilled", self._start.values, refitted)

    def _divergence(self, samples: Sequence[Sample]) -> tuple[Tensor, int, int]:
        """Mean KL per token with gradient, tokens chosen alike, and tokens."""
        length = max(s.ids.shape[1] for s in samples)
        ids = torch.zeros(len(samples), length, dtype=torch.long, device=samples[0].ids.device)
        mask = torch.zeros_like(ids)
        for row, sample in enumerate(samples):
            ids[row, : sample.ids.shape[1]] = sample.ids[0]
            mask[row, : sample.ids.shape[1]] = 1
        positions = torch.cat([row * length + s.positions for row, s in enumerate(samples)])
        self._plan.set_rows(self._row.expand(len(samples), -1))
        self._observer.bank.use(self._plan)
        with self._observer.chat.base.placement.autocast():
            logits = self._observer.head.logits(ids, mask, positions)
        ours = torch.log_softmax(logits, -1)
        engine = torch.cat([s.log_probs for s in samples]).float()
        loss = (engine.exp() * (engine - ours)).sum(-1).mean()
        return loss, int((ours.argmax(-1) == engine.argmax(-1)).sum()), len(engine)

    def _step(self, optimiser: torch.optim.Optimizer) -> None:
        """Move B, or the factors by what B's gradients say, and B with them."""
        if self._freely:
            optimiser.step()
            optimiser.zero_grad()
            self._plan.forget()
            return
        gradients = []
        for layer, (_, _, whole) in zip(self._layers, self._whole, strict=True):
            grad = layer.b.grad
            gradients.append((grad * whole).sum(0) if grad is not None else whole.new_zeros(whole.shape[1]))
            layer.b.grad = None
        self._factors.grad = torch.cat(gradients)
        optimiser.step()
        with torch.no_grad():
            parts = torch.split(self._factors, self._sizes)
            for layer, (_, _, whole), part in zip(self._layers, self._whole, parts, strict=True):
                layer.b.copy_(whole * part)
        self._plan.forget()

    def _values(self) -> dict[str, dict[str, Tensor]]:
        values: dict[str, dict[str, Tensor]] = {}
        parts = torch.split(self._factors.detach(), self._sizes)
        for (name, module, _), part in zip(self._whole, parts, strict=True):
            values.setdefault(name, {})[module] = part.clone()
        return values
