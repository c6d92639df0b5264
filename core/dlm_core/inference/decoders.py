"""The two ways a reply's tokens are computed: the lean forward where the base has its shape, else
transformers' own with the bank in it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from dlm_core.adapters.bank import Bank, ServingPlan
from dlm_core.adapters.openness import OpennessLayout, OpennessRecorder
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.llama.decode_adapters import Routed, Stacks, active
from dlm_core.llama.decode_forward import LeanBase
from dlm_core.llama.keys_values import KeysValues

_Made = TypeVar("_Made", Routed, ServingPlan)


class RoutedDecoder(Protocol):
    """A decoder that also tells how open its rank gates stood. `layout` is None where nothing is gated."""

    past: Any
    lead: float
    layout: OpennessLayout | None

    def forward(self, ids: Sequence[int], read: int) -> Tensor: ...
    def forget(self, count: int) -> None: ...

    def openness(self, first: int, last: int) -> Tensor:
        """Mean gate values [layout's width] over rows `first` to `last` (excluded) of the last forward."""
        ...

    def close(self) -> None:
        """Leave the model as it was found."""
        ...


class LeanDecoder:
    """Adapters under one routing on the lean forward."""

    def __init__(self, base: LeanBase, adapters: Routed | None) -> None:
        self._base, self._adapters = base, adapters
        self.lead = base.lead
        self.past: KeysValues | None = None
        gated = adapters is not None and adapters.layout.width()
        self.layout = adapters.layout if adapters is not None and gated else None

    def forward(self, ids: Sequence[int], read: int) -> Tensor:
        if self.past is None:
            self.past = self._base.keys_values()
        return self._base.logits(ids, self.past, self._adapters, read)

    def forget(self, count: int) -> None:
        assert self.past is not None
        self.past.crop(-count)

    def openness(self, first: int, last: int) -> Tensor:
        assert self._adapters is not None
        return self._adapters.openness(first, last)

    def close(self) -> None:
        pass


class TransformersDecoder:
    """The model's own forward under a plan of its bank, which is in use from the first forward to `close`."""

    def __init__(self, model: Any, bank: Bank, plan: ServingPlan | None) -> None:
        self._model, self._bank, self._plan = model, bank, plan
        self.lead = 0.0
        self.past: Any = None
        self.layout = plan.layout if plan is not None and plan.layout.width() else None
        self._recorder = OpennessRecorder(self.layout) if self.layout is not None else None
        self._open: Tensor | None = None
        if plan is not None:
            plan.recorder = self._recorder
        bank.use(plan)

    def forward(self, ids: Sequence[int], read: int) -> Tensor:
        device = next(self._model.parameters()).device
        with torch.inference_mode():
            out = self._model(
                input_ids=torch.tensor([list(ids)], device=device),
                past_key_values=self.past,
                use_cache=True,
                logits_to_keep=read,
            )
        self.past = out.past_key_values
        if self._recorder is not None:
            self._open = self._recorder.flush()
        logits: Tensor = out.logits[0, -read:]
        return logits

    def forget(self, count: int) -> None:
        self.past.crop(-count)

    def openness(self, first: int, last: int) -> Tensor:
        assert self._open is not None
        return self._open

    def close(self) -> None:
        if self._plan is not None:
            self._plan.recorder = None
        self._bank.use(None)


class Decoders:
    """Makes decoders for one serving set; what was stacked for a routing is kept a while."""

    _KEPT = 4

    def __init__(
        self, model: Any, bank: Bank, lean: LeanBase | None, adapters: Sequence[AdapterWeights]
    ) -> None:
        self._model, self._bank, self._lean = model, bank, lean
        self._adapters = tuple(adapters)
        self._stacks: dict[tuple[str, ...], Stacks] = {}
        self._routed: dict[tuple[tuple[str, float], ...], Routed | ServingPlan] = {}

    def under(self, weights: Mapping[str, float]) -> RoutedDecoder:
        """A decoder for one reply; the caller closes it. Weights that are all 0 leave the base alone."""
        adapters = active(self._adapters, weights)
        key = tuple(sorted(weights.items()))
        made = self._routed.get(key)
        if self._lean is None:
            if made is None and adapters:
                made = self._keep(key, ServingPlan(self._bank, self._adapters, weights))
            assert not isinstance(made, Routed)
            return TransformersDecoder(self._model, self._bank, made)
        if made is None and adapters:
            made = self._keep(key, self._stacked(self._lean, adapters).routed(weights))
        assert not isinstance(made, ServingPlan)
        return LeanDecoder(self._lean, made)

    def all_stacks(self) -> Stacks | None:
        """All adapters of the serving set, for routings of any kind on the lean forward; None without any."""
        return (
            self._stacked(self._lean, self._adapters) if self._lean is not None and self._adapters else None
        )

    def _stacked(self, lean: LeanBase, adapters: Sequence[AdapterWeights]) -> Stacks:
        names = tuple(a.spec.name for a in adapters)
        if names not in self._stacks:
            while len(self._stacks) >= self._KEPT:
                self._stacks.pop(next(iter(self._stacks)))
            self._stacks[names] = Stacks(lean.shape, adapters, lean.precision)
        return self._stacks[names]

    def _keep(self, key: tuple[tuple[str, float], ...], made: _Made) -> _Made:
        while len(self._routed) >= self._KEPT:
            self._routed.pop(next(iter(self._routed)))
        self._routed[key] = made
        return made
