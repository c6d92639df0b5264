"""A run that was stopped, on disk: adapters in training, the optimiser's state, and where the loop stood. No
pickle.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from dlm_core.errors import StoreError
from dlm_core.store import atomic
from dlm_core.training.loop import Loop, Progress

_TENSORS = "state.safetensors"
_PROGRESS = "progress.json"


def save(loop: Loop, folder: Path) -> None:
    """Write the loop's state into an empty folder."""
    tensors: dict[str, Tensor] = {"rng": torch.get_rng_state()}
    for adapter in loop.adapters:
        for module, role, parameter in adapter.named_tensors():
            tensors[f"adapter/{adapter.spec.name}/{module}/{role}"] = parameter.detach().cpu().contiguous()
    for i, parameter in enumerate(_optimised(loop)):
        for name, value in loop.optimiser.state.get(parameter, {}).items():
            tensors[f"optimiser/{i}/{name}"] = torch.as_tensor(value).detach().cpu().contiguous()
    for adapter_name, best in (loop.best or {}).items():
        for key, value in best.items():
            tensors[f"best/{adapter_name}/{key}"] = value.cpu().contiguous()
    atomic.write_bytes(folder / _TENSORS, save_tensors({k: v.clone() for k, v in tensors.items()}))
    atomic.write_bytes(folder / _PROGRESS, msgspec.json.encode(asdict(loop.progress)))


def restore(loop: Loop, folder: Path) -> None:
    """Put a saved state into a loop that was built for the same plan and recipe.

    Raises:
        StoreError: the checkpoint is damaged or of another run.
    """
    hint = "start over with `dlm train` without `--resume`"
    try:
        tensors = load_tensors((folder / _TENSORS).read_bytes())
        progress = msgspec.json.decode((folder / _PROGRESS).read_bytes(), type=Progress)
        with torch.no_grad():
            for adapter in loop.adapters:
                for module, role, parameter in adapter.named_tensors():
                    parameter.copy_(tensors[f"adapter/{adapter.spec.name}/{module}/{role}"])
        for i, parameter in enumerate(_optimised(loop)):
            state: dict[str, Any] = {}
            for key in ("step", "exp_avg", "exp_avg_sq"):
                if f"optimiser/{i}/{key}" in tensors:
                    value = tensors[f"optimiser/{i}/{key}"]
                    state[key] = value.to(parameter.device)  # fused AdamW keeps its step count there too
            if state:
                loop.optimiser.state[parameter] = state
        best: dict[str, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("best/"):
                _, adapter_name, name = key.split("/", 2)
                best.setdefault(adapter_name, {})[name] = value.to(loop.device)
        loop.best = best or None
        torch.set_rng_state(tensors["rng"])
    except (OSError, KeyError, RuntimeError, SafetensorError, msgspec.DecodeError) as error:
        raise StoreError(f"{folder}: the checkpoint cannot be taken up: {error}", hint) from error
    loop.progress = progress


def _optimised(loop: Loop) -> list[torch.nn.Parameter]:
    return [p for group in loop.optimiser.param_groups for p in group["params"]]
