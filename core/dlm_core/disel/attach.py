"""enable_disel: gates on every LoRA layer of a PEFT model, whoever built the layers."""

from collections.abc import Iterator
from typing import Any

from peft import LoraConfig, PeftModel
from peft.tuners.lora.layer import LoraLayer, MultiheadAttention, ParamWrapper
from torch import nn

from dlm_core.disel.config import DiselConfig
from dlm_core.disel.gates import GATE_PARAM_KEY, Gate
from dlm_core.disel.variant import DiselLinearVariant


def enable_disel(model: PeftModel, config: DiselConfig, adapter_name: str = "default") -> PeftModel:
    """Put gates on every LoRA layer that carries `adapter_name`; a second call changes nothing.

    The model's own config for the adapter becomes a `DiselConfig` if it was a plain one, so that
    `save_pretrained` stores the gate's settings. Gates train where the adapter's A does.

    Args:
        model: a PEFT model; changed in place and returned.
        config: the gate's settings.
        adapter_name: the adapter to gate; call once for each.

    Raises:
        TypeError: `config` is no `DiselConfig`, or a layer is of a kind that cannot be gated (embedding,
            convolution, attention, single parameter).
        ValueError: a layer's adapter is another LoRA variant already (DoRA, say), or its gates are of
            another shape than `config` asks for.
        RuntimeError: no LoRA layer carries the adapter.
    """
    if not isinstance(config, DiselConfig):
        raise TypeError(f"enable_disel takes a DiselConfig, not a {type(config).__name__}")
    layers = list(_layers_with(model, adapter_name))
    if not layers:
        raise RuntimeError(
            f"no LoRA layer carries adapter {adapter_name!r}: call peft.get_peft_model or add_adapter first, "
            "and see that target_modules names layers of this model"
        )
    for name, layer in layers:
        _check(name, layer, config, adapter_name)
    trained = _is_trained(model, layers, adapter_name)
    for _, layer in layers:
        if adapter_name in gates_of(layer):
            continue
        DiselLinearVariant.init(layer, adapter_name, config=config)
        layer.lora_variant[adapter_name] = DiselLinearVariant()
        gates_of(layer)[adapter_name].awaits_weights = trained

    stored = model.peft_config[adapter_name]
    if isinstance(stored, LoraConfig) and not isinstance(stored, DiselConfig):
        model.peft_config[adapter_name] = DiselConfig.from_lora(stored, config)
    return model


def gates_of(layer: Any) -> dict[str, Gate]:
    """Adapter name to gate on this layer; empty where there are none."""
    gates = getattr(layer, GATE_PARAM_KEY, None)
    return {name: gate for name, gate in gates.items() if isinstance(gate, Gate)} if gates else {}


def named_gates(model: nn.Module, adapter_name: str | None = None) -> Iterator[tuple[str, str, Gate]]:
    """Every gate as (layer's path, adapter, gate), in the model's order; of one adapter if named."""
    for path, module in model.named_modules():
        for adapter, gate in gates_of(module).items():
            if adapter_name is None or adapter == adapter_name:
                yield path, adapter, gate


def _layers_with(model: nn.Module, adapter: str) -> Iterator[tuple[str, LoraLayer]]:
    for name, module in model.named_modules():
        if isinstance(module, LoraLayer) and (adapter in module.lora_A or adapter in module.lora_embedding_A):
            yield name, module


def _check(name: str, layer: LoraLayer, config: DiselConfig, adapter: str) -> None:
    if adapter in gates_of(layer):
        existing = gates_of(layer)[adapter]
        shape = (getattr(existing, "bottleneck_dim", None), existing.normalize)
        asked = (config.disel_gate_bottleneck_dim, config.disel_gate_normalize)
        if shape != asked:
            raise ValueError(
                f"{name}: adapter {adapter!r} has gates with (bottleneck, normalize) = {shape} already, "
                f"and the config asks for {asked}"
            )
        return
    if (
        adapter not in layer.lora_A
        or not isinstance(layer.lora_A[adapter], nn.Linear)
        or isinstance(layer, MultiheadAttention | ParamWrapper)
    ):
        kind = type(layer.get_base_layer()).__name__
        raise TypeError(
            f"{name}: DISeL gates linear layers, and this is {kind} under PEFT's {type(layer).__name__}; "
            "leave it out of target_modules"
        )
    if adapter in layer.lora_variant:
        variant = type(layer.lora_variant[adapter]).__name__
        raise ValueError(f"{name}: adapter {adapter!r} is a {variant} already; DISeL cannot be added to it")


def _is_trained(model: PeftModel, layers: list[tuple[str, LoraLayer]], adapter: str) -> bool:
    """True if some B has left the zero it starts at, so that fresh gates do not belong to it."""
    if getattr(model.peft_config[adapter], "init_lora_weights", None) not in (True, "gaussian"):
        return False  # this way of starting (PiSSA, OLoRA, …) does not start B at zero
    weights: Iterator[Any] = (layer.lora_B[adapter].weight for _, layer in layers)
    return any(not weight.is_meta and bool(weight.any()) for weight in weights)
