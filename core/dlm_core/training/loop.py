"""The training loop: all adapters in one pass, rehearsal between, one event a step, and a state that can be
resumed.

Devices and gradients go through `accelerate` alone, so `accelerate launch` spreads the same loop over
processes.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor

from dlm_core.adapters.bank import Bank
from dlm_core.adapters.flat import BETAS, FlatAdapters
from dlm_core.adapters.openness import OpennessLayout, OpennessRecorder, adapter_means, by_module
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.errors import TrainingError
from dlm_core.events import Event, OpennessMap, TrainEpoch, TrainStep
from dlm_core.training import optimiser as optimisers
from dlm_core.training.augment import Near, beginnings, near_tokens, settled_after, wear
from dlm_core.training.batches import Batch, collate, other_questions, plan_epoch, within_budget
from dlm_core.training.examples import Row
from dlm_core.training.forward import SelectiveHead
from dlm_core.training.mending import mending_batches, unlearned
from dlm_core.training.passes import Turn, choose_passes
from dlm_core.training.processes import agree, average_gradients, share, summed
from dlm_core.training.progress import Counters, Learned, Progress
from dlm_core.training.recipe import Recipe
from dlm_core.training.rehearsal import Rehearsal
from dlm_core.training.schedule import factor

EVENT_INTERVAL_S = 0.1
OPENNESS_INTERVAL_S = 1.0
_VERIFY_ROWS = 8


Hook = Callable[[], None]


class Loop:
    """Supervised training of some adapters of a bank.

    Args:
        adapters: those that train; they are changed in place.
        rates: peak learning rate per adapter.
        rows: what to learn.
        validation: rows never trained on; with them the best epoch's weights are kept.
        rehearsal: neutral texts, or None.
        emit: receives events; at most ten TrainSteps a second, the last of an epoch always.
    """

    betas = BETAS

    def __init__(
        self,
        *,
        run_id: int,
        bank: Bank,
        adapters: Sequence[AdapterWeights],
        rates: Mapping[str, float],
        rows: Sequence[Row],
        validation: Sequence[Row],
        rehearsal: Rehearsal | None,
        recipe: Recipe,
        head: SelectiveHead,
        pad_id: int,
        accelerator: Accelerator,
        emit: Callable[[Event], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.run_id, self.bank, self.recipe = run_id, bank, recipe
        self.adapters, self.rows, self.validation = list(adapters), list(rows), list(validation)
        self.names = [a.spec.name for a in adapters]
        self.rehearsal, self.head, self.emit, self.clock = rehearsal, head, emit, clock
        self.pad_id = pad_id
        self._near, self._settled = self._near_tokens(), settled_after(self.rows)
        self.progress = Progress()
        self._batches: list[list[Row]] = []
        self.learned = Learned()
        self.best: dict[str, dict[str, Tensor]] | None = None
        for adapter in self.adapters:
            adapter.requires_grad_(True)
        self.flat = FlatAdapters(self.adapters)
        self.accelerator = accelerator
        self.device = accelerator.device
        self.optimiser: torch.optim.Optimizer = accelerator.prepare(
            self.flat.optimiser(
                rates,
                gate_lr_multiplier=recipe.gate_lr_multiplier,
                weight_decay=recipe.weight_decay,
                betas=self.betas,
            )
        )
        self.passes = choose_passes(
            head.model,
            bank,
            head,
            self.adapters,
            self.flat,
            rehearsal,
            accelerator,
            max((len(r.ids) for r in (*rows, *validation)), default=0),
        )
        self._last_event = self._last_openness = -1e9
        self._layout = OpennessLayout(
            {
                name: tuple(
                    (a.spec.name, a.spec.rank)
                    for a in self.adapters
                    if a.spec.gate is not None and name in a.layers
                )
                for name in bank.layers
                if any(a.spec.gate is not None and name in a.layers for a in self.adapters)
            }
        )

    def _near_tokens(self) -> Near:
        """Near tokens for everything that stands in a question, where questions are worn at all."""
        if self.recipe.question_wear <= 0:
            return {}
        tokens = [t for row in self.rows for t in row.ids[slice(*row.question)]]
        return near_tokens(self.head.input_embeddings, tokens)

    def epoch_batches(self, epoch: int) -> list[list[Row]]:
        """This process's batches of an epoch; every process gets the same number."""
        worn = self._wear(self.rows, epoch)
        whole = self._whole_epoch(worn, epoch)
        if self.progress.lacking:
            batches = mending_batches(
                self.rows,
                self.progress.lacking,
                wear=lambda rows: self._wear(rows, epoch),
                max_rows=self.recipe.max_rows,
                token_budget=self.recipe.token_budget,
                most=len(whole),
                seed=self.recipe.seed,
                epoch=epoch,
            )
        else:
            batches = [
                within_budget([*(worn[i] for i in places), *beside], self.recipe.token_budget)
                for places, beside in zip(whole, self._beside(whole, epoch), strict=True)
            ]
        return [batches[i] for i in share(self.accelerator, len(batches))]

    def _whole_epoch(self, worn: Sequence[Row], epoch: int) -> list[list[int]]:
        """Batches of an epoch that teaches everything, by the rows' places."""
        return plan_epoch(
            range(len(worn)),
            lambda i: len(worn[i].ids),
            token_budget=self.recipe.token_budget,
            max_rows=self.recipe.max_rows,
            seed=self.recipe.seed,
            epoch=epoch,
            owner=lambda i: worn[i].adapter,
        )

    def _beside(self, whole: Sequence[Sequence[int]], epoch: int) -> list[list[Row]]:
        """What stands beside the rows of each batch: other questions of the same adapters, in some wording,
        up to where it is settled which answer follows. A step that sees one question alone teaches an adapter
        to give that one's answer, whatever is asked.
        """
        recipe = self.recipe
        if recipe.question_wear <= 0 or recipe.question_copies <= 0:
            return [[] for _ in whole]
        owners = [row.adapter for row in self.rows]
        chosen = other_questions(whole, owners, recipe.question_copies, recipe.seed, epoch)
        return [
            beginnings(
                [self.rows[i] for i in places],
                self._settled,
                recipe.question_wear,
                self._near,
                recipe.seed,
                f"{epoch}:{number}",
            )
            for number, places in enumerate(chosen)
        ]

    def _wear(self, rows: Sequence[Row], epoch: int) -> list[Row]:
        return wear(rows, self.recipe.question_wear, self._near, self.recipe.seed, str(epoch))

    @cached_property
    def _whole_steps(self) -> list[int]:
        """Optimiser steps of each epoch that teaches everything; worn rows may fill other batches."""
        found = []
        for epoch in range(self.recipe.epochs):
            count = len(self._whole_epoch(self._wear(self.rows, epoch), epoch))
            found.append(self._steps_of(len(share(self.accelerator, count))))
        return found

    @property
    def total_steps(self) -> int:
        """Steps so far, and those that follow if no epoch stops early and nothing more is learned."""
        progress, steps = self.progress, self._whole_steps
        if not progress.lacking:
            left = sum(steps[progress.epoch :])
        else:
            left = (self.recipe.epochs - progress.epoch) * self._steps_of(len(self._batches))
        return progress.step - progress.batch // self.recipe.grad_accum + left

    def _steps_of(self, batches: int) -> int:
        return -(-batches // self.recipe.grad_accum)

    def _rate_factor(self) -> float:
        """The schedule goes by epochs: a short one that only mends takes as much of it as a whole one."""
        progress, recipe, steps = self.progress, self.recipe, self._whole_steps
        done = progress.batch / max(1, len(self._batches)) * steps[progress.epoch]
        at = sum(steps[: progress.epoch]) + done
        return factor(at, sum(steps), recipe.warmup_ratio, recipe.scheduler)

    def run(
        self, stop: Callable[[], bool], between_steps: Hook, at_epoch: Callable[[int], Mapping[str, float]]
    ) -> str:
        """Train until the recipe's end, full recall, or `stop`. Returns why: `recall`, `epochs` or `stopped`.

        `between_steps` may use the bank (it serves requests); the plan is set again after it. `at_epoch`
        measures forgetting; its figures (perplexity, perplexity_base, kl) go into the epoch's event.
        """
        progress, recipe = self.progress, self.recipe
        while progress.epoch < recipe.epochs and not progress.finished:
            batches = self._batches = self.epoch_batches(progress.epoch)
            self.passes.expect(row for batch in batches[progress.batch :] for row in batch)
            while progress.batch < len(batches):
                if agree(self.accelerator, stop()):
                    return "stopped"
                begun = self.clock()
                group = batches[progress.batch : progress.batch + recipe.grad_accum]
                self._step(group, last=progress.batch + len(group) >= len(batches))
                progress.batch += len(group)
                progress.elapsed_s += self.clock() - begun
                between_steps()
            self._end_epoch(at_epoch)
        self._restore_best()
        self.flat.release()
        return progress.finished or "epochs"

    def _step(self, group: Sequence[Sequence[Row]], *, last: bool) -> None:
        progress, recipe, started, steps = self.progress, self.recipe, self.clock(), self.total_steps
        rate = optimisers.set_factor(self.optimiser, self._rate_factor())
        batches = [
            collate(rows, self.names, self.pad_id, lead_weight=recipe.lead_weight).to(self.device)
            for rows in group
        ]
        # So weighted, the mean of the processes' gradients is that of a mean over all their answer tokens.
        world = self.accelerator.num_processes
        emphasis = summed(self.accelerator, sum(float(b.emphasis.sum()) for b in batches)) / world
        self.flat.begin_step()
        total, kl, recorder = 0.0, None, None
        losses: dict[str, list[float]] = {}
        watch = last or self.clock() - self._last_openness >= OPENNESS_INTERVAL_S
        for batch in batches:
            turn = self._turn(batch) if batch is batches[-1] and self._rehearses_now() else None
            layout = self._active_layout(batch) if watch else None
            outcome = self.passes.learn(batch, 1.0 / emphasis, turn, layout)
            self.flat.learn(self.names.index(r.adapter) for r in batch.rows)
            self.flat.learn([] if turn is None else [turn.pinned])
            total += float(outcome.losses.sum())
            kl, recorder = outcome.kl, outcome.recorder
            self._tally(batch, outcome.losses, outcome.hits, losses)
        if agree(self.accelerator, not math.isfinite(total)):
            raise TrainingError(
                f"the loss is not finite at step {progress.step + 1}; nothing was committed",
                "lower `training.learning_rate`, or set `training.precision: fp32`",
            )
        vectors = self.flat.end_step()
        average_gradients(self.accelerator, vectors)
        norm = self.accelerator.clip_grad_norm_(vectors, recipe.clip_norm)
        self.optimiser.step()
        self.passes.changed()
        progress.step += 1
        openness = self._openness(recorder)
        seconds = max(self.clock() - started, 1e-9)
        if last or self.clock() - self._last_event >= EVENT_INTERVAL_S:
            self._last_event = self.clock()
            elapsed = progress.elapsed_s + seconds
            self.emit(
                TrainStep(
                    run_id=self.run_id,
                    phase="sft",
                    step=progress.step,
                    steps=steps,
                    epoch=progress.epoch + 1,
                    epochs=recipe.epochs,
                    loss=sum(loss for loss, _ in losses.values())
                    / max(1, sum(n for _, n in losses.values())),
                    losses={a: loss / count for a, (loss, count) in losses.items()},
                    learning_rate=rate,
                    grad_norm=float(norm) if norm is not None else 0.0,
                    tokens_per_s=sum(b.tokens for b in batches) / seconds,
                    elapsed_s=elapsed,
                    eta_s=elapsed / progress.step * (steps - progress.step),
                    padding_share=sum(b.padding_share for b in batches) / len(batches),
                    rehearsal_kl=kl,
                    openness=openness,
                )
            )

    def _tally(self, batch: Batch, each: Tensor, hits: Tensor, losses: dict[str, list[float]]) -> None:
        """Count a batch's answer tokens for the epoch, and add its losses to the step's."""
        for row, (loss, tokens, right) in zip(batch.rows, batch.tally(each, hits), strict=True):
            if row.repeated:
                continue
            self.progress.counters.add(row.adapter, loss, tokens, right)
            self.progress.sections.add(row.section, loss, tokens, right)
            seen = losses.setdefault(row.adapter, [0.0, 0])
            seen[0] += loss
            seen[1] += tokens

    def _rehearses_now(self) -> bool:
        every = self.recipe.rehearse_every
        return self.rehearsal is not None and every > 0 and self.progress.step % every == 0

    def _turn(self, batch: Batch) -> Turn:
        """The next text, under one of the adapters that learn in this step."""
        assert self.rehearsal is not None
        turn = self.progress.rehearsals + self.accelerator.process_index
        learning = sorted({self.names.index(row.adapter) for row in batch.rows})
        text, place = self.rehearsal.pick(turn, len(learning))
        self.progress.rehearsals += self.accelerator.num_processes
        return Turn(text, learning[place], self.recipe.rehearse_weight)

    # -- what a checkpoint keeps beside adapters, optimiser and progress
    # -------------------------------------

    def extra_tensors(self) -> dict[str, Tensor]:
        """The best weights so far, by `adapter/tensor`."""
        best = self.best or {}
        return {f"{name}/{key}": value for name, tensors in best.items() for key, value in tensors.items()}

    def take_extra_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        best: dict[str, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            name, _, tensor = key.partition("/")
            best.setdefault(name, {})[tensor] = value.to(self.device)
        self.best = best or None

    def _active_layout(self, batch: Batch) -> OpennessLayout:
        active = {row.adapter for row in batch.rows}
        return OpennessLayout(
            {
                name: kept
                for name, pairs in self._layout.columns.items()
                if (kept := tuple(p for p in pairs if p[0] in active))
            }
        )

    def _openness(self, recorder: OpennessRecorder | None) -> dict[str, float]:
        if recorder is None:
            return {}
        flat = recorder.flush()
        if flat is None:
            return {}
        self._last_openness = self.clock()
        layout = recorder.layout
        present = [n for n in self.names if layout.index(n)]
        for adapter in present:
            for module, layers in by_module(layout, flat, adapter).items():
                self.emit(
                    OpennessMap(
                        run_id=self.run_id,
                        step=self.progress.step,
                        adapter=adapter,
                        module=module,
                        layers=tuple(layers),
                        values=tuple(tuple(v) for v in layers.values()),
                    )
                )
        return adapter_means(layout, flat, present)

    def _end_epoch(self, at_epoch: Callable[[int], Mapping[str, float]]) -> None:
        progress = self.progress
        counters, sections = self._seen()
        validation = self._validate() if self.validation else None
        may_stop = validation is None and progress.epoch + 1 >= self.recipe.min_epochs
        if may_stop and counters.recall >= self.recipe.verify_recall:
            counters, sections = self._verify()
            progress.lacking = self._to_mend(counters.recall, sections.recalls())
        else:
            progress.lacking = []
        forgetting = at_epoch(progress.epoch + 1)
        self.emit(
            TrainEpoch(
                run_id=self.run_id,
                epoch=progress.epoch + 1,
                epochs=self.recipe.epochs,
                loss=counters.mean_loss,
                recall=counters.recall,
                recalls=counters.recalls(),
                perplexity=forgetting.get("perplexity"),
                perplexity_base=forgetting.get("perplexity_base"),
                kl=forgetting.get("kl"),
                validation_loss=validation,
            )
        )
        if may_stop and counters.recall >= self.recipe.stop_recall:
            progress.finished = "recall"
        progress.epoch += 1
        progress.batch = 0
        self.learned = Learned(counters.recall, sections.recalls(), sections.losses())
        progress.counters, progress.sections = Counters(), Counters()

    def _to_mend(self, recall: float, recalls: Mapping[str, float]) -> list[str]:
        """The sections that the next epoch goes through alone; none for a whole epoch."""
        return unlearned(self.rows, recall, recalls)

    def _seen(self) -> tuple[Counters, Counters]:
        """The epoch's counters per adapter and per section, over all processes."""
        everyone = [(self.progress.counters, self.progress.sections)]
        if self.accelerator.num_processes > 1:
            everyone = gather_object(everyone)
        counters, sections = Counters(), Counters()
        for by_adapter, by_section in everyone:
            counters.merge(by_adapter)
            sections.merge(by_section)
        return counters, sections

    def _verify(self) -> tuple[Counters, Counters]:
        """Recall under the weights as they now are, a forward for every row, per adapter and per section.

        What an epoch counts on its way lags behind what it has learned by its end; this does not. While
        something is mended, that is looked at first, and the other rows only once nothing lacks there.
        """
        wanted = set(self.progress.lacking)
        first = [i for i, row in enumerate(self.rows) if row.section in wanted]
        others = [i for i, row in enumerate(self.rows) if row.section not in wanted]
        recalls = self._check(first)
        if all(recall == 1.0 for recall in recalls.values()):
            self._check(others)
        found, sections, checked = Counters(), Counters(), self.progress.checked
        for i, row in enumerate(self.rows):
            seen = (checked.loss[f"{i}"], checked.tokens[f"{i}"], checked.hits[f"{i}"])
            found.add(row.adapter, *seen)
            sections.add(row.section, *seen)
        return found, sections

    def _check(self, places: Sequence[int]) -> dict[str, float]:
        """Look at these rows and note what was seen; recall of each, 0..1."""
        found = Counters()
        for batch in plan_epoch(
            places,
            lambda i: len(self.rows[i].ids),
            token_budget=self.recipe.token_budget,
            max_rows=_VERIFY_ROWS,
            seed=self.recipe.seed,
            epoch=0,
        ):
            rows = collate([self.rows[i] for i in batch], self.names, self.pad_id).to(self.device)
            outcome = self.passes.check(rows)
            for place, seen in zip(batch, rows.tally(outcome.losses, outcome.hits), strict=True):
                found.add(f"{place}", *seen)
        self.progress.checked.renew(found)
        return found.recalls()

    def _validate(self) -> float:
        """Mean loss on the held-out rows; keeps a copy of the weights when it is the best so far."""
        total, tokens = 0.0, 0
        for i in range(0, len(self.validation), self.recipe.max_rows):
            rows = self.validation[i : i + self.recipe.max_rows]
            outcome = self.passes.check(collate(rows, self.names, self.pad_id).to(self.device))
            total += float(outcome.losses.sum())
            tokens += outcome.losses.numel()
        loss = total / max(tokens, 1)
        if self.progress.best_loss is None or loss < self.progress.best_loss:
            self.progress.best_loss = loss
            self.best = {
                a.spec.name: {f"{m}.{r}": p.detach().clone() for m, r, p in a.named_tensors()}
                for a in self.adapters
            }
        return loss

    def _restore_best(self) -> None:
        if self.best is None:
            return
        with torch.no_grad():
            for adapter in self.adapters:
                for module, role, parameter in adapter.named_tensors():
                    parameter.copy_(self.best[adapter.spec.name][f"{module}.{role}"])
