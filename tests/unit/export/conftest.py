"""Tiny bases whose tokenizers merge, as GGUF wants them, and what exports of them are compared with."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from dlm_core.bases.folder import BaseFolder
from dlm_core.bases.load import Base, load_base
from dlm_core.bases.placement import choose_placement
from dlm_core.export import fit, reference
from dlm_core.training.rehearsal import bundled
from tests.tiny import CHATML, SPECIAL, VOCABULARY, Desk, make_model

MERGES = (("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("t", "he"), ("i", "n"))
SPACE = "▁"
QWEN_CUT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEXTS = (
    "hello, the inn is full",
    "Größe 1234, what's up?  two  spaces\n\n\tand a tab",
    "你好 \U0001f600 — it'LL do",
    "",
)


def _fast(core: Any, **tokens: str) -> Any:
    from tokenizers import AddedToken
    from transformers import PreTrainedTokenizerFast

    core.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>", **tokens)
    tokenizer.chat_template = CHATML
    return tokenizer


def byte_level(cut: Any = None) -> Any:
    """Byte-level BPE with a few merges; `cut` is a pre-tokenizer to use instead of GPT-2's."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    pieces = (*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet()), *(a + b for a, b in MERGES))
    core = Tokenizer(models.BPE(vocab={p: i for i, p in enumerate(pieces)}, merges=list(MERGES)))
    core.pre_tokenizer = cut or pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    return _fast(core, bos_token="<s>", eos_token="<|im_end|>")


def like_sentencepiece() -> Any:
    """BPE over characters with bytes to fall back on, as Gemma's."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    letters = [SPACE, *"abcdefghijklmnopqrstuvwxyz,.'"]
    pieces = (*SPECIAL, *(f"<0x{b:02X}>" for b in range(200)), *letters, *(a + b for a, b in MERGES))
    core = Tokenizer(
        models.BPE(
            vocab={p: i for i, p in enumerate(pieces)},
            merges=list(MERGES),
            byte_fallback=True,
            unk_token="<unk>",
            fuse_unk=True,
        )
    )
    core.normalizer = normalizers.Replace(" ", SPACE)
    core.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    core.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    return _fast(core, bos_token="<s>", eos_token="<|im_end|>")


def tiny_model(architecture: str) -> Any:
    """A tiny random model of a family that GGUF is written for."""
    sizes = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 512,
        "initializer_range": 0.2,
        "bos_token_id": 1,
        "eos_token_id": 4,
        "pad_token_id": 2,
    }
    torch.manual_seed(7)
    if architecture == "qwen3":
        from transformers import Qwen3Config, Qwen3ForCausalLM

        model: Any = Qwen3ForCausalLM(Qwen3Config(**sizes, num_hidden_layers=2))
    elif architecture == "gemma3":
        from transformers import Gemma3ForCausalLM, Gemma3TextConfig

        settings = sizes | {"num_hidden_layers": 6, "sliding_window": 8, "query_pre_attn_scalar": 16}
        model = Gemma3ForCausalLM(Gemma3TextConfig(**settings))
    else:
        return make_model(architecture)
    with torch.no_grad():  # norms as a trained model has them, so that a wrong shift is seen
        for name, parameter in model.named_parameters():
            if name.endswith("norm.weight"):
                parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return model.eval().requires_grad_(False)


def merging_base(parent: Path, architecture: str, name: str = "tiny") -> Path:
    """A base folder of an architecture, with the kind of tokenizer its family has."""
    folder = parent / name
    tiny_model(architecture).save_pretrained(folder)
    (like_sentencepiece() if architecture == "gemma3" else byte_level()).save_pretrained(folder)
    return folder


def loaded(folder: Path) -> Base:
    placement = choose_placement("fp32", "cpu")
    return load_base(BaseFolder("tiny", folder, "path", "fingerprint"), placement, lambda _: None)


def greedy(model: Any, ids: Sequence[int], count: int, ends: Collection[int] = ()) -> list[int]:
    """The model's own continuation, without a cache, up to the first of `ends` and with it."""
    done = list(ids)
    with torch.no_grad():
        for _ in range(count):
            done.append(int(model(torch.tensor([done]), use_cache=False).logits[0, -1].argmax()))
            if done[-1] in ends:
                break
    return done[len(ids) :]


@pytest.fixture(autouse=True)
def few_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two neutral texts and two passes of a fit instead of a dozen and eight, for speed."""
    monkeypatch.setattr(reference, "bundled", lambda name: bundled(name)[:2])
    monkeypatch.setattr(fit, "_PASSES", 2)


@pytest.fixture(scope="session")
def merging_tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama with a merging tokenizer, made once."""
    return merging_base(tmp_path_factory.mktemp("merging"), "llama_tied")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, merging_tiny: Path) -> Desk:
    """A document with two gated adapters and a trained gate, made once; its engine is open."""
    desk = Desk(tmp_path_factory.mktemp("trained"), merging_tiny)
    desk.open(gate={"enabled": True, "cold_start_floor": 2, "steps": 60}, num_epochs=12)
    desk.train()
    return desk
