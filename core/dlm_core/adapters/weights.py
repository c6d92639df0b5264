"""The numbers of one adapter: per linear layer the factors A and B and, for `disel`, the rank gate."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dlm_core.adapters.spec import AdapterSpec


class LayerWeights(nn.Module):
    """One adapter on one linear layer.

    Shapes: `a` [r, d_in], `b` [d_out, r]. A `disel` adapter has either `gate_weight` [r, d_in] or, with a
    bottleneck of k, `gate_down` [k, d_in] and `gate_up` [r, k]; and `gate_bias` [r].
    """

    def __init__(self, spec: AdapterSpec, in_features: int, out_features: int) -> None:
        super().__init__()
        rank, gate = spec.rank, spec.gate
        self.a = nn.Parameter(torch.empty(rank, in_features))
        self.b = nn.Parameter(torch.zeros(out_features, rank))
        self.gate_weight: nn.Parameter | None = None
        self.gate_down: nn.Parameter | None = None
        self.gate_up: nn.Parameter | None = None
        self.gate_bias: nn.Parameter | None = None
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))
        if gate is None:
            return
        self.gate_bias = nn.Parameter(torch.full((rank,), gate.bias_init))
        if gate.bottleneck_dim is None:
            self.gate_weight = nn.Parameter(torch.zeros(rank, in_features))
            last = self.gate_weight
        else:
            self.gate_down = nn.Parameter(torch.empty(gate.bottleneck_dim, in_features))
            nn.init.kaiming_uniform_(self.gate_down, a=math.sqrt(5))
            self.gate_up = nn.Parameter(torch.zeros(rank, gate.bottleneck_dim))
            last = self.gate_up
        if gate.weight_init == "random":
            nn.init.kaiming_uniform_(last, a=math.sqrt(5))

    @property
    def gate_projection(self) -> nn.Parameter | None:
        """The gate's matrix that reads the layer's input: [r, d_in], or [k, d_in] with a bottleneck."""
        return self.gate_weight if self.gate_weight is not None else self.gate_down


@dataclass(frozen=True)
class AdapterWeights:
    """All layers of one adapter, by the base's module names."""

    spec: AdapterSpec
    layers: Mapping[str, LayerWeights]

    @classmethod
    def initial(
        cls, spec: AdapterSpec, features: Mapping[str, tuple[int, int]], seed: int
    ) -> "AdapterWeights":
        """Fresh weights: B is zero, so the adapter starts as the base. The same seed gives the same numbers.

        `features` has (d_in, d_out) of every module the spec names. The adapter's name takes part in the
        seed, so that adapters of one document do not start as copies of each other.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_stable_seed(seed, spec.name))
            return cls(spec, {name: LayerWeights(spec, *features[name]) for name in spec.modules})

    def named_tensors(self) -> Iterator[tuple[str, str, nn.Parameter]]:
        """(module name, role, tensor) for every tensor; role is the attribute name in LayerWeights."""
        for module, layer in self.layers.items():
            for role, parameter in layer.named_parameters():
                yield module, role, parameter

    def clone(self) -> "AdapterWeights":
        """A deep copy that shares nothing."""
        copies: dict[str, LayerWeights] = {}
        for name, layer in self.layers.items():
            out_features, in_features = layer.b.shape[0], layer.a.shape[1]
            with torch.random.fork_rng(devices=[]):
                copy = LayerWeights(self.spec, in_features, out_features)
            copy.load_state_dict(layer.state_dict())
            copies[name] = copy.to(layer.a.device)
        return AdapterWeights(self.spec, copies)

    def to(self, device: torch.device | str) -> "AdapterWeights":
        for layer in self.layers.values():
            layer.to(device)
        return self

    def requires_grad_(self, flag: bool) -> "AdapterWeights":
        for layer in self.layers.values():
            layer.requires_grad_(flag)
        return self

    def finite(self) -> bool:
        """Whether every number is finite."""
        return all(bool(torch.isfinite(parameter).all()) for _, _, parameter in self.named_tensors())


def _stable_seed(seed: int, name: str) -> int:
    """A seed that depends on both, the same in every process (hash() is salted, so it will not do)."""
    import hashlib

    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "little") & (2**63 - 1)


def gate_values(logits: Tensor) -> Tensor:
    """Openness: sigmoid of the gate's logits, elementwise ("Learning When to Adapt", arXiv 2605.19028)."""
    return torch.sigmoid(logits)
