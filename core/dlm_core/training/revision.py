"""Learning an edit: a few steps from an adapter's last version, on what changed and beside it what was there.

Every step takes a row that changed, the same row with its question worn, and earlier rows in turn. As soon as
the changed rows are nearly predicted, everything the run goes through is checked under the weights as they
are. What is not predicted, an earlier row that was damaged too, is *open* and comes up in the next steps;
once nothing is open, the run ends.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from dlm_core.adapters.weights import AdapterWeights
from dlm_core.document.model import SectionKind
from dlm_core.events import TrainEpoch
from dlm_core.training import check
from dlm_core.training import optimiser as optimisers
from dlm_core.training.augment import answer_of, begin, beginnings, settled_after, wear
from dlm_core.training.batches import within_budget
from dlm_core.training.checkpoint import Phase
from dlm_core.training.curriculum import near_of
from dlm_core.training.examples import Row
from dlm_core.training.progress import Counters, Learned, Progress
from dlm_core.training.recipe import WITHOUT_COPIES, Recipe
from dlm_core.training.sft import answers_event
from dlm_core.training.step import AnswerLearner, Tools

RATE_SHARE = 1 / 3  # of the recipe's rate: steps that teach a new row and move the others little
MOST_ROUNDS = 24
_PROSE_ROUNDS = 4  # prose is never predicted whole; more rounds mostly forget
_CHECK_AT = 0.9  # of an open row's tokens, whole and worn, as they were predicted before its last step
_CHECK_EVERY = 4  # rounds, at the latest
_MEND_RATE = 0.5  # where only a token here and there is left: smaller steps …
_COMPANY = 3  # earlier questions beside a further wording of an answer that is known
_MEND_ROWS = 2  # … over larger batches, or mending one row damages the next


def revising(recipe: Recipe) -> Recipe:
    """The recipe of a revision: a constant, smaller rate, and an end that is not planned but found."""
    return replace(
        recipe,
        learning_rate=recipe.learning_rate * RATE_SHARE,
        epochs=MOST_ROUNDS,
        scheduler="constant",
        warmup_ratio=0.0,
        grad_accum=1,
        question_copies=0,
        lead_weight=WITHOUT_COPIES if recipe.question_copies else recipe.lead_weight,
    )


@dataclass
class RevisionProgress(Progress):
    """As `Progress`; `known` is what was last seen of each section's recall, 0..1."""

    known: dict[str, float] = field(default_factory=dict)


class Revision:
    """The policy of a training that goes on from adapters' last versions.

    Args:
        adapters: those that train; they are changed in place.
        recipe: as `revising` gives it.
        rates: learning rate per adapter.
        changed: rows that are new or changed.
        replayed: earlier rows of the same adapters.
    """

    phase: Phase = "revision"
    keeps_best = False

    def __init__(
        self,
        tools: Tools,
        recipe: Recipe,
        adapters: Sequence[AdapterWeights],
        rates: Mapping[str, float],
        *,
        changed: Sequence[Row],
        replayed: Sequence[Row],
    ) -> None:
        self.recipe, self.epochs, self.rows = recipe, recipe.epochs, [*changed, *replayed]
        self.adapters = list(adapters)
        self.progress, self.learned = RevisionProgress(), Learned()
        self._tools = tools
        self._near = near_of(self.rows, recipe, tools.head.input_embeddings)
        longest = max((len(r.ids) for r in self.rows), default=0)
        self.learner = AnswerLearner(tools, recipe, adapters, longest, lambda: self.progress)
        self.optimiser: torch.optim.Optimizer = tools.accelerator.prepare(
            optimisers.adamw(
                optimisers.vectors(self.learner.flat, rates),
                weight_decay=recipe.weight_decay,
                gate_lr_multiplier=recipe.gate_lr_multiplier,
                betas=optimisers.BETAS,
            )
        )
        self._round = (-1, 0)
        self._rate = 1.0
        self._settled = settled_after(self.rows)
        self._new = {(r.section, r.adapter, r.ids) for r in changed}
        self._reworded = _reworded(changed, replayed)
        self._mixed = {r.section for r in changed} & {r.section for r in replayed}
        order = random.Random(f"{recipe.seed}:companions")
        self._companions: dict[str, list[Row]] = {}
        for row in order.sample(list(replayed), len(replayed)):
            self._companions.setdefault(row.adapter, []).append(row)

    @property
    def finished(self) -> str:
        return self.progress.finished

    def begin(self) -> None:
        pass

    def begin_epoch(self) -> list[list[Row]]:
        """The batches of the next round."""
        batches = self._batches(self.progress.epoch)
        self.learner.expect(batches[self.progress.batch :])
        return batches

    def _open(self, epoch: int) -> list[Row]:
        """The rows to teach in a round."""
        found = []
        for place, row in enumerate(self.rows):
            new = self._is_new(row)
            if row.kind is SectionKind.PROSE:
                if new and epoch < _PROSE_ROUNDS:
                    found.append(row)
            elif not new and row.section in self._mixed:
                if self._lacks(place):
                    found.append(row)
            elif self.progress.known.get(row.section, 0.0 if new else 1.0) < 1.0:
                found.append(row)
        return found

    def _batches(self, epoch: int) -> list[list[Row]]:
        """The batches of a round; one still to come is taken to be like the present one.

        A row that is far from learned has a batch of its own, with its worn copy; what room is left there
        goes to rows that lack a token or two, and then to earlier rows in turn.
        """
        rows = self._open(self.progress.epoch)
        random.Random(f"{self.recipe.seed}:round:{epoch}").shuffle(rows)
        reworded = [row for row in rows if self._far(row) and self._is_reworded(row)]
        taught = [row for row in rows if self._far(row) and not self._is_reworded(row)]
        mended = [row for row in rows if not self._far(row)]
        worn = wear(taught, self.recipe.question_wear, self._near, self.recipe.seed, str(epoch))
        size = max(2, self.recipe.max_rows)
        at = epoch * len(taught) * size
        batches: list[list[Row]] = []
        for row, faded in zip(taught, worn, strict=True):
            batch = [row] if faded.ids == row.ids else [row, faded]
            while len(batch) < size and mended:
                batch.append(mended.pop())
            company = self._companions.get(row.adapter, [])
            for _ in range(min(size - len(batch), len(company))):
                batch.append(company[at % len(company)])
                at += 1
            batches.append(within_budget(batch, self.recipe.token_budget))
        for row in reworded:
            batches.append(within_budget(self._beginnings(row, epoch), self.recipe.token_budget))
        while mended:
            batch = within_budget(mended[: _MEND_ROWS * size], self.recipe.token_budget)
            batches.append(batch)
            del mended[: len(batch)]
        self._rate = 1.0 if taught or reworded else _MEND_RATE
        self._round = (self.progress.epoch, len(batches))
        return batches

    def _beginnings(self, row: Row, epoch: int) -> list[Row]:
        """A further wording of an answer that is known, as it stands and worn, beside earlier questions of
        its adapter, each up to where it is settled which answer follows.
        """
        begun = begin(row, self._settled)
        company = self._companions.get(row.adapter, [])
        turn = epoch * _COMPANY
        beside = [company[(turn + k) % len(company)] for k in range(min(_COMPANY, len(company)))]
        asked = [other for other in (row, *beside) if other.kind is not SectionKind.PROSE]
        share, seed = self.recipe.question_wear, self.recipe.seed
        worn = beginnings(asked, self._settled, share, self._near, seed, f"{epoch}:{row.label}")
        return [begun, *(other for other in worn if other.ids != begun.ids)]

    def _lacks(self, place: int) -> bool:
        """Whether the last check found that the row at `place` lost a token."""
        checked = self.progress.checked
        return checked.hits.get(f"{place}", 0) < checked.tokens.get(f"{place}", 0)

    def _is_new(self, row: Row) -> bool:
        return (row.section, row.adapter, row.ids) in self._new

    def _is_reworded(self, row: Row) -> bool:
        """Whether a new row asks in other words for an answer that is known."""
        return (row.section, row.adapter, row.ids) in self._reworded

    def _far(self, row: Row) -> bool:
        """Whether a new row is far from learned; one that is earlier only ever lacks a little."""
        return self._is_new(row) and self.progress.known.get(row.section, 0.0) < _CHECK_AT

    def rate_factor(self) -> float:
        return self._rate

    @property
    def total_steps(self) -> int:
        """Steps so far, and those of the rounds that may follow; most revisions end long before."""
        progress = self.progress
        if self._round[0] != progress.epoch:
            self._batches(progress.epoch)
        return progress.step - progress.batch + (self.epochs - progress.epoch) * self._round[1]

    def end_epoch(self, at_epoch: Callable[[int], Mapping[str, float]]) -> TrainEpoch:
        """Note what the round saw; now and then check everything, and end once nothing is open."""
        progress = self.progress
        counters, sections = progress.counters, progress.sections
        taught = {row.section for row in self._open(progress.epoch) if row.kind is not SectionKind.PROSE}
        progress.known |= sections.recalls()
        progress.epoch += 1
        progress.batch = 0
        prose = any(row.kind is SectionKind.PROSE for row in self._open(progress.epoch))
        learned = not prose and all(progress.known.get(key, 0.0) >= _CHECK_AT for key in taught)
        if learned or progress.epoch % _CHECK_EVERY == 0 or progress.epoch == self.epochs:
            counters, sections = check.verify(self.learner, self.rows, self.recipe, progress)
            progress.known |= sections.recalls()
            if not self._open(progress.epoch):
                progress.finished = "recall"
        event = answers_event(
            self._tools.run_id, progress.epoch, self.epochs, counters, at_epoch(progress.epoch)
        )
        self.learned = Learned(counters.recall, sections.recalls(), sections.losses())
        progress.counters, progress.sections = Counters(), Counters()
        return event

    def end(self) -> None:
        self.learner.flat.release()

    def extra_tensors(self) -> dict[str, Tensor]:
        return {}

    def take_extra_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        pass


def _reworded(changed: Sequence[Row], replayed: Sequence[Row]) -> set[tuple[str, str, tuple[int, ...]]]:
    """Of the new rows those that ask otherwise for an answer that is known, or that one before teaches."""
    known = {(r.adapter, answer_of(r)) for r in replayed if r.kind is not SectionKind.PROSE}
    found = set()
    for row in changed:
        if row.kind is SectionKind.PROSE:
            continue
        if (row.adapter, answer_of(row)) in known:
            found.add((row.section, row.adapter, row.ids))
        known.add((row.adapter, answer_of(row)))
    return found
