"""Which rows every epoch of a training in full takes, and in which batches.

A whole epoch takes every row, its question worn, from as many adapters in a batch as there are, and beside
each row other questions of its adapter up to where it is settled which answer follows. While only a few
sections lack something, an epoch mends those instead.
"""

from collections.abc import Sequence
from functools import cached_property

from torch import Tensor

from dlm_core.training.augment import Near, beginnings, near_tokens, settled_after, wear
from dlm_core.training.batches import other_questions, plan_epoch, within_budget
from dlm_core.training.examples import Row
from dlm_core.training.mending import mending_batches
from dlm_core.training.recipe import Recipe


def near_of(rows: Sequence[Row], recipe: Recipe, embeddings: Tensor) -> Near:
    """Near tokens for everything that stands in a question, where questions are worn at all."""
    if recipe.question_wear <= 0:
        return {}
    return near_tokens(embeddings, [t for row in rows for t in row.ids[slice(*row.question)]])


class Curriculum:
    """The batches of every epoch, the same in every process; they depend on rows, recipe and epoch alone.

    Args:
        embeddings: the base's input embeddings [vocabulary, hidden], by which tokens are near.
    """

    def __init__(self, rows: Sequence[Row], recipe: Recipe, embeddings: Tensor) -> None:
        self._rows, self._recipe = list(rows), recipe
        self._near = near_of(rows, recipe, embeddings)
        self._settled = settled_after(self._rows)

    def batches(self, epoch: int, lacking: Sequence[str]) -> list[list[Row]]:
        """The batches of an epoch: of everything, or of what mends the sections that are `lacking`."""
        worn, recipe = self._wear(self._rows, epoch), self._recipe
        whole = self._whole(worn, epoch)
        if lacking:
            return mending_batches(
                self._rows,
                lacking,
                wear=lambda rows: self._wear(rows, epoch),
                max_rows=recipe.max_rows,
                token_budget=recipe.token_budget,
                most=len(whole),
                seed=recipe.seed,
                epoch=epoch,
            )
        return [
            within_budget([*(worn[i] for i in places), *beside], recipe.token_budget)
            for places, beside in zip(whole, self._beside(whole, epoch), strict=True)
        ]

    @cached_property
    def counts(self) -> list[int]:
        """Batches of each epoch if all of them take everything; worn rows may fill other batches."""
        epochs = range(self._recipe.epochs)
        return [len(self._whole(self._wear(self._rows, epoch), epoch)) for epoch in epochs]

    def _whole(self, worn: Sequence[Row], epoch: int) -> list[list[int]]:
        """Batches of an epoch that takes everything, by the rows' places."""
        return plan_epoch(
            range(len(worn)),
            lambda i: len(worn[i].ids),
            token_budget=self._recipe.token_budget,
            max_rows=self._recipe.max_rows,
            seed=self._recipe.seed,
            epoch=epoch,
            owner=lambda i: worn[i].adapter,
        )

    def _beside(self, whole: Sequence[Sequence[int]], epoch: int) -> list[list[Row]]:
        """For each batch other questions of the same adapters, in some wording, up to where it is settled
        which answer follows. A step that sees one question alone teaches an adapter to give that one's
        answer, whatever is asked.
        """
        recipe = self._recipe
        if recipe.question_wear <= 0 or recipe.question_copies <= 0:
            return [[] for _ in whole]
        owners = [row.adapter for row in self._rows]
        chosen = other_questions(whole, owners, recipe.question_copies, recipe.seed, epoch)
        return [
            beginnings(
                [self._rows[i] for i in places],
                self._settled,
                recipe.question_wear,
                self._near,
                recipe.seed,
                f"{epoch}:{number}",
            )
            for number, places in enumerate(chosen)
        ]

    def _wear(self, rows: Sequence[Row], epoch: int) -> list[Row]:
        return wear(rows, self._recipe.question_wear, self._near, self._recipe.seed, str(epoch))
