"""Adapters in training, laid out flat: two long vectors each, of which every tensor is a view.

An adapter has some hundred small tensors. Two vectors make an optimiser step, a gradient norm or an exchange
between processes a few long operations instead of thousands of short ones. What learns at a rate of its own
stays apart: A and B in one vector, the gates in the other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from dlm_core.adapters.weights import AdapterWeights

Part = Literal["matrices", "gates"]


@dataclass(frozen=True)
class Place:
    """Where a tensor lies in its adapter's vectors: in which, from where, and its shape.

    B is kept transposed, [r, d_out], since that is how it is multiplied.
    """

    part: Part
    begin: int
    shape: tuple[int, ...]
    transposed: bool


class FlatAdapter:
    """One adapter's vectors, in place of its tensors' storage; a `lora` adapter has none for gates."""

    def __init__(self, adapter: AdapterWeights) -> None:
        self.adapter = adapter
        self.places: dict[tuple[str, str], Place] = {}
        sizes: dict[Part, int] = {}
        tensors = list(adapter.named_tensors())
        for module, role, parameter in tensors:
            part: Part = "gates" if role.startswith("gate") else "matrices"
            begin = sizes.get(part, 0)
            self.places[module, role] = Place(part, begin, tuple(parameter.shape), role == "b")
            sizes[part] = begin + parameter.numel()
        device = tensors[0][2].device
        self.vectors = {p: nn.Parameter(torch.empty(size, device=device)) for p, size in sizes.items()}
        self._gradients = {p: torch.zeros_like(vector.data) for p, vector in self.vectors.items()}
        with torch.no_grad():
            for module, role, parameter in tensors:
                view = self.value(module, role)
                view.copy_(parameter)
                parameter.data = view

    def value(self, module: str, role: str) -> Tensor:
        """A tensor in its own shape, a view of its vector."""
        place = self.places[module, role]
        return _view(self.vectors[place.part].data, place)

    def gradient(self, module: str, role: str) -> Tensor:
        """Where the tensor's gradient is to be added, in the tensor's shape."""
        place = self.places[module, role]
        return _view(self._gradients[place.part], place)

    def begin_step(self) -> None:
        """Empty the gradients."""
        for gradient in self._gradients.values():
            gradient.zero_()

    def attach(self) -> None:
        """Let autograd add to the gradients where it goes through the tensors."""
        for module, role, parameter in self.adapter.named_tensors():
            parameter.grad = self.gradient(module, role)

    def end_step(self, learned: bool) -> None:
        """Give the vectors their gradients; an adapter that learned nothing in this step has none, so that
        the optimiser leaves it alone.
        """
        for part, vector in self.vectors.items():
            vector.grad = self._gradients[part] if learned else None

    def release(self) -> None:
        """Give every tensor storage of its own again, without a gradient."""
        for _, _, parameter in self.adapter.named_tensors():
            parameter.grad = None
            parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)


class FlatAdapters:
    """All adapters of a run, and which of them took part in the step that is under way."""

    def __init__(self, adapters: Sequence[AdapterWeights]) -> None:
        self.each = [FlatAdapter(a) for a in adapters]
        self.vectors = [v for flat in self.each for v in flat.vectors.values()]
        self._learned: set[int] = set()

    def attach(self) -> None:
        """Let autograd add to the gradients."""
        for flat in self.each:
            flat.attach()

    def begin_step(self) -> None:
        """Empty all gradients."""
        self._learned.clear()
        for flat in self.each:
            flat.begin_step()

    def learn(self, indices: Iterable[int]) -> None:
        """Note adapters, by their place among the run's, that get gradients in this step."""
        self._learned.update(indices)

    def end_step(self) -> list[nn.Parameter]:
        """Give out the gradients; returns the vectors."""
        for i, flat in enumerate(self.each):
            flat.end_step(i in self._learned)
        return self.vectors

    def release(self) -> None:
        for flat in self.each:
            flat.release()


def _view(vector: Tensor, place: Place) -> Tensor:
    stretch = vector[place.begin : place.begin + torch.Size(place.shape).numel()]
    return stretch.view(place.shape[::-1]).t() if place.transposed else stretch.view(place.shape)
