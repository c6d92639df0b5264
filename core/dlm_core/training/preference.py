"""Preference training: each adapter learns to prefer its chosen answers over the rejected ones (DPO or ORPO).

DPO (arXiv 2305.18290) with L = −log σ(β Δ), Δ = (log π/π_ref of chosen) − (log π/π_ref of rejected);
`hinge` is max(0, 1 − β Δ) and `ipo` (Δ − 1/2β)² on per-token means (arXiv 2310.12036). ORPO (arXiv
2403.07691) needs no
reference: L = NLL(chosen) − α log σ(log odds ratio). For DPO, α weighs the chosen answer's own NLL, which
keeps it likely.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional

from dlm_core.adapters.bank import TrainingPlan
from dlm_core.adapters.flat import FlatAdapters
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.document.schema import PreferenceConfig
from dlm_core.events import TrainEpoch
from dlm_core.training import optimiser as optimisers
from dlm_core.training.batches import Batch, collate, plan_epoch
from dlm_core.training.checkpoint import Phase
from dlm_core.training.examples import PreferenceRow, Row
from dlm_core.training.outcome import Preferred
from dlm_core.training.processes import own_part, summed
from dlm_core.training.progress import Learned
from dlm_core.training.recipe import Recipe
from dlm_core.training.schedule import factor
from dlm_core.training.step import Losses, Tools, next_turn, passes_of

AUTO_EPOCHS = 4
_COMPARED = 8  # replies that are looked at before and after
_REPLY_TOKENS = 16  # the beginning of a reply that is looked at
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


Known = tuple[PreferenceRow, Tensor]
"""A pair, and the summed log-probabilities [2] of its answers under the reference."""


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


class PreferenceLearner:
    """Teaches adapters to prefer, by pairs; the reference is what `config.reference` names.

    Args:
        adapters: those of the pairs; they are changed in place.
        progress: gives where the phase stands; what pairs came to is counted there.
    """

    loss_name = "preference loss"
    remedy = "lower `training.preference.hyperparams.learning_rate`"

    def __init__(
        self,
        tools: Tools,
        recipe: Recipe,
        config: PreferenceConfig,
        adapters: Sequence[AdapterWeights],
        longest_row: int,
        progress: Callable[[], PreferenceProgress],
    ) -> None:
        self._tools, self._recipe, self._config, self._progress = tools, recipe, config, progress
        self._names, self._adapters = [a.spec.name for a in adapters], list(adapters)
        self._device = tools.accelerator.device
        for adapter in adapters:
            adapter.requires_grad_(True)
        self.flat = FlatAdapters(adapters)
        self.parameters = self.flat.vectors
        self._passes = passes_of(tools, adapters, self.flat, longest_row)

    def references(self, pairs: Sequence[PreferenceRow]) -> Tensor:
        """Summed log-probabilities [pairs, 2] of chosen and rejected answers under the reference, float64.
        Every process works out its share.
        """
        found = torch.zeros(len(pairs), 2, dtype=torch.float64)
        if self._config.method == "orpo":
            return found
        accelerator = self._tools.accelerator
        for i in range(accelerator.process_index, len(pairs), accelerator.num_processes):
            batch = self._batch([pairs[i]])
            losses = self._passes.check(batch, base=self._config.reference == "base").losses
            sums, _ = _by_row(-losses, batch)
            found[i] = sums.cpu().double()
        return torch.tensor(summed(accelerator, found.tolist()), dtype=torch.float64)

    @torch.no_grad()
    def replies(self, pairs: Sequence[PreferenceRow]) -> Tensor:
        """How greedy replies to the pairs' prompts begin, as ids [pairs, _REPLY_TOKENS]."""
        rows, bank = [pair.chosen for pair in pairs], self._tools.bank
        plan = TrainingPlan(bank, self._adapters)
        plan.dropping = False
        plan.set_rows(collate(rows, self._names, self._tools.pad_id).weights.to(self._device))
        bank.use(plan)
        asked = [row.ids[: row.loss.index(True)] for row in rows]
        with self._tools.accelerator.autocast():
            said = self._tools.head.greedy(asked, _REPLY_TOKENS, self._tools.pad_id).cpu()
        bank.use(None)
        return said

    def expect(self, batches: Iterable[Sequence[Known]]) -> None:
        """What the next steps will learn, in about this order."""
        expected = list[Row]()
        for known in batches:
            pairs = [pair for pair, _ in known]
            mine, _ = own_part(self._tools.accelerator, _lengths(pairs))
            expected += [row for i in mine for row in (pairs[i].chosen, pairs[i].rejected)]
        self._passes.expect(expected)

    def learn(self, group: Sequence[Sequence[Known]], *, watch: bool) -> Losses:
        """Forward and backward of this process's part of one batch of pairs, and of a text to rehearse."""
        (known,) = group
        pairs, progress, accelerator = [pair for pair, _ in known], self._progress(), self._tools.accelerator
        mine, rehearses = own_part(accelerator, _lengths(pairs))
        turn = next_turn(self._tools, self._recipe, progress, range(len(self._names)))
        self.flat.begin_step()
        self.flat.learn([self._names.index(pair.adapter) for pair in pairs])
        self.flat.learn([] if turn is None else [turn.pinned])
        weighing = _Weighing(self._config, self._batch([pairs[i] for i in mine]), len(mine) / len(pairs))
        if mine:
            weighing.reference = torch.stack([known[i][1] for i in mine]).to(self._device, torch.float32)
        kl = None
        if mine or (turn is not None and rehearses):
            part = turn if rehearses else None
            kl = self._passes.learn(weighing.batch, 1.0, part, None, weighing.of).kl
        self.flat.end_step()
        table = [
            [0.0, 0.0] for _ in pairs
        ]  # for each pair its part of the loss, and 1.0 if it came out right
        for place, better in zip(mine, weighing.won, strict=True):
            table[place] = [weighing.loss / len(mine), better]
        *table, (rehearsed, _) = summed(accelerator, [*table, [kl or 0.0, 0.0]])
        total = sum(loss for loss, _ in table)
        progress.losses.append(total)
        for pair, (_, better) in zip(pairs, table, strict=True):
            progress.wins.setdefault(pair.adapter, []).append(better)
        tokens = sum(_lengths(pairs))
        return Losses(total=total, loss=total, tokens=tokens, kl=None if turn is None else rehearsed)

    def changed(self) -> None:
        self._passes.changed()

    def _batch(self, pairs: Sequence[PreferenceRow]) -> Batch:
        """The chosen rows of pairs, then the rejected ones."""
        rows = [p.chosen for p in pairs] + [p.rejected for p in pairs]
        return collate(rows, self._names, self._tools.pad_id).to(self._device)


@dataclass
class _Weighing:
    """The loss of a batch of pairs, and what each answer token's own loss counts in it.

    The loss is a function of the log-probabilities s of whole answers, s = −Σ_t l_t over their tokens'
    losses, so dL = −Σ_t (∂L/∂s) dl_t: each token of an answer counts −∂L/∂s.

    Args:
        share: what the loss is multiplied by; other processes have the rest of the batch.
    """

    config: PreferenceConfig
    batch: Batch
    share: float
    reference: Tensor = field(default_factory=lambda: torch.zeros(0, 2))
    loss: float = 0.0
    won: list[float] = field(default_factory=list)

    def of(self, losses: Tensor) -> Tensor:
        """What each of the tokens' losses [n] counts; the loss, and who won, are known then."""
        config, hyper, reference = self.config, self.config.hyperparams, self.reference
        sums, counts = _by_row(-losses, self.batch)
        sums.requires_grad_(True)
        n = len(sums) // 2
        with torch.enable_grad():
            loss = self.share * preference_loss(
                sums[:n],
                sums[n:],
                reference[:, 0],
                reference[:, 1],
                counts[:n],
                counts[n:],
                method=config.method,
                loss_type=config.loss_type,
                beta=hyper.beta,
                alpha=hyper.alpha,
            )
            (gradient,) = torch.autograd.grad(loss, sums)
        said = sums.detach()
        gained, lost = said[:n] - reference[:, 0], said[n:] - reference[:, 1]
        if config.method == "orpo":  # without a reference, answers of different lengths compare per token
            gained, lost = gained / counts[:n], lost / counts[n:]
        self.loss, self.won = float(loss.detach()), (gained > lost).float().tolist()
        return -gradient.index_select(0, self.batch.owners)


def _by_row(values: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """The values [n] of a batch's answer tokens summed by row, and their numbers, [rows] each, float32."""
    values = values.detach().float()
    none = torch.zeros(len(batch.rows), device=values.device)
    return (
        none.index_add(0, batch.owners, values),
        none.index_add(0, batch.owners, torch.ones_like(values)),
    )


def _lengths(pairs: Sequence[PreferenceRow]) -> list[int]:
    return [len(p.chosen.ids) + len(p.rejected.ids) for p in pairs]


class Preference:
    """The policy of the preference phase: all pairs, for a few epochs.

    Args:
        adapters: those of the run; the ones that have pairs train.
        rates: the answers' peak learning rate per adapter.
    """

    phase: Phase = "preference"
    keeps_best = False
    finished = ""

    def __init__(
        self,
        tools: Tools,
        recipe: Recipe,
        adapters: Sequence[AdapterWeights],
        rates: Mapping[str, float],
        *,
        pairs: Sequence[PreferenceRow],
        config: PreferenceConfig,
    ) -> None:
        touched = {p.adapter for p in pairs}
        self.adapters = [a for a in adapters if a.spec.name in touched]
        self.pairs, self._tools = list(pairs), tools
        self.recipe = replace(recipe, grad_accum=1)
        hyper = config.hyperparams
        auto = min(AUTO_EPOCHS, recipe.epochs)
        self.epochs = auto if hyper.num_epochs == "auto" else int(hyper.num_epochs)
        self.progress, self.learned = PreferenceProgress(), Learned()
        longest = max(len(row.ids) for pair in pairs for row in (pair.chosen, pair.rejected))
        self.learner = PreferenceLearner(tools, recipe, config, self.adapters, longest, lambda: self.progress)
        given, names = hyper.learning_rate, [a.spec.name for a in self.adapters]
        own = {n: rates[n] * _AUTO_RATE_SHARE if given == "auto" else float(given) for n in names}
        self.optimiser: torch.optim.Optimizer = tools.accelerator.prepare(
            optimisers.adamw(
                optimisers.vectors(self.learner.flat, own),
                weight_decay=recipe.weight_decay,
                gate_lr_multiplier=recipe.gate_lr_multiplier,
            )
        )
        self._references: Tensor | None = None
        self._before: Tensor | None = None
        self._won = 0.0
        self.total_steps = len(self._batches(0)) * self.epochs

    def begin(self) -> None:
        """Ask the reference, unless the training goes on: the adapters that spoke for it have moved since."""
        if self._references is None:
            self._references = self.learner.references(self.pairs)
            if self._tools.accelerator.is_main_process:
                self._before = self.learner.replies(self.pairs[:_COMPARED])

    def begin_epoch(self) -> list[list[Known]]:
        """Batches of pairs, each with the reference's log-probabilities of it."""
        assert self._references is not None
        planned = self._batches(self.progress.epoch)
        batches = [[(self.pairs[i], self._references[i]) for i in batch] for batch in planned]
        self.learner.expect(batches[self.progress.batch :])
        return batches

    def rate_factor(self) -> float:
        recipe = self.recipe
        return factor(self.progress.step, self.total_steps, recipe.warmup_ratio, recipe.scheduler)

    def end_epoch(self, at_epoch: Callable[[int], Mapping[str, float]]) -> TrainEpoch:
        progress = self.progress
        at_epoch(progress.epoch + 1)
        flat = [w for each in progress.wins.values() for w in each]
        event = TrainEpoch(
            run_id=self._tools.run_id,
            phase="preference",
            epoch=progress.epoch + 1,
            epochs=self.epochs,
            loss=sum(progress.losses) / max(1, len(progress.losses)),
            recall=sum(flat) / max(1, len(flat)),
            recalls={name: sum(w) / len(w) for name, w in progress.wins.items()},
        )
        self._won = event.recall
        progress.epoch += 1
        progress.batch = 0
        progress.losses, progress.wins = [], {}
        return event

    @property
    def preferred(self) -> Preferred:
        """What the phase came to; replies are compared by how they begin."""
        won = round(self._won * len(self.pairs))
        if self._before is None:
            return Preferred(len(self.pairs), won, compared=0, changed=0, as_chosen=0)
        changed = as_chosen = 0
        pairs = self.pairs[: len(self._before)]
        replies = self.learner.replies(pairs)
        for pair, old, new in zip(pairs, self._before.tolist(), replies.tolist(), strict=True):
            answer = list(pair.chosen.ids[pair.chosen.loss.index(True) :])
            chosen, earlier, now = (_until(ids[:_REPLY_TOKENS], answer[-1]) for ids in (answer, old, new))
            changed += now != earlier
            as_chosen += now == chosen
        return Preferred(len(self.pairs), won, len(pairs), changed, as_chosen)

    def end(self) -> None:
        self.learner.flat.release()

    def extra_tensors(self) -> dict[str, Tensor]:
        """The reference's log-probabilities, and how replies began."""
        found = {"references": self._references, "before": self._before}
        return {name: tensor for name, tensor in found.items() if tensor is not None}

    def take_extra_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        self._references, self._before = tensors.get("references"), tensors.get("before")

    def _batches(self, epoch: int) -> list[list[int]]:
        """The batches of an epoch, as indices into the pairs."""
        return plan_epoch(
            range(len(self.pairs)),
            lambda i: max(len(self.pairs[i].chosen.ids), len(self.pairs[i].rejected.ids)),
            token_budget=max(1, self.recipe.token_budget // 2),
            max_rows=max(1, self.recipe.max_rows // 2),
            seed=self.recipe.seed,
            epoch=epoch,
        )


def _until(ids: Sequence[int], end: int) -> list[int]:
    """The ids before the first `end`."""
    found = list(ids)
    return found[: found.index(end)] if end in found else found
