"""Adapters in training, laid out flat: two long vectors each, of which every tensor is a view.

An adapter has some hundred small tensors. Two vectors make an optimiser step, a gradient norm or an exchange
between processes a few long operations instead of thousands of short ones. DISeL's groups stay apart: A and B
in one vector; gates, which have a rate of their own and no decay, in the other.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dlm_core.adapters.weights import AdapterWeights

_FUSED_DEVICES = ("cpu", "cuda", "mps")


@dataclass(frozen=True)
class Place:
    """Where a tensor lies in its adapter's vectors: which (`gates` or not), from where, and its shape.

    B is kept transposed, [r, d_out], since that is how it is multiplied.
    """

    gates: bool
    begin: int
    shape: tuple[int, ...]
    transposed: bool


class FlatAdapter:
    """One adapter's vectors, `matrices` and `gates` (None for `lora`), in place of its tensors' storage."""

    def __init__(self, adapter: AdapterWeights) -> None:
        self.adapter = adapter
        self.places: dict[tuple[str, str], Place] = {}
        sizes = {False: 0, True: 0}
        tensors = list(adapter.named_tensors())
        for module, role, parameter in tensors:
            gates = role.startswith("gate")
            self.places[module, role] = Place(gates, sizes[gates], tuple(parameter.shape), role == "b")
            sizes[gates] += parameter.numel()
        device = tensors[0][2].device
        self.matrices = nn.Parameter(torch.empty(sizes[False], device=device))
        self.gates = nn.Parameter(torch.empty(sizes[True], device=device)) if sizes[True] else None
        self._gradients = {False: torch.zeros_like(self.matrices.data)}
        if self.gates is not None:
            self._gradients[True] = torch.zeros_like(self.gates.data)
        with torch.no_grad():
            for module, role, parameter in tensors:
                view = self.value(module, role)
                view.copy_(parameter)
                parameter.data = view

    @property
    def vectors(self) -> list[nn.Parameter]:
        return [v for v in (self.matrices, self.gates) if v is not None]

    def value(self, module: str, role: str) -> Tensor:
        """A tensor in its own shape, a view of its vector."""
        place = self.places[module, role]
        vector = self.gates if place.gates else self.matrices
        assert vector is not None
        return _view(vector.data, place)

    def gradient(self, module: str, role: str) -> Tensor:
        """Where the tensor's gradient is to be added, in the tensor's shape."""
        place = self.places[module, role]
        return _view(self._gradients[place.gates], place)

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
        for gates, vector in ((False, self.matrices), (True, self.gates)):
            if vector is not None:
                vector.grad = self._gradients[gates] if learned else None

    def release(self) -> None:
        """Give every tensor storage of its own again, without a gradient."""
        for _, _, parameter in self.adapter.named_tensors():
            parameter.grad = None
            parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)


class FlatAdapters:
    """All adapters of a run, and which of them took part in the step that is under way."""

    def __init__(self, adapters: Sequence[AdapterWeights]) -> None:
        self.each = [FlatAdapter(a) for a in adapters]
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
        return [v for flat in self.each for v in flat.vectors]

    def release(self) -> None:
        for flat in self.each:
            flat.release()

    def optimiser(
        self, rates: Mapping[str, float], *, gate_lr_multiplier: float, weight_decay: float
    ) -> torch.optim.AdamW:
        """AdamW with decay on A and B alone and the gates at their own rate, as in DISeL.

        Args:
            rates: peak learning rate per adapter name.
            gate_lr_multiplier: the gates' rate over the matrices' (DISeL's default is 5).

        Every group carries `peak_lr`, from which the loop sets `lr`.
        """
        groups = []
        for flat in self.each:
            rate = rates[flat.adapter.spec.name]
            groups.append((flat.matrices, rate, weight_decay))
            if flat.gates is not None:
                groups.append((flat.gates, rate * gate_lr_multiplier, 0.0))
        return torch.optim.AdamW(
            [
                {"params": [p], "lr": rate, "peak_lr": rate, "weight_decay": decay}
                for p, rate, decay in groups
            ],
            fused=groups[0][0].device.type in _FUSED_DEVICES,
        )


def _view(vector: Tensor, place: Place) -> Tensor:
    size = torch.Size(place.shape).numel()
    stretch = vector[place.begin : place.begin + size]
    return stretch.view(place.shape[::-1]).t() if place.transposed else stretch.view(place.shape)
