"""Which linear layers of a base an adapter sits on."""

import difflib
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from dlm_core.adapters.openness import layer_and_module
from dlm_core.errors import AdapterError
from dlm_core.safetext import visible

_FEW_BLOCKS = 8
_ATTENTION = ("attn", "attention")


def is_attention(name: str) -> bool:
    """Whether a layer belongs to its block's attention, by its full name."""
    return any(word in name for word in _ATTENTION)


def upper_half(layers: Sequence[str]) -> tuple[str, ...]:
    """Those of the upper half of a base's blocks; all, where it has few."""
    blocks = 1 + max(layer_and_module(name)[0] for name in layers)
    lowest = blocks // 2 if blocks >= _FEW_BLOCKS else 0
    return tuple(name for name in layers if layer_and_module(name)[0] >= lowest)


def in_out_features(layer: nn.Module) -> tuple[int, int]:
    """(d_in, d_out) of a linear layer; transformers' Conv1D keeps its weight transposed."""
    weight = layer.weight
    assert isinstance(weight, torch.Tensor)
    rows, columns = weight.shape
    return (rows, columns) if isinstance(layer, Conv1D) else (columns, rows)


def linear_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Every linear layer but the output head, by full name, in model order (PEFT's `all-linear` takes the
    same).
    """
    find_head: Any = getattr(model, "get_output_embeddings", lambda: None)
    head = find_head()
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D) and module is not head
    }


def resolve_targets(layers: Sequence[str], wanted: str | Sequence[str]) -> tuple[str, ...]:
    """Full names of the layers that `target_modules` means.

    Args:
        layers: full names of the base's linear layers (see `linear_layers`).
        wanted: "auto" for the feed-forward layers of the upper half of a base's blocks (all linear layers,
            where it has few): measured, they learn as much as all do, for half of the backward and a quarter
            of a reply's extra products. Else names as PEFT takes them, which match endings, or "all-linear".

    Raises:
        AdapterError: a name matches no layer; the hint says what the base offers.
    """
    if isinstance(wanted, str):
        upper = upper_half(layers)
        if len(upper) == len(layers):
            return upper
        return tuple(name for name in upper if not is_attention(name)) or upper
    if "all-linear" in wanted:
        return tuple(layers)
    chosen: set[str] = set()
    for name in wanted:
        hits = [full for full in layers if full == name or full.endswith("." + name)]
        if not hits:
            endings = sorted({full.rsplit(".", 1)[-1] for full in layers})
            close = difflib.get_close_matches(name, endings, 1)
            guess = f"did you mean `{close[0]}`? " if close else ""
            raise AdapterError(
                f"`target_modules`: the base has no linear layer called `{visible(name)}`",
                f"{guess}it has {', '.join(endings)}",
            )
        chosen.update(hits)
    return tuple(full for full in layers if full in chosen)
