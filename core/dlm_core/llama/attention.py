"""Attention of packed rows, forward and backward: rows are set side by side, each attends within itself."""

from dataclasses import dataclass

import torch
from torch import Tensor

from dlm_core.llama.packing import Packed
from dlm_core.llama.shape import Sight

_KEPT_SCORES = 4_000_000  # a block's attention weights up to this many numbers are kept for the backward


@dataclass(frozen=True)
class Heads:
    """How a product of q, k and v is divided: numbers of heads, and numbers per head. `norms` [heads +
    kv_heads, d] are what norms of q and k multiply with, or None; scores are multiplied by `scale`.
    """

    heads: int
    kv_heads: int
    d: int
    eps: float
    norms: Tensor | None
    scale: float
    sight: Sight

    @property
    def turned(self) -> int:
        """Heads that are turned by their place: those of q and k."""
        return self.heads + self.kv_heads

    @property
    def all(self) -> int:
        return self.heads + 2 * self.kv_heads


@dataclass(frozen=True)
class Places:
    """The places of a pack, as attention of one sight needs them: cos and sin [T, 1, d / 2], and the mask
    [g * width, width].
    """

    packed: Packed
    cos: Tensor
    sin: Tensor
    mask: Tensor


@dataclass(frozen=True)
class AttentionKept:
    """q [rows * kv, g * width, d], k and v [rows * kv, width, d]; the attention weights if they are few; and,
    where heads are normed, q and k before that [T, turned, d] with their reciprocal root mean squares.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    weights: Tensor | None
    heads: Tensor | None
    rstd: Tensor | None


def causal_mask(width: int, groups: int, device: torch.device, window: int | None = None) -> Tensor:
    """[groups * width, width], minus infinity where a key lies after its query, or `window` and more
    before it.
    """
    hidden = torch.full((width, width), float("-inf"), device=device).triu_(1)
    if window is not None and window < width:
        hidden += torch.full_like(hidden, float("-inf")).tril_(-window)
    return hidden.repeat(groups, 1)


def turn(x: Tensor, cos: Tensor, sin: Tensor, out: Tensor) -> None:
    """Rotary embedding of x [T, heads, d] into `out` (RoFormer, arXiv 2104.09864, equation 34, in the two
    halves that transformers uses): each pair (l, r) becomes (l cos − r sin, r cos + l sin). As that is a
    rotation, the same with −sin is its backward.
    """
    half = x.shape[-1] // 2
    left, right = x[..., :half], x[..., half:]
    torch.mul(left, cos, out=out[..., :half]).addcmul_(right, sin, value=-1)
    torch.mul(right, cos, out=out[..., half:]).addcmul_(left, sin)


def norm(h: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """RMS norm of h [.., d] in float32, given out as `dtype`, and the reciprocal root mean square [.., 1].

    n = r h ⊙ w  with  r = (mean(h²) + eps)^(−1/2)  (RMSNorm, arXiv 1910.07467, equation 4)
    """
    rstd = torch.rsqrt(h.pow(2).mean(-1, keepdim=True).add_(eps))
    return (h * rstd).mul_(weight).to(dtype), rstd


def norm_backward(dn: Tensor, h: Tensor, rstd: Tensor, weight: Tensor) -> Tensor:
    """dh [.., d] for the gradient dn of a norm's output.

    With g = dn ⊙ w and x = r h, dh = r (g − x mean(g ⊙ x)): what moves h along itself changes nothing.
    """
    g, n = dn.float() * weight, h * rstd
    return g.sub_(n.mul_((g * n).mean(-1, keepdim=True))).mul_(rstd)


def attend(y: Tensor, heads: Heads, places: Places, keep: bool) -> tuple[Tensor, AttentionKept | None]:
    """Attention's output [T, heads * d] for the product y [T, (heads + 2 kv) * d], in y's type; its own
    products too are in that type.

    O = P V,  P = softmax(Q Kᵀ / √d + mask)  (arXiv 1706.03762, equation 1), for each row and each of the kv
    heads. The g = heads / kv query heads that share keys and values (arXiv 2305.13245) lie one under the
    other, so Q is [g * width, d] and P [g * width, width]: one product for the group.
    """
    packed, d, kv = places.packed, heads.d, heads.kv_heads
    total, turned = y.shape[0], heads.turned
    x = y.view(total, heads.all, d)
    qk = x[:, :turned].float()
    before = rstd = None
    if heads.norms is not None:
        before = qk
        qk, rstd = norm(qk, heads.norms, heads.eps, torch.float32)
    full = torch.empty(total, heads.all, d, dtype=y.dtype, device=y.device)
    placed = torch.empty_like(qk)
    turn(qk, places.cos, places.sin, placed)
    full[:, :turned] = placed
    full[:, turned:] = x[:, turned:]
    q, k, v = _side_by_side(full, heads, packed)
    weights = _weights(q, k, places.mask, heads.scale)
    out = weights @ v
    back = out.view(packed.rows, kv, -1, packed.width, d).permute(0, 3, 1, 2, 4)
    back = back.reshape(packed.rows * packed.width, heads.heads * d).index_select(0, packed.end_to_end)
    kept = None
    if keep:
        few = weights.numel() <= _KEPT_SCORES
        kept = AttentionKept(q, k, v, weights if few else None, before, rstd)
    return back, kept


def attend_backward(d_out: Tensor, kept: AttentionKept, heads: Heads, places: Places) -> Tensor:
    """dy [T, (heads + 2 kv) * d] for the gradient [T, heads * d] of attention's output.

    dV = Pᵀ dO;  dP = dO Vᵀ;  dS = P ⊙ (dP − rowsum(P ⊙ dP)) / √d;  dQ = dS K;  dK = dSᵀ Q  (FlashAttention,
    arXiv 2205.14135, appendix B.2). As query heads lie one under the other, Pᵀ and dSᵀ sum over a group's.
    """
    packed, d, kv, turned = places.packed, heads.d, heads.kv_heads, heads.turned
    total, rows, width = d_out.shape[0], packed.rows, packed.width
    weights = kept.weights
    if weights is None:
        weights = _weights(kept.q, kept.k, places.mask, heads.scale)
    # dO [rows * kv, g * width, d]: a row's copy of a shared beginning was read and thrown away, so it gets 0.
    do = d_out.index_select(0, packed.side_by_side).mul_(packed.own.to(d_out.dtype)[:, None])
    do = do.view(rows, width, kv, -1, d)
    do = do.permute(0, 2, 3, 1, 4).reshape(rows * kv, -1, d)
    side = torch.empty(rows, width, heads.all, d, dtype=d_out.dtype, device=d_out.device)
    side[:, :, turned:] = (weights.mT @ do).view(rows, kv, width, d).transpose(1, 2)
    ds = torch._softmax_backward_data(do @ kept.v.mT, weights, -1, weights.dtype).mul_(heads.scale)
    dq = (ds @ kept.k).view(rows, kv, -1, width, d).permute(0, 3, 1, 2, 4)
    torch.unflatten(side[:, :, : heads.heads], 2, (kv, -1)).copy_(dq)
    side[:, :, heads.heads : turned] = (ds.mT @ kept.q).view(rows, kv, width, d).transpose(1, 2)
    side = side.view(rows * width, heads.all, d)
    full = side.index_select(0, packed.end_to_end)
    if len(packed.common):
        # Keys and values of a shared beginning serve several rows: their gradients add up, [S, all * d].
        others = side.index_select(0, packed.copies.flatten()).view(*packed.copies.shape, heads.all * d)
        others = torch.einsum("skn,sk->sn", others, packed.copied.to(others.dtype))
        full[packed.common] += others.view(-1, heads.all, d)
    full[packed.real :] = 0  # the token of no row
    dqk = torch.empty(total, turned, d, device=d_out.device)
    turn(full[:, :turned].float(), places.cos, -places.sin, dqk)
    if heads.norms is not None:
        assert kept.heads is not None and kept.rstd is not None
        dqk = norm_backward(dqk, kept.heads, kept.rstd, heads.norms)
    dy = torch.empty(total, heads.all, d, dtype=d_out.dtype, device=d_out.device)
    dy[:, :turned] = dqk
    dy[:, turned:] = full[:, turned:]
    return dy.view(total, heads.all * d)


def _side_by_side(full: Tensor, heads: Heads, packed: Packed) -> tuple[Tensor, Tensor, Tensor]:
    """q [rows * kv, g * width, d], k and v [rows * kv, width, d] of all heads [T, all, d]."""
    rows, width, kv, d = packed.rows, packed.width, heads.kv_heads, heads.d
    side = full.index_select(0, packed.side_by_side).view(rows, width, heads.all, d)
    q = torch.unflatten(side[:, :, : heads.heads], 2, (kv, -1)).permute(0, 2, 3, 1, 4)
    q = q.reshape(rows * kv, -1, d)
    k = side[:, :, heads.heads : heads.turned].transpose(1, 2).reshape(rows * kv, width, d)
    v = side[:, :, heads.turned :].transpose(1, 2).reshape(rows * kv, width, d)
    return q, k, v


def _weights(q: Tensor, k: Tensor, mask: Tensor, scale: float) -> Tensor:
    return torch.softmax(torch.baddbmm(mask.to(q.dtype), q, k.mT, alpha=scale), -1)
