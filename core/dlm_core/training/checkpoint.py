"""A run that was stopped, on disk: adapters in training, the optimiser's state, where it stood. No pickle."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from dlm_core.adapters.weights import AdapterWeights
from dlm_core.errors import NOT_JSON, StoreError
from dlm_core.store import atomic
from dlm_core.training.progress import Learned

Phase = Literal["sft", "revision", "preference"]
_TENSORS = "state.safetensors"
_PROGRESS = "progress.json"
_EXTRA = "extra/"
_HINT = "start over with `dlm train` without `--resume`"


class Resumable(Protocol):
    """A training whose state can be kept: `progress` is a dataclass of plain values."""

    progress: Any
    optimiser: torch.optim.Optimizer

    def extra_tensors(self) -> dict[str, Tensor]:
        """What the training needs beside adapters, optimiser and progress."""
        ...

    def take_extra_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what `extra_tensors` gave."""
        ...


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """`progress.json`: the phase a run was in, what its answer phase came to, and the phase's progress."""

    phase: Phase
    learned: Learned
    progress: msgspec.Raw


def save(
    training: Resumable, phase: Phase, adapters: Sequence[AdapterWeights], learned: Learned, folder: Path
) -> None:
    """Write the state of a run into an empty folder; `adapters` are all that train in it."""
    tensors: dict[str, Tensor] = {"rng": torch.get_rng_state()}
    for i, state in enumerate(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []):
        tensors[f"rng/{i}"] = state
    for adapter in adapters:
        for module, role, parameter in adapter.named_tensors():
            tensors[_name(adapter, module, role)] = parameter
    for i, parameter in enumerate(_optimised(training)):
        for name, value in training.optimiser.state.get(parameter, {}).items():
            tensors[f"optimiser/{i}/{name}"] = torch.as_tensor(value)
    for name, value in training.extra_tensors().items():
        tensors[_EXTRA + name] = value
    apart = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    standing = Standing(
        phase=phase, learned=learned, progress=msgspec.Raw(msgspec.json.encode(training.progress))
    )
    atomic.write_bytes(folder / _TENSORS, save_tensors(apart))
    atomic.write_bytes(folder / _PROGRESS, msgspec.json.encode(standing))


def standing(folder: Path) -> Standing:
    """Where the run of a checkpoint stood. Raises StoreError: it is damaged."""
    try:
        return msgspec.json.decode((folder / _PROGRESS).read_bytes(), type=Standing)
    except (OSError, *NOT_JSON) as error:
        raise StoreError(f"{folder}: the checkpoint cannot be taken up: {error}", _HINT) from error


def restore(training: Resumable, adapters: Sequence[AdapterWeights], folder: Path) -> None:
    """Put a saved state into a training that was built for the same phase, plan and recipe.

    Raises:
        StoreError: the checkpoint is damaged or of another run.
    """
    try:
        tensors = load_tensors((folder / _TENSORS).read_bytes())
        progress = msgspec.json.decode(standing(folder).progress, type=type(training.progress))
        with torch.no_grad():
            for adapter in adapters:
                for module, role, parameter in adapter.named_tensors():
                    parameter.copy_(tensors[_name(adapter, module, role)])
        for i, parameter in enumerate(_optimised(training)):
            state: dict[str, Any] = {}
            for key in ("step", "exp_avg", "exp_avg_sq"):
                if f"optimiser/{i}/{key}" in tensors:
                    value = tensors[f"optimiser/{i}/{key}"]
                    if value.numel() not in (1, parameter.numel()):
                        raise RuntimeError("the optimiser was laid out otherwise")
                    state[key] = value.to(parameter.device)  # fused AdamW keeps its step count there too
            if state:
                training.optimiser.state[parameter] = state
        training.take_extra_tensors(
            {k.removeprefix(_EXTRA): v for k, v in tensors.items() if k.startswith(_EXTRA)}
        )
        torch.set_rng_state(tensors["rng"])
        if torch.cuda.is_available():
            for i in range(torch.cuda.device_count()):
                if f"rng/{i}" in tensors:
                    torch.cuda.set_rng_state(tensors[f"rng/{i}"], i)
    except (OSError, KeyError, RuntimeError, SafetensorError, *NOT_JSON) as error:
        raise StoreError(f"{folder}: the checkpoint cannot be taken up: {error}", _HINT) from error
    training.progress = progress


def _name(adapter: AdapterWeights, module: str, role: str) -> str:
    return f"adapter/{adapter.spec.name}/{module}/{role}"


def _optimised(training: Resumable) -> list[torch.nn.Parameter]:
    return [p for group in training.optimiser.param_groups for p in group["params"]]
