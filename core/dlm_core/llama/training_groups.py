"""Layers of a base that read the same input, with the adapters of a step stacked on them.

x ─▶ [A; W_g] ─▶ a · σ(z + b) · weight ─▶ B ─▶ + ─▶ y
└──▶ W ────────────────────────────────────────┘
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dlm_core.adapters.flat import FlatAdapters
from dlm_core.adapters.spec import AdapterSpec
from dlm_core.llama.shape import Projection, fused_weight

Record = Callable[[str, int, Tensor], None]
"""Takes a layer's name, an adapter's index and its openness [T, r]."""


def fits(specs: Sequence[AdapterSpec]) -> bool:
    """Whether adapters are of a kind that is written out here: no dropout, no bottleneck before a gate, gates
    all normalised or none.
    """
    gates = [s.gate for s in specs if s.gate is not None]
    return (
        all(s.dropout == 0 for s in specs)
        and all(g.bottleneck_dim is None for g in gates)
        and len({g.normalize for g in gates}) <= 1
    )


@dataclass(frozen=True)
class Span:
    """An adapter's columns in a group's products, [begin, end), for the layer `module` whose outputs are
    [out_begin, out_end).
    """

    adapter: int
    module: str
    begin: int
    end: int
    out_begin: int
    out_end: int


@dataclass(frozen=True)
class Kept:
    """What a group's backward needs: its input [T, d_in], a [T, R], openness [T, G], h [T, R]."""

    x: Tensor
    a: Tensor
    openness: Tensor
    hidden: Tensor


class Group:
    """Layers that read the same input, with the stacked numbers of the adapters that are active in this step.

    `read` is [A of every column; W_g of the gated ones], [R + G, d_in]; `out` is B transposed, [R, sum of
    d_out], block by block; gated columns come first.
    """

    def __init__(self, projections: Sequence[Projection], dtype: torch.dtype) -> None:
        self.names = [p.name for p in projections]
        self.sizes = [p.weight.shape[0] for p in projections]
        if all(p.weight.dtype == dtype for p in projections):
            self.weight = fused_weight(projections)
        else:
            self.weight = torch.cat([p.weight.detach().to(dtype) for p in projections])
        self.turned = self.weight.t()
        self.bias: Tensor | None = None
        if any(p.bias is not None for p in projections):
            parts = [
                torch.zeros(s, device=self.weight.device) if p.bias is None else p.bias.detach()
                for p, s in zip(projections, self.sizes, strict=True)
            ]
            self.bias = torch.cat(parts).to(dtype)
        self.spans: list[Span] = []
        self.rank = self.gated = 0
        self.ranks: list[int] = []
        self.gated_ranks: list[int] = []
        self.logit_scale = 1.0
        self.read = self.out = self.gate_bias = torch.empty(0)
        self.goals: list[Tensor] = []
        self.sources: list[Tensor] = []
        self.columns: tuple[tuple[int, float], ...] = ()

    def lay_out(self, flat: FlatAdapters, active: Sequence[int]) -> None:
        """Make room for the adapters `active`; their numbers come with `pairs`."""
        device, dtype, at = self.weight.device, self.weight.dtype, 0
        specs = [f.adapter.spec for f in flat.each]
        self.spans = []
        for gated in (True, False):
            begin = 0
            for name, size in zip(self.names, self.sizes, strict=True):
                for i in active:
                    spec = specs[i]
                    if (spec.gate is not None) == gated and name in spec.modules:
                        self.spans.append(Span(i, name, at, at + spec.rank, begin, begin + size))
                        at += spec.rank
                begin += size
            if gated:
                self.gated = at
        self.rank = at
        d_in = self.weight.shape[1]
        gate = next((specs[s.adapter].gate for s in self.spans if s.end <= self.gated), None)
        self.logit_scale = gate.logit_scale(d_in) if gate is not None else 1.0
        self.read = torch.zeros(at + self.gated, d_in, dtype=dtype, device=device)
        self.out = torch.zeros(at, self.weight.shape[0], dtype=dtype, device=device)
        self.gate_bias = torch.zeros(self.gated, device=device)
        self.columns = tuple(
            (s.adapter, specs[s.adapter].scale) for s in self.spans for _ in range(s.begin, s.end)
        )
        gated_spans = [s for s in self.spans if s.end <= self.gated]
        self.ranks = [s.end - s.begin for s in self.spans]
        self.gated_ranks = [s.end - s.begin for s in gated_spans]
        self.goals = [
            flat.each[s.adapter].gradient(s.module, role)
            for spans, role in ((self.spans, "a"), (gated_spans, "gate_weight"), (gated_spans, "gate_bias"))
            for s in spans
        ] + [flat.each[s.adapter].gradient(s.module, "b").t() for s in self.spans]
        self.sources = [
            flat.each[s.adapter].value(s.module, role)
            for spans, role in ((self.spans, "a"), (gated_spans, "gate_weight"), (gated_spans, "gate_bias"))
            for s in spans
        ] + [flat.each[s.adapter].value(s.module, "b").t() for s in self.spans]

    @property
    def stacks(self) -> list[Tensor]:
        """Where the numbers of `sources` go."""
        return self.parts(self.read, self.gate_bias, self.out)

    def parts(self, read: Tensor, gate_bias: Tensor, out: Tensor) -> list[Tensor]:
        """Stacks, or gradients of their shapes, cut up as `goals` and `sources` are."""
        return [
            *torch.split(read[: self.rank], self.ranks),
            *torch.split(read[self.rank :], self.gated_ranks),
            *torch.split(gate_bias, self.gated_ranks),
            *(out[s.begin : s.end, s.out_begin : s.out_end] for s in self.spans),
        ]

    def forward(self, x: Tensor, weights: Tensor, record: Record | None) -> tuple[Tensor, Kept | None]:
        """y [T, sum of d_out] for x [T, d_in]; `weights` [T, R] are routing weights times alpha / r.

        [a | z] = x [A; W_g]ᵀ      s = σ((z + b) · scale)      h = a ⊙ weights ⊙ [s | 1]      y = x Wᵀ + h Bᵀ
        """
        y = x @ self.turned if self.bias is None else torch.addmm(self.bias, x, self.turned)
        if not self.rank:
            return y, None
        product = (x @ self.read.t()).float()
        a, gated = product[:, : self.rank], self.gated
        hidden = a * weights
        openness = hidden[:, :0]
        if gated:
            openness = (product[:, self.rank :] + self.gate_bias).mul_(self.logit_scale).sigmoid_()
            if record is not None:
                for s in self.spans[: len(self.gated_ranks)]:
                    record(s.module, s.adapter, openness[:, s.begin : s.end])
            hidden[:, :gated].mul_(openness)
        hidden = hidden.to(x.dtype)
        y.addmm_(hidden, self.out)
        return y, Kept(x, a, openness, hidden)

    def backward(self, dy: Tensor, kept: Kept | None, weights: Tensor, gradients: "Gradients") -> Tensor:
        """dx [T, d_in] for dy [T, sum of d_out]; hands the adapters' gradients to `gradients`.

        dx = dy W + [da | dz] [A; W_g]
        """
        dx = dy @ self.weight
        dproduct = self.learn(dy, kept, weights, gradients)
        return dx if dproduct is None else dx.addmm_(dproduct, self.read)

    def learn(self, dy: Tensor, kept: Kept | None, weights: Tensor, gradients: "Gradients") -> Tensor | None:
        """The backward without dx, for where nothing below learns. Gives the gradient [T, R + G] of what
        `read` gave, None where no adapter sits here.

            dh = dy B ⊙ weights      da = dh ⊙ [s | 1]      dz = dh ⊙ a ⊙ s (1 − s) · scale
            d[A; W_g] = [da | dz]ᵀ x      db = Σ_T dz      dBᵀ = hᵀ dy
        """
        if kept is None:
            return None
        gated = self.gated
        dh = (dy @ self.out.t()).float().mul_(weights)
        dz = dh[:, :0]
        if gated:
            s = kept.openness
            da = dh[:, :gated].mul_(s)
            dz = torch.mul(da, kept.a[:, :gated]).mul_(1 - s).mul_(self.logit_scale)
        dproduct = torch.cat([dh, dz], 1).to(dy.dtype)
        gradients.add(self, dproduct.t() @ kept.x, dz.sum(0), kept.hidden.t() @ dy)
        return dproduct


class Gradients:
    """Collects what the groups' backwards give, and adds it to the adapters' vectors in one go."""

    def __init__(self) -> None:
        self._goals: list[Tensor] = []
        self._parts: list[Tensor] = []

    def add(self, group: Group, read: Tensor, gate_bias: Tensor, out: Tensor) -> None:
        self._goals += group.goals
        self._parts += group.parts(read, gate_bias, out)

    def flush(self) -> None:
        if self._goals:
            torch._foreach_add_(self._goals, self._parts)
        self._goals, self._parts = [], []
