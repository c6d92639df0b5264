"""Rows under the adapters as they are: answer tokens that are predicted, and the loss of held-out rows."""

from collections.abc import Sequence

from dlm_core.training.batches import plan_epoch
from dlm_core.training.examples import Row
from dlm_core.training.processes import summed
from dlm_core.training.progress import Counters, Progress
from dlm_core.training.recipe import Recipe
from dlm_core.training.step import AnswerLearner

_ROWS = 8  # of a batch: a check keeps nothing for a backward


def verify(
    learner: AnswerLearner, rows: Sequence[Row], recipe: Recipe, progress: Progress
) -> tuple[Counters, Counters]:
    """Recall under the weights as they now are, a forward for every row, per adapter and per section.

    What an epoch counts on its way lags behind what it has learned by its end; this does not. While something
    is mended, that is looked at first, and the other rows only once nothing lacks there.
    """
    wanted = set(progress.lacking)
    first = [i for i, row in enumerate(rows) if row.section in wanted]
    others = [i for i, row in enumerate(rows) if row.section not in wanted]
    recalls = _look(learner, rows, first, recipe, progress)
    if all(recall == 1.0 for recall in recalls.values()):
        _look(learner, rows, others, recipe, progress)
    found, sections, checked = Counters(), Counters(), progress.checked
    for i, row in enumerate(rows):
        last = (checked.loss[f"{i}"], checked.tokens[f"{i}"], checked.hits[f"{i}"])
        found.add(row.adapter, *last)
        sections.add(row.section, *last)
    return found, sections


def _look(
    learner: AnswerLearner, rows: Sequence[Row], places: Sequence[int], recipe: Recipe, progress: Progress
) -> dict[str, float]:
    """Look at the rows at `places` and note what was seen; recall of each, 0..1. Every process looks at its
    share.
    """
    accelerator = learner.tools.accelerator
    batches = plan_epoch(
        places,
        lambda i: len(rows[i].ids),
        token_budget=recipe.token_budget,
        max_rows=_ROWS,
        seed=recipe.seed,
        epoch=0,
    )
    tallies = {place: [0.0, 0.0, 0.0] for place in places}
    for chosen in batches[accelerator.process_index :: accelerator.num_processes]:
        batch = learner.batch([rows[i] for i in chosen])
        outcome = learner.passes.check(batch)
        for place, each in zip(chosen, batch.tally(outcome.losses, outcome.hits), strict=True):
            tallies[place] = [float(x) for x in each]
    found = Counters()
    seen = summed(accelerator, [tallies[place] for place in places])
    for place, (loss, tokens, hits) in zip(places, seen, strict=True):
        found.add(f"{place}", loss, int(tokens), int(hits))
    progress.checked.renew(found)
    return found.recalls()


def mean_loss(learner: AnswerLearner, rows: Sequence[Row], max_rows: int) -> float:
    """Nats per answer token of rows that are not trained."""
    accelerator = learner.tools.accelerator
    total, tokens = 0.0, 0.0
    begins = range(0, len(rows), max_rows)
    for i in begins[accelerator.process_index :: accelerator.num_processes]:
        outcome = learner.passes.check(learner.batch(rows[i : i + max_rows]))
        total += float(outcome.losses.sum())
        tokens += outcome.losses.numel()
    ((total, tokens),) = summed(accelerator, [[total, tokens]])
    return total / max(tokens, 1)
