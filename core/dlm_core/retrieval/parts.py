"""What a prompt is compared by: similarity to questions, answers and both together, BM25, the base's states.

Vectors of one document lie close together, as they are about one subject. So half of their mean is taken
from each before cosines are ranked; whether a prompt is about the subject at all, the plain cosine says.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dlm_core.errors import Stopped
from dlm_core.retrieval.encoder import Encoder
from dlm_core.retrieval.terms import Terms
from dlm_core.retrieval.units import Unit

Values = NDArray[np.float64]
States = Callable[[Sequence[str]], Tensor]
"""The base's states [n, hidden] of some questions."""

ENCODED, LEXICAL = ("question", "answer", "joint"), ("words", "ngrams")
_OF_THE_MEAN = 0.5
MOST_ENCODED_WHOLE = 1000
"""Of so many units questions and text are encoded as one text too; of more, the mean of both stands in."""


@dataclass(frozen=True)
class Compared:
    """A prompt against every unit: `plain` cosines and scores [units] by part, `ranked` with the mean out.
    `asked` are the plain cosines of all wordings, those of a unit from its place in `starts`.
    """

    plain: Mapping[str, Values]
    ranked: Mapping[str, Values]
    asked: Values | None
    starts: NDArray[np.int64]

    def nearest(self, unit: int, wordings: int) -> int:
        """The number of the wording of a unit that is nearest; the first without an encoder."""
        if self.asked is None:
            return 0
        return int(self.asked[self.starts[unit] : self.starts[unit] + wordings].argmax())


class Vectors:
    """Vectors of texts, one row [width] each, float32."""

    def __init__(self, texts: Sequence[str], rows: Tensor) -> None:
        self.texts, self.rows = tuple(texts), rows
        self._place = {text: i for i, text in enumerate(self.texts)}

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        width: int,
        give: Callable[[Sequence[str]], Tensor],
        known: "Vectors | None" = None,
    ) -> "Vectors":
        """The vectors of `texts`, each once; `give` is asked for those that `known` has not."""
        once = tuple(dict.fromkeys(texts))
        rows = torch.empty(len(once), width)
        before = {} if known is None else known._place
        kept = [(i, before[text]) for i, text in enumerate(once) if text in before]
        if known is not None and kept:
            rows[[i for i, _ in kept]] = known.rows[[j for _, j in kept]]
        if fresh := [i for i, text in enumerate(once) if text not in before]:
            # As precise as they are saved, so that an index read back says what it said.
            rows[fresh] = give([once[i] for i in fresh]).half().float()
        return cls(once, rows)

    @classmethod
    def read(cls, texts: Sequence[str], rows: Tensor, width: int | None = None) -> "Vectors":
        """As they were saved for `texts`. Raises ValueError: other rows, or not finite."""
        once = tuple(dict.fromkeys(texts))
        fits = rows.ndim == 2 and len(rows) == len(once) and width in (None, rows.shape[1])
        if not fits or not bool(torch.isfinite(rows).all()):
            raise ValueError("its vectors are not those of its passages")
        return cls(once, rows.float())

    def vector(self, text: str) -> Tensor:
        """The row of one text."""
        return self.rows[self._place[text]]

    def places(self, texts: Sequence[str]) -> list[int]:
        """The rows of some texts."""
        return [self._place[text] for text in texts]


class Comparison:
    """Everything of some units that prompts are compared with.

    Args:
        encoded: vectors of every question, text and whole unit; None without an encoder.
        states: the base's states of every question; None without.
    """

    def __init__(
        self,
        units: Sequence[Unit],
        encoder: Encoder | None,
        encoded: Vectors | None,
        states: Vectors | None,
        known: "Comparison | None" = None,
    ) -> None:
        self.units, self.encoder, self.encoded, self.states = tuple(units), encoder, encoded, states
        wholes = [unit.whole() for unit in units]
        self.words: Terms = Terms("words", wholes, known.words if known else None)
        self.ngrams: Terms = Terms("ngrams", wholes, known.ngrams if known else None)
        asked = [unit.questions or (unit.text,) for unit in units]
        self._starts = np.cumsum([0, *(len(q) for q in asked)])[:-1]
        flat = [question for questions in asked for question in questions]
        if encoded is not None and units:
            self._question = _Centred(encoded, flat)
            self._answer = _Centred(encoded, [unit.text for unit in units])
            self._joint = _Centred(encoded, wholes) if _whole_too(units) else _Centred(_means(encoded, units))
        if states is not None and units:
            self._has_states = np.array([bool(unit.questions) for unit in units])
            questions = [q for unit in units for q in unit.questions]
            self._state_starts = np.cumsum([0, *(len(u.questions) for u in units if u.questions)])[:-1]
            self._state = _Standard(states, questions) if questions else None

    @property
    def kinds(self) -> str:
        """Which coefficients fit: those for what there is to compare by."""
        if self.states is None:
            return self.kinds_without_states
        return "states" if self.encoded is None else "encoder+states"

    @property
    def kinds_without_states(self) -> str:
        """As `kinds`, for a prompt whose state is not known."""
        return "lexical" if self.encoded is None else "encoder"

    def compare(
        self, prompt: str, state: Tensor | None = None, without: tuple[int, int] | None = None
    ) -> Compared:
        """`prompt` against every unit. `without` is a unit and the number of its wording that is left out,
        for leaving one out; the prompt is this wording then.
        """
        plain: dict[str, Values] = {}
        ranked: dict[str, Values] = {}
        asked: Values | None = None
        if self.encoder is not None and self.encoded is not None and self.units:
            vector = self.encoder.encode([prompt])[0]
            for name, centred in (
                ("question", self._question), ("answer", self._answer), ("joint", self._joint)
            ):  # fmt: skip
                plain[name], ranked[name] = centred.cosines(vector)
            if without is not None:
                self._leave_out(vector, *without, plain, ranked)
            asked = plain["question"]
            for found in (plain, ranked):
                found["question"] = np.maximum.reduceat(found["question"], self._starts)
        for name, terms in (("words", self.words), ("ngrams", self.ngrams)):
            scores = terms.scores(prompt)
            if without is not None:
                scores[without[0]] = terms.score(prompt, self.units[without[0]].whole(without[1]))
            plain[name] = ranked[name] = scores
        if self.states is not None and state is not None and self.units and self._state is not None:
            cosines = self._state.cosines(state)
            if without is not None:
                cosines[self._state.place(prompt)] = -1.0
            values = np.zeros(len(self.units))
            values[self._has_states] = np.maximum.reduceat(cosines, self._state_starts)
            if without is not None and len(self.units[without[0]].questions) == 1:
                values[without[0]] = np.median(values)  # nothing is left of it that has a state
            plain["states"] = ranked["states"] = values
        return Compared(plain, ranked, asked, self._starts)

    def _leave_out(
        self, vector: Tensor, unit: int, wording: int, plain: dict[str, Values], ranked: dict[str, Values]
    ) -> None:
        """Takes a wording out of the cosines of its unit. The rest of it is encoded anew; where the answer
        alone remains, it stands for question and both.
        """
        assert self.encoder is not None
        first, count = self._starts[unit], len(self.units[unit].questions)
        for found in (plain, ranked):
            found["question"] = found["question"].copy()
            found["joint"] = found["joint"].copy()
            found["question"][first + wording] = -1.0
            if count == 1:
                found["question"][first] = found["joint"][unit] = found["answer"][unit]
        if count > 1:
            if _whole_too(self.units):
                rest = self.encoder.encode([self.units[unit].whole(wording)])[0]
            else:
                assert self.encoded is not None
                others = [q for i, q in enumerate(self.units[unit].questions) if i != wording]
                rest = _mean(self.encoded, others, self.units[unit].text)
            plain["joint"][unit], ranked["joint"][unit] = self._joint.cosine(vector, rest)


class _Centred:
    """Unit vectors, and their cosines with a prompt's, plain and with half of the mean taken from both."""

    def __init__(self, vectors: Vectors, texts: Sequence[str] | None = None) -> None:
        self._rows = vectors.rows if texts is None else vectors.rows[vectors.places(texts)]
        self._taken = _OF_THE_MEAN * self._rows.mean(0)
        self._along = self._rows @ self._taken
        self._square = float(self._taken @ self._taken)
        self._lengths = (1 - 2 * self._along + self._square).clamp_min(1e-9).sqrt()

    def cosines(self, vector: Tensor) -> tuple[Values, Values]:
        """Plain and centred cosines [rows] with a unit vector."""
        plain = self._rows @ vector
        along = float(vector @ self._taken)
        length = max(1e-9, 1 - 2 * along + self._square) ** 0.5
        centred = (plain - along - self._along + self._square) / (self._lengths * length)
        return plain.double().numpy(), centred.double().numpy()

    def cosine(self, vector: Tensor, other: Tensor) -> tuple[float, float]:
        """As `cosines`, with a vector that is none of the rows."""
        a, b = vector - self._taken, other - self._taken
        return float(vector @ other), float(torch.nn.functional.cosine_similarity(a, b, dim=0))


class _Standard:
    """States with mean 0 and deviation 1 in every dimension over the document's questions, at unit length."""

    def __init__(self, states: Vectors, questions: Sequence[str]) -> None:
        rows = states.rows[states.places(questions)]
        self._place = {question: i for i, question in enumerate(questions)}
        self._mean = rows.mean(0)
        self._scale = rows.std(0, correction=0) + 1e-3
        self._rows = torch.nn.functional.normalize((rows - self._mean) / self._scale, dim=-1)

    def cosines(self, state: Tensor) -> Values:
        """Cosines [questions] with a prompt's state."""
        there = (state.float().cpu() - self._mean) / self._scale
        found: Values = (self._rows @ torch.nn.functional.normalize(there, dim=0)).double().numpy()
        return found

    def place(self, question: str) -> int:
        """The row of a question."""
        return self._place[question]


def encoded_texts(units: Sequence[Unit]) -> list[str]:
    """All that an encoder is asked for."""
    whole = _whole_too(units)
    return [t for u in units for t in (*u.questions, u.text, *((u.whole(),) if whole else ()))]


def _whole_too(units: Sequence[Unit]) -> bool:
    return len(units) <= MOST_ENCODED_WHOLE


def _mean(encoded: Vectors, questions: Sequence[str], text: str) -> Tensor:
    """The direction between the mean of questions and a text."""
    answer = encoded.vector(text)
    if not questions:
        return answer
    asked = torch.nn.functional.normalize(encoded.rows[encoded.places(questions)].mean(0), dim=0)
    return torch.nn.functional.normalize(asked + answer, dim=0)


def _means(encoded: Vectors, units: Sequence[Unit]) -> Vectors:
    """`_mean` of every unit."""
    answers = encoded.rows[encoded.places([unit.text for unit in units])]
    owners = torch.tensor([i for i, unit in enumerate(units) for _ in unit.questions], dtype=torch.long)
    asked = encoded.rows[encoded.places([q for unit in units for q in unit.questions])]
    sums = torch.zeros_like(answers).index_add_(0, owners, asked)
    rows = torch.nn.functional.normalize(torch.nn.functional.normalize(sums, dim=-1) + answers, dim=-1)
    return Vectors([str(i) for i in range(len(units))], rows)


def stated_texts(units: Sequence[Unit]) -> list[str]:
    """All that the base is asked for."""
    return list(dict.fromkeys(q for unit in units for q in unit.questions))


def encoded(
    units: Sequence[Unit], encoder: Encoder, known: Vectors | None, stop: Callable[[], bool]
) -> Vectors:
    """Vectors of all that an encoder is asked for. Raises Stopped."""
    return Vectors.of(encoded_texts(units), encoder.width, lambda some: encoder.encode(some, stop), known)


def stated(
    units: Sequence[Unit], states: States, known: Vectors | None, stop: Callable[[], bool]
) -> Vectors | None:
    """The base's states of all questions; None where there is no question. Raises Stopped."""
    questions = stated_texts(units)
    if not questions:
        return None
    if stop():
        raise Stopped("stopped while indexing; nothing was kept")
    before = set(known.texts) if known is not None else set()
    fresh = [q for q in questions if q not in before]
    given = states(fresh).float().cpu() if fresh else None
    width = int(given.shape[1]) if given is not None else int(known.rows.shape[1]) if known is not None else 0
    if known is not None and known.rows.shape[1] != width:
        return Vectors.of(questions, width, states)
    return Vectors.of(questions, width, lambda _: given if given is not None else states(fresh), known)
