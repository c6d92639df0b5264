"""Which earlier sections a revision goes through again; their texts are those of `kept_texts`.

A sample has two halves. One is drawn at random, a section the likelier the more recently it was learned: what
is new is held least firmly. The other takes those whose last turn is the longest ago, so that every section
comes up again however many runs there are.
"""

import math
import random
from collections.abc import Sequence

from dlm_core.store.manifest import SectionRecord

FLOOR = 12  # sections an adapter goes through again at least, where it has them …
SHARE = 0.1  # … this share of those it has …
FACTOR = 2  # … or so many for each that is new or changed


def sample(
    candidates: Sequence[SectionRecord], fresh: int, *, run: int, seed: str
) -> tuple[SectionRecord, ...]:
    """The sections to replay beside `fresh` new or changed ones, in the candidates' order.

    Args:
        candidates: what the adapter learned before and is to keep; `since` and `trained` are runs.
        run: the number of the last run, from which ages count.
        seed: the same arguments give the same sample.
    """
    count = min(len(candidates), max(FLOOR, FACTOR * fresh, math.ceil(SHARE * len(candidates))))
    rng = random.Random(seed)
    by_turn = sorted(range(len(candidates)), key=lambda i: (candidates[i].trained, rng.random()))
    chosen = set(by_turn[: count // 2])
    # Efraimidis and Spirakis (2006): the k largest u^(1/w) are a sample without replacement with weights w.
    ages = {i: max(0, run - candidates[i].since) for i in by_turn}
    drawn = sorted(by_turn, key=lambda i: rng.random() ** (1 + ages[i]), reverse=True)
    for i in drawn:
        if len(chosen) == count:
            break
        chosen.add(i)
    return tuple(candidates[i] for i in sorted(chosen))
