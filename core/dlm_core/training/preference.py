"""Preference training: each adapter learns to prefer its chosen answers over the rejected ones (DPO or ORPO).

DPO (arXiv 2305.18290) with L = −log σ(β Δ), Δ = (log π/π_ref of chosen) − (log π/π_ref of rejected);
`hinge` is max(0, 1 − β Δ) and `ipo` (Δ − 1/2β)² on per-token means (arXiv 2310.12036). ORPO (arXiv
2403.07691) needs no
reference: L = NLL(chosen) − α log σ(log odds ratio). For DPO, α weighs the chosen answer's own NLL, which
keeps it likely.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn import functional

from dlm_core.adapters.bank import Bank, TrainingPlan
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.document.schema import PreferenceConfig
from dlm_core.errors import TrainingError
from dlm_core.events import Event, TrainEpoch, TrainStep
from dlm_core.training import optimiser as optimisers
from dlm_core.training.batches import collate, plan_epoch
from dlm_core.training.examples import PreferenceRow
from dlm_core.training.forward import SelectiveHead
from dlm_core.training.processes import agree, average_gradients, share
from dlm_core.training.recipe import Recipe
from dlm_core.training.rehearsal import Rehearsal
from dlm_core.training.schedule import factor

_AUTO_EPOCHS = 4
_AUTO_RATE_SHARE = 0.1  # of the answer-training rate: preferences move a model that already knows its answers


def preference_loss(
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    lengths_chosen: Tensor,
    lengths_rejected: Tensor,
    *,
    method: str,
    loss_type: str,
    beta: float,
    alpha: float,
) -> Tensor:
    """Mean loss over pairs from summed log-probabilities [pairs] of the answers; lengths in tokens."""
    nll = -(chosen / lengths_chosen)
    if method == "orpo":
        mean_chosen, mean_rejected = chosen / lengths_chosen, rejected / lengths_rejected
        odds = (mean_chosen - mean_rejected) - (_log1mexp(mean_chosen) - _log1mexp(mean_rejected))
        return (nll - alpha * functional.logsigmoid(odds)).mean()
    if loss_type == "ipo":
        margin = (chosen - reference_chosen) / lengths_chosen - (
            rejected - reference_rejected
        ) / lengths_rejected
        return ((margin - 1 / (2 * beta)) ** 2 + alpha * nll).mean()
    margin = beta * ((chosen - reference_chosen) - (rejected - reference_rejected))
    each = torch.relu(1 - margin) if loss_type == "hinge" else -functional.logsigmoid(margin)
    return (each + alpha * nll).mean()


def _log1mexp(x: Tensor) -> Tensor:
    """log(1 − exp(x)) for x < 0, without cancellation near 0."""
    x = x.clamp(max=-1e-6)
    return torch.where(x > -0.693, torch.log(-torch.expm1(x)), torch.log1p(-torch.exp(x)))


@dataclass
class PreferenceProgress:
    """Where the preference phase stands; `wins` holds 1.0 per adapter for every pair that came out right."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    rehearsals: int = 0
    elapsed_s: float = 0.0
    losses: list[float] = field(default_factory=list)
    wins: dict[str, list[float]] = field(default_factory=dict)


class PreferenceLoop:
    """Trains adapters on their preference pairs, in place; the reference is what `config.reference` names.

    Args as for `training.loop.Loop`; `pairs` carry the adapter they belong to.
    """

    def __init__(
        self,
        *,
        run_id: int,
        bank: Bank,
        head: SelectiveHead,
        adapters: Sequence[AdapterWeights],
        rates: Mapping[str, float],
        pairs: Sequence[PreferenceRow],
        config: PreferenceConfig,
        recipe: Recipe,
        rehearsal: Rehearsal | None,
        pad_id: int,
        accelerator: Accelerator,
        emit: Callable[[Event], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.run_id, self.bank, self.head, self.recipe, self.config = run_id, bank, head, recipe, config
        self.pairs, self.rehearsal, self.pad_id, self.emit, self.clock = (
            list(pairs),
            rehearsal,
            pad_id,
            emit,
            clock,
        )
        touched = {p.adapter for p in pairs}
        self.adapters = [a for a in adapters if a.spec.name in touched]
        self.names = [a.spec.name for a in self.adapters]
        hyper = config.hyperparams
        self.epochs = _AUTO_EPOCHS if hyper.num_epochs == "auto" else int(hyper.num_epochs)
        share = hyper.learning_rate
        own = {n: rates[n] * _AUTO_RATE_SHARE if share == "auto" else float(share) for n in self.names}
        for adapter in self.adapters:
            adapter.requires_grad_(True)
        self.plan = TrainingPlan(bank, self.adapters)
        self.accelerator, self.device = accelerator, accelerator.device
        self.optimiser: torch.optim.Optimizer = accelerator.prepare(
            optimisers.build(
                self.adapters,
                own,
                gate_lr_multiplier=recipe.gate_lr_multiplier,
                weight_decay=recipe.weight_decay,
            )
        )
        self.parameters = [p for a in self.adapters for _, _, p in a.named_tensors()]
        self.progress = PreferenceProgress()
        self.references: Tensor | None = None

    def _references(self) -> Tensor:
        """Summed log-probabilities [pairs, 2] of chosen and rejected answers under the reference, float64."""
        found = torch.zeros(len(self.pairs), 2, dtype=torch.float64)
        if self.config.method == "orpo":
            return found
        self.plan.dropping = False
        with torch.no_grad():
            for i, pair in enumerate(self.pairs):
                chosen, rejected, _, _ = self._log_probs([pair], base=self.config.reference == "base")
                found[i] = torch.tensor([float(chosen[0]), float(rejected[0])])
        self.plan.dropping = True
        return found

    def extra_tensors(self) -> dict[str, Tensor]:
        """The reference's log-probabilities: the adapters that gave them have moved since."""
        return {} if self.references is None else {"references": self.references}

    def take_extra_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        self.references = tensors.get("references")

    def _log_probs(
        self, pairs: Sequence[PreferenceRow], *, base: bool = False
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Summed log-probabilities [pairs] of chosen and rejected answers, and their lengths in tokens."""
        rows = [p.chosen for p in pairs] + [p.rejected for p in pairs]
        batch = collate(rows, self.names, self.pad_id).to(self.device)
        if base:
            self.bank.use(None)
        else:
            self.plan.set_rows(batch.weights)
            self.bank.use(self.plan)
        with self.accelerator.autocast():
            logits = self.head.logits(batch.input_ids, batch.attention_mask, batch.positions)
        each = -functional.cross_entropy(logits, batch.targets, reduction="none")
        sums = torch.zeros(len(rows), device=self.device).index_add(0, batch.owners, each)
        counts = torch.zeros(len(rows), device=self.device).index_add(0, batch.owners, torch.ones_like(each))
        n = len(pairs)
        return sums[:n], sums[n:], counts[:n], counts[n:]

    def run(self, stop: Callable[[], bool], between_steps: Callable[[], None]) -> str:
        """Train all epochs, or until `stop`; returns `epochs` or `stopped`."""
        progress, total = self.progress, len(self._batches(0)) * self.epochs
        if self.references is None:
            self.references = self._references()
        while progress.epoch < self.epochs:
            batches = self._batches(progress.epoch)
            while progress.batch < len(batches):
                if agree(self.accelerator, stop()):
                    return "stopped"
                self._step(batches[progress.batch], total)
                between_steps()
            self._end_epoch()
        return "epochs"

    def _step(self, batch: Sequence[int], total: int) -> None:
        progress, started = self.progress, self.clock()
        rate = optimisers.set_factor(
            self.optimiser, factor(progress.step, total, self.recipe.warmup_ratio, self.recipe.scheduler)
        )
        loss, won = self._learn(batch)
        every = self.recipe.rehearse_every
        kl = self._rehearse() if self.rehearsal is not None and every and progress.step % every == 0 else None
        average_gradients(self.accelerator, self.parameters)
        norm = self.accelerator.clip_grad_norm_(self.parameters, self.recipe.clip_norm)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.plan.forget()
        pairs = [self.pairs[i] for i in batch]
        progress.step += 1
        progress.batch += 1
        progress.losses.append(loss)
        for pair, better in zip(pairs, won, strict=True):
            progress.wins.setdefault(pair.adapter, []).append(better)
        seconds = max(self.clock() - started, 1e-9)
        progress.elapsed_s += seconds
        self.emit(
            TrainStep(
                run_id=self.run_id,
                phase="preference",
                step=progress.step,
                steps=total,
                epoch=progress.epoch + 1,
                epochs=self.epochs,
                loss=loss,
                losses={},
                learning_rate=rate,
                grad_norm=float(norm) if norm is not None else 0.0,
                tokens_per_s=sum(len(p.chosen.ids) + len(p.rejected.ids) for p in pairs) / seconds,
                elapsed_s=progress.elapsed_s,
                eta_s=progress.elapsed_s / progress.step * (total - progress.step),
                rehearsal_kl=kl,
            )
        )

    def _end_epoch(self) -> None:
        progress = self.progress
        flat = [w for each in progress.wins.values() for w in each]
        self.emit(
            TrainEpoch(
                run_id=self.run_id,
                phase="preference",
                epoch=progress.epoch + 1,
                epochs=self.epochs,
                loss=sum(progress.losses) / max(1, len(progress.losses)),
                recall=sum(flat) / max(1, len(flat)),
                recalls={name: sum(w) / len(w) for name, w in progress.wins.items()},
            )
        )
        progress.epoch += 1
        progress.batch = 0
        progress.losses, progress.wins = [], {}

    def _batches(self, epoch: int) -> list[list[int]]:
        """This process's batches of an epoch, as indices into the pairs."""
        batches = plan_epoch(
            range(len(self.pairs)),
            lambda i: max(len(self.pairs[i].chosen.ids), len(self.pairs[i].rejected.ids)),
            token_budget=max(1, self.recipe.token_budget // 2),
            max_rows=max(1, self.recipe.max_rows // 2),
            seed=self.recipe.seed,
            epoch=epoch,
        )
        return [batches[i] for i in share(self.accelerator, len(batches))]

    def _learn(self, batch: Sequence[int]) -> tuple[float, list[float]]:
        """Backward of one batch; returns its loss, and 1.0 for each pair whose chosen answer is ahead."""
        assert self.references is not None
        hyper = self.config.hyperparams
        chosen, rejected, length_chosen, length_rejected = self._log_probs([self.pairs[i] for i in batch])
        reference = self.references[list(batch)].to(self.device, torch.float32)
        loss = preference_loss(
            chosen,
            rejected,
            reference[:, 0],
            reference[:, 1],
            length_chosen,
            length_rejected,
            method=self.config.method,
            loss_type=self.config.loss_type,
            beta=hyper.beta,
            alpha=hyper.alpha,
        )
        if agree(self.accelerator, not math.isfinite(float(loss.detach()))):
            raise TrainingError(
                "the preference loss is not finite; nothing was committed",
                "lower `training.preference.hyperparams.learning_rate`",
            )
        self.accelerator.backward(loss)
        gained, lost = chosen - reference[:, 0], rejected - reference[:, 1]
        if (
            self.config.method == "orpo"
        ):  # without a reference, answers of different lengths compare per token
            gained, lost = gained / length_chosen, lost / length_rejected
        ahead = (gained > lost).float()
        return float(loss.detach()), ahead.tolist()

    def _rehearse(self) -> float:
        assert self.rehearsal is not None
        turn = self.progress.rehearsals + self.accelerator.process_index
        self.progress.rehearsals += self.accelerator.num_processes
        text, pinned = self.rehearsal.pick(turn, len(self.adapters))
        weights = torch.zeros(1, len(self.adapters), device=self.device)
        weights[0, pinned] = 1.0
        self.plan.set_rows(weights)
        self.bank.use(self.plan)
        with self.accelerator.autocast():
            kl = self.rehearsal.divergence(text)
        self.accelerator.backward(kl * self.recipe.rehearse_weight)
        return float(kl.detach())
