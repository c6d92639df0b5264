"""A real GGUF file, written here and converted in the real child process, is a base like any other."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from dlm_core.bases.convert import convert_gguf
from dlm_core.bases.load import load_base
from dlm_core.bases.placement import choose_placement
from dlm_core.bases.registry import parse_base_name
from dlm_core.bases.sources import find_base
from dlm_core.bases.wheel import run_child
from dlm_core.errors import BaseModelError
from dlm_core.requests import Message

HIDDEN, INNER, LAYERS, HEADS = 32, 64, 1, 2
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"


def write_gguf(path: Path, tokenizer: Any) -> None:
    """A llama with random weights and the tokenizer's vocabulary."""
    import json

    core = json.loads(tokenizer.backend_tokenizer.to_str())
    tokens = [t for t, _ in sorted(core["model"]["vocab"].items(), key=lambda item: item[1])]
    specials = {t["content"] for t in core["added_tokens"]}
    kinds = [gguf.TokenType.CONTROL if t in specials else gguf.TokenType.NORMAL for t in tokens]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(256)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(m) if isinstance(m, list) else m for m in core["model"]["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_chat_template(TEMPLATE)
    random = np.random.default_rng(0)

    def add(name: str, *shape: int) -> None:
        writer.add_tensor(name, random.normal(0, 0.02, shape).astype(np.float32))

    add("token_embd.weight", len(tokens), HIDDEN)
    add("output_norm.weight", HIDDEN)
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        add(f"blk.0.{name}.weight", HIDDEN, HIDDEN)
    for name, shape in (("gate", (INNER, HIDDEN)), ("up", (INNER, HIDDEN)), ("down", (HIDDEN, INNER))):
        add(f"blk.0.ffn_{name}.weight", *shape)
    for name in ("attn_norm", "ffn_norm"):
        add(f"blk.0.{name}.weight", HIDDEN)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.slow
def test_a_gguf_file_beside_the_document_becomes_a_base_that_speaks_its_template(
    tmp_path: Path, make_tokenizer: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    tokenizer = make_tokenizer()
    write_gguf(tmp_path / "tiny.gguf", tokenizer)
    capfd.readouterr()
    ref = parse_base_name("path:tiny.gguf", tmp_path)
    folder = find_base(ref, home=tmp_path / "home", report=lambda event: None)
    base = load_base(folder, choose_placement(device="cpu"), lambda event: None)
    assert capfd.readouterr() == ("", "")
    assert base.model.config.hidden_size == HIDDEN
    end = base.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert end in base.end_token_ids
    ids, loss = base.chat.encode_row("ingest?", "the queue", None)
    assert base.tokenizer.decode([i for i, learned in zip(ids, loss, strict=True) if learned]).endswith(
        "the queue<|im_end|>"
    )
    assert base.chat.render([Message("user", "x")], False) == "<|im_start|>user\nx<|im_end|>\n"


@pytest.mark.slow
def test_a_gguf_that_transformers_cannot_read_is_an_error_for_a_person(tmp_path: Path) -> None:
    broken = tmp_path / "bro\x1bken.gguf"
    broken.write_bytes(b"GGUF\3\0\0\0" + bytes(64))  # a whole header that announces nothing
    with pytest.raises(BaseModelError) as caught:
        convert_gguf(broken, tmp_path / "out", run_child, lambda: False)
    assert "cannot be converted" in caught.value.message
    assert "\x1b" not in str(caught.value)
