"""What a gate's head reads of a question: states of the base, the sentence encoder's vector, or both."""

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor

from dlm_core.routing.embed import Embedder

Kind = Literal["base", "base-mean", "encoder", "both"]
"""`base`: the last state of the templated question; `base-mean`: the mean over its tokens' states; `encoder`:
the sentence encoder's vector; `both`: the last state, then the vector.
"""
NAMES: dict[Kind, str] = {
    "base": "the base's state",
    "base-mean": "the mean of the base's states",
    "encoder": "the sentence encoder",
    "both": "the base's state and the sentence encoder",
}
BY_ENCODER: frozenset[Kind] = frozenset({"encoder", "both"})


class Vectors(Protocol):
    """The part of a sentence encoder that is needed here."""

    @property
    def sha256(self) -> str: ...

    def encode(self, texts: Sequence[str]) -> Tensor: ...


class Reader:
    """Reads questions for gates.

    Args:
        find_encoder: gives the sentence encoder, None where it cannot be had.
    """

    def __init__(self, embedder: Embedder, find_encoder: Callable[[], Vectors | None]) -> None:
        self.embedder, self._find_encoder = embedder, find_encoder

    def read(self, kind: Kind, texts: Sequence[str], sha256: str = "") -> Tensor | None:
        """What a head of that kind reads [n, width]; None where there is no encoder, or not the one with the
        hash `sha256` where one is given. The base's bank must be off.
        """
        vectors = None
        if kind in BY_ENCODER:
            encoder = self._find_encoder()
            if encoder is None or sha256 not in ("", encoder.sha256):
                return None
            vectors = encoder.encode(texts)
        if kind == "encoder":
            return vectors
        if kind == "base-mean":
            return self.embedder.means(texts)
        states = self.embedder.embed(texts)
        return states if vectors is None else torch.cat([states, vectors], -1)

    def sha256(self, kind: Kind) -> str:
        """The hash of the encoder that a head of that kind reads; "" for one that reads the base alone."""
        encoder = self._find_encoder() if kind in BY_ENCODER else None
        return "" if encoder is None else encoder.sha256
