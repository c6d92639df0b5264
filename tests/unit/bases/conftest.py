"""A small byte-level tokenizer, and a base folder around it, made on the spot."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_SPECIAL = (
    "<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<start_of_turn>", "<end_of_turn>",
    "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|begin_of_text|>",
)  # fmt: skip
_LINES = (
    "Restart the ingest service and watch the queue.",
    "User: what is a fence?\nAssistant: the line.",
    "system",
)

MakeTokenizer = Callable[..., Any]


@pytest.fixture(scope="session")
def make_tokenizer() -> MakeTokenizer:
    """`make_tokenizer(template, **tokens)`: a new tokenizer; with `adds_bos` it begins text by itself."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE(unk_token=None))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(_LINES, trainer)
    plain = core.to_str()

    def make(template: str | None = None, *, adds_bos: bool = False, **tokens: str | None) -> Any:
        copy = Tokenizer.from_str(plain)
        if adds_bos:
            copy.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
        chosen = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", **tokens}
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=copy, **chosen)
        tokenizer.chat_template = template
        return tokenizer

    return make


@pytest.fixture
def make_base_folder(tmp_path: Path, make_tokenizer: MakeTokenizer) -> Callable[..., Path]:
    """`make_base_folder(name, tied=…, template=…, **tokens)`: a folder that save_pretrained wrote."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    def make(
        name: str = "tiny", *, tied: bool = True, template: str | None = None, **tokens: str | None
    ) -> Path:
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=400,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=256,
            tie_word_embeddings=tied,
            bos_token_id=1,
            eos_token_id=2,
        )
        folder = tmp_path / name
        LlamaForCausalLM(config).save_pretrained(folder)
        make_tokenizer(template, **tokens).save_pretrained(folder)
        return folder

    return make
