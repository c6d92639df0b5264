"""The two rank gates, as modules that know nothing of PEFT: input in, one openness per rank out."""

import math
from typing import Any, Literal

import torch
from torch import nn

GATE_PARAM_KEY = "lora_disel_gate"
"""Name of the ModuleDict {adapter: gate} on a LoRA layer, and so a part of every gate key on disk."""

WeightInit = Literal["random", "zero"]


class Gate(nn.Module):
    """What both gates share: sigmoid over logits, optional scaling, and whether stored values are due.

    Attributes:
        normalize: logits, bias included, are multiplied by 1/sqrt(in_features).
        awaits_weights: the gate was put on an adapter that is already trained and has not been loaded
            since; any `load_state_dict` that reaches the gate clears it.
    """

    def __init__(self, in_features: int, rank: int, normalize: bool) -> None:
        super().__init__()
        self.in_features = in_features
        self.rank = rank
        self.normalize = normalize
        self.awaits_weights = False
        self.register_load_state_dict_post_hook(_mark_loaded)  # type: ignore[no-untyped-call]

    def project(self, x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Logits before the sigmoid; [..., in_features] to [..., rank]."""
        h = self.project(x)
        if self.normalize:
            # A tensor, not a float: the factor is rounded to the gate's dtype, as the reference does.
            h = h * torch.full((), 1.0 / math.sqrt(self.in_features), dtype=h.dtype, device=h.device)
        return h

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Openness in (0, 1); [..., in_features] to [..., rank]. In the gate's own number format: under
        autocast too, since an openness near 0 has few digits in a shorter one.
        """
        with torch.autocast(x.device.type, enabled=False):
            return torch.sigmoid(self.logits(x))


def _mark_loaded(gate: nn.Module, incompatible_keys: Any) -> None:
    assert isinstance(gate, Gate)
    gate.awaits_weights = False


class RankGate(Gate):
    """g(x) = sigmoid(W_g x + b_g).

    Args:
        in_features: width of the layer's input.
        rank: number of rank-one components, one gate value each.
        bias_init: start of b_g; −3 leaves every gate about 5 % open.
        normalize: scale logits, bias included, by 1/sqrt(in_features).
        weight_init: "random" (torch's Linear default, Kaiming-uniform) or "zero" (gate starts constant).

    Raises:
        ValueError: an unknown `weight_init`.
    """

    def __init__(
        self,
        in_features: int,
        rank: int,
        bias_init: float = -3.0,
        normalize: bool = False,
        weight_init: WeightInit = "random",
    ) -> None:
        super().__init__(in_features, rank, normalize)
        self.linear = nn.Linear(in_features, rank)
        _initialise(self.linear, bias_init, weight_init)

    def project(self, x: torch.Tensor) -> torch.Tensor:
        h: torch.Tensor = self.linear(x)
        return h


class LightRankGate(Gate):
    """g(x) = sigmoid(U (V x) + b_g): the same through a bottleneck, with (d_in + r)·k weights for d_in·r.

    Args:
        in_features: width of the layer's input.
        rank: number of rank-one components.
        bottleneck_dim: k, the width between V and U.
        bias_init, normalize: as in `RankGate`.
        weight_init: "random" for both projections, or "zero" for U alone.

    Raises:
        ValueError: an unknown `weight_init`.
    """

    def __init__(
        self,
        in_features: int,
        rank: int,
        bottleneck_dim: int = 16,
        bias_init: float = -3.0,
        normalize: bool = False,
        weight_init: WeightInit = "random",
    ) -> None:
        super().__init__(in_features, rank, normalize)
        self.bottleneck_dim = bottleneck_dim
        self.proj_down = nn.Linear(in_features, bottleneck_dim, bias=False)
        self.proj_up = nn.Linear(bottleneck_dim, rank)
        _initialise(self.proj_up, bias_init, weight_init)

    def project(self, x: torch.Tensor) -> torch.Tensor:
        h: torch.Tensor = self.proj_up(self.proj_down(x))
        return h


def _initialise(last: nn.Linear, bias_init: float, weight_init: WeightInit) -> None:
    if weight_init not in ("random", "zero"):
        raise ValueError(f"weight_init is 'random' or 'zero', not {weight_init!r}")
    if weight_init == "zero":
        nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, bias_init)
