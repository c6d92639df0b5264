"""Number formats of exported weights, and what a weight becomes in them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gguf
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dlm_core.errors import UsageError
from dlm_core.export.fold import Weights
from dlm_core.safetext import visible_line

_TYPES = gguf.GGMLQuantizationType
_FILE_TYPES = gguf.LlamaFileType
FORMATS = {
    "f32": (_TYPES.F32, _FILE_TYPES.ALL_F32),
    "f16": (_TYPES.F16, _FILE_TYPES.MOSTLY_F16),
    "bf16": (_TYPES.BF16, _FILE_TYPES.MOSTLY_BF16),
    "q8_0": (_TYPES.Q8_0, _FILE_TYPES.MOSTLY_Q8_0),
    "q5_1": (_TYPES.Q5_1, _FILE_TYPES.MOSTLY_Q5_1),
    "q5_0": (_TYPES.Q5_0, _FILE_TYPES.MOSTLY_Q5_0),
    "q4_1": (_TYPES.Q4_1, _FILE_TYPES.MOSTLY_Q4_1),
    "q4_0": (_TYPES.Q4_0, _FILE_TYPES.MOSTLY_Q4_0),
}
_FLOATS = ("f32", "f16", "bf16")
_KEPT_FINE = ("token_embd.weight", "output.weight")  # what every token passes through, and the softmax


def check(name: str) -> str:
    """The format's name in lower case. Raises UsageError for one that is not written here."""
    lower = name.lower()
    if lower in FORMATS:
        return lower
    hint = f"--quant takes {', '.join(FORMATS)}"
    if "_k" in lower or lower.startswith("iq"):
        hint += "; export f16 and let llama.cpp's own quantiser make k-quants of it"
    raise UsageError(f"weights cannot be written as {visible_line(name)}", hint)


def is_lossy(name: str) -> bool:
    """Whether rounding to this format may change replies, so that it has to be measured."""
    return name not in _FLOATS


def type_of(tensor_name: str, shape: tuple[int, ...], name: str) -> Any:
    """The ggml type of one tensor: vectors stay F32, embedding and head at least Q8_0, and rows that do not
    divide into blocks F16.
    """
    if len(shape) < 2:
        return _TYPES.F32
    kind = FORMATS[name][0]
    if tensor_name in _KEPT_FINE and is_lossy(name):
        kind = _TYPES.Q8_0
    block, _ = gguf.GGML_QUANT_SIZES[kind]
    return kind if shape[-1] % block == 0 else _TYPES.F16


def encoded(tensor: Tensor, kind: Any) -> NDArray[Any]:
    """A tensor's numbers as they stand in the file."""
    values = tensor.detach().float().cpu().contiguous().numpy()
    if kind == _TYPES.F32:
        return values
    if kind == _TYPES.F16:
        return values.astype(np.float16)
    found: NDArray[Any] = gguf.quants.quantize(values, kind)
    return found


def rounded(tensor: Tensor, kind: Any) -> Tensor:
    """A tensor as a reader of the file sees it, float32."""
    values = encoded(tensor, kind)
    plain = values if kind in (_TYPES.F32, _TYPES.F16) else gguf.quants.dequantize(values, kind)
    return torch.from_numpy(np.ascontiguousarray(plain, dtype=np.float32))


@contextmanager
def applied(weights: Weights, names: dict[str, str], name: str) -> Iterator[None]:
    """Within the block the model computes with `weights` as the file will hold them; then its own come back.

    `names`: the tensors to write, with the name each has in the file.
    """
    originals: list[tuple[Tensor, Tensor]] = []
    try:
        with torch.no_grad():
            for own, written in names.items():
                parameter, merged = weights.parameter(own), weights.get(own)
                kind = type_of(written, tuple(merged.shape), name)
                originals.append((parameter, parameter.detach().clone()))
                parameter.copy_(rounded(merged, kind))
        yield
    finally:
        with torch.no_grad():
            for parameter, before in originals:
                parameter.copy_(before)
