"""Products of a base's frozen weights with few rows at a time: what one token, a draft, or a prompt costs.

Eager torch multiplies one row by a large float32 matrix at a fraction of what memory could deliver. oneDNN
on a packed copy comes nearer, and nine rows then cost hardly more than one. Where torch has been built
without these kernels, plain products take their place.

| weights | kept as | error of one product |
|---|---|---|
| float32 | blocks as oneDNN reads them | rounding only |
| int8 | int8 and one scale per output | about 0.4 % of a row's largest weight |
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from dlm_core.errors import UsageError

Precision = Literal["float32", "int8"]
Product = Callable[[Tensor], Tensor]
"""x [rows, d_in] float32 to [rows, d_out] float32."""

VARIABLE = "DLM_WEIGHTS"
_PACKED_FOR = 9  # rows: a draft and the token before it; the same blocks serve one row as well
_TILE = 4096  # outputs quantised at a time, so that no whole float32 copy of a large head is ever made

LEAD = {"float32": 1e-3, "int8": 0.25}
"""Logits: a lead smaller than this may turn with the number of rows that are multiplied together."""


def chosen_precision(environ: Mapping[str, str]) -> Precision:
    """What `DLM_WEIGHTS` asks for; float32 where it is not set. Raises UsageError for anything else."""
    asked = environ.get(VARIABLE, "").strip().lower() or "float32"
    if asked in ("float32", "int8"):
        return "int8" if asked == "int8" else "float32"
    raise UsageError(f"${VARIABLE} says {asked!r}, which is no number format", "use float32 or int8")


def product(weights: Sequence[Tensor], bias: Tensor | None, precision: Precision) -> Product:
    """One product for layers that read the same input; their outputs stand side by side.

    Args:
        weights: [d_out_i, d_in] each, float32 on the CPU. They are copied, not kept.
        bias: [sum of d_out_i] or None.
    """
    with torch.no_grad():
        if precision == "int8":
            return _int8(weights, bias)
        whole = weights[0] if len(weights) == 1 else torch.cat(list(weights))
        return _float32(whole, bias)


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
