"""Training one method on a base for a comparison: the same rows, batches, schedule, stop rule, rehearsal and
optimiser for all of them.

The bank's own methods go through the training loop of a run, without what only a run has (mending, betas of
its own). The others go through `WholeModelLoop`, which does the same steps on whatever parameters a method
opens.
"""

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn import functional

from dlm_core.adapters.bank import Bank, ServingPlan
from dlm_core.adapters.spec import AdapterSpec
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.bases.load import Base
from dlm_core.errors import TrainingError
from dlm_core.evaluation.methods import BANK, Shape, attach
from dlm_core.events import Event, TrainEpoch, TrainStep
from dlm_core.llama.output_head import leads
from dlm_core.reports import Method
from dlm_core.training.augment import near_tokens, wear
from dlm_core.training.batches import collate, plan_epoch
from dlm_core.training.examples import Row
from dlm_core.training.forward import SelectiveHead
from dlm_core.training.loop import Loop
from dlm_core.training.optimiser import USUAL_BETAS, Part, adamw, set_factor
from dlm_core.training.passes import LEAD
from dlm_core.training.processes import accelerator_for
from dlm_core.training.recipe import Recipe
from dlm_core.training.rehearsal import TOKENS, Rehearsal
from dlm_core.training.schedule import factor
from dlm_core.training.sft import InFull
from dlm_core.training.step import Tools

ONE = "all"  # the single adapter that learns every row
_VERIFY_ROWS = 8


@dataclass(frozen=True)
class Taught:
    """How a training went: epochs, optimiser steps, seconds, trained parameters, why it ended."""

    epochs: int
    steps: int
    seconds: float
    parameters: int
    ended: str


def teach(
    method: Method,
    base: Base,
    head: SelectiveHead,
    rows: Sequence[Row],
    recipe: Recipe,
    shape: Shape,
    neutral: Sequence[str],
    emit: Callable[[Event], None],
    stop: Callable[[], bool],
    clock: Callable[[], float] = time.monotonic,
) -> Taught:
    """Train `method` on a fresh base, which answers as trained afterwards.

    Args:
        rows: all of the adapter `ONE`.
        recipe: its `learning_rate` is the method's.
        neutral: texts to rehearse; none where the recipe does not rehearse.
        emit: receives TrainStep and TrainEpoch.

    Where `stop` became true, the training `ended` as `stopped`. Raises TrainingError where the loss is not
    finite.
    """
    accelerator = accelerator_for(base.placement)
    begun = clock()
    if method in BANK:
        bank, adapter = _adapter(method, base, shape, recipe)
        tools = Tools(
            run_id=0,
            bank=bank,
            head=head,
            pad_id=base.tokenizer.pad_token_id or 0,
            rehearsal=_rehearsal(base, head, bank, recipe, neutral),
            accelerator=accelerator,
            emit=emit,
        )
        rates = {ONE: recipe.learning_rate}
        policy = InFull(tools, recipe, [adapter], rates, rows=rows, mends=False, betas=USUAL_BETAS)
        ended = Loop(tools, policy).run(stop, lambda: None)
        adapter.requires_grad_(False)
        bank.use(ServingPlan(bank, [adapter], {ONE: 1.0}))
        count = sum(p.numel() for _, _, p in adapter.named_tensors())
        progress = policy.progress
        return Taught(progress.epoch, progress.step, clock() - begun, count, ended)
    held = HeldToBase(head, base, neutral, recipe.seed) if recipe.rehearse_every and neutral else None
    whole = WholeModelLoop(method, base, head, rows, recipe, shape, held, accelerator, emit)
    ended = whole.run(stop)
    base.model.requires_grad_(False)
    return Taught(whole.epoch, whole.step, clock() - begun, whole.count, ended)


def _adapter(method: Method, base: Base, shape: Shape, recipe: Recipe) -> tuple[Bank, AdapterWeights]:
    bank = Bank(base.model)
    gate = shape.gate if method == "disel" else None
    spec = AdapterSpec(ONE, "disel" if gate else "lora", shape.rank, shape.alpha, shape.modules, 0.0, gate)
    return bank, AdapterWeights.initial(spec, bank.features, recipe.seed).to(base.placement.device)


def _rehearsal(
    base: Base, head: SelectiveHead, bank: Bank, recipe: Recipe, neutral: Sequence[str]
) -> Rehearsal | None:
    if not (recipe.rehearse_every and neutral):
        return None
    return Rehearsal(head, bank, base.chat, neutral, recipe.seed, base.placement.device)


class HeldToBase:
    """Rehearsal for a method that changes the base itself: what the base says of every neutral text is worked
    out before the training. Texts come in the order of the bank's rehearsal.
    """

    def __init__(self, head: SelectiveHead, base: Base, texts: Sequence[str], seed: int) -> None:
        self._head, self._seed = head, seed
        self._texts: list[tuple[Tensor, Tensor]] = []
        for text in texts:
            ids = torch.tensor([base.chat.encode_text(text)[:TOKENS]], device=base.placement.device)
            with torch.no_grad():
                self._texts.append((ids, self._log_probs(ids).half()))

    def divergence(self, turn: int) -> Tensor:
        """KL(adapted ‖ base) per token in nats on the text of rehearsal number `turn`, with gradient."""
        lap, place = divmod(turn, len(self._texts))
        order = list(range(len(self._texts)))
        random.Random(f"{self._seed}:rehearsal:{lap}").shuffle(order)
        ids, base = self._texts[order[place]]
        adapted = self._log_probs(ids)
        return (adapted.exp() * (adapted - base.float())).sum(-1).mean()

    def _log_probs(self, ids: Tensor) -> Tensor:
        every = torch.arange(ids.shape[1], device=ids.device)
        return torch.log_softmax(self._head.logits(ids, torch.ones_like(ids), every), -1)


class WholeModelLoop:
    """Supervised training of any parameters of a base, step by step as the bank's loop does it."""

    def __init__(
        self,
        method: Method,
        base: Base,
        head: SelectiveHead,
        rows: Sequence[Row],
        recipe: Recipe,
        shape: Shape,
        held: HeldToBase | None,
        accelerator: Accelerator,
        emit: Callable[[Event], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.head, self.rows, self.recipe, self._held = head, rows, recipe, held
        self.accelerator, self.emit, self.clock = accelerator, emit, clock
        self._pad = base.tokenizer.pad_token_id or 0
        questions = [t for row in rows for t in row.ids[slice(*row.question)]]
        self._near = near_tokens(head.input_embeddings, questions) if recipe.question_wear > 0 else {}
        batches = sum(-(-len(self._batches(e)) // recipe.grad_accum) for e in range(recipe.epochs))
        self.steps = batches
        self._attached = attach(method, base.model, shape, self.steps, recipe.seed)
        self.parameters = list(self._attached.parameters)
        self.count = sum(p.numel() for p in self.parameters)
        raw = adamw([Part(self.parameters, recipe.learning_rate)], weight_decay=recipe.weight_decay)
        self.optimiser: torch.optim.Optimizer = accelerator.prepare(raw)
        self.epoch = self.step = 0
        self._begun = clock()

    def _batches(self, epoch: int) -> list[list[Row]]:
        recipe = self.recipe
        return plan_epoch(
            wear(self.rows, recipe.question_wear, self._near, recipe.seed, str(epoch)),
            lambda r: len(r.ids),
            token_budget=recipe.token_budget,
            max_rows=recipe.max_rows,
            seed=recipe.seed,
            epoch=epoch,
        )

    def run(self, stop: Callable[[], bool]) -> str:
        """Train until every answer token is predicted (`recall`), though not before the recipe's least epoch,
        or all epochs are done (`epochs`).
        """
        recipe = self.recipe
        for epoch in range(recipe.epochs):
            batches = self._batches(epoch)
            seen = _Seen()
            for start in range(0, len(batches), recipe.grad_accum):
                if stop():
                    return "stopped"
                self._step(batches[start : start + recipe.grad_accum], seen, epoch)
            self.epoch = epoch + 1
            may_stop = self.epoch >= recipe.min_epochs
            if may_stop and seen.recall >= recipe.verify_recall:
                seen = self._verify()
            self.emit(
                TrainEpoch(
                    run_id=0, epoch=self.epoch, epochs=recipe.epochs, loss=seen.mean_loss, recall=seen.recall,
                    recalls={ONE: seen.recall},
                )
            )  # fmt: skip
            if may_stop and seen.recall >= recipe.stop_recall:
                return "recall"
        return "epochs"

    def _step(self, group: Sequence[Sequence[Row]], seen: "_Seen", epoch: int) -> None:
        recipe, begun = self.recipe, self.clock()
        at = factor(self.step, self.steps, recipe.warmup_ratio, recipe.scheduler)
        rate = set_factor(self.optimiser, at)
        batches = [collate(rows, [ONE], self._pad).to(self.accelerator.device) for rows in group]
        answer_tokens = sum(b.targets.numel() for b in batches)
        total = 0.0
        for batch in batches:
            with self.accelerator.autocast():
                logits = self.head.logits(batch.input_ids, batch.attention_mask, batch.positions)
            each = functional.cross_entropy(logits, batch.targets, reduction="none")
            self.accelerator.backward(each.sum() / answer_tokens)
            seen.add(each, logits.detach().argmax(-1) == batch.targets)
            total += float(each.detach().sum()) / answer_tokens
        penalty = self._attached.penalty()
        if penalty is not None:
            self.accelerator.backward(penalty)
        self._rehearse()
        if not math.isfinite(total):
            raise TrainingError(
                f"the loss is not finite at step {self.step + 1} at rate {recipe.learning_rate:g}",
                "leave that rate out with `--rate METHOD=RATE`",
            )
        norm = self.accelerator.clip_grad_norm_(self.parameters, recipe.clip_norm)
        self.optimiser.step()
        self.step += 1
        self._attached.after_step(self.step)
        self.optimiser.zero_grad(set_to_none=True)
        elapsed = self.clock() - self._begun
        self.emit(
            TrainStep(
                run_id=0, phase="sft", step=self.step, steps=self.steps, epoch=epoch + 1,
                epochs=recipe.epochs, loss=total, losses={ONE: total}, learning_rate=rate,
                grad_norm=float(norm or 0.0),
                tokens_per_s=sum(b.tokens for b in batches) / max(self.clock() - begun, 1e-9),
                elapsed_s=elapsed, eta_s=elapsed / self.step * (self.steps - self.step),
            )
        )  # fmt: skip

    def _rehearse(self) -> None:
        every = self.recipe.rehearse_every
        if self._held is None or every <= 0 or self.step % every:
            return
        with self.accelerator.autocast():
            kl = self._held.divergence(self.step // every)
        self.accelerator.backward(kl * self.recipe.rehearse_weight)

    def _verify(self) -> "_Seen":
        """Recall and loss of every row under the weights as they now are; predicted is what leads clearly."""
        seen = _Seen()
        budget, seed = self.recipe.token_budget, self.recipe.seed
        for rows in plan_epoch(
            self.rows,
            lambda r: len(r.ids),
            token_budget=budget,
            max_rows=_VERIFY_ROWS,
            seed=seed,
            epoch=0,
        ):
            batch = collate(rows, [ONE], self._pad).to(self.accelerator.device)
            with torch.no_grad(), self.accelerator.autocast():
                logits = self.head.logits(batch.input_ids, batch.attention_mask, batch.positions)
            each = functional.cross_entropy(logits, batch.targets, reduction="none")
            seen.add(each, leads(logits, batch.targets, LEAD))
        return seen


class _Seen:
    """Answer tokens so far: how many, how many were predicted, their summed loss."""

    def __init__(self) -> None:
        self.tokens = self.hits = 0
        self.loss = 0.0

    def add(self, losses: Tensor, hits: Tensor) -> None:
        self.tokens += hits.numel()
        self.hits += int(hits.sum())
        self.loss += float(losses.detach().sum())

    @property
    def recall(self) -> float:
        return self.hits / max(self.tokens, 1)

    @property
    def mean_loss(self) -> float:
        return self.loss / max(self.tokens, 1)
