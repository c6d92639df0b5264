"""Which architectures can be written as GGUF, what their header says, and how their tensors are laid out.

Names and keys are those of the GGUF specification (ggml, docs/gguf.md) and of llama.cpp's loaders.
Llama-shaped models there rotate neighbouring pairs of a head's rows where transformers rotates its two
halves, so the rows of q and k change places (`interleaved`). Gemma's norms multiply by 1 + w here and by w
there.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gguf
import torch
from torch import Tensor

from dlm_core.errors import ExportError
from dlm_core.safetext import visible_line

_GEMMA3_PATTERN = 6  # llama.cpp: every sixth layer attends to everything, the others to a window
_ROTATED = (".q_proj", ".k_proj")


@dataclass(frozen=True)
class Family:
    """One GGUF architecture. `rotated`: q and k are stored with pairs side by side; `norm_shift` is added
    to norms.
    """

    arch: gguf.MODEL_ARCH
    rotated: bool = False
    norm_shift: float = 0.0


_LLAMA = Family(gguf.MODEL_ARCH.LLAMA, rotated=True)
FAMILIES: Mapping[str, Family] = {
    "LlamaForCausalLM": _LLAMA,
    "MistralForCausalLM": _LLAMA,
    "Qwen2ForCausalLM": Family(gguf.MODEL_ARCH.QWEN2),
    "Qwen3ForCausalLM": Family(gguf.MODEL_ARCH.QWEN3),
    "Gemma3ForCausalLM": Family(gguf.MODEL_ARCH.GEMMA3, norm_shift=1.0),
}


class Shape:
    """A model's place in GGUF: architecture, header and tensor names.

    Raises ExportError where the architecture, or a setting of it, cannot be written; the message names it.
    """

    def __init__(self, model: Any) -> None:
        self.architecture = type(model).__name__
        if self.architecture not in FAMILIES:
            raise ExportError(
                f"{visible_line(self.architecture)} cannot be written as GGUF",
                f"GGUF is written for {', '.join(FAMILIES)}; `--target hf` and `--target peft` take any base",
            )
        self.family = FAMILIES[self.architecture]
        self.config: Any = model.config.get_text_config()
        self.name: str = gguf.MODEL_ARCH_NAMES[self.family.arch]
        self.blocks: int = self.config.num_hidden_layers
        self._map = gguf.get_tensor_name_map(self.family.arch, self.blocks)
        self._tied = bool(self.config.tie_word_embeddings)
        self._refuse_what_is_not_there()

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        given = getattr(self.config, "head_dim", None)
        return int(given or self.config.hidden_size // self.config.num_attention_heads)

    def tensor_name(self, name: str) -> str | None:
        """GGUF's name for one of the base's tensors; None for a head that is the embedding once more."""
        if self._tied and name.startswith("lm_head."):
            return None
        found = self._map.get_name(name, try_suffixes=(".weight", ".bias"))
        if found is None:
            raise ExportError(
                f"{self.architecture} has a tensor that GGUF has no place for: {visible_line(name)}",
                "`--target hf` takes any base",
            )
        return str(found)

    def laid_out(self, name: str, tensor: Tensor) -> Tensor:
        """A weight or bias as GGUF wants it; the rows of a LoRA's B as those of the weight it belongs to."""
        module = name.rpartition(".")[0]
        if self.family.rotated and module.endswith(_ROTATED):
            heads = (
                self.config.num_attention_heads
                if module.endswith(".q_proj")
                else self.config.num_key_value_heads
            )
            return interleaved(tensor, heads)
        if self.family.norm_shift and module.endswith("norm"):
            return tensor.float() + self.family.norm_shift
        return tensor

    def extra_tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Tensors of GGUF that the base keeps as settings: Llama 3's slowed frequencies."""
        rope = self._rope()
        if rope.get("rope_type") == "llama3":
            yield "rope_freqs.weight", _llama3_factors(rope, self.head_dim, self.config)

    def write_header(self, writer: Any) -> None:
        """The architecture's own keys."""
        config = self.config
        writer.add_context_length(config.max_position_embeddings)
        writer.add_embedding_length(config.hidden_size)
        writer.add_block_count(self.blocks)
        writer.add_feed_forward_length(config.intermediate_size)
        writer.add_head_count(config.num_attention_heads)
        writer.add_head_count_kv(config.num_key_value_heads)
        writer.add_key_length(self.head_dim)
        writer.add_value_length(self.head_dim)
        writer.add_rope_dimension_count(self.head_dim)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_vocab_size(config.vocab_size)
        rope = self._rope()
        writer.add_rope_freq_base(float(rope["rope_theta"]))
        kind = rope.get("rope_type", "default")
        if kind in ("linear", "yarn"):
            writer.add_rope_scaling_type(gguf.RopeScalingType(kind))
            writer.add_rope_scaling_factor(float(rope["factor"]))
        if kind == "yarn":
            writer.add_rope_scaling_orig_ctx_len(int(rope["original_max_position_embeddings"]))
        if self.family.arch == gguf.MODEL_ARCH.GEMMA3:
            writer.add_sliding_window(config.sliding_window)
            writer.add_rope_freq_base_swa(float(config.rope_parameters["sliding_attention"]["rope_theta"]))

    def _rope(self) -> Mapping[str, Any]:
        parameters: Mapping[str, Any] = self.config.rope_parameters
        full = parameters.get("full_attention")
        return full if isinstance(full, Mapping) else parameters

    def _refuse_what_is_not_there(self) -> None:
        config = self.config
        kind = self._rope().get("rope_type", "default")
        self._require(kind in ("default", "linear", "yarn", "llama3"), f"rope of type {kind}")
        layers = tuple(getattr(config, "layer_types", None) or ())
        if self.family.arch == gguf.MODEL_ARCH.GEMMA3:
            wanted = tuple(
                "full_attention" if (i + 1) % _GEMMA3_PATTERN == 0 else "sliding_attention"
                for i in range(self.blocks)
            )
            self._require(layers == wanted, "another order of windowed layers than one full in six")
            self._require(
                math.isclose(config.query_pre_attn_scalar, self.head_dim), "queries scaled by another number"
            )
            self._require(getattr(config, "final_logit_softcapping", None) is None, "capped logits")
            windowed = config.rope_parameters["sliding_attention"].get("rope_type", "default")
            self._require(windowed == "default", f"windowed rope of type {windowed}")
        else:
            windows = "sliding_attention" in layers or (
                self.architecture == "MistralForCausalLM" and getattr(config, "sliding_window", None)
            )
            self._require(not windows, "windowed attention")
            activation = getattr(config, "hidden_act", "silu")
            self._require(activation in ("silu", "swish"), f"activation {activation}")

    def _require(self, holds: bool, what: str) -> None:
        if not holds:
            raise ExportError(
                f"{self.architecture} cannot be written as GGUF: it has {visible_line(what)}",
                "`--target hf` takes any base",
            )


def interleaved(rows: Tensor, heads: int) -> Tensor:
    """Rows [heads · d, …] in halves of a head as rows in neighbouring pairs: 0, d/2, 1, d/2 + 1, …"""
    halves = rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
    return halves.transpose(1, 2).reshape(rows.shape)


def _llama3_factors(rope: Mapping[str, Any], head_dim: int, config: Any) -> Tensor:
    """By how much each frequency is slowed, [head_dim / 2] (Llama 3.1's scaling of RoPE).

    Long waves are slowed by `factor`, short ones not at all, and those between by a blend of both.
    """
    base, factor = float(rope["rope_theta"]), float(rope["factor"])
    low, high = float(rope["low_freq_factor"]), float(rope["high_freq_factor"])
    context = float(rope.get("original_max_position_embeddings") or config.max_position_embeddings)
    wavelength = 2 * math.pi * base ** (torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    blend = ((context / wavelength - low) / (high - low)).clamp(0, 1)
    return (1 / ((1 - blend) / factor + blend)).float()
