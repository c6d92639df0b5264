"""DISeL as a LoRA variant: what PEFT's linear layers call instead of their own B(A x)."""

import warnings
from typing import Any, NoReturn

import torch
from peft.tuners.lora.layer import LoraLayer, LoraVariant
from torch import nn

from dlm_core.disel.config import DiselConfig
from dlm_core.disel.gates import GATE_PARAM_KEY


class UnloadedGatesWarning(UserWarning):
    """A trained adapter runs with gates that were never loaded, so its replies are not what was trained."""


class DiselLinearVariant(LoraVariant):
    """result + B(g(x) ⊙ A x) · scaling, where gate and A read the same, dropped-out input."""

    def supports_lora_conversion(self) -> bool:
        return False

    @staticmethod
    def init(  # type: ignore[override]
        module: LoraLayer, adapter_name: str, config: DiselConfig, **kwargs: Any
    ) -> None:
        """Put a fresh gate on `module`, on the device and in the dtype of the adapter's A."""
        if not hasattr(module, GATE_PARAM_KEY):
            setattr(module, GATE_PARAM_KEY, nn.ModuleDict())
        if GATE_PARAM_KEY not in module.adapter_layer_names:
            # On the instance: PEFT reads it to freeze, move, switch and delete adapters.
            module.adapter_layer_names = (*module.adapter_layer_names, GATE_PARAM_KEY)
        lora_a: Any = module.lora_A[adapter_name].weight
        assert module.in_features is not None  # every linear layer has it
        gate = config.build_gate(module.in_features, module.r[adapter_name])
        gate.to(device=lora_a.device, dtype=lora_a.dtype).requires_grad_(lora_a.requires_grad)
        getattr(module, GATE_PARAM_KEY)[adapter_name] = gate

    @staticmethod
    def forward(
        module: LoraLayer, active_adapter: str, x: torch.Tensor, result: torch.Tensor, **kwargs: Any
    ) -> torch.Tensor:
        lora_a = module.lora_A[active_adapter]
        lora_b = module.lora_B[active_adapter]
        gate = getattr(module, GATE_PARAM_KEY)[active_adapter]
        if gate.awaits_weights:
            _warn_once(module, active_adapter)
        x = module.lora_dropout[active_adapter](x).to(lora_a.weight.dtype)
        delta = lora_b(gate(x) * lora_a(x)) * module.scaling[active_adapter]
        gated: torch.Tensor = result + delta.to(result.dtype)
        return gated

    @staticmethod
    def merge_safe(module: LoraLayer, active_adapter: str, orig_weight: torch.Tensor) -> torch.Tensor:
        _refuse_merge(active_adapter)

    @staticmethod
    def merge_unsafe(module: LoraLayer, active_adapter: str, orig_weight: torch.Tensor) -> None:
        _refuse_merge(active_adapter)

    @staticmethod
    def unmerge(module: LoraLayer, active_adapter: str, orig_weight: torch.Tensor) -> torch.Tensor:
        _refuse_merge(active_adapter)


def _refuse_merge(adapter: str) -> NoReturn:
    raise NotImplementedError(
        f"adapter {adapter!r} cannot be merged: its gates depend on the input, "
        "so no fixed weight does what it does; keep it as an adapter"
    )


def _warn_once(module: LoraLayer, adapter: str) -> None:
    """Warn, and mark the layer as told; the other layers fold into the same warning by its text."""
    getattr(module, GATE_PARAM_KEY)[adapter].awaits_weights = False
    warnings.warn(
        f"adapter {adapter!r} was trained, but its gates are at their initial values: "
        "load them with load_gate_state_dict, or the whole folder with dlm_core.disel.from_pretrained",
        UnloadedGatesWarning,
        stacklevel=3,
    )
