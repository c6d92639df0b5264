"""Several adapters under constant weights as one LoRA, and that one as a change of the base's own weights."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from dlm_core.adapters.bank import Bank
from dlm_core.adapters.spec import AdapterSpec
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.export.constants import plain_layer


def stacked(
    name: str, adapters: Sequence[AdapterWeights], weights: Mapping[str, float], order: Sequence[str]
) -> AdapterWeights:
    """One LoRA that adds Σ_n w_n s_n B_n A_n: A stacked, weights and scales in B, alpha = rank.

    Every layer gets the same rank, the largest that is needed; elsewhere zeros fill up, since GGUF and PEFT
    divide by one rank. `adapters` have no gates; `order` lists the base's layers.
    """
    modules = tuple(m for m in order if any(m in a.layers for a in adapters))
    parts = {m: [a for a in adapters if m in a.layers] for m in modules}
    rank = max(sum(a.spec.rank for a in here) for here in parts.values())
    spec = AdapterSpec(name, "lora", rank, float(rank), modules, gate=None)
    layers = {}
    for module, here in parts.items():
        a = torch.cat([p.layers[module].a for p in here])
        b = torch.cat([p.layers[module].b * (weights[p.spec.name] * p.spec.scale) for p in here], 1)
        short = rank - a.shape[0]
        layers[module] = plain_layer(spec, functional.pad(a, (0, 0, 0, short)), functional.pad(b, (0, short)))
    return AdapterWeights(spec, layers)


def delta(lora: AdapterWeights, module: str) -> Tensor | None:
    """What a LoRA adds to a layer's weight, [d_out, d_in] in float32; None where it does not sit."""
    if module not in lora.layers:
        return None
    layer = lora.layers[module]
    return (layer.b.detach().float() @ layer.a.detach().float()) * lora.spec.scale


class Weights:
    """The base's tensors by the names they have without the bank, with a LoRA merged in where one is given.

    Merging is done in float32, tensor by tensor, and leaves the model alone.
    """

    def __init__(self, model: Any, bank: Bank, lora: AdapterWeights | None, *, transposed: bool) -> None:
        self._state: dict[str, Tensor] = model.state_dict()
        self._names: dict[str, str] = {}
        wrapped = {f"{name}.base.": f"{name}." for name in bank.layers}
        for key in self._state:
            begin = next((w for w in wrapped if key.startswith(w)), None) if ".base." in key else None
            self._names[key if begin is None else wrapped[begin] + key[len(begin) :]] = key
        self._lora, self._transposed = lora, transposed

    def names(self) -> Iterator[str]:
        """Every tensor's name, in the model's order."""
        return iter(self._names)

    def parameter(self, name: str) -> Tensor:
        """The model's own tensor of this name."""
        return self._state[self._names[name]]

    def get(self, name: str) -> Tensor:
        """One tensor, merged, in the base's dtype."""
        tensor = self._state[self._names[name]].detach()
        module, _, kind = name.rpartition(".")
        added = delta(self._lora, module) if self._lora is not None and kind == "weight" else None
        if added is None:
            return tensor
        return (tensor.float() + (added.T if self._transposed else added)).to(tensor.dtype)
