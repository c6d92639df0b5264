"""Supervised training of new adapters: every row, epoch by epoch, until all answers are predicted."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from dlm_core.adapters.weights import AdapterWeights
from dlm_core.events import TrainEpoch
from dlm_core.training import check
from dlm_core.training import optimiser as optimisers
from dlm_core.training.checkpoint import Phase
from dlm_core.training.curriculum import Curriculum
from dlm_core.training.examples import Row
from dlm_core.training.mending import unlearned
from dlm_core.training.progress import Counters, Learned, Progress
from dlm_core.training.recipe import Recipe
from dlm_core.training.schedule import factor
from dlm_core.training.step import AnswerLearner, Tools


class InFull:
    """The policy of a training in full.

    Args:
        adapters: those that train; they are changed in place.
        rates: peak learning rate per adapter.
        rows: what to learn.
        validation: rows never trained on; with them the best epoch's weights are kept.
        mends: whether the last few errors are mended alone, and not by whole epochs.
    """

    phase: Phase = "sft"

    def __init__(
        self,
        tools: Tools,
        recipe: Recipe,
        adapters: Sequence[AdapterWeights],
        rates: Mapping[str, float],
        *,
        rows: Sequence[Row],
        validation: Sequence[Row] = (),
        mends: bool = True,
        betas: tuple[float, float] = optimisers.BETAS,
    ) -> None:
        self.recipe, self.epochs, self.adapters = recipe, recipe.epochs, list(adapters)
        self.rows, self.validation = list(rows), list(validation)
        self.progress, self.learned = Progress(), Learned()
        self.keeps_best = bool(self.validation)
        self._tools, self._mends = tools, mends
        self._batches: list[list[Row]] = []
        self._best: dict[str, dict[str, Tensor]] | None = None
        self._curriculum = Curriculum(self.rows, recipe, tools.head.input_embeddings)
        longest = max((len(r.ids) for r in (*rows, *validation)), default=0)
        self.learner = AnswerLearner(tools, recipe, adapters, longest, lambda: self.progress)
        self.optimiser: torch.optim.Optimizer = tools.accelerator.prepare(
            optimisers.adamw(
                optimisers.vectors(self.learner.flat, rates),
                weight_decay=recipe.weight_decay,
                gate_lr_multiplier=recipe.gate_lr_multiplier,
                betas=betas,
            )
        )
        counts = self._curriculum.counts
        self._steps = [self._steps_of(count) for count in counts]

    @property
    def finished(self) -> str:
        return self.progress.finished

    def begin(self) -> None:
        pass

    def begin_epoch(self) -> list[list[Row]]:
        """The batches of the epoch."""
        progress = self.progress
        self._batches = self._curriculum.batches(progress.epoch, progress.lacking)
        self.learner.expect(self._batches[progress.batch :])
        return self._batches

    @property
    def total_steps(self) -> int:
        """Steps so far, and those that follow if no epoch stops early and nothing more is learned."""
        progress = self.progress
        if not progress.lacking:
            left = sum(self._steps[progress.epoch :])
        else:
            left = (self.epochs - progress.epoch) * self._steps_of(len(self._batches))
        return progress.step - progress.batch // self.recipe.grad_accum + left

    def rate_factor(self) -> float:
        """The schedule goes by epochs: a short one that only mends takes as much of it as a whole one."""
        progress, recipe, steps = self.progress, self.recipe, self._steps
        done = progress.batch / max(1, len(self._batches)) * steps[progress.epoch]
        at = sum(steps[: progress.epoch]) + done
        return factor(at, sum(steps), recipe.warmup_ratio, recipe.scheduler)

    def end_epoch(self, at_epoch: Callable[[int], Mapping[str, float]]) -> TrainEpoch:
        """Look at what was learned, and decide whether the training ends, mends, or goes on."""
        progress, recipe = self.progress, self.recipe
        counters, sections = progress.counters, progress.sections
        validation = self._validate() if self.validation else None
        may_stop = validation is None and progress.epoch + 1 >= recipe.min_epochs
        lacking: list[str] = []
        if may_stop and counters.recall >= recipe.verify_recall:
            counters, sections = check.verify(self.learner, self.rows, recipe, progress)
            if self._mends:
                lacking = unlearned(self.rows, counters.recall, sections.recalls())
        progress.lacking = lacking
        forgetting = at_epoch(progress.epoch + 1)
        event = answers_event(
            self._tools.run_id, progress.epoch + 1, self.epochs, counters, forgetting, validation
        )
        if may_stop and counters.recall >= recipe.stop_recall:
            progress.finished = "recall"
        progress.epoch += 1
        progress.batch = 0
        self.learned = Learned(counters.recall, sections.recalls(), sections.losses())
        progress.counters, progress.sections = Counters(), Counters()
        return event

    def end(self) -> None:
        """Put back the best weights, where there are held-out rows to say which."""
        if self._best is not None:
            with torch.no_grad():
                for adapter in self.adapters:
                    for module, role, parameter in adapter.named_tensors():
                        parameter.copy_(self._best[adapter.spec.name][f"{module}.{role}"])
        self.learner.flat.release()

    def _steps_of(self, batches: int) -> int:
        return -(-batches // self.recipe.grad_accum)

    def _validate(self) -> float:
        """Mean loss on the held-out rows; keeps a copy of the weights when it is the best so far."""
        loss = check.mean_loss(self.learner, self.validation, self.recipe.max_rows)
        if self.progress.best_loss is None or loss < self.progress.best_loss:
            self.progress.best_loss = loss
            self._best = {
                a.spec.name: {f"{m}.{r}": p.detach().clone() for m, r, p in a.named_tensors()}
                for a in self.adapters
            }
        return loss

    def extra_tensors(self) -> dict[str, Tensor]:
        """The best weights so far, by `adapter/tensor`."""
        best = self._best or {}
        return {f"{name}/{key}": value for name, tensors in best.items() for key, value in tensors.items()}

    def take_extra_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        best: dict[str, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            name, _, tensor = key.partition("/")
            best.setdefault(name, {})[tensor] = value.to(self._tools.accelerator.device)
        self._best = best or None


def answers_event(
    run_id: int,
    epoch: int,
    epochs: int,
    counters: Counters,
    forgetting: Mapping[str, float],
    validation: float | None = None,
) -> TrainEpoch:
    """What an epoch of answers came to; `forgetting` may hold perplexity, perplexity_base, kl and chat_kl."""
    return TrainEpoch(
        run_id=run_id,
        epoch=epoch,
        epochs=epochs,
        loss=counters.mean_loss,
        recall=counters.recall,
        recalls=counters.recalls(),
        perplexity=forgetting.get("perplexity"),
        perplexity_base=forgetting.get("perplexity_base"),
        kl=forgetting.get("kl"),
        chat_kl=forgetting.get("chat_kl"),
        validation_loss=validation,
    )
