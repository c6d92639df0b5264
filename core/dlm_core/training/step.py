"""One step of training, from batch to update.

    rows ─ collate ─▶ forward, loss, backward ─▶ gradients ─ sum over processes ─ clip ─▶ AdamW ─▶ adapters
                        └ with a text to rehearse ┘

`take_step` is the same for every kind of training. What differs is a `Learner`: `AnswerLearner` below teaches
rows their answers, `preference.PreferenceLearner` teaches which of two answers is better.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import torch
from accelerate import Accelerator
from torch import nn

from dlm_core.adapters.bank import Bank
from dlm_core.adapters.flat import FlatAdapters
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.errors import TrainingError
from dlm_core.events import Event
from dlm_core.training import optimiser as optimisers
from dlm_core.training.batches import Batch, collate
from dlm_core.training.examples import Row
from dlm_core.training.forward import SelectiveHead
from dlm_core.training.passes import Outcome, Passes, Turn, choose_passes
from dlm_core.training.processes import own_part, sum_gradients, summed
from dlm_core.training.progress import Counters, Position, Progress
from dlm_core.training.recipe import Recipe
from dlm_core.training.rehearsal import Rehearsal
from dlm_core.training.watch import OpennessWatch


@dataclass(frozen=True)
class Tools:
    """What every kind of training works with. `pad_id` fills up batches, `rehearsal` is None without one."""

    run_id: int
    bank: Bank
    head: SelectiveHead
    pad_id: int
    rehearsal: Rehearsal | None
    accelerator: Accelerator
    emit: Callable[[Event], None]
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class Losses:
    """What forward and backward of a step came to, over all processes; the gradients of this process's part
    are in the learner's parameters.

    `total` is the loss as it was summed, `loss` and `losses` (per adapter) are means per answer token; `kl`
    is that of the rehearsal per token, None in a step without; `openness` is per adapter, empty where it was
    not recorded.
    """

    total: float
    loss: float
    tokens: int
    losses: Mapping[str, float] = field(default_factory=dict)
    padding_share: float = 0.0
    kl: float | None = None
    openness: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """A step that was taken: its losses, the rate of the first group, and the gradients' norm."""

    losses: Losses
    rate: float
    norm: float


Work = TypeVar("Work", contravariant=True)


class Learner(Protocol[Work]):
    """Forward and backward of one kind of training. `Work` is what a batch is given as."""

    loss_name: str
    remedy: str

    @property
    def parameters(self) -> Sequence[nn.Parameter]: ...

    def learn(self, group: Sequence[Work], *, watch: bool) -> Losses:
        """Put the gradients of a group of batches into `parameters`; with `watch`, record openness."""
        ...

    def changed(self) -> None:
        """The parameters have moved."""
        ...


def take_step(
    learner: Learner[Work],
    optimiser: torch.optim.Optimizer,
    accelerator: Accelerator,
    group: Sequence[Work],
    *,
    number: int,
    factor: float,
    clip_norm: float,
    watch: bool,
) -> Step:
    """Learn a group of batches and move the adapters once, at `factor` of their peak rates. `number` is the
    step's, from 1.

    Raises:
        TrainingError: the loss is not finite, in any process.
    """
    rate = optimisers.set_factor(optimiser, factor)
    losses = learner.learn(group, watch=watch)
    if not math.isfinite(losses.total):
        where = f"the {learner.loss_name} is not finite at step {number}"
        raise TrainingError(f"{where}; nothing was committed", learner.remedy)
    sum_gradients(accelerator, learner.parameters)
    norm = accelerator.clip_grad_norm_(learner.parameters, clip_norm)
    optimiser.step()
    learner.changed()
    return Step(losses, rate, float(norm) if norm is not None else 0.0)


def passes_of(
    tools: Tools, adapters: Sequence[AdapterWeights], flat: FlatAdapters, longest_row: int
) -> Passes:
    """The way in which a learner of these adapters computes its steps."""
    return choose_passes(
        tools.head.model,
        tools.bank,
        tools.head,
        adapters,
        flat,
        tools.rehearsal,
        tools.accelerator,
        longest_row,
    )


def next_turn(tools: Tools, recipe: Recipe, progress: Position, learning: Sequence[int]) -> Turn | None:
    """The text to rehearse in this step, under one of the adapters that learn in it (by index); None in a
    step that rehearses nothing.
    """
    every = recipe.rehearse_every
    if tools.rehearsal is None or every <= 0 or progress.step % every:
        return None
    text, place = tools.rehearsal.pick(progress.rehearsals, len(learning))
    progress.rehearsals += 1
    return Turn(text, learning[place], recipe.rehearse_weight)


class AnswerLearner:
    """Teaches adapters the answers of rows, all adapters in one pass.

    Args:
        adapters: those that train; they are changed in place.
        longest_row: in tokens, of all rows that it will be given.
        progress: gives where the run stands; what rows came to is counted there.
    """

    loss_name = "loss"
    remedy = "lower `training.learning_rate`, or set `training.precision: fp32`"

    def __init__(
        self,
        tools: Tools,
        recipe: Recipe,
        adapters: Sequence[AdapterWeights],
        longest_row: int,
        progress: Callable[[], Progress],
    ) -> None:
        self.names = [a.spec.name for a in adapters]
        self.adapters, self.tools, self._recipe, self._progress = list(adapters), tools, recipe, progress
        self._device = tools.accelerator.device
        for adapter in adapters:
            adapter.requires_grad_(True)
        self.flat = FlatAdapters(adapters)
        self.parameters = self.flat.vectors
        self.passes = passes_of(tools, adapters, self.flat, longest_row)
        self._watch = OpennessWatch(adapters, list(tools.bank.layers), tools.run_id, tools.emit, tools.clock)

    def learn(self, group: Sequence[Sequence[Row]], *, watch: bool) -> Losses:
        """Forward and backward of this process's part of batches of rows, and of a text to rehearse beside
        the last of them.
        """
        progress, recipe = self._progress(), self._recipe
        batches = [self.batch(rows, lead_weight=recipe.lead_weight) for rows in group]
        scale = 1.0 / sum(float(b.emphasis.sum()) for b in batches)
        watch = watch or self._watch.due()
        self.flat.begin_step()
        tallies, rehearsed, recorder, padding = list[list[float]](), [0.0, 0.0], None, list[float]()
        for batch in batches:
            indices = sorted({self.names.index(row.adapter) for row in batch.rows})
            turn = next_turn(self.tools, recipe, progress, indices) if batch is batches[-1] else None
            self.flat.learn([*indices, *([] if turn is None else [turn.pinned])])
            mine, rehearses = own_part(self.tools.accelerator, [len(r.ids) for r in batch.rows])
            part = self._part(batch, mine)
            outcome = self._learn(part, scale, turn if rehearses else None, watch)
            seen = dict(zip(mine, part.tally(outcome.losses, outcome.hits), strict=True))
            tallies += [[float(n) for n in seen.get(i, (0.0, 0, 0))] for i in range(len(batch.rows))]
            rehearsed = [0.0, 0.0] if outcome.kl is None else [outcome.kl, 1.0]
            recorder = outcome.recorder
            padding.append(part.padding_share)
        self.flat.end_step()
        *tallies, (kl, times, _) = summed(self.tools.accelerator, [*tallies, [*rehearsed, 0.0]])
        own = Counters()
        rows = [row for batch in batches for row in batch.rows]
        for row, (loss, tokens, hits) in zip(rows, tallies, strict=True):
            self._count(row, (loss, int(tokens), int(hits)), progress, own)
        return Losses(
            total=sum(loss for loss, _, _ in tallies),
            loss=own.mean_loss,
            losses=own.losses(),
            tokens=sum(b.tokens for b in batches),
            padding_share=sum(padding) / len(padding),
            kl=kl if times else None,
            openness={} if recorder is None else self._watch.tell(recorder, progress.step + 1),
        )

    def _learn(self, part: Batch, scale: float, turn: Turn | None, watch: bool) -> Outcome:
        """Forward and backward of this process's part of a batch, which may be empty, and of its text."""
        if not part.rows and turn is None:
            return Outcome(torch.zeros(0), torch.zeros(0, dtype=torch.bool))
        layout = self._watch.layout(part) if watch and part.rows else None
        return self.passes.learn(part, scale, turn, layout)

    def _part(self, batch: Batch, places: Sequence[int]) -> Batch:
        """The rows of a batch at `places`, which are in order."""
        if len(places) == len(batch.rows):
            return batch
        return self.batch([batch.rows[i] for i in places], lead_weight=self._recipe.lead_weight)

    def batch(self, rows: Sequence[Row], *, lead_weight: float = 1.0) -> Batch:
        """Rows padded and weighed, on the device."""
        return collate(rows, self.names, self.tools.pad_id, lead_weight=lead_weight).to(self._device)

    def expect(self, batches: Iterable[Sequence[Row]]) -> None:
        """What the next steps will learn, in about this order."""
        accelerator, expected = self.tools.accelerator, list[Row]()
        for rows in batches:
            mine, _ = own_part(accelerator, [len(row.ids) for row in rows])
            expected += [rows[i] for i in mine]
        self.passes.expect(expected)

    def changed(self) -> None:
        self.passes.changed()

    def _count(self, row: Row, seen: tuple[float, int, int], progress: Progress, own: Counters) -> None:
        """Count a row's answer tokens for the epoch, and per adapter for the step."""
        if not row.repeated:
            progress.counters.add(row.adapter, *seen)
            progress.sections.add(row.section, *seen)
            own.add(row.adapter, *seen)
