"""What separates a document's own sections: each wording is left out in turn and asked, and what found its
answer best weighs most.

A wording that is an answer's only one leaves the answer's text to be found by. The scales of the families
of parts (encoder, BM25, states) are those under which the answers left out are likeliest, at whatever
temperature, with a price on every step away from 1. The inside logit is not shifted by them: wordings left
out lie near each other in one document and far apart in another, whatever strangers will ask.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from dlm_core.errors import Stopped
from dlm_core.retrieval.calibration import LEAST_WORDINGS, Coefficients, inside_logit, utilities
from dlm_core.retrieval.parts import ENCODED, LEXICAL, Comparison, Values
from dlm_core.retrieval.units import Unit

_MOST_ASKED = 96
_SCALES = (0.25, 0.5, 1.0)
_TEMPERATURES = (0.5, 1.0, 2.0, 4.0)
_PRICE = 0.3  # nats a wording, for each halving
_LOST = -1.5  # an inside logit at which a document's own questions count as lost
FAMILIES = {"encoder": ENCODED, "lexical": LEXICAL, "states": ("states",)}


class Separation(msgspec.Struct, frozen=True, kw_only=True):
    """Scales by family, and whether the document's own questions are told from
    others at all. `found` is the share of `asked` wordings, left out, whose answer came first.
    """

    scales: dict[str, float] = {}
    separates: bool = True
    asked: int = 0
    found: float | None = None

    def choice(self, coefficients: Coefficients) -> dict[str, float]:
        """The coefficients of the choice, scaled for this document."""
        by_part = {part: self.scales.get(name, 1.0) for name, parts in FAMILIES.items() for part in parts}
        return {part: value * by_part.get(part, 1.0) for part, value in coefficients.choice.items()}


def separate(
    comparison: Comparison,
    coefficients: Coefficients,
    values_of: Callable[[str, int, Mapping[str, Values]], dict[str, float]],
    stop: Callable[[], bool],
) -> Separation:
    """Ask up to 96 wordings of answers, each left out. `values_of` gives what the inside logit is made of,
    for a prompt, a unit and the plain parts. Raises Stopped.
    """
    asked = _asked(comparison.units)
    if len(asked) < LEAST_WORDINGS:
        return Separation(separates=comparison.encoded is not None, asked=0)
    rows: list[dict[str, Values]] = []
    plain: list[dict[str, Values]] = []
    for unit, wording in asked:
        if stop():
            raise Stopped("stopped while indexing; nothing was kept")
        prompt = comparison.units[unit].questions[wording]
        state = comparison.states.vector(prompt) if comparison.states is not None else None
        compared = comparison.compare(prompt, state, (unit, wording))
        rows.append(dict(compared.ranked))
        plain.append(dict(compared.plain))
    answers = np.array([unit.kind == "answer" for unit in comparison.units])
    right = np.array([unit for unit, _ in asked])
    scales = _scales(rows, coefficients, answers, right)
    choice = Separation(scales=scales).choice(coefficients)
    ranked = [np.where(answers, utilities(row, choice), -np.inf) for row in rows]
    best = np.array([int(u.argmax()) for u in ranked])
    logits = [
        inside_logit(values_of(comparison.units[unit].questions[wording], top, parts), coefficients, None)
        for (unit, wording), top, parts in zip(asked, best.tolist(), plain, strict=True)
    ]
    return Separation(
        scales=scales,
        separates=float(np.median(logits)) > _LOST,
        asked=len(asked),
        found=float((best == right).mean()),
    )


def _asked(units: Sequence[Unit]) -> list[tuple[int, int]]:
    """Units and numbers of wordings, evenly over all answers."""
    every = [
        (number, wording)
        for number, unit in enumerate(units)
        if unit.kind == "answer"
        for wording in range(len(unit.questions))
    ]
    step = max(1.0, len(every) / _MOST_ASKED)
    return [every[int(i * step)] for i in range(min(len(every), _MOST_ASKED))]


def _scales(
    rows: Sequence[dict[str, Values]], coefficients: Coefficients, answers: Values, right: Values
) -> dict[str, float]:
    """The likeliest scales, by trying all; a family that there is nothing of is left out."""
    present = {
        name: np.stack(
            [utilities({p: row[p] for p in parts if p in row}, coefficients.choice) for row in rows]
        )
        for name, parts in FAMILIES.items()
        if any(part in rows[0] for part in parts)
    }
    best, chosen = np.inf, dict.fromkeys(present, 1.0)
    for scales in itertools.product(_SCALES, repeat=len(present)):
        if max(scales) < 1:
            continue
        utility = sum(scale * part for scale, part in zip(scales, present.values(), strict=True))
        utility = np.where(answers, utility, -np.inf)
        price = _PRICE * sum(-float(np.log2(scale)) for scale in scales)
        loss = min(_loss(utility / t, right) for t in _TEMPERATURES) + price
        if loss < best - 1e-9:
            best, chosen = loss, dict(zip(present, scales, strict=True))
    return chosen


def _loss(utility: Values, right: Values) -> float:
    """Nats a wording, for utilities [wordings, units]."""
    top = utility.max(1, keepdims=True)
    logs = utility - top - np.log(np.exp(utility - top).sum(1, keepdims=True))
    return float(-logs[np.arange(len(right)), right].mean())
