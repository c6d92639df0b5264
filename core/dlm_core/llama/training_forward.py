"""Forward and backward of llama-shaped bases under adapters in training, written out.

What a step costs on a processor is the small operations between the products. So tokens of all rows lie end
to end without padding; layers that read the same input share one product; the adapters stand stacked; the
base's weights are held once in the type that products run in; and the backward is written by hand, straight
into the adapters' gradients, for the base has none.

      h ─ norm ─ q k v ─ attention ─ o ─ (norm) ─ + ─ norm ─ gate up ─ act · ─ down ─ (norm) ─ + ─▶ h
      └────────────────────────────────────────────┘ └────────────────────────────────────────────┘

The reference is transformers' forward with a `TrainingPlan`; tests hold the two together.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from dlm_core.adapters.flat import FlatAdapters
from dlm_core.llama.attention import (
    AttentionKept,
    Heads,
    Places,
    attend,
    attend_backward,
    causal_mask,
    norm,
    norm_backward,
)
from dlm_core.llama.packing import WORTH_SHARING, Packed, pack
from dlm_core.llama.shape import Activation, Block, LlamaShape, Sight
from dlm_core.llama.training_groups import Gradients, Group, Kept, Record

LONGEST = 4096
"""Rows longer than this are left to transformers: here attention's weights are written out in full."""
_REMEMBERED_BYTES = 64 << 20
_READ_AHEAD = 1024  # tokens: many texts at once take two thirds of the time of a few in every step


class _Layer:
    """The groups and norms of one decoder layer."""

    def __init__(self, block: Block, dtype: torch.dtype) -> None:
        self.qkv = Group((block.q, block.k, block.v), dtype)
        self.o = Group((block.o,), dtype)
        self.gate_up = Group((block.gate, block.up), dtype)
        self.down = Group((block.down,), dtype)
        self.input_norm = block.input_norm.detach().float()
        self.mlp_norm = block.mlp_norm.detach().float()
        self.attended_norm = _plain(block.attended_norm)
        self.fed_norm = _plain(block.fed_norm)

    @property
    def groups(self) -> tuple[Group, ...]:
        return (self.qkv, self.o, self.gate_up, self.down)


@dataclass(frozen=True)
class _AttendKept:
    """What the backward of a layer's attention needs: the residual stream before it, what its groups
    kept, and what it added before a norm of that.
    """

    h: Tensor
    rstd: Tensor
    qkv: Kept | None
    attention: AttentionKept
    o: Kept | None
    added: "_Added | None"


@dataclass(frozen=True)
class _FeedKept:
    """What the backward of a layer's feed-forward half needs: the residual stream in the layer's middle, what
    its groups kept, the product of gate and up [T, 2 * d_ff], the gate opened by the activation [T, d_ff],
    and what the half added before a norm of that.
    """

    middle: Tensor
    rstd: Tensor
    gate_up: Kept | None
    projected: Tensor
    opened: Tensor
    down: Kept | None
    added: "_Added | None"


@dataclass(frozen=True)
class _Added:
    """What a half layer adds to the residual stream [T, hidden] where that is normed first, in float32, with
    its reciprocal root mean square.
    """

    y: Tensor
    rstd: Tensor


@dataclass(frozen=True)
class Tape:
    """One forward, for its backward. `hidden` [T, hidden] is the last norm's output, in products' type."""

    hidden: Tensor
    last: Tensor
    last_rstd: Tensor
    places: dict[Sight, Places]
    weights: dict[tuple[tuple[int, float], ...], Tensor]
    layers: tuple[tuple[_AttendKept | None, _FeedKept], ...]


class _Remembered:
    """What the half layers (attention, feed-forward) under the lowest adapter make of the texts that came up
    last, [T, hidden] each: nothing there ever changes.
    """

    def __init__(self) -> None:
        self._states: OrderedDict[tuple[int, tuple[int, ...]], Tensor] = OrderedDict()
        self._bytes = 0

    def find(self, halves: int, texts: Iterable[tuple[int, ...]]) -> dict[tuple[int, ...], Tensor]:
        """Those of the texts whose states after so many half layers are held."""
        found = {}
        for text in texts:
            key = (halves, text)
            if key in self._states:
                self._states.move_to_end(key)
                found[text] = self._states[key]
        return found

    def holds(self, halves: int, text: tuple[int, ...]) -> bool:
        """Whether the text's states after so many half layers are held."""
        return (halves, text) in self._states

    def keep(self, halves: int, text: tuple[int, ...], states: Tensor) -> None:
        self._states[halves, text] = states
        self._bytes += states.nbytes
        while self._bytes > _REMEMBERED_BYTES and len(self._states) > 1:
            self._bytes -= self._states.popitem(last=False)[1].nbytes


class LeanForward:
    """A llama-shaped base with the adapters of a run.

    Args:
        shape: the base.
        flat: the adapters' vectors; gradients are added to theirs.
        dtype: the type that products run in; the base's weights are copied where they are of another.
    """

    def __init__(self, shape: LlamaShape, flat: FlatAdapters, dtype: torch.dtype) -> None:
        self._shape, self._flat, self.dtype = shape, flat, dtype
        self.layers = [_Layer(block, dtype) for block in shape.blocks]
        self.head = shape.head.detach().to(dtype)
        self.head_bias = None if shape.head_bias is None else shape.head_bias.detach().to(dtype)
        self._width = shape.embedding.shape[1]
        self._norm = shape.norm.detach().float()
        self._heads = [_heads(shape, block) for block in shape.blocks]
        self._active: tuple[int, ...] = ()
        self._lowest, self._halves = len(self.layers), 2 * len(self.layers)
        self._fresh = False
        self._remembered, self._aside = _Remembered(), _Remembered()
        self._expected: deque[tuple[int, ...]] = deque()
        self._turns = dict.fromkeys((s.rope for s in shape.sights), (torch.empty(0), torch.empty(0)))

    def use(self, active: Sequence[int]) -> None:
        """Stack the adapters of the next forward, by their places among the run's."""
        if tuple(active) != self._active:
            self._active, self._fresh = tuple(active), False
            for layer in self.layers:
                for group in layer.groups:
                    group.lay_out(self._flat, active)
            adapted = (i for i, layer in enumerate(self.layers) if any(g.rank for g in layer.groups))
            self._lowest = lowest = next(adapted, len(self.layers))
            self._halves = 2 * lowest
            if lowest < len(self.layers) and not (self.layers[lowest].qkv.rank or self.layers[lowest].o.rank):
                self._halves += 1
        if not self._fresh and active:
            groups = [group for layer in self.layers for group in layer.groups]
            torch._foreach_copy_(
                [s for g in groups for s in g.stacks], [s for g in groups for s in g.sources]
            )
        self._fresh = True

    def forget(self) -> None:
        """The adapters' numbers have changed."""
        self._fresh = False

    def expect(self, texts: Iterable[tuple[int, ...]]) -> None:
        """What the next forwards will read, in about this order: where nothing learns, it is read ahead."""
        self._expected = deque(texts)

    @torch.no_grad()
    def forward(
        self, packed: Packed, *, keep: bool, record: Record | None = None, aside: bool = False
    ) -> Tape:
        """Run all layers. With `keep`, the tape can go `backward`; `record` gets all rank gates' values.
        What goes through `aside` changes nothing about which texts later forwards read together.

        What lies under the lowest adapter, half layers included, needs no backward and keeps nothing on the
        tape; what it makes of a text is worked out when that first comes up.
        """
        places = self._places(packed)
        weights = self._column_weights(packed)
        h = self._lower(packed, aside)
        kept: list[tuple[_AttendKept | None, _FeedKept]] = []
        for number in range(self._lowest, len(self.layers)):
            layer, attended = self.layers[number], None
            if 2 * number >= self._halves:
                h, attended = self._attend(layer, self._heads[number], h, places, weights, keep, record)
            h, fed = self._feed(layer, h, weights, keep, record)
            if fed is not None:
                kept.append((attended, fed))
        hidden, rstd = norm(h, self._norm, self._shape.eps, self.dtype)
        return Tape(hidden, h, rstd, places, weights, tuple(kept))

    def _lower(self, packed: Packed, aside: bool) -> Tensor:
        """The residual stream [T, hidden] of a pack before the lowest half layer with an adapter."""
        if not self._halves:
            return self._shape.embed(packed.ids).float()
        remembered = self._aside if aside else self._remembered
        known = remembered.find(self._halves, packed.texts)
        new = [text for text in dict.fromkeys(packed.texts) if text not in known]
        if new:
            new = new if aside else self._and_expected(new)
            kinds: dict[tuple[int, ...], int] = {}  # of beginnings: those alike are read once
            owners = [-1 - kinds.setdefault(text[:WORTH_SHARING], len(kinds)) for text in new]
            alone = pack(new, owners, packed.ids.device)
            places, weights = self._places(alone), self._column_weights(alone)
            h = self._shape.embed(alone.ids).float()
            for half in range(self._halves):
                layer, heads = self.layers[half // 2], self._heads[half // 2]
                if half % 2:
                    h, _ = self._feed(layer, h, weights, False, None)
                else:
                    h, _ = self._attend(layer, heads, h, places, weights, False, None)
            for i, text in enumerate(new):
                known[text] = h.index_select(0, alone.row(i, len(text)))
                remembered.keep(self._halves, text, known[text])
        whole = torch.zeros(packed.ids.shape[0], self._width, device=packed.ids.device)
        ends = (*packed.starts[1:], packed.real)
        for start, end, shared, text in zip(packed.starts, ends, packed.shared, packed.texts, strict=True):
            whole[start:end] = known[text][shared : shared + end - start]
        return whole

    def _and_expected(self, new: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """These texts, and of those that are expected the next that are not known, up to `_READ_AHEAD`
        tokens.
        """
        found = dict.fromkeys(new)
        tokens = sum(map(len, found))
        while self._expected and tokens + len(self._expected[0]) <= _READ_AHEAD:
            text = self._expected.popleft()
            if text not in found and not self._remembered.holds(self._halves, text):
                found[text] = None
                tokens += len(text)
        return list(found)

    def _attend(
        self,
        layer: _Layer,
        heads: Heads,
        h: Tensor,
        places: dict[Sight, Places],
        weights: dict[tuple[tuple[int, float], ...], Tensor],
        keep: bool,
        record: Record | None,
    ) -> tuple[Tensor, _AttendKept | None]:
        x, rstd = norm(h, layer.input_norm, self._shape.eps, self.dtype)
        y, qkv = layer.qkv.forward(x, weights[layer.qkv.columns], record)
        attended, attention = attend(y, heads, places[heads.sight], keep)
        y, o = layer.o.forward(attended, weights[layer.o.columns], record)
        y, added = self._added(y, layer.attended_norm)
        return h + y, None if attention is None else _AttendKept(h, rstd, qkv, attention, o, added)

    def _feed(
        self,
        layer: _Layer,
        middle: Tensor,
        weights: dict[tuple[tuple[int, float], ...], Tensor],
        keep: bool,
        record: Record | None,
    ) -> tuple[Tensor, _FeedKept | None]:
        x, rstd = norm(middle, layer.mlp_norm, self._shape.eps, self.dtype)
        projected, gate_up = layer.gate_up.forward(x, weights[layer.gate_up.columns], record)
        gate, up = projected.chunk(2, -1)
        opened = _open(gate, self._shape.activation)
        y, down = layer.down.forward(opened * up, weights[layer.down.columns], record)
        y, added = self._added(y, layer.fed_norm)
        kept = _FeedKept(middle, rstd, gate_up, projected, opened, down, added) if keep else None
        return middle + y, kept

    def _added(self, y: Tensor, weight: Tensor | None) -> tuple[Tensor, _Added | None]:
        """What a half layer adds, normed where the base norms that, and what the backward needs of it."""
        if weight is None:
            return y, None
        whole = y.float()
        normed, rstd = norm(whole, weight, self._shape.eps, self.dtype)
        return normed, _Added(whole, rstd)

    def _added_backward(self, dh: Tensor, added: _Added | None, weight: Tensor | None) -> Tensor:
        """The gradient of a half layer's own output, in products' type, for that of the stream behind it."""
        if added is not None and weight is not None:
            dh = norm_backward(dh, added.y, added.rstd, weight)
        return dh.to(self.dtype)

    @torch.no_grad()
    def backward(self, tape: Tape, d_hidden: Tensor) -> None:
        """Add the adapters' gradients for the gradient d_hidden [T, hidden] of `tape.hidden`."""
        gradients, weights = Gradients(), tape.weights
        dh = norm_backward(d_hidden, tape.last, tape.last_rstd, self._norm)
        for number, (attended, fed) in zip(
            reversed(range(self._lowest, len(self.layers))), reversed(tape.layers), strict=True
        ):
            layer, lowest = self.layers[number], number == self._lowest
            d = self._added_backward(dh, fed.added, layer.fed_norm)
            d = layer.down.backward(d, fed.down, weights[layer.down.columns], gradients)
            # d [T, d_ff] is that of w = act(gate) ⊙ up (SwiGLU and GeGLU, arXiv 2002.05202):
            # dup = d ⊙ act(gate), dgate = d ⊙ up ⊙ act'(gate).
            gate, up = fed.projected.chunk(2, -1)
            d_projected = torch.empty_like(fed.projected)
            d_gate, d_up = d_projected.chunk(2, -1)
            torch.mul(d, fed.opened, out=d_up)
            _open_backward(d.mul_(up), gate, self._shape.activation, d_gate)
            columns = weights[layer.gate_up.columns]
            if attended is None:  # nothing under this half learns
                layer.gate_up.learn(d_projected, fed.gate_up, columns, gradients)
                break
            d = layer.gate_up.backward(d_projected, fed.gate_up, columns, gradients)
            dh += norm_backward(d, fed.middle, fed.rstd, layer.mlp_norm)
            d = self._added_backward(dh, attended.added, layer.attended_norm)
            d = layer.o.backward(d, attended.o, weights[layer.o.columns], gradients)
            heads = self._heads[number]
            d = attend_backward(d, attended.attention, heads, tape.places[heads.sight])
            columns = weights[layer.qkv.columns]
            if lowest:
                layer.qkv.learn(d, attended.qkv, columns, gradients)
                break
            d = layer.qkv.backward(d, attended.qkv, columns, gradients)
            dh += norm_backward(d, attended.h, attended.rstd, layer.input_norm)
        gradients.flush()

    def _places(self, packed: Packed) -> dict[Sight, Places]:
        longest, device = packed.width, packed.ids.device
        for name, (cos, _) in self._turns.items():
            if cos.shape[0] < longest:
                like, half = torch.empty(0, device=device), self._shape.head_dim // 2
                cos, sin = self._shape.rope(like, torch.arange(longest, device=device)[None], name)
                self._turns[name] = cos[0, :, None, :half].clone(), sin[0, :, None, :half].clone()
        groups = self._shape.heads // self._shape.kv_heads
        found = {}
        for sight in self._shape.sights:
            cos, sin = self._turns[sight.rope]
            mask = causal_mask(longest, groups, device, sight.window)
            found[sight] = Places(packed, cos[packed.places], sin[packed.places], mask)
        return found

    def _column_weights(self, packed: Packed) -> dict[tuple[tuple[int, float], ...], Tensor]:
        """Per kind of group the factors [T, R]: alpha / r in the columns of a token's adapter, else 0."""
        found: dict[tuple[tuple[int, float], ...], Tensor] = {}
        for layer in self.layers:
            for group in layer.groups:
                if group.columns not in found:
                    whose = torch.tensor([a for a, _ in group.columns], dtype=torch.long)
                    scales = torch.tensor([s for _, s in group.columns], dtype=self.dtype)
                    device = packed.owners.device
                    own = packed.owners[:, None] == whose.to(device)
                    found[group.columns] = own.to(self.dtype) * scales.to(device)
        return found


def _heads(shape: LlamaShape, block: Block) -> Heads:
    norms = None
    if block.q_norm is not None and block.k_norm is not None:
        q, k = block.q_norm.detach().float(), block.k_norm.detach().float()
        norms = torch.cat([q.expand(shape.heads, -1), k.expand(shape.kv_heads, -1)])
    return Heads(shape.heads, shape.kv_heads, shape.head_dim, shape.eps, norms, shape.scale, block.sight)


def _plain(weight: Tensor | None) -> Tensor | None:
    return None if weight is None else weight.detach().float()


def _open(gate: Tensor, activation: Activation) -> Tensor:
    return functional.silu(gate) if activation == "silu" else functional.gelu(gate, approximate="tanh")


def _open_backward(d: Tensor, gate: Tensor, activation: Activation, out: Tensor) -> None:
    """d ⊙ act'(gate) into `out`."""
    if activation == "silu":
        torch.ops.aten.silu_backward.grad_input(d, gate, grad_input=out)
    else:
        torch.ops.aten.gelu_backward.grad_input(d, gate, approximate="tanh", grad_input=out)
