"""Embeddings of questions on disk, by content hash, a file per base: what was embedded once costs nothing."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from dlm_core.errors import StoreError
from dlm_core.routing.embed import Embedder
from dlm_core.store import atomic

_SPARE = 512  # embeddings kept of questions that are not asked for any more: edits are taken back
_FORM = "last-state"  # how an embedding is read; another form is another file


class EmbeddingCache:
    """The embeddings of one base, in a folder of the store. A file that cannot be read counts as empty."""

    def __init__(self, folder: Path, base_fingerprint: str) -> None:
        key = hashlib.sha256(f"{_FORM}:{base_fingerprint}".encode()).hexdigest()[:16]
        self.path = folder / f"embeddings-{key}.safetensors"

    def embed(self, embedder: Embedder, texts: Sequence[str]) -> Tensor:
        """Embeddings [n, hidden] of `texts`; only those that are not on disk are worked out.

        Raises StoreError: new ones could not be written.
        """
        known = {k: v for k, v in self._load().items() if v.shape == (embedder.hidden_size,)}
        keys = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        here = {key: text for key, text in zip(keys, texts, strict=True) if key in known}
        if here:
            embedder.recall(list(here.values()), torch.stack([known[key] for key in here]))
        embeddings = embedder.embed(texts)
        if len(here) < len(set(keys)):
            spare = [k for k in known if k not in here][-_SPARE:]
            wanted = {k: known[k] for k in spare} | dict(zip(keys, embeddings, strict=True))
            atomic.make_folder(self.path.parent)
            atomic.write_bytes(self.path, save({k: v.contiguous() for k, v in wanted.items()}))
        return embeddings

    def _load(self) -> dict[str, Tensor]:
        if not self.path.exists():
            return {}
        try:
            return load(atomic.read_bytes(self.path))
        except (StoreError, SafetensorError):
            return {}
