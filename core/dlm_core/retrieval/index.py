"""The index of what was trained: built once a run, asked once a prompt."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from dlm_core.errors import NOT_JSON, StoreError
from dlm_core.retrieval.calibration import inside_logit, probabilities, shipped, swapped, utilities
from dlm_core.retrieval.encoder import Encoder
from dlm_core.retrieval.parts import (
    Compared,
    Comparison,
    States,
    Values,
    Vectors,
    encoded,
    encoded_texts,
    stated,
    stated_texts,
)
from dlm_core.retrieval.passages import Passage
from dlm_core.retrieval.separation import Separation, separate
from dlm_core.retrieval.signs import names_in, signs
from dlm_core.retrieval.units import Unit, units_of
from dlm_core.store import atomic, seal

INDEX_FILE = "index.json"
VECTORS_FILE = "vectors.safetensors"
_FORMAT = 1
_MOST, _ANSWERS = 8, 5
_KEPT_SEPARATION = 0.9  # of the passages must be known for what was measured on them to hold on


@dataclass(frozen=True)
class Candidate:
    """A passage that a prompt may ask for.

    `probability` is π_i, 0 for what is no answer; `score` the utility it was ranked by; `parts` what made it:
    cosines with the nearest question, the answer and both (`question`, `answer`, `joint`), BM25 (`words`,
    `ngrams`), and the base's `states`, as far as there are any.
    """

    passage: Passage
    probability: float
    score: float
    parts: Mapping[str, float]
    question: str = ""


@dataclass(frozen=True)
class Found:
    """What a search gave: at most eight candidates, best first, passages with the same answer as one.

    `outside` is π_0, the probability that the prompt asks for none of the answers; where nothing `separates`
    the document's questions from others it is 0. `margin` is the difference between the two highest π_i.
    `values`, `kinds` and `wordings` are for `support`.
    """

    candidates: tuple[Candidate, ...]
    outside: float
    margin: float
    separates: bool
    values: Mapping[str, float] = field(default_factory=dict)
    kinds: str = "lexical"
    wordings: int = 0

    @property
    def answers(self) -> tuple[Candidate, ...]:
        """The candidates that a reply can be, likeliest first."""
        answers = (c for c in self.candidates if c.passage.kind == "answer")
        return tuple(sorted(answers, key=lambda c: -c.probability))


class _Content(msgspec.Struct, frozen=True, kw_only=True):
    """`index.json`. `encoder_sha256` is "" without an encoder; `questions` says whether there are states."""

    passages: tuple[Passage, ...]
    encoder_sha256: str
    separation: Separation
    format: int = _FORMAT


class Index:
    """Passages, and what prompts are compared with. Made by `build` or `load`; asking changes nothing."""

    def __init__(self, passages: Sequence[Passage], comparison: Comparison, separation: Separation) -> None:
        self.passages = tuple(passages)
        self.separation = separation
        self.comparison = comparison
        self._answers = np.array([unit.kind == "answer" for unit in comparison.units], bool)
        self._owners = [
            tuple(dict.fromkeys(self.passages[i].adapter for i in unit.passages))
            for unit in comparison.units
            if unit.kind == "answer"
        ]
        self.wordings = sum(len(unit.questions) for unit in comparison.units if unit.kind == "answer")

    @property
    def encoder(self) -> Encoder | None:
        """The encoder that prompts go through; None where there is none, and less is found."""
        return self.comparison.encoder

    @cached_property
    def _names(self) -> frozenset[str]:
        """The names that stand in the document."""
        texts = (text for unit in self.comparison.units for text in (*unit.questions, unit.text))
        return frozenset(name for text in texts for name in names_in(text))

    @classmethod
    def build(
        cls,
        passages: Sequence[Passage],
        encoder: Encoder | None,
        *,
        states: States | None = None,
        known: "Index | None" = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> "Index":
        """Index some passages.

        Args:
            states: gives the base's states [n, hidden] of questions, where they are to be had.
            known: an earlier index. What it has of these passages by the same encoder is taken from it, and
                what it measured of the document where nine in ten of them are the same.

        Raises Stopped.
        """
        units = units_of(passages)
        before = known.comparison if known is not None else None
        vectors, base = None, None
        if encoder is not None:
            same = (
                before is not None and before.encoder is not None and before.encoder.sha256 == encoder.sha256
            )
            vectors = encoded(units, encoder, before.encoded if same and before else None, stop)
        if states is not None:
            base = stated(units, states, before.states if before else None, stop)
        comparison = Comparison(units, encoder, vectors, base, before)
        if (
            known is not None
            and comparison.kinds == known.comparison.kinds
            and _much_the_same(passages, known)
        ):
            return cls(passages, comparison, known.separation)
        made = cls(passages, comparison, Separation())
        made.separation = separate(comparison, shipped(comparison.kinds), made.values_of, stop)
        return made

    def search(
        self,
        prompt: str,
        weights: Mapping[str, float] | None = None,
        *,
        state: Tensor | None = None,
        openness: float | None = None,
    ) -> Found:
        """What `prompt` may ask for.

        Args:
            weights: of the adapters (None: all the same). An answer's share is in proportion to its
                adapter's, and one whose adapter has none is no candidate; untagged sections take the highest.
            state: the base's state [hidden] of the prompt; without it an index with states ranks by the rest.
            openness: the mean weighted openness at the prompt's end, where it is known.
        """
        compared = self.comparison.compare(prompt, state)
        kinds = self.comparison.kinds if state is not None else self.comparison.kinds_without_states
        coefficients = shipped(kinds)
        score = utilities(compared.ranked, self.separation.choice(coefficients))
        chosen = np.flatnonzero(self._answers)
        prior = self._priors(weights)
        values: dict[str, float] = {}
        inside = -40.0
        if (prior > 0).any():
            with np.errstate(divide="ignore"):
                top = int(chosen[int((score[chosen] + np.log(prior)).argmax())])
            values = self.values_of(prompt, top, compared.plain)
            inside = inside_logit(values, coefficients, openness)
        separates = self.separation.separates
        shares, outside = probabilities(score[chosen], prior, inside if separates else 40.0)
        ranked = np.sort(np.append(shares, [0.0, 0.0]))
        margin = float(ranked[-1] - ranked[-2])
        if values:
            values["certainty"] = _logit(float(ranked[-1] / max(shares.sum(), 1e-12)))
            values["swapped"] = swapped(values)
        of_units = np.zeros(len(self.comparison.units))
        of_units[chosen] = shares
        return Found(
            tuple(self._candidates(compared, score, of_units)),
            outside if separates else 0.0,
            margin,
            separates,
            values,
            kinds,
            self.wordings,
        )

    def _candidates(self, compared: Compared, score: Values, shares: Values) -> Sequence[Candidate]:
        """The best of all kinds: answers by probability, prose and preferences by their scores among them.
        The first few answers are always there, however much prose is nearer.
        """
        units = self.comparison.units
        answers = np.flatnonzero(shares > 0)
        answers = answers[np.argsort(-shares[answers], kind="stable")]
        # The score by which answers have the order of their probabilities, weights included.
        level = np.where(self._answers, -np.inf, score)
        if len(answers):
            level[answers] = score[answers].max() + np.log(shares[answers] / shares[answers[0]])
        always = answers[:_ANSWERS].tolist()
        order = np.argsort(-level, kind="stable")[: 2 * _MOST].tolist()
        rest = [i for i in order if i not in always and np.isfinite(level[i])][: _MOST - len(always)]
        found = []
        for i in sorted((*always, *rest), key=lambda i: -level[i]):
            passage, question = self._nearest(units[i], compared, i)
            parts = {name: float(values[i]) for name, values in compared.plain.items()}
            found.append(Candidate(passage, float(shares[i]), float(score[i]), parts, question))
        return found

    def _nearest(self, unit: Unit, compared: Compared, number: int) -> tuple[Passage, str]:
        """Of passages that say the same, the one with the wording nearest to the prompt, and this wording."""
        if not unit.questions:
            return self.passages[unit.passages[0]], ""
        wording = compared.nearest(number, len(unit.questions))
        return self.passages[unit.owners[wording]], unit.questions[wording]

    def _priors(self, weights: Mapping[str, float] | None) -> Values:
        """The weight of every answer's adapter [answers]; the highest of several."""
        if weights is None:
            return np.ones(len(self._owners))
        most = max(weights.values(), default=0.0)
        by_owners = {
            owners: max(0.0, *(most if name is None else weights.get(name, 0.0) for name in owners))
            for owners in set(self._owners)
        }
        return np.array([by_owners[owners] for owners in self._owners], np.float64)

    def values_of(self, prompt: str, unit: int, plain: Mapping[str, Values]) -> dict[str, float]:
        """What the inside logit and support are made of, for a prompt and the unit that answers it best."""
        there = self.comparison.units[unit]
        found = {name: float(values[unit]) for name, values in plain.items()}
        return found | signs(prompt, there.questions, there.text, self._names, self.comparison.words)

    def save(self, folder: Path) -> None:
        """Write the index into an empty folder, which the caller seals. Raises StoreError."""
        comparison = self.comparison
        content = _Content(
            passages=self.passages,
            encoder_sha256=self.encoder.sha256 if self.encoder is not None else "",
            separation=self.separation,
        )
        tensors = {
            name: vectors.rows.half().contiguous()
            for name, vectors in (("encoder", comparison.encoded), ("states", comparison.states))
            if vectors is not None
        }
        atomic.make_folder(folder)
        atomic.write_bytes(folder / INDEX_FILE, msgspec.json.encode(content))
        atomic.write_bytes(folder / VECTORS_FILE, save(tensors))

    @classmethod
    def load(cls, folder: Path, encoder: Encoder | None) -> "Index":
        """Read an index back. With another encoder than it was made with, or with one where it was made
        without, its texts are encoded anew, in memory.

        Raises StoreError: a file is missing or damaged, or a newer dlm wrote it. `build` makes another.
        """
        hint = "the index is built anew from the document"
        if seal.should_be_sealed(folder) and (damage := seal.damage(folder)):
            raise StoreError("; ".join(damage), hint)
        try:
            content = msgspec.json.decode(atomic.read_bytes(folder / INDEX_FILE), type=_Content)
            tensors = load(atomic.read_bytes(folder / VECTORS_FILE))
            if content.format > _FORMAT:
                raise StoreError(f"{atomic.shown(folder)} was written by a newer dlm", "update dlm")
            units = units_of(content.passages)
            vectors = None
            if encoder is not None and content.encoder_sha256 == encoder.sha256:
                vectors = Vectors.read(encoded_texts(units), tensors["encoder"], encoder.width)
            base = None
            if "states" in tensors:
                base = Vectors.read(stated_texts(units), tensors["states"])
        except (KeyError, ValueError, SafetensorError, *NOT_JSON) as error:
            raise StoreError(f"{atomic.shown(folder)}: the index cannot be read: {error}", hint) from error
        if encoder is not None and vectors is None:
            vectors = encoded(units, encoder, None, lambda: False)
        return cls(content.passages, Comparison(units, encoder, vectors, base), content.separation)


def _much_the_same(passages: Sequence[Passage], known: Index) -> bool:
    before = set(known.passages)
    same = sum(passage in before for passage in passages)
    return same >= _KEPT_SEPARATION * max(len(passages), len(before))


def _logit(share: float) -> float:
    """log(p / (1 - p)), between -7 and 7."""
    share = min(max(share, 1e-3), 1 - 1e-3)
    return float(np.log(share / (1 - share)))
