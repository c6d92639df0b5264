"""How open the gates were: the mean gate value per layer, adapter and rank over whatever was run."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from dlm_core.disel.attach import named_gates


class OpennessRecorder:
    """Running means of gate values; filled while `record_openness` is open, readable after it too."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], torch.Tensor] = {}
        self._positions: dict[tuple[str, str], int] = {}

    def add(self, layer: str, adapter: str, values: torch.Tensor) -> None:
        """Count gate values of shape [..., rank]."""
        flat = values.detach().reshape(-1, values.shape[-1]).to(torch.float32)
        key = (layer, adapter)
        self._sums[key] = self._sums.get(key, torch.zeros_like(flat[0])) + flat.sum(dim=0)
        self._positions[key] = self._positions.get(key, 0) + flat.shape[0]

    def per_layer(self, adapter_name: str = "default") -> dict[str, torch.Tensor]:
        """Layer path to mean openness [rank], float32, over all positions seen, padding among them."""
        return {
            layer: total / self._positions[layer, adapter]
            for (layer, adapter), total in self._sums.items()
            if adapter == adapter_name
        }

    def mean(self, adapter_name: str = "default") -> float | None:
        """Mean over layers and ranks, every rank counted once; None if the adapter's gates never ran."""
        layers = self.per_layer(adapter_name)
        return torch.cat([ranks.cpu() for ranks in layers.values()]).mean().item() if layers else None


@contextmanager
def record_openness(model: nn.Module) -> Iterator[OpennessRecorder]:
    """Record every gate that runs inside the block. Outputs and gradients are the same as without."""
    recorder = OpennessRecorder()
    handles = [
        gate.register_forward_hook(_counting(recorder, layer, adapter))
        for layer, adapter, gate in named_gates(model)
    ]
    try:
        yield recorder
    finally:
        for handle in handles:
            handle.remove()


def _counting(recorder: OpennessRecorder, layer: str, adapter: str) -> Any:
    def count(gate: nn.Module, args: tuple[torch.Tensor, ...], values: torch.Tensor) -> None:
        if values.numel():
            recorder.add(layer, adapter, values)

    return count
