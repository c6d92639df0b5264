"""From scores to probabilities: π_i for every candidate and π_0 for none of them, and how sure a reply is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from dlm_core.retrieval.index import Found

LEAST_WORDINGS = 12
"""Below so many trained wordings nothing is shifted, and there is no support."""


@dataclass(frozen=True)
class Coefficients:
    """A multinomial logit: the utility of a candidate is the sum of weights times parts, that of "none of
    these" is `outside`, plus `openness` times the reply's mean openness where that is known.
    """

    parts: Mapping[str, float]
    outside: float
    openness: float


SHIPPED = Coefficients(
    parts={"question": 12.0, "answer": 6.0, "words": 4.0, "ngrams": 4.0, "states": 2.0},
    outside=9.0,
    openness=0.0,
)


def probabilities(
    scores: NDArray[np.float64], weights: NDArray[np.float64], outside: float
) -> tuple[NDArray[np.float64], float]:
    """π_i [n] and π_0 from utilities [n], the prior weight of each [n], and the utility of none of them."""
    with np.errstate(divide="ignore"):
        logits = np.append(scores + np.log(weights), outside)
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    return shares[:-1], float(shares[-1])


def support(
    found: "Found", *, agreement: bool | None, openness: float | None = None, wordings: int = LEAST_WORDINGS
) -> float | None:
    """The probability that the answer given, the first candidate's, is right; None under twelve wordings.

    `agreement`: whether the weights alone would have begun the same answer, None where that is not known.
    """
    if wordings < LEAST_WORDINGS or not found.candidates:
        return None
    best = found.candidates[0].probability
    logit = math.log(max(best, 1e-6) / max(1 - best, 1e-6))
    return 1 / (1 + math.exp(-(logit + {True: 1.0, False: -1.0, None: 0.0}[agreement])))
