"""A document's adapters in the form that the lean forward reads: per group of layers two products.

    t = [A_1 … A_n | W_g1 … W_gn] x + [0 | b_g]      one product, biases included
    h = glu(t) ⊙ c = A x ⊙ sigmoid(W_g x + b_g) ⊙ c  c holds scales and routing weights, by rank
    y += B h

They are kept in the same number format as the base's weights, or in float16 where that is int8.
An adapter without gates takes part with W_g = 0 and a bias at which the sigmoid is exactly 1. Gates with a
bottleneck or a normalised logit are multiplied out. Groups are the layers that read the same input: q, k and
v; o; gate and up; down. B of a group is block-diagonal over its layers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from dlm_core.adapters.bank import NEGLIGIBLE
from dlm_core.adapters.openness import OpennessLayout
from dlm_core.adapters.weights import AdapterWeights, LayerWeights
from dlm_core.llama.packed_linear import Precision, Product, product
from dlm_core.llama.shape import Block, LlamaShape, Projection

Part = Literal["qkv", "o", "gate_up", "down"]
PARTS: tuple[Part, ...] = ("qkv", "o", "gate_up", "down")
_OPEN = 40.0  # sigmoid(40) is 1 in float32


@dataclass(frozen=True)
class Column:
    """One rank of one adapter on one layer, in the order of a group's columns."""

    module: str
    adapter: str
    rank: int
    gated: bool
    factor: float


@dataclass(frozen=True)
class Stack:
    """One group's products: `read` from x [rows, d_in] to t [rows, 2R], `write` from h [rows, R] to [rows,
    d_out].
    """

    read: Product
    write: Product
    columns: tuple[Column, ...]


class Stacks:
    """All groups of the adapters of one serving set, stacked once; routing weights come in `routed`.

    `precision` is the number format of the base's weights.
    """

    def __init__(self, shape: LlamaShape, adapters: Sequence[AdapterWeights], precision: Precision) -> None:
        self.adapters = tuple(adapters)
        kept: Precision = "float32" if precision == "float32" else "float16"
        with torch.no_grad():
            self.groups: list[dict[Part, Stack]] = [_block(block, adapters, kept) for block in shape.blocks]
        self.layout, self.order = self._openness()

    def _openness(self) -> tuple[OpennessLayout, Tensor]:
        """The layout of the gated ranks by module, and where its gates stand in one row of all columns."""
        at = 0
        places: dict[str, dict[str, list[int]]] = {}
        for group in self.groups:
            for part in PARTS:
                if part not in group:
                    continue
                columns = group[part].columns
                for gate, column in enumerate(columns, at + len(columns)):
                    if column.gated:
                        places.setdefault(column.module, {}).setdefault(column.adapter, []).append(gate)
                at += 2 * len(columns)
        layout = {m: tuple((a, len(at)) for a, at in found.items()) for m, found in places.items()}
        order = [i for found in places.values() for ranks in found.values() for i in ranks]
        return OpennessLayout(layout), torch.tensor(order, dtype=torch.long)

    def routed(self, *weights: Mapping[str, float]) -> "Routed":
        """These adapters under one routing, or under one for each row of a forward."""
        return Routed(self, *weights)


class Routed:
    """Stacks under routing weights: what a lean forward adds. Keeps the gates of the last forward.

    Args:
        weights: of one routing for all rows of a forward, or of as many routings as it has rows.
    """

    def __init__(self, stacks: Stacks, *weights: Mapping[str, float]) -> None:
        self._order, self.layout = stacks.order, stacks.layout
        self._read: list[Tensor] = []  # what the last forward read, [rows, 2R] for each group
        names = {adapter.spec.name: i for i, adapter in enumerate(stacks.adapters)}
        rows = torch.tensor([[row.get(n, 0.0) for n in names] for row in weights], dtype=torch.float64)
        known: dict[tuple[tuple[str, float], ...], Tensor] = {}  # most blocks have columns alike

        def factors(columns: Sequence[Column]) -> Tensor:
            """[rows, R]"""
            key = tuple((c.adapter, c.factor) for c in columns)
            if key not in known:
                scales = torch.tensor([c.factor for c in columns], dtype=torch.float64)
                known[key] = (rows[:, [names[c.adapter] for c in columns]] * scales).float()
            return known[key]

        self._groups = [
            {part: (stack, factors(stack.columns)) for part, stack in group.items()}
            for group in stacks.groups
        ]

    def qkv(self, layer: int, x: Tensor, y: Tensor) -> None:
        if layer == 0:
            self._read = []
        self._add(layer, "qkv", x, y)

    def o(self, layer: int, x: Tensor, y: Tensor) -> None:
        self._add(layer, "o", x, y)

    def gate_up(self, layer: int, x: Tensor, y: Tensor) -> None:
        self._add(layer, "gate_up", x, y)

    def down(self, layer: int, x: Tensor, y: Tensor) -> None:
        self._add(layer, "down", x, y)

    def _add(self, layer: int, part: Part, x: Tensor, y: Tensor) -> None:
        found = self._groups[layer].get(part)
        if found is None:
            return
        stack, factors = found
        both = stack.read(x)
        self._read.append(both)
        y += stack.write(functional.glu(both, -1).mul_(factors))

    def openness(self, first: int, last: int) -> Tensor:
        """Mean gate values [width], in the layout's order, over rows `first` to `last` (excluded) of the last
        forward.
        """
        with torch.inference_mode():
            rows = slice(first, last)
            alone = last - first == len(self._read[0])
            read = torch.cat(self._read if alone else [both[rows] for both in self._read], 1)
            values = torch.sigmoid(read.index_select(1, self._order))
            return values[0] if last - first == 1 else values.mean(0)


def active(adapters: Sequence[AdapterWeights], weights: Mapping[str, float]) -> tuple[AdapterWeights, ...]:
    """The adapters that a routing gives weight to; others cost nothing."""
    return tuple(a for a in adapters if abs(weights.get(a.spec.name, 0.0)) > NEGLIGIBLE)


def _block(block: Block, adapters: Sequence[AdapterWeights], precision: Precision) -> dict[Part, Stack]:
    groups: dict[Part, tuple[Projection, ...]] = {
        "qkv": (block.q, block.k, block.v),
        "o": (block.o,),
        "gate_up": (block.gate, block.up),
        "down": (block.down,),
    }
    found = {part: _stack(members, adapters, precision) for part, members in groups.items()}
    return {part: stack for part, stack in found.items() if stack is not None}


def _stack(
    members: Sequence[Projection], adapters: Sequence[AdapterWeights], precision: Precision
) -> Stack | None:
    reads: list[Tensor] = []
    gates: list[Tensor] = []
    biases: list[Tensor] = []
    columns: list[Column] = []
    blocks: list[Tensor] = []
    for member in members:
        width, d_in = member.weight.shape
        outs = [torch.empty(0, width)]
        for adapter in adapters:
            if member.name not in adapter.layers:
                continue
            spec, weights = adapter.spec, adapter.layers[member.name]
            gate, bias = _gate(adapter, weights, d_in)
            reads.append(weights.a)
            gates.append(gate)
            biases.append(bias)
            outs.append(weights.b.t())
            columns += [
                Column(member.name, spec.name, r, spec.gate is not None, spec.scale) for r in range(spec.rank)
            ]
        blocks.append(torch.cat(outs))
    if not columns:
        return None
    bias = torch.cat([torch.zeros(len(columns)), *biases]).float()
    read = product([torch.cat([*reads, *gates]).float()], [bias], precision)
    write = product([_block_diagonal(blocks).t().contiguous()], [None], precision)
    return Stack(read, write, tuple(columns))


def _block_diagonal(blocks: Sequence[Tensor]) -> Tensor:
    """Blocks [r_i, d_i] along the diagonal of one matrix, float32."""
    whole = torch.zeros(sum(b.shape[0] for b in blocks), sum(b.shape[1] for b in blocks))
    row = column = 0
    for block in blocks:
        whole[row : row + block.shape[0], column : column + block.shape[1]] = block
        row, column = row + block.shape[0], column + block.shape[1]
    return whole


def _gate(adapter: AdapterWeights, weights: LayerWeights, d_in: int) -> tuple[Tensor, Tensor]:
    """W_g [rank, d_in] and b_g [rank] as one affine map, bottleneck and normalisation multiplied out."""
    spec = adapter.spec
    projection, bias = weights.gate_projection, weights.gate_bias
    if spec.gate is None or projection is None or bias is None:
        return torch.zeros(spec.rank, d_in), torch.full((spec.rank,), _OPEN)
    whole = projection if weights.gate_up is None else weights.gate_up @ projection
    scale = spec.gate.logit_scale(d_in)
    return whole * scale, bias * scale
