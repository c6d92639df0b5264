"""From what a search compared to probabilities: π_i for every answer, π_0 for none of them, and support.

    utility    u_i = Σ part · coefficient                          over centred cosines and BM25
    choice     p_i = softmax(u_i + log weight of the adapter)
    inside     P   = sigmoid(Σ value · coefficient)                over what the best answer's plain parts are
    π_i = P · p_i,   π_0 = 1 − P

Coefficients ship with the program (`calibration.json`), for each set of what there is to compare by. They are
fitted by `benchmarks/calibrate.py`, which says on what and with which error.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from dlm_core.retrieval.index import Found
    from dlm_core.retrieval.parts import Values

LEAST_WORDINGS = 12
"""Below so many trained wordings nothing is measured of a document, and there is no support."""
CALIBRATION_FILE = "calibration.json"


@dataclass(frozen=True)
class Coefficients:
    """The coefficients for one set of what there is to compare by; `bias` is added where it stands.

    `choice` by part. `inside` and `support` by part, sign and what `found_values` names. `openness` is added
    to the inside logit, times how far the openness is above `open_at`, where it is known.
    """

    choice: Mapping[str, float]
    inside: Mapping[str, float]
    support: Mapping[str, float]
    openness: float = 0.0
    open_at: float = 0.0


@cache
def shipped(kinds: str) -> Coefficients:
    """The coefficients for `encoder+states`, `encoder`, `states` or `lexical`."""
    content = json.loads(resources.files("dlm_core.retrieval").joinpath(CALIBRATION_FILE).read_text("utf-8"))
    return Coefficients(**content["coefficients"][kinds])


def utilities(ranked: Mapping[str, "Values"], choice: Mapping[str, float]) -> "Values":
    """u [units] from the parts [units]."""
    parts = [choice.get(name, 0.0) * values for name, values in ranked.items()]
    return np.sum(parts, axis=0) if parts else np.zeros(0)


def inside_logit(values: Mapping[str, float], coefficients: Coefficients, openness: float | None) -> float:
    """The logit of P, from the plain parts and the signs of the best answer."""
    logit = weighed(values, coefficients.inside)
    if openness is not None:
        logit += coefficients.openness * (openness - coefficients.open_at)
    return logit


def probabilities(utility: "Values", weights: "Values", inside: float) -> tuple["Values", float]:
    """π_i [n] and π_0 from u [n], the weights of the answers' adapters [n], and the logit of P.

    Where no weight is above 0, or there is no answer, all is outside.
    """
    if not len(utility) or not (weights > 0).any():
        return np.zeros(len(utility)), 1.0
    with np.errstate(divide="ignore"):
        logits = utility + np.log(weights)
    shares = np.exp(logits - logits.max())
    share = sigmoid(inside)
    return share * shares / shares.sum(), 1 - share


def support(found: "Found", *, agreement: bool | None, wordings: int | None = None) -> float | None:
    """The calibrated probability that the answer given, the best one found, is right; None under twelve
    wordings, or where no answer was found.

    `agreement`: whether the weights alone would have begun the same answer; None where that is not known.
    `wordings`: how many were trained; None for as many as the index has.
    """
    if (found.wordings if wordings is None else wordings) < LEAST_WORDINGS or not found.answers:
        return None
    coefficients = shipped(found.kinds)
    values = dict(found.values)
    if agreement is not None:
        values["agree" if agreement else "differ"] = 1.0
    logit = weighed(values, coefficients.support)
    return sigmoid(logit)


def swapped(values: Mapping[str, float]) -> float:
    """High where a prompt shares its letters with a question, and yet has a weighty word that is in none: as
    one in which a name or a thing was exchanged.
    """
    return values.get("novel", 0.0) * values.get("ngrams", 0.0)


def weighed(values: Mapping[str, float], coefficients: Mapping[str, float]) -> float:
    """The sum of coefficients times values, `bias` added; what has no coefficient does not count."""
    return coefficients.get("bias", 0.0) + sum(coefficients.get(k, 0.0) * v for k, v in values.items())


def sigmoid(logit: float) -> float:
    """1 / (1 + e^-logit)."""
    return 1 / (1 + math.exp(-min(max(logit, -40.0), 40.0)))
