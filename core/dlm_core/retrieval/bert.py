"""BERT's forward, written out: what a sentence encoder needs of it, without loading transformers' classes.

Shapes: B texts of the same T tokens, H hidden, A heads. Texts of one length go together, so nothing is padded
and nothing is masked. Layer by layer (Devlin et al., arXiv 1810.04805, post-norm):

    x = LayerNorm(x + W_o · attention(W_q x, W_k x, W_v x))
    x = LayerNorm(x + W_2 · gelu(W_1 x))
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Product = Callable[[Tensor], Tensor]
"""x [.., d_in] to [.., d_out]."""
_PACKED_FOR = 16  # rows: a prompt; more rows are read from the same blocks


@dataclass(frozen=True)
class Shape:
    """The sizes of a BERT; `positions` is how many tokens it can read."""

    layers: int
    heads: int
    positions: int
    epsilon: float

    @classmethod
    def of(cls, config: Mapping[str, object]) -> "Shape":
        """From a `config.json`. Raises ValueError: it is no BERT with absolute positions."""
        if config.get("model_type") != "bert" or config.get("hidden_act", "gelu") != "gelu":
            raise ValueError("it is no BERT")
        if config.get("position_embedding_type", "absolute") != "absolute":
            raise ValueError("its positions are not absolute")
        sizes = [config.get(key) for key in ("num_hidden_layers", "num_attention_heads")]
        positions, epsilon = config.get("max_position_embeddings"), config.get("layer_norm_eps", 1e-12)
        match (*sizes, positions, epsilon):
            case (int(layers), int(heads), int(positions), float(epsilon)):
                return cls(layers, heads, positions, epsilon)
        raise ValueError("its config lacks sizes")


class Bert:
    """A BERT's weights and its forward.

    Args:
        tensors: named as transformers saves a BertModel.

    Raises:
        KeyError: a tensor is missing.
    """

    def __init__(self, shape: Shape, tensors: Mapping[str, Tensor]) -> None:
        weights = {name.removeprefix("bert."): tensor.float() for name, tensor in tensors.items()}
        self.shape = shape
        self._words = weights["embeddings.word_embeddings.weight"]
        # What is added to every word: its position, and the type of the first segment. [positions, H]
        self._places = (
            weights["embeddings.position_embeddings.weight"]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        self._norm = _pair(weights, "embeddings.LayerNorm")
        self._layers = [_Layer.of(weights, f"encoder.layer.{i}.") for i in range(shape.layers)]

    @property
    def width(self) -> int:
        """H."""
        return self._words.shape[1]

    @torch.inference_mode()
    def states(self, ids: Tensor) -> Tensor:
        """The last states [B, T, H] of token ids [B, T]."""
        batch, tokens = ids.shape
        heads, width = self.shape.heads, self.width

        def norm(values: Tensor, pair: tuple[Tensor, Tensor]) -> Tensor:
            return functional.layer_norm(values, (width,), *pair, self.shape.epsilon)

        x = norm(self._words[ids] + self._places[:tokens], self._norm)
        for layer in self._layers:
            joint = layer.qkv(x).view(batch, tokens, 3, heads, width // heads)
            q, k, v = joint.permute(2, 0, 3, 1, 4)
            mixed = functional.scaled_dot_product_attention(q, k, v)
            mixed = mixed.transpose(1, 2).reshape(batch, tokens, width)
            x = norm(x + layer.out(mixed), layer.norm)
            up = functional.gelu(layer.up(x))
            x = norm(x + layer.down(up), layer.last_norm)
        return x


@dataclass(frozen=True)
class _Layer:
    """One layer: its products (`qkv` gives queries, keys and values on end), weight and bias of its norms."""

    qkv: Product
    out: Product
    norm: tuple[Tensor, Tensor]
    up: Product
    down: Product
    last_norm: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, weights: Mapping[str, Tensor], prefix: str) -> "_Layer":
        parts = [_pair(weights, f"{prefix}attention.self.{name}") for name in ("query", "key", "value")]
        return cls(
            qkv=_product(torch.cat([w for w, _ in parts]), torch.cat([b for _, b in parts])),
            out=_product(*_pair(weights, f"{prefix}attention.output.dense")),
            norm=_pair(weights, f"{prefix}attention.output.LayerNorm"),
            up=_product(*_pair(weights, f"{prefix}intermediate.dense")),
            down=_product(*_pair(weights, f"{prefix}output.dense")),
            last_norm=_pair(weights, f"{prefix}output.LayerNorm"),
        )


def _pair(weights: Mapping[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    return weights[f"{name}.weight"], weights[f"{name}.bias"]


def _product(weight: Tensor, bias: Tensor) -> Product:
    """x · weightᵀ + bias, from blocks as oneDNN reads them where torch has them: a prompt's few tokens then
    take half as long. [d_out, d_in], [d_out]
    """
    try:
        multiply: Any = torch.ops.mkldnn._linear_pointwise.default
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), _PACKED_FOR)
        multiply(torch.zeros(1, weight.shape[1]), packed, bias, "none", [], "")
    except (AttributeError, RuntimeError, NotImplementedError):
        return lambda x: functional.linear(x, weight, bias)

    def run(x: Tensor) -> Tensor:
        found: Tensor = multiply(x, packed, bias, "none", [], "")
        return found

    return run
