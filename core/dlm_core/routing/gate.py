"""The gate itself: standardise, Linear → GELU → Linear → softmax; and how it lies on disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional

from dlm_core.errors import NOT_JSON, StoreError
from dlm_core.routing.reads import NAMES, Kind, Reader
from dlm_core.store import atomic, seal

CONFIG_FILE = "gate_config.json"
WEIGHTS_FILE = "gate.safetensors"
NEIGHBOURS_FILE = "questions.safetensors"
OTHER_WEIGHTS_FILE = "{}_gate.safetensors"
"""The head that routes where it reads something else than the base's last state; the name says what."""


class GateMeta(msgspec.Struct, frozen=True, kw_only=True):
    """`gate_config.json`. With mode `uniform` there is no weights file; `reason` says why.

    Entropies are in nats. `sample_counts` and `mean_weights` are per adapter; the figures are None where not
    trained. They are those of the head that routes, which reads what `embedding` says, by the sentence
    encoder with that hash. The head on the base's last state (`hidden_size`, `base_loo_accuracy`) is there
    too, and routes where that encoder is missing. `worn_accuracy` is of sections left out as well, asked by
    their questions with some words left out. `compared`: what it reads was found to be the best of several.
    """

    mode: Literal["trained", "uniform"]
    adapters: tuple[str, ...]
    sample_counts: dict[str, int]
    mean_weights: dict[str, float]
    floor: int
    reason: str = ""
    hidden_size: int = 0
    hidden_proj_dim: int = 0
    base_fingerprint: str = ""
    train_accuracy: float | None = None
    loo_accuracy: float | None = None
    loo_folds: int | None = None
    entropy: float | None = None
    questions: tuple[tuple[str, str], ...] = ()
    embedding: Kind = "base"
    encoder_sha256: str = ""
    base_loo_accuracy: float | None = None
    worn_accuracy: float | None = None
    compared: bool = False


class AdapterGate(nn.Module):
    """Weights over N adapters from an embedding of the prompt.

    Args:
        mean, scale: [hidden], the training embeddings' mean and standard deviation; kept as buffers.
        w1 [proj, hidden], b1 [proj], w2 [N, proj], b2 [N].
    """

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        self.register_buffer("mean", tensors["mean"])
        self.register_buffer("scale", tensors["scale"])
        self.w1 = nn.Parameter(tensors["w1"], requires_grad=False)
        self.b1 = nn.Parameter(tensors["b1"], requires_grad=False)
        self.w2 = nn.Parameter(tensors["w2"], requires_grad=False)
        self.b2 = nn.Parameter(tensors["b2"], requires_grad=False)

    def forward(self, embedding: Tensor) -> Tensor:
        """Softmax weights [.., N] for embeddings [.., hidden]."""
        mean, scale = self.get_buffer("mean"), self.get_buffer("scale")
        hidden = functional.gelu(functional.linear((embedding - mean) / scale, self.w1, self.b1))
        return torch.softmax(functional.linear(hidden, self.w2, self.b2), -1)


@dataclass(frozen=True)
class SavedGate:
    """A gate as committed: its figures, the head on the base's last state (None when uniform), the
    embeddings [n, hidden] that one learned from, and the head that routes where it reads something else.
    """

    meta: GateMeta
    module: AdapterGate | None
    embeddings: Tensor | None
    other: AdapterGate | None = None

    def weights(self, questions: Sequence[str], reader: Reader) -> Tensor:
        """Weights [n, N] of the adapters for some questions. It must be trained, and the base's bank off."""
        assert self.module is not None
        read = None
        if self.other is not None:
            read = reader.read(self.meta.embedding, questions, self.meta.encoder_sha256)
        if self.other is None or read is None:
            found: Tensor = self.module(reader.embedder.embed(questions))
        else:
            found = self.other(read)
        return found


def save_gate(
    folder: Path,
    meta: GateMeta,
    module: AdapterGate | None,
    embeddings: Tensor | None,
    other: AdapterGate | None = None,
) -> None:
    """Write a gate into an empty version folder."""
    folder.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(folder / CONFIG_FILE, msgspec.json.format(msgspec.json.encode(meta)))
    for name, head in ((WEIGHTS_FILE, module), (OTHER_WEIGHTS_FILE.format(meta.embedding), other)):
        if head is not None:
            tensors = {k: v.detach().cpu().contiguous() for k, v in head.state_dict().items()}
            atomic.write_bytes(folder / name, save(tensors))
    if embeddings is not None:
        atomic.write_bytes(folder / NEIGHBOURS_FILE, save({"embeddings": embeddings.cpu().contiguous()}))


def load_gate(folder: Path, adapters: Sequence[str], hidden_size: int) -> SavedGate:
    """Read a gate back.

    Raises:
        StoreError: a file is missing or damaged, or the gate does not fit these adapters or this base.
    """
    hint = "train again with `dlm train`, or go back with `dlm rollback`"
    if seal.should_be_sealed(folder) and (damage := seal.damage(folder)):
        raise StoreError("; ".join(damage), hint)
    try:
        meta = msgspec.json.decode((folder / CONFIG_FILE).read_bytes(), type=GateMeta)
        module, embeddings, other = None, None, None
        if meta.mode == "trained" and meta.embedding != "base":
            other = AdapterGate(load_file(folder / OTHER_WEIGHTS_FILE.format(meta.embedding)))
            if not _fits(other, len(meta.adapters), other.get_buffer("mean").numel()):
                name = NAMES[meta.embedding]
                raise StoreError(f"{atomic.shown(folder)}: the gate's head on {name} is damaged", hint)
        if meta.mode == "trained":
            module = AdapterGate(load_file(folder / WEIGHTS_FILE))
            if not _fits(module, len(meta.adapters), hidden_size):
                raise StoreError(f"{atomic.shown(folder)}: the gate was trained for another base", hint)
        if (folder / NEIGHBOURS_FILE).exists():
            embeddings = load_file(folder / NEIGHBOURS_FILE)["embeddings"]
            if embeddings.ndim != 2 or embeddings.shape[1] != hidden_size:
                raise StoreError(f"{atomic.shown(folder)}: the gate was trained for another base", hint)
            if meta.questions and len(embeddings) != len(meta.questions):
                raise StoreError(f"{atomic.shown(folder)}: its questions and their embeddings differ", hint)
    except (OSError, KeyError, RuntimeError, SafetensorError, *NOT_JSON) as error:
        raise StoreError(f"{atomic.shown(folder)}: the adapter gate cannot be read: {error}", hint) from error
    if set(meta.adapters) != set(adapters):
        meta = msgspec.structs.replace(
            meta, mode="uniform", reason="the adapters changed since the gate was trained; train to update it"
        )
        module = other = None
    return SavedGate(meta, module, embeddings, other)


def _fits(gate: AdapterGate, adapters: int, hidden_size: int) -> bool:
    """Whether all tensors of a gate are finite and have the shapes that these sizes ask for."""
    proj = gate.b1.numel()
    expected = {
        "mean": (hidden_size,),
        "scale": (hidden_size,),
        "w1": (proj, hidden_size),
        "b1": (proj,),
        "w2": (adapters, proj),
        "b2": (adapters,),
    }
    found = gate.state_dict()
    return all(tuple(found[name].shape) == shape for name, shape in expected.items()) and all(
        bool(torch.isfinite(tensor.float()).all()) for tensor in found.values()
    )
