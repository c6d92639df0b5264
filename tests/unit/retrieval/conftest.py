"""A sentence encoder that knows words by their letters: a random BERT of two layers, made on the spot."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dlm_core.retrieval.bert import Bert, Shape
from dlm_core.retrieval.encoder import Encoder
from dlm_core.retrieval.passages import Passage

WIDTH, LAYERS, LETTERS = 32, 2, "abcdefghijklmnopqrstuvwxyz0123456789 ?.,-"


def tiny_tensors(width: int = WIDTH, layers: int = LAYERS, words: int = 64) -> dict[str, Tensor]:
    """Random weights, named as transformers saves a BertModel."""
    make = torch.Generator().manual_seed(7)

    def random(*size: int) -> Tensor:
        return torch.randn(size, generator=make) * 0.3

    tensors = {
        "embeddings.word_embeddings.weight": random(words, width),
        "embeddings.position_embeddings.weight": random(64, width) * 0.05,
        "embeddings.token_type_embeddings.weight": random(2, width) * 0.05,
    }
    norms = ["embeddings.LayerNorm"]
    for i in range(layers):
        layer = f"encoder.layer.{i}."
        sizes = {
            "attention.self.query": (width, width), "attention.self.key": (width, width),
            "attention.self.value": (width, width), "attention.output.dense": (width, width),
            "intermediate.dense": (2 * width, width), "output.dense": (width, 2 * width),
        }  # fmt: skip
        for name, size in sizes.items():
            tensors[f"{layer}{name}.weight"] = random(*size)
            tensors[f"{layer}{name}.bias"] = random(size[0])
        norms += [f"{layer}attention.output.LayerNorm", f"{layer}output.LayerNorm"]
    for name in norms:
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = torch.ones(width), torch.zeros(width)
    return tensors


def tiny_config() -> dict[str, object]:
    """The config of the same."""
    return {
        "model_type": "bert", "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": 4,
        "intermediate_size": 2 * WIDTH, "max_position_embeddings": 64, "vocab_size": 64,
        "type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu",
    }  # fmt: skip


def tiny_tokenizer() -> object:
    """One token a letter."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    vocabulary = {letter: i + 1 for i, letter in enumerate(LETTERS)} | {"[UNK]": 0}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    return tokenizer


class Counting(Encoder):
    """An encoder that remembers what it was asked."""

    def __init__(self, sha256: str = "tiny") -> None:
        super().__init__("tiny", sha256, Bert(Shape.of(tiny_config()), tiny_tensors()), tiny_tokenizer())
        self.asked: list[str] = []

    def encode(self, texts: object, stop: Callable[[], bool] = lambda: False) -> Tensor:
        self.asked += list(texts)  # type: ignore[call-overload]
        return super().encode(texts, stop)  # type: ignore[arg-type]


@pytest.fixture
def encoder() -> Counting:
    return Counting()


def answer(text: str, *questions: str, adapter: str | None = "help", key: str = "") -> Passage:
    return Passage(key or text[:8], "answer", adapter, questions, text)


def wordy(count: int = 8) -> tuple[Passage, ...]:
    """Answers whose wordings share a word of their own."""
    things = ("ledger", "payout", "refund", "webhook", "certificate", "settlement", "cardholder", "deploy")
    return tuple(
        answer(f"Reply {thing[::-1]}.", f"What about the {thing}?", f"Tell of the {thing} now.")
        for thing in things[:count]
    )


@pytest.fixture
def passages() -> tuple[Passage, ...]:
    return (
        answer("Run `kctl scale payout-worker 12`.", "The payout queue keeps growing. What do I do?"),
        answer(
            "Promote ledger-2 with pgctl.", "The ledger database is down.", "How do I recover the ledger?"
        ),
        answer("Write to the merchants every hour.", "How often do we post updates?", adapter="voice"),
        answer("The column holds the score of the fraud filter.", "What does risk_score mean?"),
        Passage("prose", "prose", None, (), "Kestrel Payments was founded in a harbour shed."),
        Passage(
            "pair", "preference", "voice", ("Say sorry to a merchant.",), "We are sorry for the lost sales."
        ),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"
