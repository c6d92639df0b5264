"""What stands for the rank gates where nothing can evaluate them: one number per rank.

A gated layer adds Σ_n w_n s_n B_n (g_n(x) ⊙ A_n x); an export can only add Σ_n v_n s_n B_n (c_n ⊙ A_n x) with
constant v and c. Two ways to choose c from what the layers read while the engine answers the document's own
questions:

* `mean`: c is the mean of g over those tokens;
* `least_squares`: c minimises the squared distance of the two sums over those tokens and over neutral text.
  With D = Σ_t (a_t a_tᵀ) ∘ (BᵀB), over all adapters of the layer at once, it solves D c = Σ_t diag(a_t) BᵀB
  (g_t ⊙ a_t).

`fit.py` goes further where neither is good enough: c, or B itself, fitted to the engine's predictions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from dlm_core.adapters.spec import AdapterSpec
from dlm_core.adapters.weights import AdapterWeights, LayerWeights, gate_values
from dlm_core.export.reference import Observer, Sample, predictions

Method = Literal["exact", "mean", "least_squares", "fitted", "distilled"]

_RIDGE = (
    1e-3  # of the mean diagonal, towards the mean openness: ranks the tokens say nothing about stay there
)


@dataclass(frozen=True)
class Constants:
    """A factor per rank: adapter → module → [r]. `exact`: no adapter has rank gates, every factor is 1.

    `refitted` has, for `distilled`, B [d_out, r] in place of the adapter's own, the factors taken up in it.
    """

    method: Method
    values: Mapping[str, Mapping[str, Tensor]]
    refitted: Mapping[str, Mapping[str, Tensor]] | None = None

    def static(self, adapter: AdapterWeights) -> AdapterWeights:
        """The adapter as a plain LoRA: B diag(c), no gate."""
        spec, name = plain_spec(adapter.spec), adapter.spec.name

        def b(module: str, own: Tensor) -> Tensor:
            return own * self.values[name][module] if self.refitted is None else self.refitted[name][module]

        return AdapterWeights(
            spec, {m: plain_layer(spec, layer.a, b(m, layer.b)) for m, layer in adapter.layers.items()}
        )

    def summary(self) -> dict[str, float]:
        """The mean factor of each adapter."""
        return {name: float(torch.cat(list(by.values())).mean()) for name, by in self.values.items()}


def plain_spec(spec: AdapterSpec, **changes: object) -> AdapterSpec:
    """`spec` without gates and dropout."""
    settings = {"name": spec.name, "rank": spec.rank, "alpha": spec.alpha, "modules": spec.modules} | changes
    return AdapterSpec(kind="lora", gate=None, **settings)  # type: ignore[arg-type]


def plain_layer(spec: AdapterSpec, a: Tensor, b: Tensor) -> LayerWeights:
    """A layer of factors A [r, d_in] and B [d_out, r], copied."""
    layer = LayerWeights(spec, a.shape[1], b.shape[0])
    layer.a, layer.b = nn.Parameter(a.detach().clone()), nn.Parameter(b.detach().clone())
    layer.requires_grad_(False)
    return layer


def exact(adapters: Sequence[AdapterWeights]) -> Constants:
    """Every factor 1."""
    ones = {
        a.spec.name: {m: torch.ones(a.spec.rank, device=layer.a.device) for m, layer in a.layers.items()}
        for a in adapters
    }
    return Constants("exact", ones)


@dataclass
class _LayerMoments:
    """Sums over tokens for one layer, ranks of all its adapters in a row (R of them): float64."""

    squares: Tensor
    targets: Tensor
    openness: Tensor
    counts: Tensor


class Moments:
    """What the layers read while the engine answered, summed up so far as the two estimates need it.

    Args:
        adapters: those with weight in the export.
        weights: the export's weights.
    """

    def __init__(self, adapters: Sequence[AdapterWeights], weights: Mapping[str, float]) -> None:
        self.adapters = tuple(adapters)
        self.weights = weights
        self.layers: dict[str, _LayerMoments] = {}

    def on(self, module: str) -> list[AdapterWeights]:
        """The adapters that sit on a layer."""
        return [a for a in self.adapters if module in a.layers]

    @torch.no_grad()
    def add(self, module: str, x: Tensor, routed: Mapping[str, float], *, of_document: bool) -> None:
        """Take a layer's input [1, T, d_in] under the engine's routing; `of_document`: it counts for the
        mean.
        """
        here = self.on(module)
        rows = x.reshape(-1, x.shape[-1]).float()
        products, opened, outs, shares = [], [], [], []
        for adapter in here:
            layer, spec = adapter.layers[module], adapter.spec
            products.append(rows @ layer.a.T)
            opened.append(_openness(layer, spec, rows))
            outs.append(layer.b * spec.scale)
            shares.append(torch.full((spec.rank,), routed.get(spec.name, 0.0), device=rows.device))
        a, g, b, share = torch.cat(products, 1), torch.cat(opened, 1), torch.cat(outs, 1), torch.cat(shares)
        gram = b.T @ b
        if module not in self.layers:
            zero = torch.zeros(len(share), dtype=torch.float64, device=rows.device)
            self.layers[module] = _LayerMoments(torch.outer(zero, zero), zero, zero.clone(), zero.clone())
        moments = self.layers[module]
        moments.squares += ((a.T @ a) * gram).double()
        moments.targets = moments.targets + ((((g * share) * a) @ gram) * a).sum(0).double()
        if of_document:
            moments.openness += (g.sum(0) * share).double()
            moments.counts += (len(rows) * share).double()

    def mean(self) -> Constants:
        """Every rank at its mean openness over the document's tokens, each as its adapter was routed to."""
        return Constants("mean", self._split(lambda m: self._mean(self.layers[m])))

    def least_squares(self) -> Constants:
        """The factors under which the layers' outputs are nearest, under the export's weights."""

        def solve(module: str) -> Tensor:
            moments = self.layers[module]
            share = torch.cat(
                [moments.counts.new_full((a.spec.rank,), self.weights[a.spec.name]) for a in self.on(module)]
            )
            ridge = _RIDGE * moments.squares.diagonal().mean().clamp_min(1e-12)
            system = moments.squares + ridge * torch.eye(len(share), dtype=share.dtype, device=share.device)
            together: Tensor = torch.linalg.solve(
                system, moments.targets + ridge * share * self._mean(moments)
            )
            return together / share

        return Constants("least_squares", self._split(solve))

    def _mean(self, moments: _LayerMoments) -> Tensor:
        return moments.openness / moments.counts.clamp_min(1e-9)

    def _split(self, of_layer: Callable[[str], Tensor]) -> dict[str, dict[str, Tensor]]:
        values: dict[str, dict[str, Tensor]] = {a.spec.name: {} for a in self.adapters}
        for module in self.layers:
            here = self.on(module)
            parts = torch.split(of_layer(module).float(), [a.spec.rank for a in here])
            for adapter, part in zip(here, parts, strict=True):
                values[adapter.spec.name][module] = part
        return values


def gather(
    observer: Observer,
    adapters: Sequence[AdapterWeights],
    weights: Mapping[str, float],
    document: Sequence[Sample],
    neutral: Sequence[Sample],
) -> Moments:
    """Run the engine over its samples once more, and sum up what the layers read."""
    moments = Moments(adapters, weights)
    routed: Mapping[str, float] = {}
    of_document = True

    def note(name: str, module: nn.Module, args: tuple[Tensor, ...]) -> None:
        moments.add(name, args[0], routed, of_document=of_document)

    watched = [m for m in observer.bank.layers if moments.on(m)]
    hooks = [observer.bank.layers[m].register_forward_pre_hook(partial(note, m)) for m in watched]
    try:
        for sample in (*document, *neutral):
            observer.check_stop()
            routed, of_document = sample.weights, any(sample is s for s in document)
            observer.bank.use(observer.plan(sample.weights))
            predictions(observer.head, sample.ids, sample.positions[-1:])
    finally:
        observer.bank.use(None)
        for hook in hooks:
            hook.remove()
    return moments


def _openness(layer: LayerWeights, spec: AdapterSpec, rows: Tensor) -> Tensor:
    """g(x) [T, r] of one adapter on one layer; all ones without a gate."""
    if spec.gate is None:
        return torch.ones(len(rows), spec.rank, device=rows.device)
    assert layer.gate_projection is not None and layer.gate_bias is not None
    read = rows @ layer.gate_projection.T
    if layer.gate_up is not None:
        read = read @ layer.gate_up.T
    return gate_values((read + layer.gate_bias) * spec.gate.logit_scale(rows.shape[-1]))
