"""The index of what was trained: built once a run, asked once a prompt."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from dlm_core.errors import NOT_JSON, Stopped, StoreError
from dlm_core.retrieval.calibration import SHIPPED, probabilities
from dlm_core.retrieval.encoder import Encoder
from dlm_core.retrieval.passages import Passage
from dlm_core.retrieval.terms import Terms
from dlm_core.store import atomic, seal

CONFIG_FILE = "index.json"
VECTORS_FILE = "vectors.safetensors"
_MOST = 8
_SEPARATES_FROM = 3
States = Callable[[Sequence[str]], Tensor]


@dataclass(frozen=True)
class Candidate:
    """A passage that a prompt may ask for, with π_i, its score, and the parts that make it up."""

    passage: Passage
    probability: float
    score: float
    parts: Mapping[str, float]


@dataclass(frozen=True)
class Found:
    """What a search gave: candidates, best first, answers with the same text merged.

    `outside` is π_0, the probability that the prompt asks for none of the document's answers; `margin` the
    difference between the two best probabilities of answers. Where nothing `separates` this document's own
    sections, `outside` is 0.
    """

    candidates: tuple[Candidate, ...]
    outside: float
    margin: float
    separates: bool
    wordings: int = 0

    @property
    def answers(self) -> tuple[Candidate, ...]:
        """The candidates that a reply can be."""
        return tuple(c for c in self.candidates if c.passage.kind == "answer")


class _Config(msgspec.Struct, frozen=True, kw_only=True):
    passages: tuple[Passage, ...]
    encoder: str
    encoder_sha256: str
    format: int = 1


class Index:
    """Passages, with what prompts are compared with. Made by `build` or `load`."""

    def __init__(
        self,
        passages: Sequence[Passage],
        encoder: Encoder | None,
        vectors: Tensor | None,
        states: Tensor | None,
    ) -> None:
        self.passages = tuple(passages)
        self.encoder = encoder
        self.texts = _texts_of(self.passages)
        self._row = {text: i for i, text in enumerate(self.texts)}
        self._vectors, self._states = vectors, states
        self._asked = [[self._row[q] for q in p.questions] for p in self.passages]
        self._said = [self._row[p.text] for p in self.passages]
        self._words = Terms.of("words", [_whole(p) for p in self.passages])
        self._ngrams = Terms.of("ngrams", [_whole(p) for p in self.passages])

    @property
    def wordings(self) -> int:
        """How many trained wordings the answers have."""
        return sum(len(p.questions) for p in self.passages if p.kind == "answer")

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
        """Index some passages; what `known`, an index with the same encoder, has of them is taken from it.

        `states` gives the base's states [n, hidden] of questions. Raises Stopped.
        """
        texts = _texts_of(passages)
        vectors = None
        if encoder is not None:
            vectors = torch.empty(len(texts), encoder.width)
            fresh = []
            same = known is not None and known.encoder is not None and known.encoder.sha256 == encoder.sha256
            for i, text in enumerate(texts):
                row = known._row.get(text) if same and known is not None else None
                if row is None or known is None or known._vectors is None:
                    fresh.append(i)
                else:
                    vectors[i] = known._vectors[row]
            if fresh:
                vectors[fresh] = encoder.encode([texts[i] for i in fresh])
            if stop():
                raise Stopped("stopped while indexing; nothing was kept")
        return cls(passages, encoder, vectors, None)

    def search(
        self,
        prompt: str,
        weights: Mapping[str, float] | None = None,
        *,
        state: Tensor | None = None,
        openness: float | None = None,
    ) -> Found:
        """What `prompt` may ask for.

        `weights` are the adapters' (None: all 1): an answer's π_i is in proportion to its adapter's. `state`
        is the base's state [hidden] of the prompt, `openness` the mean weighted openness, where known.
        """
        parts = self._parts(prompt)
        score = sum(SHIPPED.parts[name] * values for name, values in parts.items())
        score = np.asarray(score, np.float64) if len(self.passages) else np.zeros(0)
        answers = [i for i, p in enumerate(self.passages) if p.kind == "answer"]
        merged: dict[str, int] = {}
        for i in sorted(answers, key=lambda i: -score[i]):
            merged.setdefault(self.passages[i].text, i)
        heads = list(merged.values())
        prior = np.array([self._weight(self.passages[i], weights) for i in heads], np.float64)
        shares, outside = probabilities(score[heads], prior, SHIPPED.outside)
        of = dict(zip(heads, shares.tolist(), strict=True))
        others = [i for i, p in enumerate(self.passages) if p.kind != "answer"]
        order = sorted(heads, key=lambda i: -of[i])[:_MOST]
        order += sorted(others, key=lambda i: -score[i])[:_MOST]
        order.sort(key=lambda i: -score[i])
        ranked = [*sorted(of.values(), reverse=True), 0.0, 0.0]
        separates = len(heads) >= _SEPARATES_FROM
        return Found(
            tuple(
                Candidate(
                    self.passages[i],
                    of.get(i, 0.0),
                    float(score[i]),
                    {name: float(values[i]) for name, values in parts.items()},
                )
                for i in order[:_MOST]
            ),
            outside if separates else 0.0,
            ranked[0] - ranked[1],
            separates,
            self.wordings,
        )

    def _weight(self, passage: Passage, weights: Mapping[str, float] | None) -> float:
        if weights is None:
            return 1.0
        if passage.adapter is None:
            return max(weights.values(), default=0.0)
        return weights.get(passage.adapter, 0.0)

    def _parts(self, prompt: str) -> dict[str, NDArray[np.float64]]:
        parts: dict[str, NDArray[np.float64]] = {}
        if self.encoder is not None and self._vectors is not None and len(self.texts):
            cosine = (self._vectors @ self.encoder.encode([prompt])[0]).double().numpy()
            parts["question"] = np.array(
                [max((cosine[j] for j in rows), default=0.0) for rows in self._asked]
            )
            parts["answer"] = cosine[self._said]
        parts["words"] = self._words.scores(prompt).astype(np.float64)
        parts["ngrams"] = self._ngrams.scores(prompt).astype(np.float64)
        return parts

    def save(self, folder: Path) -> None:
        """Write the index into an empty folder, to be sealed by the caller. Raises StoreError."""
        config = _Config(
            passages=self.passages,
            encoder=self.encoder.name if self.encoder else "",
            encoder_sha256=self.encoder.sha256 if self.encoder else "",
        )
        atomic.make_folder(folder)
        atomic.write_bytes(folder / CONFIG_FILE, msgspec.json.encode(config))
        if self._vectors is not None:
            atomic.write_bytes(folder / VECTORS_FILE, save({"encoder": self._vectors.contiguous()}))

    @classmethod
    def load(cls, folder: Path, encoder: Encoder | None) -> "Index":
        """Read an index back; vectors of another encoder are left out.

        Raises StoreError: a file is missing or damaged. The caller builds it anew.
        """
        if seal.should_be_sealed(folder) and (damage := seal.damage(folder)):
            raise StoreError("; ".join(damage), "it is built anew")
        try:
            config = msgspec.json.decode(atomic.read_bytes(folder / CONFIG_FILE), type=_Config)
            vectors = None
            if encoder is not None and config.encoder_sha256 == encoder.sha256:
                vectors = load(atomic.read_bytes(folder / VECTORS_FILE))["encoder"]
        except (KeyError, SafetensorError, *NOT_JSON) as error:
            raise StoreError(f"{atomic.shown(folder)}: the index cannot be read: {error}") from error
        if encoder is not None and vectors is None:
            return cls.build(config.passages, encoder)
        return cls(config.passages, encoder, vectors, None)


def _texts_of(passages: Sequence[Passage]) -> tuple[str, ...]:
    """Every wording, answer and piece once, in order."""
    return tuple(dict.fromkeys(text for p in passages for text in (*p.questions, p.text)))


def _whole(passage: Passage) -> str:
    return " ".join((*passage.questions, passage.text))
