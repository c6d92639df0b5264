"""How open the rank gates stand: gate values collected during forwards, and summed per adapter, layer and
rank.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


def layer_and_module(name: str) -> tuple[int, str]:
    """The block number and the leaf name of a module: `model.layers.3.mlp.up_proj` is (3, "up_proj").

    A name without a number belongs to layer 0.
    """
    numbers = re.findall(r"\.(\d+)\.", f".{name}.")
    return (int(numbers[0]) if numbers else 0), name.rsplit(".", 1)[-1]


@dataclass(frozen=True)
class OpennessLayout:
    """Which gated columns a plan has: per module, in order, (adapter, rank) pairs."""

    columns: Mapping[str, tuple[tuple[str, int], ...]]

    def width(self) -> int:
        """How many gated ranks there are in all modules together."""
        return sum(rank for pairs in self.columns.values() for _, rank in pairs)

    def index(self, adapter: str) -> list[tuple[str, int, int]]:
        """(module, begin, end) of the adapter's stretch in the flat vector of all gated ranks."""
        found: list[tuple[str, int, int]] = []
        at = 0
        for module, pairs in self.columns.items():
            for name, rank in pairs:
                if name == adapter:
                    found.append((module, at, at + rank))
                at += rank
        return found


class OpennessRecorder:
    """Collects the gate values of each forward into one flat vector in layout order, and keeps their sum over
    tokens.

    Args:
        layout: the gated columns to expect.
        positions: per adapter the positions [rows, tokens] that count, as booleans; None counts all of them.
    """

    def __init__(self, layout: OpennessLayout, positions: Mapping[str, Tensor] | None = None) -> None:
        self.layout = layout
        self._positions = positions
        self._parts: dict[str, Tensor] = {}
        self.total = torch.zeros(layout.width())
        self.tokens = 0

    def add(self, module: str, openness: Tensor) -> None:
        """Take the gate values [.., tokens, G] of one module in this forward."""
        self._parts[module] = openness

    def add_part(self, module: str, adapter: str, openness: Tensor) -> None:
        """Take one adapter's gate values [tokens, r] of one module, in the layout's order of adapters; those
        that the layout leaves out are dropped.
        """
        if any(name == adapter for name, _ in self.layout.columns.get(module, ())):
            before = self._parts.get(module)
            self._parts[module] = openness if before is None else torch.cat([before, openness], -1)

    def flush(self) -> Tensor | None:
        """End of a forward: its mean openness per gated rank as a flat vector (float32), None if nothing
        came.
        """
        if not self._parts:
            return None
        flat = torch.cat([mean for module in self.layout.columns for mean in self._means(module)])
        flat = flat.float().cpu()
        count = next(iter(self._parts.values())).shape[-2]
        self._parts.clear()
        self.total += flat * count
        self.tokens += count
        return flat

    def _means(self, module: str) -> list[Tensor]:
        values = self._parts[module].reshape(-1, self._parts[module].shape[-1])
        if self._positions is None:
            return [values.mean(0)]
        adapters, ranks = zip(*self.layout.columns[module], strict=True)
        parts = torch.split(values, list(ranks), -1)
        return [
            part[self._positions[name].flatten()].mean(0) for name, part in zip(adapters, parts, strict=True)
        ]

    def reset(self) -> None:
        """Forget what was flushed so far (the prompt's share, say)."""
        self.total.zero_()
        self.tokens = 0

    def mean(self) -> Tensor:
        """Mean openness per gated rank over all flushed tokens."""
        return self.total / max(self.tokens, 1)


def per_rank(layout: OpennessLayout, flat: Tensor, adapter: str) -> dict[int, list[list[float]]]:
    """Openness of one adapter by layer: for each layer the ranks of each of its modules, values in 0..1."""
    layers: dict[int, list[list[float]]] = {}
    for module, begin, end in layout.index(adapter):
        layer, _ = layer_and_module(module)
        layers.setdefault(layer, []).append(flat[begin:end].tolist())
    return dict(sorted(layers.items()))


def by_module(layout: OpennessLayout, flat: Tensor, adapter: str) -> dict[str, dict[int, list[float]]]:
    """Openness of one adapter by module type: leaf name → layer → ranks."""
    modules: dict[str, dict[int, list[float]]] = {}
    for module, begin, end in layout.index(adapter):
        layer, leaf = layer_and_module(module)
        modules.setdefault(leaf, {})[layer] = [round(v, 4) for v in flat[begin:end].tolist()]
    return modules


def adapter_means(layout: OpennessLayout, flat: Tensor, adapters: Sequence[str]) -> dict[str, float]:
    """Mean openness per adapter over all its ranks; one without rank gates counts as fully open (1.0)."""
    means: dict[str, float] = {}
    for adapter in adapters:
        parts = [flat[begin:end] for _, begin, end in layout.index(adapter)]
        means[adapter] = float(torch.cat(parts).mean()) if parts else 1.0
    return means
