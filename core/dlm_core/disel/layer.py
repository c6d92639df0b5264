"""The PEFT layer that gives an adapter gates when its config asks for them."""

from typing import Any

from peft import LoraConfig
from peft.tuners.lora.layer import Linear, LoraVariant
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from transformers.pytorch_utils import Conv1D

from dlm_core.disel.config import DiselConfig
from dlm_core.disel.variant import DiselLinearVariant


class DiselLinear(Linear):
    """PEFT's LoRA linear, with DISeL among its variants. Plain LoRA adapters on it stay plain."""

    def resolve_lora_variant(self, *, config: LoraConfig, **kwargs: Any) -> LoraVariant | None:
        if isinstance(config, DiselConfig):
            return DiselLinearVariant()
        return super().resolve_lora_variant(config=config, **kwargs)


def gated_linear(
    target: nn.Module,
    adapter_name: str,
    *,
    config: DiselConfig,
    parameter_name: str | None = None,
    **kwargs: Any,
) -> DiselLinear | None:
    """PEFT's hook for custom layers: a gated layer over a plain linear one.

    Returns:
        None where PEFT should go on as usual: quantised and other special linear layers, and single
        parameters (`target_parameters`).
    """
    base = target.get_base_layer() if isinstance(target, BaseTunerLayer) else target
    if parameter_name is not None or type(base) not in (nn.Linear, Conv1D):
        return None
    is_conv1d = type(base) is Conv1D
    config.fan_in_fan_out = is_conv1d  # stored with the config, as PEFT does it
    return DiselLinear(target, adapter_name, config=config, is_target_conv_1d_layer=is_conv1d, **kwargs)
