"""The methods that a comparison trains: which rates are tried for each, and how those that are not ours are
put on a base. PEFT does the low-rank ones; full fine-tuning opens every weight.

`disel` and `lora` are this project's own and go through the bank.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dlm_core.adapters.spec import GateShape
from dlm_core.adapters.targets import is_attention
from dlm_core.reports import Method

BANK: tuple[Method, ...] = ("disel", "lora")

RATES: Mapping[Method, tuple[float, ...]] = {
    "disel": (2.5e-3, 5e-3, 1e-2),
    "lora": (1e-3, 2e-3, 4e-3),
    "lora-mlp": (1e-3, 2e-3, 4e-3),
    "dora": (1e-3, 2e-3, 4e-3),
    "adalora": (2.5e-3, 5e-3, 1e-2),
    "full": (5e-5, 1e-4, 2e-4),
}
"""Peak learning rates tried for each method, a factor of two apart. Where the best is the lowest or the
highest of them, the next one beyond is tried as well."""

_ADALORA_SPARE = 1.5  # AdaLoRA starts with so many times the rank, and prunes down to it
_ORTHOGONALITY = 0.5  # weight of AdaLoRA's penalty, PEFT's default (arXiv 2303.10512, equation 4)


@dataclass(frozen=True)
class Shape:
    """What all low-rank methods have in common: rank, alpha, the linear layers by full name, and the rank
    gates that `disel` has on top.
    """

    rank: int
    alpha: float
    modules: tuple[str, ...]
    gate: GateShape

    def modules_of(self, method: Method) -> tuple[str, ...]:
        """The layers a method sits on: `lora-mlp` leaves attention alone."""
        if method != "lora-mlp":
            return self.modules
        return tuple(m for m in self.modules if not is_attention(m))


@dataclass(frozen=True)
class Attached:
    """A method on a base, ready to be trained.

    `parameters` are those that train. `after_step` is told the number of each optimiser step (1-based)
    while its gradients still stand. `penalty` is added to the loss.
    """

    parameters: Sequence[nn.Parameter]
    after_step: Callable[[int], None] = lambda step: None
    penalty: Callable[[], Tensor | None] = lambda: None


def attach(method: Method, model: Any, shape: Shape, steps: int, seed: int) -> Attached:
    """Put a method that is not ours on `model`, in place.

    Args:
        steps: optimiser steps of the whole training; AdaLoRA spreads its pruning over them.
        seed: of the initial weights.
    """
    torch.manual_seed(seed)
    if method == "full":
        model.float().requires_grad_(True)
        return Attached([p for p in model.parameters() if p.requires_grad])
    import peft

    common: dict[str, Any] = {
        "lora_alpha": shape.alpha,
        "target_modules": list(shape.modules_of(method)),
        "task_type": "CAUSAL_LM",
    }
    if method != "adalora":
        config: Any = peft.LoraConfig(r=shape.rank, use_dora=method == "dora", **common)
        return Attached(_trained(peft.get_peft_model(model, config)))
    # The budget falls from a tenth of the steps to half of them; early stopping then finds it at its end.
    config = peft.AdaLoraConfig(
        init_r=max(shape.rank + 1, round(_ADALORA_SPARE * shape.rank)),
        target_r=shape.rank,
        tinit=steps // 10,
        tfinal=steps - steps // 2,
        deltaT=max(1, steps // 50),
        total_step=steps,
        **common,
    )
    wrapped = peft.get_peft_model(model, config)
    pairs = [p for name, p in wrapped.named_parameters() if "lora_A" in name or "lora_B" in name]
    return Attached(
        _trained(wrapped), wrapped.base_model.update_and_allocate, lambda: _ORTHOGONALITY * departure(pairs)
    )


def departure(matrices: Sequence[Tensor]) -> Tensor:
    """AdaLoRA's orthogonality penalty (arXiv 2303.10512, equation 4): how far, by Frobenius norm, A Aᵀ and
    Bᵀ B are from the identity in the mean, over A [r, d_in] and B [d_out, r].
    """
    distances = []
    for matrix in matrices:
        wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
        gram = wide @ wide.T
        distances.append(torch.linalg.matrix_norm(gram - torch.eye(len(gram), device=gram.device)))
    return torch.stack(distances).mean()


def _trained(model: nn.Module) -> list[nn.Parameter]:
    return [p for p in model.parameters() if p.requires_grad]
