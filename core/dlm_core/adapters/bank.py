"""The bank: one fused layer around each linear of the base that applies every adapter at once.

    y = W x + Σ_n w_n · (α_n/r_n) · B_n ( g_n(x) ⊙ A_n x ),   g_n(x) = sigmoid(W_g,n x + b_g,n)   (lora: g =
    1)

A *plan* says which adapters apply and with what weights. A `TrainingPlan` stacks live parameters on every
forward and weighs adapters per row; a `ServingPlan` folds weights and scales into B once. Without a plan a
layer returns what the base's own layer returns, bit for bit.

      x ──▶ base layer ───────────────────────────────▶ + ──▶ y
      └──▶ [A_1; A_2; …; W_g1; W_g2; …] ─▶ a ⊙ σ(·) ──▶ B ─┘      (one product in, one product out)

Layers that read the very same input (q, k and v; gate and up) share the first product.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlm_core.adapters.openness import OpennessLayout, OpennessRecorder
from dlm_core.adapters.spec import AdapterSpec
from dlm_core.adapters.targets import in_out_features, linear_layers
from dlm_core.adapters.weights import AdapterWeights, LayerWeights, gate_values

SHARED_INPUTS = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"), ("query", "key", "value"))
NEGLIGIBLE = 1e-4  # an adapter weighted less than this is left out of the products


@dataclass(frozen=True)
class Entry:
    """One adapter's part in one layer: its spec, its tensors, and its index among the plan's adapters."""

    spec: AdapterSpec
    weights: LayerWeights
    index: int


@dataclass(frozen=True)
class LayerStack:
    """The stacked tensors of one layer under one plan; gated columns come first.

    `start` is where this layer's rows begin in the group's input matrix, `rank` how many rows of A there are
    (`gated` of them with a gate), `projection_rows` how many the gates read with.
    """

    start: int
    rank: int
    gated: int
    projection_rows: int
    bias: Tensor | None
    logit_scale: float | Tensor
    ups: tuple[Tensor | None, ...]
    projection_sizes: list[int]
    out: Tensor
    column_weights: Tensor | None

    def delta(self, product: Tensor, record: Callable[[Tensor], None] | None) -> Tensor:
        """The adapters' summed contribution [.., d_out] from the group's product [.., rows].

        `record` is given the gate values [.., gated ranks].
        """
        begin = self.start
        hidden = product[..., begin : begin + self.rank]
        if self.gated:
            read = product[..., begin + self.rank : begin + self.rank + self.projection_rows]
            if any(up is not None for up in self.ups):
                parts = torch.split(read, self.projection_sizes, dim=-1)
                read = torch.cat(
                    [
                        p if up is None else functional.linear(p, up)
                        for p, up in zip(parts, self.ups, strict=True)
                    ],
                    -1,
                )
            if not isinstance(self.logit_scale, float) or self.logit_scale != 1.0:
                read = read * self.logit_scale
            assert self.bias is not None
            openness = gate_values(read + self.bias)
            if record is not None:
                record(openness.detach())
            if self.gated == self.rank:
                hidden = hidden * openness
            else:
                hidden = torch.cat([hidden[..., : self.gated] * openness, hidden[..., self.gated :]], -1)
        if self.column_weights is not None:
            hidden = hidden * _spread(self.column_weights, hidden)
        return functional.linear(hidden, self.out)


def _spread(weights: Tensor, hidden: Tensor) -> Tensor:
    """Weights [rows, 1, columns] in the shape that multiplies `hidden`; OPT's feed-forward layers read all
    rows' tokens in one line, [rows * tokens, columns].
    """
    if hidden.dim() == 3:
        return weights
    return weights.squeeze(1).repeat_interleave(hidden.shape[0] // weights.shape[0], 0)


def _ordered(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda e: (e.spec.gate is None, e.index))


def _stack_layer(
    entries: Sequence[Entry], start: int, in_features: int, *, out: Tensor, column_weights: Tensor | None
) -> tuple[list[Tensor], LayerStack]:
    """Rows for the group's input matrix from `start` on, and the layer's stack over them."""
    gated = [e for e in entries if e.spec.gate is not None]
    rows: list[Tensor] = [e.weights.a for e in entries]
    projections: list[Tensor] = []
    biases: list[Tensor] = []
    ups: list[Tensor | None] = []
    scales: list[float] = []
    for entry in gated:
        gate, projection, bias = entry.spec.gate, entry.weights.gate_projection, entry.weights.gate_bias
        assert gate is not None and projection is not None and bias is not None
        scale = gate.logit_scale(in_features)
        projections.append(projection)
        biases.append(bias * scale if scale != 1.0 else bias)
        ups.append(entry.weights.gate_up)
        scales.extend([scale] * entry.spec.rank)
    logit_scale: float | Tensor = 1.0
    if scales:
        same = len(set(scales)) == 1
        logit_scale = scales[0] if same else torch.tensor(scales, device=rows[0].device)
    stack = LayerStack(
        start=start,
        rank=sum(e.spec.rank for e in entries),
        gated=sum(e.spec.rank for e in gated),
        projection_rows=sum(p.shape[0] for p in projections),
        bias=torch.cat(biases) if biases else None,
        logit_scale=logit_scale,
        ups=tuple(ups),
        projection_sizes=[p.shape[0] for p in projections],
        out=out,
        column_weights=column_weights,
    )
    return rows + projections, stack


class Group:
    """Layers of one parent that read the same input. Keeps the product of the last input until every member
    used it.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._input: Tensor | None = None
        self._product: Tensor | None = None
        self._served: set[str] = set()

    def product(self, name: str, x: Tensor, matrix: Tensor) -> Tensor:
        """x @ matrix.T, computed once for all members that pass the same tensor object."""
        if self._input is not x or self._product is None or name in self._served:
            self._product = functional.linear(x if x.dtype == matrix.dtype else x.to(matrix.dtype), matrix)
            self._input = x
            self._served = set()
        product = self._product
        self._served.add(name)
        if len(self._served) == len(self.names):
            self.clear()
        return product

    def clear(self) -> None:
        self._input = None
        self._product = None
        self._served = set()


class BankLinear(nn.Module):
    """A linear layer of the base with a place for adapters. `plan` None: the base's own output, untouched."""

    def __init__(self, name: str, base: nn.Module) -> None:
        super().__init__()
        self.name = name
        self.base = base
        self.plan: TrainingPlan | ServingPlan | None = None

    def forward(self, x: Tensor) -> Tensor:
        y = self.base(x)
        assert isinstance(y, Tensor)
        if self.plan is None:
            return y
        delta = self.plan.delta(self.name, x)
        if delta is None:
            return y
        return y + (delta if delta.dtype == y.dtype else delta.to(y.dtype))

    @property
    def weight(self) -> Tensor:
        """The base layer's weight, for code that looks at it (initialisers, dtype checks)."""
        weight = self.base.weight
        assert isinstance(weight, Tensor)
        return weight


class Bank:
    """The wrapped layers of one base model. There is one bank per model; plans come and go."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        found = linear_layers(model)
        self.features: dict[str, tuple[int, int]] = {n: in_out_features(layer) for n, layer in found.items()}
        self.layers: dict[str, BankLinear] = {}
        for name, layer in found.items():
            wrapped = BankLinear(name, layer)
            parent_name, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent_name), leaf, wrapped)
            self.layers[name] = wrapped
        self.groups: dict[str, Group] = self._group()
        self.plan: TrainingPlan | ServingPlan | None = None

    def _group(self) -> dict[str, Group]:
        groups: dict[str, Group] = {}
        for name in self.layers:
            parent, _, leaf = name.rpartition(".")
            family = next((f for f in SHARED_INPUTS if leaf in f), (leaf,))
            siblings = [f"{parent}.{sibling}" if parent else sibling for sibling in family]
            members = [
                s for s in siblings if s in self.layers and self.features[s][0] == self.features[name][0]
            ]
            if name not in groups:
                group = Group(members)
                groups.update(dict.fromkeys(members, group))
        return groups

    def use(self, plan: "TrainingPlan | ServingPlan | None") -> None:
        """Apply `plan` from the next forward on; None turns the bank off."""
        self.plan = plan
        for group in self.groups.values():
            group.clear()
        for layer in self.layers.values():
            layer.plan = plan

    def detach(self) -> None:
        """Put the base's own layers back."""
        for name, layer in self.layers.items():
            parent_name, _, leaf = name.rpartition(".")
            setattr(self.model.get_submodule(parent_name), leaf, layer.base)


def _entries(adapters: Sequence[AdapterWeights], module: str) -> list[Entry]:
    return _ordered(Entry(a.spec, a.layers[module], i) for i, a in enumerate(adapters) if module in a.layers)


def _recording(recorder: OpennessRecorder | None, name: str) -> Callable[[Tensor], None] | None:
    return None if recorder is None else partial(recorder.add, name)


class TrainingPlan:
    """Adapters as live parameters. `set_rows` gives the weights of the rows of the next forward.

    Args:
        bank: the bank whose layers this plan will serve.
        adapters: every adapter that may carry weight, trained or frozen; weights' columns follow this order.
    """

    def __init__(self, bank: Bank, adapters: Sequence[AdapterWeights]) -> None:
        self._groups = bank.groups
        self._features = bank.features
        self.adapters = list(adapters)
        self.recorder: OpennessRecorder | None = None
        self._weights: Tensor | None = None
        self._active: frozenset[int] = frozenset()
        self._columns: dict[tuple[int, ...], Tensor] = {}
        self._matrices: dict[int, Tensor] = {}
        self._stacks: dict[str, LayerStack] = {}
        self._dropout = any(a.spec.dropout > 0 for a in adapters)
        self.dropping = True

    def set_rows(self, weights: Tensor) -> None:
        """`weights` [rows, adapters]. Adapters that no row uses are left out of the products."""
        self._weights = weights
        self._active = frozenset(int(i) for i in (weights.abs().sum(0) > 0).nonzero().flatten())
        self.forget()
        self._columns.clear()

    def forget(self) -> None:
        """Drop the stacks of the last forward; parameters are stacked afresh by the next one."""
        self._matrices.clear()
        self._stacks.clear()

    def _column_weights(self, entries: Sequence[Entry]) -> Tensor:
        key = tuple(e.index for e in entries for _ in range(e.spec.rank))
        if key not in self._columns:
            assert self._weights is not None
            scales = torch.tensor(
                [e.spec.scale for e in entries for _ in range(e.spec.rank)], device=self._weights.device
            )
            self._columns[key] = (self._weights[:, list(key)] * scales).unsqueeze(1)
        return self._columns[key]

    def _build(self, group: Group) -> None:
        rows: list[Tensor] = []
        start = 0
        for name in group.names:
            entries = [e for e in _entries(self.adapters, name) if e.index in self._active]
            if not entries:
                continue
            new, self._stacks[name] = _stack_layer(
                entries,
                start,
                self._features[name][0],
                out=torch.cat([e.weights.b for e in entries], dim=1),
                column_weights=self._column_weights(entries),
            )
            rows += new
            start += sum(row.shape[0] for row in new)
        self._matrices[id(group)] = torch.cat(rows) if rows else torch.empty(0)

    def delta(self, name: str, x: Tensor) -> Tensor | None:
        """The adapters' contribution in one layer for x [rows, tokens, d_in]; None where no adapter sits."""
        if self._weights is None:
            raise RuntimeError("TrainingPlan: set_rows() has not been called")
        group = self._groups[name]
        if self._dropout and self.dropping:
            return self._delta_with_dropout(name, x)
        if id(group) not in self._matrices:
            self._build(group)
        stack = self._stacks.get(name)
        if stack is None:
            return None
        return stack.delta(group.product(name, x, self._matrices[id(group)]), _recording(self.recorder, name))

    def _delta_with_dropout(self, name: str, x: Tensor) -> Tensor | None:
        """As `delta`, adapter by adapter, since each drops its own share of the input (gate and A read the
        same).
        """
        total: Tensor | None = None
        seen: list[Tensor] = []
        for entry in _entries(self.adapters, name):
            if entry.index not in self._active:
                continue
            rows, stack = _stack_layer(
                [entry],
                0,
                self._features[name][0],
                out=entry.weights.b,
                column_weights=self._column_weights([entry]),
            )
            dropped = functional.dropout(x.to(entry.weights.a.dtype), entry.spec.dropout)
            part = stack.delta(functional.linear(dropped, torch.cat(rows)), seen.append)
            total = part if total is None else total + part
        if self.recorder is not None and seen:
            self.recorder.add(name, torch.cat(seen, -1))
        return total


class ServingPlan:
    """Adapters under one routing, ready for inference: weights and scales folded into B, idle adapters left
    out.

    Args:
        bank: the bank whose layers this plan will serve.
        adapters: the committed adapters.
        weights: weight per adapter name; one that is missing counts as 0.
    """

    def __init__(self, bank: Bank, adapters: Sequence[AdapterWeights], weights: Mapping[str, float]) -> None:
        self._groups = bank.groups
        self.weights = dict(weights)
        self.adapters = [a for a in adapters if abs(weights.get(a.spec.name, 0.0)) > NEGLIGIBLE]
        self.recorder: OpennessRecorder | None = None
        self._matrices: dict[int, Tensor] = {}
        self._stacks: dict[str, LayerStack] = {}
        columns: dict[str, tuple[tuple[str, int], ...]] = {}
        with torch.no_grad():
            for group in {id(g): g for g in bank.groups.values()}.values():
                rows: list[Tensor] = []
                start = 0
                for name in group.names:
                    entries = _entries(self.adapters, name)
                    if not entries:
                        continue
                    out = torch.cat(
                        [e.weights.b * (e.spec.scale * weights[e.spec.name]) for e in entries], dim=1
                    )
                    new, self._stacks[name] = _stack_layer(
                        entries, start, bank.features[name][0], out=out.contiguous(), column_weights=None
                    )
                    columns[name] = tuple(
                        (e.spec.name, e.spec.rank) for e in entries if e.spec.gate is not None
                    )
                    rows += new
                    start += sum(row.shape[0] for row in new)
                if rows:
                    self._matrices[id(group)] = torch.cat(rows).contiguous()
        self.layout = OpennessLayout({name: columns[name] for name in bank.layers if columns.get(name)})

    def delta(self, name: str, x: Tensor) -> Tensor | None:
        """The adapters' contribution in one layer for x [.., d_in]; None where no adapter sits."""
        stack = self._stacks.get(name)
        if stack is None:
            return None
        group = self._groups[name]
        return stack.delta(group.product(name, x, self._matrices[id(group)]), _recording(self.recorder, name))
