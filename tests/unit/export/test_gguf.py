"""llama.cpp loads every GGUF that is written and says what torch says; the rest is refused by name."""

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from tokenizers import Regex, pre_tokenizers

from dlm_core.adapters.bank import Bank, ServingPlan
from dlm_core.errors import ExportError, UsageError
from dlm_core.export import gguf_file, gguf_tokenizer, quant
from dlm_core.export.fold import Weights, stacked
from dlm_core.export.gguf_shape import Shape, interleaved
from dlm_core.requests import Message
from tests.tiny import logits, make_adapter, make_base_folder, make_model, make_spec
from tests.unit.export.conftest import (
    QWEN_CUT,
    TEXTS,
    byte_level,
    greedy,
    like_sentencepiece,
    loaded,
    merging_base,
    tiny_model,
)
from tests.unit.export.llamacpp import LlamaCpp

FAMILIES = ("llama_tied", "llama_untied", "qwen2", "qwen3", "gemma3")


def go_on() -> bool:
    return False


class Written:
    """A tiny base with one LoRA, as GGUF: plain, LoRA and merged."""

    def __init__(self, folder: Path, architecture: str, number_format: str = "f32") -> None:
        self.base = loaded(merging_base(folder, architecture))
        self.bank = Bank(self.base.model)
        adapter = make_adapter(make_spec("facts", tuple(self.bank.layers), "lora"), self.bank.features)
        self.lora = stacked("facts", [adapter], {"facts": 0.7}, list(self.bank.layers))
        self.plan = ServingPlan(self.bank, [adapter], {"facts": 0.7})
        self.shape = Shape(self.base.model)
        self.plain, self.beside, self.merged = (folder / f"{n}.gguf" for n in ("plain", "beside", "merged"))
        for path, lora in ((self.plain, None), (self.merged, self.lora)):
            gguf_file.write_model(
                path,
                self.base,
                self.shape,
                Weights(self.base.model, self.bank, lora, transposed=False),
                title="tiny",
                number_format=number_format,
                stop=go_on,
            )
        gguf_file.write_lora(self.beside, self.lora, self.shape, title="tiny")

    def log_probs(self, ids: list[int], *, adapted: bool) -> torch.Tensor:
        self.bank.use(self.plan if adapted else None)
        try:
            return torch.log_softmax(logits(self.base.model, torch.tensor([ids]))[0, -1], -1)
        finally:
            self.bank.use(None)

    def ours(self, ids: list[int], count: int, *, adapted: bool) -> list[int]:
        self.bank.use(self.plan if adapted else None)
        try:
            return greedy(self.base.model, ids, count, self.base.end_token_ids)
        finally:
            self.bank.use(None)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", FAMILIES)
def test_llama_cpp_says_what_torch_says(architecture: str, tmp_path: Path) -> None:
    written = Written(tmp_path, architecture)
    ids = written.base.chat.encode([Message("user", TEXTS[0])], add_generation_prompt=True)
    seen = []
    for model, lora in ((written.plain, None), (written.plain, written.beside), (written.merged, None)):
        adapted = model == written.merged or lora is not None
        ours = written.ours(ids, 12, adapted=adapted)
        runtime = LlamaCpp(model, lora)
        assert runtime.greedy(ids, 12) == ours, (model.name, lora)
        seen.append(written.log_probs(ids, adapted=adapted))
        compared = 0
        for prompt in ([*ids, token] for token in range(70, 82)):
            expected = written.log_probs(prompt, adapted=adapted)
            for token, log_prob in runtime.log_probs(prompt, 20).items():
                assert log_prob == pytest.approx(float(expected[token]), abs=0.02), (model.name, lora)
                compared += 1
        assert compared >= 20
    assert (seen[0] - seen[1]).abs().max() > 0.2


@pytest.mark.parametrize("architecture", ["llama_tied", "gemma3"])
@pytest.mark.slow
def test_llama_cpp_cuts_text_into_the_same_tokens(architecture: str, tmp_path: Path) -> None:
    written = Written(tmp_path, architecture)
    runtime = LlamaCpp(written.plain)
    for text in TEXTS[:1] if architecture == "gemma3" else TEXTS:
        rendered = written.base.chat.render([Message("user", text)], add_generation_prompt=True)
        ids = written.base.chat.encode([Message("user", text)], add_generation_prompt=True)
        assert runtime.tokens_of(rendered) == ids


def test_what_is_read_back_is_what_was_written(tmp_path: Path) -> None:
    written = Written(tmp_path, "qwen2")
    fields = gguf.GGUFReader(written.plain).fields
    assert fields["general.architecture"].contents() == "qwen2"
    assert fields["tokenizer.chat_template"].contents() == written.base.tokenizer.chat_template
    assert fields["tokenizer.ggml.tokens"].contents()[:5] == [
        "<unk>",
        "<s>",
        "</s>",
        "<|im_start|>",
        "<|im_end|>",
    ]
    adapter = gguf.GGUFReader(written.beside)
    assert adapter.fields["general.type"].contents() == "adapter"
    assert adapter.fields["adapter.lora.alpha"].contents() == written.lora.spec.alpha
    assert len(adapter.tensors) == 2 * len(written.lora.layers)


@pytest.mark.parametrize("number_format", ["f16", "bf16", "q8_0", "q4_0", "q5_1"])
@pytest.mark.slow
def test_weights_are_stored_in_the_format_asked_for(number_format: str, tmp_path: Path) -> None:
    written = Written(tmp_path, "llama_tied", number_format)
    found = {t.name: t.tensor_type.name.lower() for t in gguf.GGUFReader(written.plain).tensors}
    lossy = quant.is_lossy(number_format)
    assert found["blk.0.attn_q.weight"] == number_format  # rows of 32
    assert found["blk.0.ffn_down.weight"] == (
        "f16" if lossy else number_format
    )  # rows of 48: no whole blocks
    assert found["token_embd.weight"] == ("q8_0" if lossy else number_format)
    assert found["blk.0.attn_norm.weight"] == "f32"
    LlamaCpp(written.plain).greedy("hello", 2)


def test_rounding_is_what_a_reader_sees(tmp_path: Path) -> None:
    written = Written(tmp_path, "qwen2", "q4_0")
    weights = Weights(written.base.model, written.bank, None, transposed=False)
    names = gguf_file.names_in_file(written.shape, weights)
    own = next(n for n, w in names.items() if w == "blk.1.attn_q.weight")
    before = weights.parameter(own).clone()
    stored = next(t for t in gguf.GGUFReader(written.plain).tensors if t.name == "blk.1.attn_q.weight")
    with quant.applied(weights, names, "q4_0"):
        seen = weights.parameter(own).clone()
    read = gguf.quants.dequantize(stored.data, stored.tensor_type)
    np.testing.assert_allclose(seen.numpy(), read, atol=1e-6)
    assert not torch.equal(seen, before)
    assert torch.equal(weights.parameter(own), before)


def test_interleaving_puts_the_pairs_of_a_head_side_by_side() -> None:
    rows = torch.arange(16).unsqueeze(1)  # two heads of eight rows
    expected = [0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15]
    assert interleaved(rows, 2).flatten().tolist() == expected


def test_llama_3s_slowed_frequencies_are_written_as_factors() -> None:
    model: Any = make_model("llama_tied")
    model.config.rope_parameters = {
        "rope_type": "llama3",
        "rope_theta": 500000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    slowed, _ = ROPE_INIT_FUNCTIONS["llama3"](model.config, "cpu")
    plain = 1.0 / 500000.0 ** (torch.arange(0, 8, 2).float() / 8)
    ((name, factors),) = Shape(model).extra_tensors()
    assert name == "rope_freqs.weight"
    torch.testing.assert_close(plain / factors, slowed)


@pytest.mark.parametrize(("architecture", "named"), [("gpt2", "GPT2LMHeadModel"), ("opt", "OPTForCausalLM")])
def test_an_architecture_without_a_writer_is_refused_by_name(architecture: str, named: str) -> None:
    with pytest.raises(ExportError, match=named):
        Shape(make_model(architecture))


@pytest.mark.parametrize(
    ("setting", "value", "named"),
    [
        (
            "rope_parameters",
            {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0},
            "rope of type dynamic",
        ),
        ("hidden_act", "gelu", "activation gelu"),
    ],
)
def test_a_setting_that_would_be_lost_is_refused_by_name(setting: str, value: Any, named: str) -> None:
    model: Any = make_model("llama_tied")
    setattr(model.config, setting, value)
    with pytest.raises(ExportError, match=named):
        Shape(model)


def test_other_windows_than_llama_cpps_are_refused() -> None:
    model = tiny_model("gemma3")
    model.config.layer_types = ["full_attention", "sliding_attention"]
    with pytest.raises(ExportError, match="one full in six"):
        Shape(model)


@pytest.mark.parametrize(
    ("cut", "name"),
    [
        (None, "gpt-2"),
        (
            pre_tokenizers.Sequence(
                [
                    pre_tokenizers.Digits(individual_digits=True),
                    pre_tokenizers.ByteLevel(add_prefix_space=False),
                ]
            ),
            "smollm",
        ),
        (
            pre_tokenizers.Sequence(
                [
                    pre_tokenizers.Split(Regex(QWEN_CUT), "isolated"),
                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
                ]
            ),
            "qwen2",
        ),
        (
            pre_tokenizers.Sequence(
                [
                    pre_tokenizers.Split(Regex(QWEN_CUT.replace(r"\p{N}|", r"\p{N}{1,3}|", 1)), "isolated"),
                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
                ]
            ),
            "llama-bpe",
        ),
    ],
)
def test_how_text_is_cut_has_its_name_in_gguf(cut: Any, name: str) -> None:
    assert gguf_tokenizer.read(byte_level(cut), 300).pre == name


def test_a_cut_without_a_name_is_refused() -> None:
    cut = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\w+"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    with pytest.raises(ExportError, match="Split \\+ ByteLevel"):
        gguf_tokenizer.read(byte_level(cut), 300)


def test_a_sentencepiece_like_tokenizer_keeps_types_and_order_of_merges() -> None:
    found = gguf_tokenizer.read(like_sentencepiece(), 300)
    kinds = dict(zip(found.tokens, found.types, strict=True))
    assert (found.model, found.space_prefix, len(found.tokens)) == ("llama", False, 300)
    assert kinds["<unk>"] == gguf.TokenType.UNKNOWN and kinds["<|im_end|>"] == gguf.TokenType.CONTROL
    assert kinds["<0x41>"] == gguf.TokenType.BYTE and kinds["[PAD299]"] == gguf.TokenType.UNUSED
    scores = dict(zip(found.tokens, found.scores, strict=True))
    assert scores["he"] > scores["ll"] > scores["hell"] > scores["a"]


def test_more_tokens_than_embeddings_are_refused() -> None:
    with pytest.raises(ExportError, match="embeddings"):
        gguf_tokenizer.read(byte_level(), 100)


@pytest.mark.parametrize("name", ["q4_k_m", "iq2_xs", "q3_0", "int8\x1b[2J"])
def test_a_format_that_cannot_be_written_is_a_usage_error(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        quant.check(name)
    assert "q4_0" in caught.value.hint and "\x1b" not in str(caught.value)


def test_a_tokenizer_without_merges_is_refused(tmp_path: Path) -> None:
    base = loaded(make_base_folder(tmp_path))
    with pytest.raises(ExportError, match="merges"):
        gguf_tokenizer.read(base.tokenizer, 272)
