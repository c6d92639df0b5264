"""The shape that Llama, Mistral, Qwen2 and Qwen3 share, for code that runs their blocks without transformers.

    h += o( attention( rope(q(n1)), rope(k(n1)), v(n1) ) )     n1 = rms_norm(h)
    h += down( silu(gate(n2)) · up(n2) )                       n2 = rms_norm(h)

`find` looks at classes and settings; whoever runs the blocks on his own should also compare his logits with
the model's once, and leave it to the model where they differ.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn

MODEL_TYPES = ("llama", "mistral", "qwen2", "qwen3")
"""What config.json calls the architectures that may have this shape."""
_CLASSES = ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")


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
class Block:
    """One decoder layer. `q_norm` and `k_norm` are the weights [head_dim] of Qwen3's norms, else None."""

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

    @property
    def projections(self) -> tuple[Projection, ...]:
        return (self.q, self.k, self.v, self.o, self.gate, self.up, self.down)


@dataclass(frozen=True)
class LlamaShape:
    """A llama-shaped causal LM taken apart; tensors are the model's own, not copies.

    `embedding` and `head` are [vocabulary, hidden] (one tensor where they are tied, and then `head_name` is
    the embedding's). `rope(like, positions)`
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
    rope: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


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
    describe (sliding windows, other activations, dropout, a rope that changes with the length).
    """
    config: Any = getattr(model, "config", None)
    if type(model).__name__ not in _CLASSES or not _plain(config):
        return None
    inner: Any = model.model
    head: Any = model.get_output_embeddings()  # type: ignore[operator]
    try:
        blocks = tuple(_block(inner.layers[i], f"model.layers.{i}") for i in range(len(inner.layers)))
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
            norm=inner.norm.weight,
            blocks=blocks,
            rope=inner.rotary_emb,
        )
    except AttributeError:
        return None


def _plain(config: Any) -> bool:
    rope = getattr(config, "rope_parameters", None) or {}
    windows = "sliding_attention" in (getattr(config, "layer_types", None) or ())
    mistral_window = config.model_type == "mistral" and getattr(config, "sliding_window", None)
    return (
        getattr(config, "hidden_act", "") in ("silu", "swish")
        and not windows
        and not mistral_window
        and not getattr(config, "attention_dropout", 0.0)
        and rope.get("rope_type", "default") in ("default", "linear", "llama3", "yarn")
        and getattr(config, "pretraining_tp", 1) == 1
    )


def _block(layer: Any, name: str) -> Block:
    attention, mlp = layer.self_attn, layer.mlp

    def projection(parent: Any, path: str, leaf: str) -> Projection:
        module = getattr(parent, leaf)
        return Projection(f"{name}.{path}.{leaf}", getattr(module, "base", module))

    return Block(
        q=projection(attention, "self_attn", "q_proj"),
        k=projection(attention, "self_attn", "k_proj"),
        v=projection(attention, "self_attn", "v_proj"),
        o=projection(attention, "self_attn", "o_proj"),
        gate=projection(mlp, "mlp", "gate_proj"),
        up=projection(mlp, "mlp", "up_proj"),
        down=projection(mlp, "mlp", "down_proj"),
        input_norm=layer.input_layernorm.weight,
        mlp_norm=layer.post_attention_layernorm.weight,
        q_norm=attention.q_norm.weight if hasattr(attention, "q_norm") else None,
        k_norm=attention.k_norm.weight if hasattr(attention, "k_norm") else None,
    )
