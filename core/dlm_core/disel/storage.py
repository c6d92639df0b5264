"""Gates on disk: in the adapter's own file, or alone beside it. Safetensors only; nothing is unpickled."""

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from dlm_core.disel.attach import enable_disel, named_gates
from dlm_core.disel.config import DiselConfig
from dlm_core.disel.gates import GATE_PARAM_KEY
from dlm_core.disel.variant import UnloadedGatesWarning
from dlm_core.errors import AdapterError

GATE_FILENAME = "gate_weights.safetensors"

_GATE_KEY = re.compile(
    rf"(?P<layer>.+)\.{GATE_PARAM_KEY}\.(?:(?P<adapter>[^.]+)\.)?"
    r"(?P<parameter>(?:linear|proj_up)\.(?:weight|bias)|proj_down\.weight)"
)


class GatesNotFoundError(AdapterError, ValueError):
    """A folder that should hold gates holds none."""


class StrayGatesError(AdapterError, RuntimeError):
    """Stored gates have no place in the model, or another shape than the place they have."""


@dataclass(frozen=True)
class GateKey:
    """A gate tensor's key, taken apart.

    Attributes:
        layer: path of the LoRA layer under the PEFT model.
        adapter: the adapter's name when it was saved; None where the key has none.
        parameter: "linear.weight", "linear.bias", "proj_down.weight", "proj_up.weight" or "proj_up.bias".
    """

    layer: str
    adapter: str | None
    parameter: str


def split_gate_key(key: str) -> GateKey | None:
    """The parts of a gate's key, or None where the key is not a gate's."""
    match = _GATE_KEY.fullmatch(key)
    return GateKey(match["layer"], match["adapter"], match["parameter"]) if match else None


def save_gate_state_dict(
    model: nn.Module, save_directory: str | Path, adapter_name: str = "default", filename: str = GATE_FILENAME
) -> Path:
    """Write an adapter's gates into a file of their own and return its path.

    `save_pretrained` stores them with the adapter already; this is for moving gates by themselves.

    Raises:
        RuntimeError: the adapter has no gates.
    """
    tensors = {
        f"{layer}.{GATE_PARAM_KEY}.{adapter_name}.{parameter}": value.detach().cpu().contiguous()
        for layer, _, gate in named_gates(model, adapter_name)
        for parameter, value in gate.named_parameters()
    }
    if not tensors:
        raise RuntimeError(f"adapter {adapter_name!r} has no gates to save; call enable_disel first")
    folder = Path(save_directory)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / filename, metadata={"format": "pt"})
    return folder / filename


def load_gate_state_dict(
    model: PeftModel, adapter_path: str | Path, adapter_name: str = "default"
) -> PeftModel:
    """Fill an adapter's gates from a folder: its adapter_model.safetensors, else gate_weights.safetensors.

    The name under which the gates were saved does not matter. All keys and shapes are checked before the
    first gate changes. Gates that the folder has nothing for are named in an `UnloadedGatesWarning`.

    Raises:
        GatesNotFoundError: neither file has gates (a ValueError).
        StrayGatesError: stored gates do not fit the model's (a RuntimeError).
        AdapterError: a file cannot be read.
    """
    folder = Path(adapter_path)
    stored = _read_gates(folder / SAFETENSORS_WEIGHTS_NAME) or _read_gates(folder / GATE_FILENAME)
    if not stored:
        raise GatesNotFoundError(
            f"{folder}: no gates in {SAFETENSORS_WEIGHTS_NAME} or {GATE_FILENAME}",
            "the adapter was saved without DISeL, or as a pickle, which is not read",
        )
    gates = {layer: gate for layer, _, gate in named_gates(model, adapter_name)}
    for_gate: dict[str, dict[str, torch.Tensor]] = {}
    stray = []
    for key, tensor in stored.items():
        parts = split_gate_key(key)
        expected = dict(gates[parts.layer].named_parameters()) if parts and parts.layer in gates else {}
        if parts is None or parts.parameter not in expected:
            stray.append(f"{key!r} has no destination")
        elif expected[parts.parameter].shape != tensor.shape:
            have, want = list(tensor.shape), list(expected[parts.parameter].shape)
            stray.append(f"{key!r} is {have} and its destination {want}")
        elif parts.parameter in for_gate.setdefault(parts.layer, {}):
            stray.append(f"{key!r} is stored under a second adapter's name")
        else:
            for_gate[parts.layer][parts.parameter] = tensor
    for layer, tensors in for_gate.items():
        absent = sorted(dict(gates[layer].named_parameters()).keys() - tensors.keys())
        if absent and not stray:
            stray.append(f"{layer} comes without {', '.join(absent)}")
    if stray:
        raise StrayGatesError(
            f"{folder}: {len(stray)} stored gates do not fit adapter {adapter_name!r}: "
            + "; ".join(stray[:3]),
            "call enable_disel first, with the config and the adapter name that belong to this folder",
        )
    for layer, tensors in for_gate.items():
        gates[layer].load_state_dict(tensors)
    left = sorted(gates.keys() - for_gate.keys())
    if left:
        warnings.warn(
            f"{folder} has no gates for {len(left)} layers, which stay at their initial values: {left[:3]}",
            UnloadedGatesWarning,
            stacklevel=2,
        )
    return model


def from_pretrained(
    base_model: nn.Module,
    adapter_path: str | Path,
    config: DiselConfig | None = None,
    adapter_name: str = "default",
    **kwargs: Any,
) -> PeftModel:
    """Load a gated adapter's folder over a base model, gates included.

    Args:
        base_model: the base, changed in place; or a `PeftModel`, which gets the adapter, not activated.
        adapter_path: a local folder as `save_pretrained` writes it, here or by the reference package.
        config: settings to use instead of the folder's adapter_config.json.
        adapter_name: the name to load it under.
        **kwargs: for `PeftModel.from_pretrained` (or `load_adapter`), such as `is_trainable`.

    Raises:
        AdapterError: the folder lacks a file, or one cannot be read.
        TypeError: `config` is no `DiselConfig`.
        GatesNotFoundError, StrayGatesError: as in `load_gate_state_dict`.
    """
    folder = Path(adapter_path)
    if config is not None and not isinstance(config, DiselConfig):
        raise TypeError(f"from_pretrained takes a DiselConfig or None, not a {type(config).__name__}")
    if not folder.is_dir():
        raise AdapterError(
            f"{folder}: there is no such folder",
            "an adapter on the hub is downloaded first: `hf download NAME`",
        )
    if not (folder / SAFETENSORS_WEIGHTS_NAME).is_file():
        raise AdapterError(f"{folder}: no {SAFETENSORS_WEIGHTS_NAME}", "pickled adapters are not read")
    if config is None:
        config = _read_config(folder)
    # PEFT's loader gets plain settings: it fills the LoRA matrices, and the gates follow by any name.
    plain = config.without_gates()
    if isinstance(base_model, PeftModel):
        model = base_model
        plain.inference_mode = not kwargs.get("is_trainable", False)
        model.add_adapter(adapter_name, plain)
        model.load_adapter(str(folder), adapter_name, **kwargs)
    else:
        model = PeftModel.from_pretrained(
            base_model, str(folder), adapter_name=adapter_name, config=plain, **kwargs
        )
    enable_disel(model, config, adapter_name)
    return load_gate_state_dict(model, folder, adapter_name)


def _read_config(folder: Path) -> DiselConfig:
    try:
        config: DiselConfig = DiselConfig.from_pretrained(str(folder))
    except (ValueError, TypeError, OSError) as error:
        raise AdapterError(f"{folder}: adapter_config.json does not load: {error}") from error
    return config


def _read_gates(file: Path) -> dict[str, torch.Tensor]:
    if not file.is_file():
        return {}
    try:
        with safe_open(file, framework="pt") as tensors:
            return {key: tensors.get_tensor(key) for key in tensors.keys() if GATE_PARAM_KEY in key}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise AdapterError(f"{file}: not a readable safetensors file: {error}") from error
