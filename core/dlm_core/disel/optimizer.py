"""The optimiser DISeL trains with: gates learn faster than the matrices and never decay."""

from typing import Any

import torch
from torch import nn

from dlm_core.disel.config import DiselConfig
from dlm_core.disel.gates import GATE_PARAM_KEY

DEFAULT_GATE_LR_MULTIPLIER = 5.0


def build_optimizer(
    model: nn.Module,
    base_lr: float,
    gate_lr: float | None = None,
    gate_lr_multiplier: float | None = None,
    weight_decay: float = 0.01,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> torch.optim.AdamW:
    """AdamW over the trainable parameters, in three groups; a group without parameters is left out.

    1. matrices: `base_lr`, with `weight_decay`;
    2. biases and the gains of norms: `base_lr`, no decay;
    3. gates: `gate_lr`, no decay, for a decayed gate would close itself to what the input says.

    Each group carries its "name": "matrices", "biases_and_norms" or "gates".

    Args:
        gate_lr: learning rate of the gates, or
        gate_lr_multiplier: the same as a multiple of `base_lr`. With neither, the multiplier of the active
            adapter's `DiselConfig`, else 5.

    Raises:
        ValueError: both gate arguments at once, or nothing to train.
    """
    if gate_lr is not None and gate_lr_multiplier is not None:
        raise ValueError("give gate_lr or gate_lr_multiplier, not both")
    if gate_lr is None:
        multiplier = _configured_multiplier(model) if gate_lr_multiplier is None else gate_lr_multiplier
        gate_lr = base_lr * multiplier

    norms = {
        id(parameter)
        for module in model.modules()
        if type(module).__name__.endswith("Norm")
        for parameter in module.parameters(recurse=False)
    }
    matrices: list[nn.Parameter] = []
    undecayed: list[nn.Parameter] = []
    gates: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if f".{GATE_PARAM_KEY}." in f".{name}":
            gates.append(parameter)
        elif id(parameter) in norms or name.rpartition(".")[2] == "bias":
            undecayed.append(parameter)
        else:
            matrices.append(parameter)

    groups: list[dict[str, Any]] = [
        {"name": "matrices", "params": matrices, "lr": base_lr, "weight_decay": weight_decay},
        {"name": "biases_and_norms", "params": undecayed, "lr": base_lr, "weight_decay": 0.0},
        {"name": "gates", "params": gates, "lr": gate_lr, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if not groups:
        raise ValueError(
            "the model has no parameter to train: give it an adapter by get_peft_model, or load one "
            "with from_pretrained(…, is_trainable=True)"
        )
    return torch.optim.AdamW(groups, betas=betas, eps=eps)


def _configured_multiplier(model: nn.Module) -> float:
    configs = getattr(model, "peft_config", {})
    active = getattr(model, "active_adapters", [])
    chosen = {
        config.disel_gate_lr_multiplier
        for name, config in configs.items()
        if name in active and isinstance(config, DiselConfig)
    }
    if len(chosen) > 1:
        raise ValueError(
            f"the active adapters ask for different gate rates ({sorted(chosen)} × base); give gate_lr"
        )
    return chosen.pop() if chosen else DEFAULT_GATE_LR_MULTIPLIER
