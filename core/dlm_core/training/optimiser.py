"""AdamW over adapters, as DISeL groups them: decay on A and B alone, and gates at a rate of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from dlm_core.adapters.flat import FlatAdapters
from dlm_core.adapters.weights import AdapterWeights

_FUSED_DEVICES = ("cpu", "cuda", "mps")
USUAL_BETAS = (0.9, 0.999)
BETAS = (0.8, 0.95)
"""A short memory: a run has a hundred steps, and gradients shrink meanwhile."""


@dataclass(frozen=True)
class Part:
    """Parameters that become one group: `rate` is their adapter's peak learning rate."""

    parameters: Sequence[nn.Parameter]
    rate: float
    gates: bool = False


def adamw(
    parts: Sequence[Part],
    *,
    weight_decay: float,
    gate_lr_multiplier: float = 1.0,
    betas: tuple[float, float] = USUAL_BETAS,
) -> torch.optim.AdamW:
    """The optimiser of a training, a group for each part. Every group carries `peak_lr`, from which
    `set_factor` sets `lr`.

    Args:
        weight_decay: of parts that are no gates; a decayed gate would close itself.
        gate_lr_multiplier: the gates' rate over their adapter's (DISeL's default is 5).
    """
    groups = []
    for part in parts:
        rate = part.rate * (gate_lr_multiplier if part.gates else 1.0)
        decay = 0.0 if part.gates else weight_decay
        groups.append({"params": list(part.parameters), "lr": rate, "peak_lr": rate, "weight_decay": decay})
    device = parts[0].parameters[0].device
    return torch.optim.AdamW(groups, betas=betas, fused=device.type in _FUSED_DEVICES)


def vectors(flat: FlatAdapters, rates: Mapping[str, float]) -> list[Part]:
    """The flat vectors of adapters, one by one; `rates` are per adapter name."""
    return [
        Part([vector], rates[each.adapter.spec.name], part == "gates")
        for each in flat.each
        for part, vector in each.vectors.items()
    ]


def tensors(adapters: Sequence[AdapterWeights], rates: Mapping[str, float]) -> list[Part]:
    """The tensors of adapters, those of one rate together; `rates` are per adapter name."""
    found: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for adapter in adapters:
        for _, role, parameter in adapter.named_tensors():
            found.setdefault((rates[adapter.spec.name], role.startswith("gate")), []).append(parameter)
    return [Part(parameters, rate, gates) for (rate, gates), parameters in found.items()]


def set_factor(optimiser: torch.optim.Optimizer, factor: float) -> float:
    """Scale every group's rate by `factor`; returns the first group's rate."""
    for group in optimiser.param_groups:
        group["lr"] = group["peak_lr"] * factor
    return float(optimiser.param_groups[0]["lr"])
