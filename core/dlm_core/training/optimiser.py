"""AdamW over adapters in DISeL's three groups, per learning rate: matrices, biases, and gates at a rate of
their own.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from dlm_core.adapters.weights import AdapterWeights

_FUSED_DEVICES = ("cpu", "cuda", "mps")


def build(
    adapters: Sequence[AdapterWeights],
    rates: Mapping[str, float],
    *,
    gate_lr_multiplier: float,
    weight_decay: float,
) -> torch.optim.AdamW:
    """The optimiser for a run.

    Args:
        adapters: those that train.
        rates: peak learning rate per adapter name.
        gate_lr_multiplier: the gates' rate over the matrices' (DISeL's default is 5).
        weight_decay: on A and B only; gates have none, as in the reference.

    Every group carries `peak_lr`, from which the loop sets `lr`.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    for adapter in adapters:
        rate = rates[adapter.spec.name]
        for _, role, parameter in adapter.named_tensors():
            gate = role.startswith("gate")
            groups[(rate * gate_lr_multiplier, 0.0) if gate else (rate, weight_decay)].append(parameter)
    device = adapters[0].layers[adapters[0].spec.modules[0]].a.device.type
    return torch.optim.AdamW(
        [{"params": p, "lr": rate, "peak_lr": rate, "weight_decay": d} for (rate, d), p in groups.items()],
        fused=device in _FUSED_DEVICES,
    )


def set_factor(optimiser: torch.optim.Optimizer, factor: float) -> float:
    """Scale every group's rate by `factor`; returns the first group's rate."""
    for group in optimiser.param_groups:
        group["lr"] = group["peak_lr"] * factor
    return float(optimiser.param_groups[0]["lr"])
