"""The forward of a llama-shaped base with little around its products: a few rows of ids in, logits out.

transformers spends more time between the products of one token than some machines spend on them. Here
layers that read the same input share one product, keys and values lie in one block of memory that grows by
doubling, logits are made for the positions that are asked for, and everything else is a handful of
operations per layer.

    n = rms_norm(h)          y = [q k v] n  (+ adapters)       h += o( attention(rope(q), rope(k), v) )
    n = rms_norm(h)          y = [gate up] n  (+ adapters)     h += down( act(gate) · up )

It holds for float32 on the CPU. `take_over` compares its logits with transformers' own before anything
trusts them.
"""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlm_core.bases.pages import let_go, trim_heap
from dlm_core.llama.keys_values import KeysValues, RowsKeysValues, shared_beginning
from dlm_core.llama.packed_linear import LEAD, Precision, Product, product
from dlm_core.llama.prefetch import PackedAhead
from dlm_core.llama.shape import Block, LlamaShape, Sight, find

_PART = 8192  # rows of a head
_AHEAD = 2  # blocks that transformers may be ahead of the packing
_PROBE = 8  # tokens of the comparison with transformers
_TOLERANCE = {"float32": 1e-3, "float16": 1e-2, "int8": 0.5}
"""Largest difference in logits, relative to their spread, up to which the lean forward is trusted."""

_log = logging.getLogger(__name__)


class Additions(Protocol):
    """What adapters add to the products of one layer, in place."""

    def qkv(self, layer: int, x: Tensor, y: Tensor) -> None: ...
    def o(self, layer: int, x: Tensor, y: Tensor) -> None: ...
    def gate_up(self, layer: int, x: Tensor, y: Tensor) -> None: ...
    def down(self, layer: int, x: Tensor, y: Tensor) -> None: ...


@dataclass(frozen=True)
class Layer:
    """One block's products and norms."""

    qkv: Product
    o: Product
    gate_up: Product
    down: Product
    input_norm: Tensor
    mlp_norm: Tensor
    q_norm: Tensor | None
    k_norm: Tensor | None
    attended_norm: Tensor | None
    fed_norm: Tensor | None
    sight: Sight


Attend = Callable[[int, Tensor, Tensor], Tensor]
"""Takes a layer's number, queries [T, heads, d], and keys and values [T, 2 * kv_heads, d], to be remembered;
gives what the heads read [T, heads * d].
"""


class LeanBase:
    """The base's weights as products, and the forward over them."""

    def __init__(
        self, shape: LlamaShape, layers: Sequence[Layer], head: Product, precision: Precision
    ) -> None:
        self.shape, self.precision = shape, precision
        self._layers, self._head = tuple(layers), head
        self.lead = LEAD[precision]

    def keys_values(self) -> KeysValues:
        """Empty memory for one sequence."""
        return KeysValues(len(self._layers), 2 * self.shape.kv_heads, self.shape.head_dim)

    def rows(self, most: int) -> RowsKeysValues:
        """Empty memory for up to `most` sequences."""
        return RowsKeysValues(len(self._layers), most, 2 * self.shape.kv_heads, self.shape.head_dim)

    @torch.inference_mode()
    def logits(self, ids: Sequence[int], memory: KeysValues, adapters: Additions | None, read: int) -> Tensor:
        """Logits [read, vocabulary] of the last `read` of `ids`, which follow what `memory` holds.

        Keys and values of all `ids` are added to the memory.
        """
        h = self._one(ids, memory, adapters)[len(ids) - read :]
        return self._head(self._norm(h, self.shape.norm))

    @torch.inference_mode()
    def states(self, ids: Sequence[int], memory: KeysValues) -> Tensor:
        """The state [hidden] at the last id after the final norm, as transformers' decoder gives it."""
        return self._norm(self._one(ids, memory, None)[-1:], self.shape.norm)[0].clone()

    @torch.inference_mode()
    def mean_states(self, ids: Sequence[int]) -> Tensor:
        """The mean [hidden] of the states at all of `ids` after the final norm."""
        return self._norm(self._one(ids, self.keys_values(), None), self.shape.norm).mean(0)

    @torch.inference_mode()
    def next_logits(self, ids: Sequence[int], memory: RowsKeysValues, adapters: Additions | None) -> Tensor:
        """Logits [rows, vocabulary] after one more id of each of the memory's first rows.

        Every row attends to its own keys and values alone, to which those of its id are added; `adapters`
        hold one routing for each row.
        """
        rows, heads, size = len(ids), self.shape.kv_heads, self.shape.head_dim
        lengths = torch.tensor(memory.lengths[:rows])
        end = int(lengths.max()) + 1
        memory.reserve(end)
        every = torch.arange(rows)
        masks = {s: self._masks_of_rows(lengths, end, s.window) for s in self.shape.sights}

        def attend(number: int, asked: Tensor, said: Tensor) -> Tensor:
            past = memory.memory[number, :rows]
            past[every, :, lengths] = said
            seen = past[:, :, :end]
            q = asked.view(rows, heads, -1, size)
            mixed = functional.scaled_dot_product_attention(
                q,
                seen[:, :heads],
                seen[:, heads:],
                attn_mask=masks[self._layers[number].sight],
                scale=self.shape.scale,
            )
            return mixed.reshape(rows, -1)

        h = self._run(ids, lengths, attend, adapters)
        memory.grow(rows)
        return self._head(self._norm(h, self.shape.norm))

    def _masks_of_rows(self, lengths: Tensor, end: int, window: int | None) -> Tensor:
        """For one token of each row, at the places `lengths` [rows]: minus infinity where a key is not its
        own, or lies further back than `window` [rows, 1, group, end].
        """
        rows, group = len(lengths), self.shape.heads // self.shape.kv_heads
        hidden = torch.arange(end) > lengths[:, None]
        if window is not None:
            hidden |= torch.arange(end) <= lengths[:, None] - window
        mask = torch.zeros(rows, 1, 1, end).masked_fill_(hidden[:, None, None], float("-inf"))
        return mask.expand(rows, 1, group, end)

    def _one(self, ids: Sequence[int], memory: KeysValues, adapters: Additions | None) -> Tensor:
        """The residual stream [len(ids), hidden] of one sequence after all layers."""
        shape, rows, start = self.shape, len(ids), memory.length
        end = start + rows
        memory.reserve(end)
        kv, group, size = shape.kv_heads, shape.heads // shape.kv_heads, shape.head_dim
        # From where on the layers of a sight read, and which of it each row does. Heads that share keys and
        # values are so many rows of one head.
        reads: dict[Sight, tuple[int, Tensor | None]] = {}
        for sight in shape.sights:
            first = 0 if sight.window is None else max(0, start + 1 - sight.window)
            mask = None
            if rows > 1:
                mask = torch.ones(rows, end - first, dtype=torch.bool).tril_(start - first)
                if sight.window is not None:
                    mask = mask.triu_(start - first + 1 - sight.window)
                mask = mask.repeat(group, 1)
            reads[sight] = first, mask

        def attend(number: int, asked: Tensor, said: Tensor) -> Tensor:
            past = memory.memory[number]
            past[:, start:end] = said.transpose(0, 1)
            first, mask = reads[self._layers[number].sight]
            seen = past[:, first:end].view(2, 1, kv, end - first, size)
            q = asked.view(rows, kv, group, size).permute(1, 2, 0, 3).reshape(1, kv, group * rows, size)
            mixed = functional.scaled_dot_product_attention(
                q, seen[0], seen[1], attn_mask=mask, scale=shape.scale
            )
            return mixed.view(kv, group, rows, size).permute(2, 0, 1, 3).reshape(rows, shape.heads * size)

        h = self._run(ids, torch.arange(start, end), attend, adapters)
        memory.length = end
        return h

    def _run(self, ids: Sequence[int], places: Tensor, attend: Attend, adapters: Additions | None) -> Tensor:
        """The residual stream [T, hidden] of `ids` at `places` [T] in their sequences after all layers."""
        shape, rows = self.shape, len(ids)
        kv, size = shape.kv_heads, shape.head_dim
        rotated = shape.heads + kv
        h = shape.embed(torch.tensor(ids))
        turns = {name: self._rope(h, places, name) for name in {s.rope for s in shape.sights}}
        for number, layer in enumerate(self._layers):
            n = self._norm(h, layer.input_norm)
            y = layer.qkv(n)
            if adapters is not None:
                adapters.qkv(number, n, y)
            heads = y.view(rows, rotated + kv, size)
            if layer.q_norm is not None and layer.k_norm is not None:
                heads[:, : shape.heads] = self._norm(heads[:, : shape.heads], layer.q_norm)
                heads[:, shape.heads : rotated] = self._norm(heads[:, shape.heads : rotated], layer.k_norm)
            cosine, sine = turns[layer.sight.rope]
            # Queries and keys, [T, heads + kv, 2, d / 2]: x cos + swap(x) (−sin, sin), arXiv 2104.09864.
            halves = heads[:, :rotated].view(rows, rotated, 2, size // 2)
            torch.addcmul(halves * cosine, halves.flip(2), sine, out=halves)
            mixed = attend(number, heads[:, : shape.heads], heads[:, shape.heads :])
            y = layer.o(mixed)
            if adapters is not None:
                adapters.o(number, mixed, y)
            h += y if layer.attended_norm is None else self._norm(y, layer.attended_norm)
            n = self._norm(h, layer.mlp_norm)
            y = layer.gate_up(n)
            if adapters is not None:
                adapters.gate_up(number, n, y)
            gate, up = y.chunk(2, -1)
            silu = shape.activation == "silu"
            wide = (functional.silu(gate) if silu else functional.gelu(gate, approximate="tanh")).mul_(up)
            y = layer.down(wide)
            if adapters is not None:
                adapters.down(number, wide, y)
            h += y if layer.fed_norm is None else self._norm(y, layer.fed_norm)
        return h

    def _norm(self, h: Tensor, weight: Tensor) -> Tensor:
        """RMSNorm (arXiv 1910.07467) over the last dimension; the fused operator costs twice the time."""
        if h.numel() == h.shape[-1]:  # one token: its length as a plain number saves half the operations
            row = h.view(-1)
            return (h * weight).mul_((float(row.dot(row)) / len(row) + self.shape.eps) ** -0.5)
        length = torch.linalg.vector_norm(h, dim=-1, keepdim=True)
        return (h * weight).mul_(length.square_().div_(h.shape[-1]).add_(self.shape.eps).rsqrt_())

    def _rope(self, h: Tensor, places: Tensor, name: str) -> tuple[Tensor, Tensor]:
        """Cosines and signed sines [T, 1, 2, head_dim / 2], so that rope(x) = x · cos + swap(x) · sin."""
        cosine, sine = self.shape.rope(h, places.unsqueeze(0), name)
        rows, half = len(places), self.shape.head_dim // 2
        sine = sine.view(rows, 1, 2, half) * torch.tensor([-1.0, 1.0]).view(1, 1, 2, 1)
        return cosine.view(rows, 1, 2, half), sine


class PromptStates:
    """Last states of one prompt after the other, adapters off. Keys and values of the beginning that a prompt
    shares with the one before it are kept: while a person types, that is all but the last words.
    """

    def __init__(self, base: LeanBase) -> None:
        self._base = base
        self._memory = base.keys_values()
        self._ids: list[int] = []

    def __call__(self, ids: Sequence[int]) -> Tensor:
        """The state [hidden] at the last of `ids`."""
        known = max(0, shared_beginning(self._ids, ids))
        self._memory.length = known
        self._ids = []  # nothing is known if the forward fails half-way
        state = self._base.states(ids[known:], self._memory)
        self._ids = list(ids)
        return state

    def mean(self, ids: Sequence[int]) -> Tensor:
        """The mean [hidden] of the states at all of `ids`; nothing of it is kept."""
        return self._base.mean_states(ids)


def take_over(
    model: nn.Module, precision: Precision = "float32", ahead: PackedAhead | None = None
) -> LeanBase | None:
    """The lean forward of `model`, or None where it has another shape, sits elsewhere than in float32 on the
    CPU, or does not agree with its lean forward. Adapters must be off.

    Weights that are not packed `ahead` are packed block by block, right behind transformers' own forward;
    pages of the weights' file that were read for it are let go, so that memory holds one copy and a few
    blocks of the other.
    """
    shape, ready = find(model), ahead or PackedAhead()
    if shape is None or any(p.device.type != "cpu" or p.dtype != torch.float32 for p in model.parameters()):
        return None
    inner: Any = model.model
    packed: list[Future[Layer]] = []

    def ran(*_: Any) -> None:
        packed.append(pool.submit(_layer, shape.blocks[len(packed)], precision, ready))
        if len(packed) > _AHEAD:
            packed[-1 - _AHEAD].result()

    ids = torch.arange(_PROBE) * 7 % min(len(shape.embedding), 97) + 3
    ids %= len(shape.embedding)
    hooks = [layer.register_forward_hook(ran) for layer in inner.layers]
    try:
        with torch.no_grad(), ThreadPoolExecutor(2, "pack") as pool:
            head = pool.submit(_head_product, shape, precision, ready)
            states = inner(input_ids=ids.unsqueeze(0), use_cache=False).last_hidden_state[0, -2:]
            wanted = _head(shape, states)
    finally:
        for hook in hooks:
            hook.remove()
    let_go([shape.head])
    trim_heap()
    lean = LeanBase(shape, [layer.result() for layer in packed], head.result(), precision)
    memory = lean.keys_values()
    rows = ids.tolist()
    before = lean.logits(rows[:-1], memory, None, 1)
    found = torch.cat([before, lean.logits(rows[-1:], memory, None, 1)])
    difference = float((found - wanted).abs().max() / wanted.std().clamp_min(1e-6))
    if not difference <= _TOLERANCE[precision]:
        _log.warning("lean forward differs from transformers' by %.2g of the logits' spread", difference)
        # The files may say it otherwise than the model that transformers makes of them.
        return None if ahead is None else take_over(model, precision)
    return lean


def _head(shape: LlamaShape, states: Tensor) -> Tensor:
    """Logits of `states` [n, hidden] by the model's own head, whose weights are in memory by parts only."""
    logits = torch.empty(len(states), len(shape.head))
    for part, found in zip(torch.split(shape.head, _PART), torch.split(logits, _PART, 1), strict=True):
        torch.mm(states, part.t(), out=found)
        let_go([part])
    return logits if shape.head_bias is None else logits.add_(shape.head_bias)


def _head_product(shape: LlamaShape, precision: Precision, ahead: PackedAhead) -> Product:
    ready = ahead.take([shape.head_name])
    return ready or product([shape.head], [shape.head_bias], precision)


def _layer(block: Block, precision: Precision, ahead: PackedAhead) -> Layer:
    def of(*names: str) -> Product:
        parts = [getattr(block, name) for name in names]
        ready = ahead.take([part.name for part in parts])
        return ready or product([part.weight for part in parts], [part.bias for part in parts], precision)

    layer = Layer(
        qkv=of("q", "k", "v"),
        o=of("o"),
        gate_up=of("gate", "up"),
        down=of("down"),
        input_norm=block.input_norm,
        mlp_norm=block.mlp_norm,
        q_norm=block.q_norm,
        k_norm=block.k_norm,
        attended_norm=block.attended_norm,
        fed_norm=block.fed_norm,
        sight=block.sight,
    )
    let_go(p.weight for p in block.projections)
    return layer
