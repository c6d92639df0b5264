"""Products packed while transformers is still being imported.

Between a base's folder and its model in memory lies more than a second of imports: the work of one thread,
which holds the interpreter. Packing weights lets it go. So both are done at once, the packing straight from
the safetensors files, and `take_over` finds its products there. It compares the whole forward with
transformers' own in any case, so a file that is read wrongly here is noticed there.
"""

import contextlib
import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from dlm_core.bases.pages import trim_heap
from dlm_core.bases.placement import Placement
from dlm_core.llama.packed_linear import Precision, Product, product
from dlm_core.llama.shape import MODEL_TYPES

INDEX, WHOLE = "model.safetensors.index.json", "model.safetensors"
_PARTS = (("q_proj", "k_proj", "v_proj"), ("o_proj",), ("gate_proj", "up_proj"), ("down_proj",))
_LAYER = re.compile(r"(model\.layers\.(\d+)\.(?:self_attn|mlp)\.)(\w+)\.weight")
_HEADS = ("lm_head", "model.embed_tokens")  # the second where they are tied
_SWITCH_S = 2e-4
"""Who packs asks for the interpreter between any two operations, and waits so long for who imports."""

_log = logging.getLogger(__name__)


class PackedAhead:
    """Products by the full names of the layers that they stand for, each given away once."""

    def __init__(self, packed: Mapping[tuple[str, ...], Future[Product]] | None = None) -> None:
        self._packed = dict(packed or {})

    def take(self, names: Sequence[str]) -> Product | None:
        """The product of these layers, once it is packed; None where nobody has begun it, or it failed."""
        future = self._packed.pop(tuple(names), None)
        if future is None or future.cancel():
            return None
        error = future.exception()
        if error is not None:
            _log.warning("%s could not be packed ahead: %s", ", ".join(names), error)
            return None
        return future.result()


@contextlib.contextmanager
def packed_ahead(folder: Path, placement: Placement, precision: Precision) -> Iterator[PackedAhead]:
    """Begin to pack the weights of the base in `folder`; what nobody has begun at the end is left.

    Only bases that `take_over` may take are packed: llama-shaped ones in float32 on the CPU.
    """
    groups = _groups(folder) if _fits(folder, placement) else {}
    if not groups:
        yield PackedAhead()
        return
    interval = sys.getswitchinterval()
    sys.setswitchinterval(min(interval, _SWITCH_S))
    pool = ThreadPoolExecutor(1, "pack-ahead")
    try:
        yield PackedAhead({names: pool.submit(_pack, files, precision) for names, files in groups.items()})
    finally:
        pool.shutdown(cancel_futures=True)
        sys.setswitchinterval(interval)


def _fits(folder: Path, placement: Placement) -> bool:
    if placement.device != "cpu" or placement.weights_dtype != torch.float32:
        return False
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and config.get("model_type") in MODEL_TYPES


def _groups(folder: Path) -> dict[tuple[str, ...], dict[str, Path]]:
    """By the layers of each product the tensors that it is made of, and the file of each; from the first
    block to the last, the head in the middle of them, as it takes long.
    """
    where = _where(folder)
    found: dict[str, set[str]] = {}
    for name in where:
        layer = _LAYER.fullmatch(name)
        if layer is not None:
            found.setdefault(layer[1], set()).add(layer[3])
    groups = [
        tuple(prefix + leaf for leaf in parts)
        for prefix in sorted(found, key=lambda p: int(p.split(".")[2]))
        for parts in _PARTS
        if found[prefix].issuperset(parts)
    ]
    head = next((name for name in _HEADS if f"{name}.weight" in where), None)
    if head is not None:
        groups.insert(len(groups) // 2, (head,))
    return {
        names: {
            tensor: where[tensor]
            for name in names
            for tensor in (f"{name}.weight", f"{name}.bias")
            if tensor in where
        }
        for names in groups
    }


def _where(folder: Path) -> dict[str, Path]:
    """Every tensor's file; nothing where that cannot be read, for whoever loads the model will say so."""
    from safetensors import SafetensorError, safe_open

    try:
        if (folder / INDEX).is_file():
            listed = json.loads((folder / INDEX).read_text("utf-8"))["weight_map"]
            return {str(name): folder / str(file) for name, file in listed.items()}
        opened: Any = safe_open(folder / WHOLE, framework="pt")
        with opened as file:
            return dict.fromkeys(file.keys(), folder / WHOLE)
    except (OSError, ValueError, KeyError, AttributeError, TypeError, SafetensorError):
        return {}


@torch.no_grad()
def _pack(tensors: Mapping[str, Path], precision: Precision) -> Product:
    """The product of `tensors`, the weights and biases of its layers in order. The file is mapped for this
    alone: what was read of it does not stay in memory.
    """
    from safetensors import safe_open

    with contextlib.ExitStack() as stack:
        opened: dict[Path, Any] = {}
        weights: list[torch.Tensor] = []
        biases: list[torch.Tensor | None] = []
        for name, path in tensors.items():
            if path not in opened:
                handle: Any = safe_open(path, framework="pt")
                opened[path] = stack.enter_context(handle)
            tensor = opened[path].get_tensor(name).float()
            if name.endswith(".weight"):
                weights.append(tensor)
                biases.append(None)
            else:
                biases[-1] = tensor
        found = product(weights, biases, precision)
    if precision == "int8":
        trim_heap()  # chosen for its size, and made by way of copies that are larger
    return found
