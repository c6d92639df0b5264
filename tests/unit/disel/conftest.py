"""Tiny random models of three architectures, and what the tests do with them again and again."""

from collections.abc import Callable

import pytest
import torch
from peft import PeftModel, get_peft_model
from torch import nn
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from dlm_core.disel import DiselConfig, enable_disel

TOKENS = torch.tensor([[3, 17, 42, 5, 60, 1], [8, 8, 21, 33, 2, 50]])


def llama() -> nn.Module:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=64,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
        )
    )


def qwen2() -> nn.Module:
    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=64,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
        )
    )


def gpt2() -> nn.Module:
    return GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=32, n_layer=2, n_head=4, n_positions=32))


ARCHITECTURES: dict[str, Callable[[], nn.Module]] = {"llama": llama, "qwen2": qwen2, "gpt2": gpt2}


def make_base(architecture: str = "llama") -> nn.Module:
    """The same weights every time."""
    torch.manual_seed(7)
    return ARCHITECTURES[architecture]().eval()


def make_config(**settings: object) -> DiselConfig:
    defaults: dict[str, object] = {
        "r": 4,
        "lora_alpha": 8,
        "target_modules": "all-linear",
        "task_type": "CAUSAL_LM",
    }
    return DiselConfig(**(defaults | settings))  # type: ignore[arg-type]


def make_gated(architecture: str = "llama", **settings: object) -> PeftModel:
    config = make_config(**settings)
    return enable_disel(get_peft_model(make_base(architecture), config), config).eval()


def scramble(model: nn.Module, key: str = "lora_", seed: int = 11) -> None:
    """Move every parameter whose name has `key` to random values, as if trained."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if key in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)


@torch.no_grad()
def logits(model: nn.Module) -> torch.Tensor:
    result: torch.Tensor = model(TOKENS).logits
    return result


@pytest.fixture(params=["gpt2", "llama", pytest.param("qwen2", marks=pytest.mark.slow)])
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[None, 3], ids=["rank_gate", "light_rank_gate"])
def bottleneck(request: pytest.FixtureRequest) -> int | None:
    return request.param  # type: ignore[no-any-return]
