"""Two checkouts measured by turns: how their times compare, and how sure that is."""

import random
import statistics
from collections.abc import Sequence

RESAMPLES = 4000
INTERVAL = 0.90


def compared(here: Sequence[float], there: Sequence[float], *, seed: int = 0) -> dict[str, float]:
    """The median of the ratios here to there, pair by pair, and its 90 % interval (bootstrap over pairs).

    Args:
        here: a time of each round, milliseconds.
        there: the time of the other checkout in the same round.
    """
    ratios = [mine / theirs for mine, theirs in zip(here, there, strict=True)]
    draws = random.Random(seed)
    medians = sorted(statistics.median(draws.choices(ratios, k=len(ratios))) for _ in range(RESAMPLES))
    tail = round(RESAMPLES * (1 - INTERVAL) / 2)
    return {
        "pairs": len(ratios),
        "here_ms": round(statistics.median(here), 2),
        "there_ms": round(statistics.median(there), 2),
        "ratio": round(statistics.median(ratios), 3),
        "low": round(medians[tail], 3),
        "high": round(medians[-tail - 1], 3),
    }
