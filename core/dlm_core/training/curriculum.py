"""Which rows every epoch of a training in full takes, and in which batches.

A whole epoch takes every answer, its question worn, from as many adapters in a batch as there are, and beside
each row other questions of its adapter up to where it is settled which answer follows. An answer with several
wordings is taken in another one every epoch; all of them come up beside other rows, since what a further
wording teaches is which answer it wants, and reading that far costs a fraction of the answer. While only a
few sections lack something, an epoch mends those instead. Where nothing stands beside rows, each is whole.
"""

from collections import Counter
from collections.abc import Hashable, Sequence
from functools import cached_property

from torch import Tensor

from dlm_core.training.augment import Near, answer_of, beginnings, near_tokens, settled_after, wear
from dlm_core.training.batches import other_questions, plan_epoch, within_budget
from dlm_core.training.examples import Row
from dlm_core.training.mending import mending_batches
from dlm_core.training.recipe import Recipe


def near_of(rows: Sequence[Row], recipe: Recipe, embeddings: Tensor) -> Near:
    """Near tokens for everything that stands in a question, where questions are worn at all."""
    if recipe.question_wear <= 0:
        return {}
    return near_tokens(embeddings, [t for row in rows for t in row.ids[slice(*row.question)]])


_BESIDE_AT_MOST = 5
"""Other questions beside a row, as a multiple of the recipe's; more wordings than that take turns."""


def wordings_of(rows: Sequence[Row]) -> list[list[int]]:
    """The rows' places, those of one adapter together that teach the same answer; prose stands alone."""
    found: dict[Hashable, list[int]] = {}
    for place, row in enumerate(rows):
        asked = row.question[0] < row.question[1]
        answer = answer_of(row) if asked else place
        found.setdefault((row.adapter, answer), []).append(place)
    return list(found.values())


class Curriculum:
    """The batches of every epoch, the same in every process; they depend on rows, recipe and epoch alone.

    Args:
        embeddings: the base's input embeddings [vocabulary, hidden], by which tokens are near.
    """

    def __init__(self, rows: Sequence[Row], recipe: Recipe, embeddings: Tensor) -> None:
        self._rows, self._recipe = list(rows), recipe
        self._near = near_of(rows, recipe, embeddings)
        self._settled = settled_after(self._rows)
        beside = recipe.question_wear > 0 and recipe.question_copies > 0
        self._wordings = wordings_of(self._rows) if beside else [[place] for place in range(len(rows))]

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
        """Batches of an epoch that takes every answer, by the rows' places."""
        return plan_epoch(
            sorted(places[(epoch + turn) % len(places)] for turn, places in enumerate(self._wordings)),
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
        answers = Counter(self._rows[places[0]].adapter for places in self._wordings)
        copies = {
            owner: recipe.question_copies * min(rows / answers[owner], _BESIDE_AT_MOST)
            for owner, rows in Counter(owners).items()
        }
        chosen = other_questions(whole, owners, copies, recipe.seed, epoch)
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
