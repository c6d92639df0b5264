"""The formula of the bank, written out as it stands in the papers: the reference for every faster form.

    Δ(x) = Σ_n w_n · (α_n/r_n) · B_n ( g_n(x) ⊙ A_n x ),   g_n(x) = σ( s (W_g,n x + b_g,n) )

with g = 1 for `lora` (arXiv 2106.09685, section 4.1) and the gate of DISeL otherwise (arXiv 2605.19028); s is
1, or 1/√d_in for normalised gates, and W_g = U D where the gate has a bottleneck.
`tests/unit/adapters/test_formula.py` holds these to it:

| where | what is different |
|---|---|
| `adapters.bank.LayerStack` | all adapters of a layer in two products; rows or routings weigh |
| `llama.training_groups.Group` | layers of one input in two products; the backward is written out |
| `llama.decode_adapters.Stacks` | as that, in the base's number format; a gate is one affine map |
| `disel.variant.DiselLinearVariant` | one adapter, in PEFT's layers |
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from dlm_core.adapters.spec import AdapterSpec
from dlm_core.adapters.weights import AdapterWeights, LayerWeights


def openness(spec: AdapterSpec, layer: LayerWeights, x: Tensor) -> Tensor:
    """g(x) [.., r] of one adapter for x [.., d_in]."""
    if spec.gate is None:
        return torch.ones(*x.shape[:-1], spec.rank)
    assert layer.gate_bias is not None
    if layer.gate_weight is not None:
        logits = x @ layer.gate_weight.T
    else:
        assert layer.gate_down is not None and layer.gate_up is not None
        logits = x @ layer.gate_down.T @ layer.gate_up.T
    return torch.sigmoid((logits + layer.gate_bias) * spec.gate.logit_scale(x.shape[-1]))


def delta(
    adapters: Sequence[AdapterWeights], weights: Mapping[str, float], module: str, x: Tensor
) -> Tensor | float:
    """Δ(x) [.., d_out] of the linear layer `module` for x [.., d_in], without dropout; 0 where none sits.

    Args:
        weights: the routing, by adapter name; one that is missing counts as 0.
    """
    total: Tensor | float = 0.0
    for adapter in adapters:
        if module in adapter.layers:
            spec, layer = adapter.spec, adapter.layers[module]
            opened = openness(spec, layer, x) * (x @ layer.a.T)
            total = total + weights.get(spec.name, 0.0) * spec.scale * (opened @ layer.b.T)
    return total
