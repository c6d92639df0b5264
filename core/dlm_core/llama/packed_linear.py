"""Products of a base's frozen weights with few rows at a time: what one token, a draft, or a prompt costs.

What one token costs is reading every weight once, so a form of half the size is nearly twice as fast. Rows,
sums and results are float32 in all of them.

| weights | kept as | error of one weight |
|---|---|---|
| float32 | blocks as oneDNN reads them, from which nine rows cost hardly more than one | none |
| float16 | blocks as FBGEMM reads them | none where the base came in bfloat16 or float16; else 0.05 % |
| int8 | int8 and one scale per output | 0.4 % of the largest weight of its row |

Where torch has been built without a kernel (FBGEMM is for x86), the next wider form takes its place; so it
does for weights that float16 cannot hold.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from dlm_core.bases.pages import let_go
from dlm_core.errors import UsageError

Precision = Literal["float32", "float16", "int8"]
Product = Callable[[Tensor], Tensor]
"""x [rows, d_in] float32 to [rows, d_out] float32."""

VARIABLE = "DLM_WEIGHTS"
_PACKED_FOR = 9  # rows: a draft and the token before it; the same blocks serve one row as well
_TILE = 4096  # outputs quantised at a time, so that no whole float32 copy of a large head is ever made

_LARGEST = 6e4  # float16 ends at 65504
_ROUNDED_FIRST = 1 << 24  # numbers: a larger matrix, a head, is not worth another copy of it

LEAD: dict[Precision, float] = {"float32": 1e-3, "float16": 1e-3, "int8": 0.25}
"""Logits: a lead smaller than this may turn with the number of rows that are multiplied together."""


def chosen_precision(environ: Mapping[str, str]) -> Precision:
    """What `DLM_WEIGHTS` asks for; float16 where it is not set. Raises UsageError for anything else."""
    asked = environ.get(VARIABLE, "").strip().lower() or "float16"
    for known in LEAD:
        if asked == known:
            return known
    raise UsageError(
        f"${VARIABLE} says {asked!r}, which is no number format", "use float16 (the default), float32 or int8"
    )


def product(weights: Sequence[Tensor], biases: Sequence[Tensor | None], precision: Precision) -> Product:
    """One product for layers that read the same input; their outputs stand side by side.

    Args:
        weights: [d_out_i, d_in] each, float32 on the CPU. They are copied, not kept.
        biases: [d_out_i] each, or None for a layer without.
    """
    with torch.no_grad():
        bias = None
        if any(b is not None for b in biases):
            zeros = (torch.zeros(len(w)) for w in weights)
            bias = torch.cat([z if b is None else b for z, b in zip(zeros, biases, strict=True)])
        if precision == "int8":
            return _int8(weights, bias)
        whole = weights[0] if len(weights) == 1 else torch.cat(list(weights))
        found = _float16(whole, bias) if precision == "float16" else None
        return found or _float32(whole, bias)


def _float32(weight: Tensor, bias: Tensor | None) -> Product:
    try:
        multiply: Any = torch.ops.mkldnn._linear_pointwise.default
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), _PACKED_FOR)
        multiply(torch.zeros(1, weight.shape[1]), packed, bias, "none", [], "")
    except (AttributeError, RuntimeError, NotImplementedError):
        return _plain(weight, bias)

    def run(x: Tensor) -> Tensor:
        found: Tensor = multiply(x, packed, bias, "none", [], "")
        return found

    return run


def _float16(weight: Tensor, bias: Tensor | None) -> Product | None:
    if max(abs(float(end)) for end in weight.aminmax()) > _LARGEST:
        return None
    try:
        operator: Any = torch.ops.quantized.linear_dynamic_fp16.default
        multiply = getattr(operator, "_op", operator)  # without a look through all arguments at every call
        # Packing rounds one number after the other; torch's own rounding before it takes half the time.
        rounded = weight.half().float() if weight.numel() <= _ROUNDED_FIRST else weight.contiguous()
        packed = torch.ops.quantized.linear_prepack_fp16(rounded, bias)
        multiply(torch.zeros(1, weight.shape[1]), packed)
    except (AttributeError, RuntimeError, NotImplementedError):
        return None

    def run(x: Tensor) -> Tensor:
        found: Tensor = multiply(x, packed)
        return found

    return run


def _int8(weights: Sequence[Tensor], bias: Tensor | None) -> Product:
    whole = torch.empty(sum(w.shape[0] for w in weights), weights[0].shape[1], dtype=torch.int8)
    scales = torch.empty(whole.shape[0])
    at = 0
    for weight in weights:
        for part in torch.split(weight, _TILE):
            scale = part.abs().amax(1).clamp_min(1e-12) / 127
            whole[at : at + len(part)] = (part / scale.unsqueeze(1)).round().to(torch.int8)
            scales[at : at + len(part)] = scale
            at += len(part)
            if len(weight) > _TILE:
                let_go([part])  # so that a large head is not in memory as a whole beside what comes of it
    halves = scales.bfloat16()
    # The kernel multiplies by scales in bfloat16; what that rounds off is put right in float32.
    rest = scales / halves.float()
    multiply: Any = torch._weight_int8pack_mm

    def run(x: Tensor) -> Tensor:
        found: Tensor = multiply(x.bfloat16(), whole, halves).float().mul_(rest)
        return found if bias is None else found.add_(bias)

    return run


def _plain(weight: Tensor, bias: Tensor | None) -> Product:
    def run(x: Tensor) -> Tensor:
        return torch.nn.functional.linear(x, weight, bias)

    return run
