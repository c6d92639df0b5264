"""Worn questions: some of a question's tokens left out, differently in every epoch.

An answer that must follow from any part of its question hangs on what the question is about, not on its exact
wording;
reworded questions then find it too. Answers and prose are never touched.
"""

import random
from collections.abc import Sequence
from dataclasses import replace

from dlm_core.training.examples import Row

_WHOLE = 0.25  # this share of the questions is left as it stands


def wear(rows: Sequence[Row], dropout: float, seed: int, epoch: int) -> list[Row]:
    """The rows of one epoch: each question token is left out with probability `dropout`, a quarter of the
    questions
    excepted. The same arguments give the same rows. At least half of a question's tokens stay.
    """
    if dropout <= 0:
        return list(rows)
    rng = random.Random(f"{seed}:wear:{epoch}")
    return [row if rng.random() < _WHOLE else _worn(row, dropout, rng) for row in rows]


def _worn(row: Row, dropout: float, rng: random.Random) -> Row:
    begin, end = row.question
    gone = [t for t in range(begin, end) if rng.random() < dropout]
    rng.shuffle(gone)
    dropped = set(gone[: (end - begin) // 2])
    if not dropped:
        return row
    kept = [t for t in range(len(row.ids)) if t not in dropped]
    return replace(
        row,
        ids=tuple(row.ids[t] for t in kept),
        loss=tuple(row.loss[t] for t in kept),
        question=(begin, end - len(dropped)),
    )
