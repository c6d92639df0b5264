"""The shape that Llama, Mistral, Qwen2, Qwen3 and Gemma 3 share, for code that runs their blocks without
transformers.

    h += o( attention( rope(q(n1)), rope(k(n1)), v(n1) ) )     n1 = rms_norm(h)
    h += down( act(gate(n2)) · up(n2) )                        n2 = rms_norm(h)

What they differ in, a `Block` and a `LlamaShape` say: Qwen3 and Gemma 3 norm q and k; Gemma 3 norms what
a half adds to h too, scales its embeddings, and opens by gelu; some layers see a window of tokens only.

`find` looks at classes and settings; whoever runs the blocks on his own should also compare his logits with
the model's once, and leave it to the model where they differ.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

MODEL_TYPES = ("llama", "mistral", "qwen2", "qwen3", "gemma3_text")
"""What config.json calls the architectures that may have this shape."""
_CLASSES = (
    "LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM", "Gemma3ForCausalLM",
)  # fmt: skip
_ACTIVATIONS = {"silu": "silu", "swish": "silu", "gelu_pytorch_tanh": "gelu"}
_ROPES = ("default", "linear", "llama3", "yarn")  # those that do not change with the length of what is read

Activation = Literal["silu", "gelu"]
"""`gelu` is its approximation by tanh (arXiv 1606.08415)."""


@dataclass(frozen=True)
class Projection:
    """A linear layer: its full name in the model, the module that owns weight [d_out, d_in] and bias."""

    name: str
    module: nn.Module

    @property
    def weight(self) -> Tensor:
        weight = self.module.weight
        assert isinstance(weight, Tensor)
        return weight

    @property
    def bias(self) -> Tensor | None:
        bias = self.module.bias
        assert bias is None or isinstance(bias, Tensor)
        return bias


@dataclass(frozen=True)
class Sight:
    """How a layer's attention sees: the name of the rope that turns q and k, and how many tokens it reads,
    the last ones with its own; None for all.
    """

    rope: str = ""
    window: int | None = None


@dataclass(frozen=True)
class Block:
    """One decoder layer. Norms are given by what they multiply with: `q_norm` and `k_norm` [head_dim],
    `attended_norm` and `fed_norm` [hidden] of what attention and the feed-forward half add to h; None where
    there is no such norm.
    """

    q: Projection
    k: Projection
    v: Projection
    o: Projection
    gate: Projection
    up: Projection
    down: Projection
    input_norm: Tensor
    mlp_norm: Tensor
    q_norm: Tensor | None
    k_norm: Tensor | None
    attended_norm: Tensor | None
    fed_norm: Tensor | None
    sight: Sight

    @property
    def projections(self) -> tuple[Projection, ...]:
        return (self.q, self.k, self.v, self.o, self.gate, self.up, self.down)


@dataclass(frozen=True)
class LlamaShape:
    """A llama-shaped causal LM taken apart; large tensors are the model's own, not copies.

    `embedding` and `head` are [vocabulary, hidden] (one tensor where they are tied, and then `head_name` is
    the embedding's). Scores of attention are multiplied by `scale`. `rope(like, positions, name)`
    with positions [1, tokens] gives (cos, sin), each [1, tokens, head_dim], as `like` in dtype and device.
    """

    heads: int
    kv_heads: int
    head_dim: int
    eps: float
    embedding: Tensor
    head: Tensor
    head_name: str
    head_bias: Tensor | None
    norm: Tensor
    blocks: tuple[Block, ...]
    scale: float
    embedding_scale: float
    activation: Activation
    rope: Callable[[Tensor, Tensor, str], tuple[Tensor, Tensor]]

    @property
    def sights(self) -> tuple[Sight, ...]:
        """Every way in which some layer sees."""
        return tuple(dict.fromkeys(block.sight for block in self.blocks))

    def embed(self, ids: Tensor) -> Tensor:
        """The states [T, hidden] of tokens `ids` [T] before the first layer, in the embedding's type."""
        found = functional.embedding(ids, self.embedding)
        if self.embedding_scale == 1:
            return found
        return found * torch.tensor(self.embedding_scale, dtype=found.dtype)


def fused_weight(projections: Sequence[Projection]) -> Tensor:
    """The weights of layers that read the same input as one [sum of d_out, d_in], of which they
    are views from then on: no memory is taken twice, and asking again gives the same tensor.
    """
    weights = [p.weight for p in projections]
    first = weights[0]
    begin, storage = first.storage_offset(), first.untyped_storage().data_ptr()
    places = list(accumulate((w.numel() for w in weights), initial=begin))
    if any(
        w.untyped_storage().data_ptr() != storage or w.storage_offset() != place or not w.is_contiguous()
        for w, place in zip(weights, places, strict=False)
    ):
        with torch.no_grad():
            first = torch.cat([w.detach() for w in weights])
            parts = torch.split(first, [w.shape[0] for w in weights])
            for projection, part in zip(projections, parts, strict=True):
                projection.weight.data = part
        begin = 0
    rows = sum(w.shape[0] for w in weights)
    return first.detach().as_strided((rows, first.shape[1]), (first.shape[1], 1), begin)


def find(model: nn.Module) -> LlamaShape | None:
    """`model` taken apart, or None where it has another shape, or runs anything on its way that this does not
    describe (other activations, dropout, capped scores, a rope that changes with the length).
    """
    config: Any = getattr(model, "config", None)
    if type(model).__name__ not in _CLASSES or not _plain(config):
        return None
    inner: Any = model.model
    head: Any = model.get_output_embeddings()  # type: ignore[operator]
    try:
        blocks = tuple(_block(config, inner.layers[i], i) for i in range(len(inner.layers)))
        head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return LlamaShape(
            heads=config.num_attention_heads,
            kv_heads=config.num_key_value_heads,
            head_dim=head_dim,
            eps=config.rms_norm_eps,
            embedding=inner.embed_tokens.weight,
            head=head.weight,
            head_name="model.embed_tokens" if head.weight is inner.embed_tokens.weight else "lm_head",
            head_bias=head.bias,
            norm=_multiplies(inner.norm),
            blocks=blocks,
            scale=getattr(config, "query_pre_attn_scalar", head_dim) ** -0.5,
            embedding_scale=getattr(inner.embed_tokens, "scalar_embed_scale", 1.0),
            activation=_activation(config),
            rope=_rope(inner.rotary_emb, _is_gemma(config)),
        )
    except AttributeError:
        return None


def _is_gemma(config: Any) -> bool:
    return bool(config.model_type == "gemma3_text")


def _activation(config: Any) -> Any:
    """The activation; None for one that nothing here knows."""
    return _ACTIVATIONS.get(getattr(config, "hidden_activation" if _is_gemma(config) else "hidden_act", ""))


def _plain(config: Any) -> bool:
    ropes = getattr(config, "rope_parameters", None) or {}
    ropes = list(ropes.values()) if _is_gemma(config) else [ropes]
    return (
        _activation(config) is not None
        and not getattr(config, "attention_dropout", 0.0)
        and all(isinstance(rope, dict) and rope.get("rope_type", "default") in _ROPES for rope in ropes)
        and getattr(config, "pretraining_tp", 1) == 1
        and not getattr(config, "use_bidirectional_attention", False)
        and getattr(config, "attn_logit_softcapping", None) is None
        and getattr(config, "final_logit_softcapping", None) is None
    )


def _sight(config: Any, number: int) -> Sight:
    kinds = getattr(config, "layer_types", None)
    kind = kinds[number] if kinds else "full_attention"
    windowed = kind == "sliding_attention" or config.model_type == "mistral"
    window = getattr(config, "sliding_window", None) if windowed else None
    return Sight(kind if _is_gemma(config) else "", window)


def _rope(turned: Any, by_kind: bool) -> Callable[[Tensor, Tensor, str], tuple[Tensor, Tensor]]:
    def give(like: Tensor, positions: Tensor, name: str) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = turned(like, positions, name) if by_kind else turned(like, positions)
        return found

    return give


def _multiplies(norm: Any) -> Tensor:
    """A norm's factors: its weight, or 1 + weight where it is Gemma's."""
    weight: Tensor = norm.weight
    return 1.0 + weight.detach().float() if type(norm).__name__ == "Gemma3RMSNorm" else weight


def _block(config: Any, layer: Any, number: int) -> Block:
    attention, mlp, name = layer.self_attn, layer.mlp, f"model.layers.{number}"
    gemma = _is_gemma(config)

    def projection(parent: Any, path: str, leaf: str) -> Projection:
        module = getattr(parent, leaf)
        return Projection(f"{name}.{path}.{leaf}", getattr(module, "base", module))

    def norm(parent: Any, leaf: str) -> Tensor | None:
        return _multiplies(getattr(parent, leaf)) if hasattr(parent, leaf) else None

    return Block(
        q=projection(attention, "self_attn", "q_proj"),
        k=projection(attention, "self_attn", "k_proj"),
        v=projection(attention, "self_attn", "v_proj"),
        o=projection(attention, "self_attn", "o_proj"),
        gate=projection(mlp, "mlp", "gate_proj"),
        up=projection(mlp, "mlp", "up_proj"),
        down=projection(mlp, "mlp", "down_proj"),
        input_norm=_multiplies(layer.input_layernorm),
        # What Llama calls the norm after attention is the feed-forward half's; Gemma's has both.
        mlp_norm=_multiplies(layer.pre_feedforward_layernorm if gemma else layer.post_attention_layernorm),
        q_norm=norm(attention, "q_norm"),
        k_norm=norm(attention, "k_norm"),
        attended_norm=norm(layer, "post_attention_layernorm") if gemma else None,
        fed_norm=norm(layer, "post_feedforward_layernorm"),
        sight=_sight(config, number),
    )
