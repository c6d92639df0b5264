"""Adapters as PEFT folders: `adapter_config.json` and `adapter_model.safetensors`, read and written without
PEFT.

The key layout is PEFT's for LoRA and the reference's for rank gates (see `dlm_core.disel`). Never pickle.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from dlm_core.adapters.spec import AdapterSpec, GateShape
from dlm_core.adapters.weights import AdapterWeights, LayerWeights
from dlm_core.errors import NOT_JSON, AdapterError
from dlm_core.safetext import visible
from dlm_core.store import atomic, seal

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
GATES_FILE = "gate_weights.safetensors"  # where the reference may keep gates by themselves
_PREFIX = "base_model.model."
_GATE = "lora_disel_gate"
_SAVED_GATE_NAME = "default"  # the name under which the reference looks for gates unless told otherwise
_ROLES = {
    "lora_A.weight": "a",
    "lora_B.weight": "b",
    "linear.weight": "gate_weight",
    "linear.bias": "gate_bias",
    "proj_down.weight": "gate_down",
    "proj_up.weight": "gate_up",
    "proj_up.bias": "gate_bias",
}
_MAX_RANK = 65_536
_REFUSED = (
    "use_dora",
    "use_rslora",
    "rank_pattern",
    "alpha_pattern",
    "modules_to_save",
    "lora_bias",
    "trainable_token_indices",
)


def short_targets(modules: Iterable[str], every: Iterable[str]) -> list[str]:
    """The shortest list PEFT resolves to exactly `modules` among the layers `every`: leaf names, or full
    names.
    """
    wanted = set(modules)
    leaves = {name.rsplit(".", 1)[-1] for name in wanted}
    covered = {name for name in every if name.rsplit(".", 1)[-1] in leaves}
    return sorted(leaves) if covered == wanted else sorted(wanted)


def save_adapter(
    adapter: AdapterWeights, folder: Path, *, base: str, every_layer: Iterable[str], transposed: bool
) -> None:
    """Write an adapter into `folder`.

    Args:
        base: name of the base, for `base_model_name_or_path`.
        every_layer: all linear layers of the base, so that targets can be named briefly.
        transposed: whether the base's linear layers keep their weight as [in, out] (GPT-2's Conv1D).

    Raises:
        AdapterError: a number is not finite; nothing is written then.
        StoreError: the files cannot be written.
    """
    spec = adapter.spec
    if not adapter.finite():
        raise AdapterError(
            f"adapter `{spec.name}` holds numbers that are not finite", "lower `training.learning_rate`"
        )
    config: dict[str, Any] = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": spec.rank,
        "lora_alpha": spec.alpha,
        "lora_dropout": spec.dropout,
        "target_modules": short_targets(spec.modules, every_layer),
        "bias": "none",
        "fan_in_fan_out": transposed,
        "inference_mode": True,
        "init_lora_weights": True,
    }
    if spec.gate is not None:
        config |= {
            "disel_gate_bias_init": spec.gate.bias_init,
            "disel_gate_normalize": spec.gate.normalize,
            "disel_gate_weight_init": spec.gate.weight_init,
            "disel_gate_bottleneck_dim": spec.gate.bottleneck_dim,
        }
    tensors: dict[str, Tensor] = {}
    for module, role, parameter in adapter.named_tensors():
        tensors[
            _key(module, role, bottleneck=spec.gate is not None and spec.gate.bottleneck_dim is not None)
        ] = parameter.detach().to("cpu", torch.float32).contiguous()
    folder.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(folder / WEIGHTS_FILE, save_tensors(tensors, metadata={"format": "pt"}))
    atomic.write_bytes(folder / CONFIG_FILE, msgspec.json.format(msgspec.json.encode(config)))


def load_adapter(folder: Path, name: str, features: Mapping[str, tuple[int, int]]) -> AdapterWeights:
    """Read an adapter written here, by PEFT, or by the DISeL reference.

    Args:
        name: what it is called in the document.
        features: (d_in, d_out) of every linear layer of the base.

    Raises:
        AdapterError: a file is missing or damaged, or the adapter does not fit the base; the message names
        the file.
    """
    if seal.should_be_sealed(folder) and (damage := seal.damage(folder)):
        raise AdapterError(
            "; ".join(damage), "go back to an earlier version with `dlm rollback`, or train again"
        )
    config = _read_config(folder)
    weights_path = folder / WEIGHTS_FILE
    tensors = _read_tensors(weights_path)
    if any(key.startswith("disel_gate") for key in config) and not any(_GATE in key for key in tensors):
        tensors |= _read_tensors(folder / GATES_FILE)  # without its gates the adapter would answer fully open
    layers: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        module, role = _split_key(key, weights_path)
        layers.setdefault(module, {})[role] = tensor
    try:
        spec = _spec(name, config, tuple(m for m in features if m in layers), layers)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise AdapterError(
            f"{visible(str(folder / CONFIG_FILE))}: not a LoRA configuration: {error!r}"
        ) from error
    foreign = sorted(set(layers) - set(features))
    if foreign:
        raise AdapterError(
            f"{visible(str(weights_path))}: made for another base: it has weights for "
            f"`{visible(foreign[0])}`",
            "train the document again on its present base",
        )
    built: dict[str, LayerWeights] = {}
    for module in spec.modules:
        with torch.device("meta"):  # shapes alone: what a file claims takes no memory
            expected = {
                role: parameter.shape
                for role, parameter in LayerWeights(spec, *features[module]).named_parameters()
            }
        found = {role: tensor.shape for role, tensor in layers[module].items()}
        if expected != found:
            raise AdapterError(
                f"{visible(str(weights_path))}: `{module}` has {_shapes(found)}, "
                f"this base needs {_shapes(expected)}",
                "train the document again on its present base",
            )
        layer = LayerWeights(spec, *features[module])
        with torch.no_grad():
            for role, parameter in layer.named_parameters():
                parameter.copy_(layers[module][role].to(torch.float32))
        layer.requires_grad_(False)
        built[module] = layer
    adapter = AdapterWeights(spec, built)
    if not adapter.finite():
        raise AdapterError(
            f"{visible(str(weights_path))}: holds numbers that are not finite",
            "go back to an earlier version with `dlm rollback`, or train again",
        )
    return adapter


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_tensors(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise AdapterError(
            f"{visible(str(path))}: cannot be read as safetensors: {error}",
            "go back to an earlier version with `dlm rollback`, or train again",
        ) from error


def _key(module: str, role: str, *, bottleneck: bool) -> str:
    names = {
        v: k for k, v in _ROLES.items() if not (v == "gate_bias" and k.startswith("linear") == bottleneck)
    }
    tail = names[role]
    return (
        f"{_PREFIX}{module}.{tail}"
        if tail.startswith("lora_")
        else f"{_PREFIX}{module}.{_GATE}.{_SAVED_GATE_NAME}.{tail}"
    )


def _split_key(key: str, path: Path) -> tuple[str, str]:
    head, _, leaf = key.removeprefix(_PREFIX).rpartition(".")
    head, _, part = head.rpartition(".")
    role = _ROLES.get(f"{part}.{leaf}")
    if role is None or not head:
        raise AdapterError(f"{visible(str(path))}: a tensor this program does not know: `{visible(key)}`")
    if role.startswith("gate"):
        module, found, _ = head.rpartition(f".{_GATE}")
        return (module if found else head), role
    return head, role


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG_FILE
    try:
        config = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, *NOT_JSON) as error:
        raise AdapterError(
            f"{visible(str(path))}: cannot be read: {error}", "go back with `dlm rollback`, or train again"
        ) from error
    if config.get("peft_type") != "LORA":
        raise AdapterError(f"{visible(str(path))}: an adapter of type {config.get('peft_type')!r}, not LORA")
    refused = [k for k in _REFUSED if config.get(k)]
    if refused or config.get("bias", "none") != "none":
        raise AdapterError(
            f"{visible(str(path))}: {', '.join(refused) or 'bias'} is not supported by the bank"
        )
    return config


def _spec(
    name: str, config: Mapping[str, Any], modules: tuple[str, ...], layers: Mapping[str, Any]
) -> AdapterSpec:
    gated = any("gate_bias" in roles for roles in layers.values())
    rank = _between(1, int(config["r"]), _MAX_RANK)
    gate = None
    if gated:
        bottleneck = config.get("disel_gate_bottleneck_dim")
        gate = GateShape(
            float(config.get("disel_gate_bias_init", -3.0)),
            "zero" if config.get("disel_gate_weight_init") == "zero" else "random",
            bool(config.get("disel_gate_normalize", False)),
            None if bottleneck is None else _between(1, int(bottleneck), _MAX_RANK),
        )
    return AdapterSpec(
        name=name,
        kind="disel" if gate else "lora",
        rank=rank,
        alpha=float(config["lora_alpha"]),
        modules=modules,
        dropout=float(config.get("lora_dropout", 0.0)),
        gate=gate,
    )


def _between(low: int, value: int, high: int) -> int:
    if not low <= value <= high:
        raise ValueError(f"{value} is not between {low} and {high}")
    return value


def _shapes(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{role} {list(shape)}" for role, shape in sorted(found.items())) or "nothing"


def is_transposed(model: nn.Module) -> bool:
    """Whether the base's linear layers are transformers' Conv1D, which keep [in, out]."""
    from transformers.pytorch_utils import Conv1D

    return any(isinstance(module, Conv1D) for module in model.modules())
