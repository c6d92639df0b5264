"""The end of a training: what single answers still lack, without going through everything again.

When a check finds all but a few answers learned, whole epochs would mostly repeat what is known. From then on
every step takes one row that lacks something, as it stands, beside rows of the same adapter that are known,
and rehearses under that adapter; the others are not moved. After every round all rows are checked, and what a
step has damaged is mended next.
"""

import random
from collections.abc import Callable, Mapping, Sequence

from dlm_core.training.batches import within_budget
from dlm_core.training.examples import Row

MEND_FROM = 0.97  # of all answer tokens, as a check finds them
_OPEN_AT_MOST = 1 / 3  # of the rows
_ROUNDS_AT_MOST = 4  # that a row is taken in an epoch


def unlearned(rows: Sequence[Row], recall: float, recalls: Mapping[str, float]) -> list[str]:
    """The sections to mend after a check that found `recall` over all and `recalls` per section; none while
    too much is open.
    """
    lacking = list(dict.fromkeys(r.section for r in rows if recalls.get(r.section, 0.0) < 1.0))
    count = sum(r.section in set(lacking) for r in rows)
    return lacking if recall >= MEND_FROM and count <= _OPEN_AT_MOST * len(rows) else []


def mending_batches(
    rows: Sequence[Row],
    sections: Sequence[str],
    *,
    wear: Callable[[Sequence[Row]], list[Row]],
    max_rows: int,
    token_budget: int,
    most: int,
    seed: int,
    epoch: int,
) -> list[list[Row]]:
    """Batches of one mending epoch, the same for the same arguments in every process.

    Args:
        rows: all rows of the run.
        sections: those that lack something.
        wear: wears the questions of the rows beside them.
        most: batches of a whole epoch; a mending one has no more.
    """
    rng = random.Random(f"{seed}:mend:{epoch}")
    wanted = set(sections)
    lacking = [row for row in rows if row.section in wanted]
    known: dict[str, list[Row]] = {}
    for row in rng.sample(list(rows), len(rows)):
        if row.section not in wanted:
            known.setdefault(row.adapter, []).append(row)
    rounds = max(1, min(_ROUNDS_AT_MOST, most // max(1, len(lacking))))
    batches: list[list[Row]] = []
    for turn in range(rounds):
        for place, row in enumerate(rng.sample(lacking, len(lacking))):
            beside = known.get(row.adapter, [])
            at = (turn * len(lacking) + place) * (max_rows - 1)
            company = [beside[(at + k) % len(beside)] for k in range(min(max_rows - 1, len(beside)))]
            batches.append(within_budget([row, *wear(company)], token_budget))
    return batches
