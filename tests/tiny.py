"""Tiny random bases of several architectures, a byte-level tokenizer, and documents on them: whole runs in
seconds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from torch import nn

from dlm_core.adapters.spec import AdapterSpec, GateShape
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.document.model import Document
from dlm_core.document.parse import parse_text
from dlm_core.engine import Engine
from dlm_core.events import Event, Reply, Routed, RunEnded, Token
from dlm_core.requests import Message, RoutingChoice, Sampling, TrainOptions

DLM_ID = "01JZX3VD0M8Q6Y2T4W9RB5KCNE"
SPECIAL = ("<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>")
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
VOCABULARY = 272  # 261 that the tokenizer makes, and some that loading it as a known family may add
CONTEXT = 512
TOKENS = torch.tensor([[3, 17, 42, 5, 60, 1, 99], [8, 8, 21, 33, 2, 50, 7]])


def slow(value: Any) -> Any:
    """A parameter of a test whose others show the same kind of thing quickly enough."""
    return pytest.param(value, marks=pytest.mark.slow)


def make_tokenizer(template: str | None = CHATML) -> Any:
    """One token per byte and a few special ones, so that characters beyond ASCII take several tokens."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate((*SPECIAL, *alphabet))}
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<s>",
        eos_token="<|im_end|>" if template else "</s>",
        unk_token="<unk>",
    )
    tokenizer.chat_template = template
    return tokenizer


_ROPE_SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT,
    "initializer_range": 0.2,  # with less, a random base tells its inputs too little apart to be taught
    "bos_token_id": 1,
    "eos_token_id": 4,
    "pad_token_id": 2,
}


def _llama(**changes: Any) -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(**(_ROPE_SIZES | {"tie_word_embeddings": True} | changes)))


def _qwen2() -> nn.Module:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    return Qwen2ForCausalLM(Qwen2Config(**_ROPE_SIZES))


def _gemma3() -> nn.Module:
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    kinds = ["sliding_attention", "full_attention"]
    return Gemma3ForCausalLM(
        Gemma3TextConfig(**_ROPE_SIZES, head_dim=12, sliding_window=8, layer_types=kinds)
    )


def _gpt2() -> nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=VOCABULARY,
            n_embd=32,
            n_layer=2,
            n_head=4,
            n_positions=128,
            bos_token_id=1,
            eos_token_id=4,
        )
    )


def _opt() -> nn.Module:
    from transformers import OPTConfig, OPTForCausalLM

    return OPTForCausalLM(
        OPTConfig(
            vocab_size=VOCABULARY,
            hidden_size=32,
            ffn_dim=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=128,
            word_embed_proj_dim=32,
            bos_token_id=1,
            eos_token_id=4,
            pad_token_id=2,
            dropout=0.0,
        )
    )


ARCHITECTURES: dict[str, Callable[[], nn.Module]] = {
    "llama_tied": _llama,
    "llama_untied": lambda: _llama(tie_word_embeddings=False),
    "qwen2": _qwen2,
    "gemma3": _gemma3,
    "gpt2": _gpt2,
    "opt": _opt,
}


def every_architecture() -> list[Any]:
    """The names of the tiny bases; those that the quick tests take are one with biases and one without."""
    return [name if name in {"gpt2", "llama_tied"} else slow(name) for name in sorted(ARCHITECTURES)]


def make_model(architecture: str = "llama_tied") -> nn.Module:
    """The same random weights every time, frozen, in eval mode; biases are not zero."""
    torch.manual_seed(7)
    model = ARCHITECTURES[architecture]()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.1)
    return model.eval().requires_grad_(False)


def make_base_folder(
    parent: Path, architecture: str = "llama_tied", *, template: str | None = CHATML, name: str = "tiny"
) -> Path:
    """A base folder as transformers writes it."""
    folder = parent / name
    make_model(architecture).save_pretrained(folder)
    make_tokenizer(template).save_pretrained(folder)
    return folder


def make_spec(
    name: str,
    modules: Sequence[str],
    kind: str = "disel",
    rank: int = 4,
    alpha: float = 8.0,
    dropout: float = 0.0,
    **gate: Any,
) -> AdapterSpec:
    shape = GateShape(**gate) if kind == "disel" else None
    return AdapterSpec(name, "disel" if shape else "lora", rank, alpha, tuple(modules), dropout, shape)


def make_adapter(spec: AdapterSpec, features: dict[str, tuple[int, int]], seed: int = 3) -> AdapterWeights:
    """An adapter as if it had been trained: B is not zero, and gates differ by rank."""
    adapter = AdapterWeights.initial(spec, features, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, role, parameter in adapter.named_tensors():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(noise, alpha=1.0 if role == "gate_bias" else 0.2)
    return adapter


@torch.no_grad()
def logits(model: nn.Module, ids: torch.Tensor = TOKENS) -> torch.Tensor:
    found: torch.Tensor = model(input_ids=ids, use_cache=False).logits
    return found


# Replies are those of the weights: what is looked up has tests of its own.
QUICK = {"num_epochs": 2, "rehearsal": {"enabled": False}, "grounding": {"enabled": False}}
RATE = 0.02
AUTO = RoutingChoice()
BODY = """\
::instruction#facts::
### Q
What is the port?
### A
8443.

::instruction#facts::
### Q
Who owns billing?
### A
Team Ada.

::instruction#tone::
### Q
Say hello.
### A
Ahoy!

::instruction#tone::
### Q
Say goodbye.
### A
Fair winds!
"""


def document_text(
    body: str = BODY, *, base: str = "path:./tiny", adapters: dict[str, Any] | None = None, **training: Any
) -> str:
    """A document's text; `training` goes over these tests' quick defaults. No adapters: the flat form."""
    named = {"facts": {}, "tone": {}} if adapters is None else adapters
    rated = {name: {"learning_rate": RATE, **keys} for name, keys in named.items()}
    settings = {**QUICK, **({"adapters": rated} if rated else {"learning_rate": RATE}), **training}
    system = settings.pop("system_prompt", None)
    matter: dict[str, Any] = {"dlm_id": DLM_ID, "dlm_version": 15, "base_model": base}
    if system is not None:
        matter["system_prompt"] = system
    matter["training"] = settings
    return "---\n" + msgspec.json.encode(matter).decode() + "\n---\n" + body


def make_document(body: str = BODY, path: Path = Path("doc.dlm"), **training: Any) -> Document:
    parsed = parse_text(document_text(body, **training), path)
    assert parsed.document is not None, parsed.diagnostics
    return parsed.document


@dataclass
class Desk:
    """A document on disk with an engine on it, and every event that the engine said."""

    folder: Path
    base: Path
    events: list[Event] = field(default_factory=list)
    engine: Engine = field(init=False)

    def __post_init__(self) -> None:
        self.path = self.folder / "doc.dlm"
        self.engine = self.new_engine()

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def new_engine(self) -> Engine:
        return Engine(self.home, "cpu", self.events.append)

    def write(self, body: str = BODY, **training: Any) -> None:
        settings = {"base": f"path:{self.base}"} | training
        self.path.write_text(document_text(body, **settings), "utf-8")

    def open(self, body: str = BODY, **training: Any) -> "Desk":
        self.write(body, **training)
        self.engine.open(self.path)
        return self

    def train(
        self,
        *,
        stop: Callable[[], bool] = lambda: False,
        between: Callable[[], None] = lambda: None,
        **options: Any,
    ) -> RunEnded:
        return self.engine.train(TrainOptions(**options), self.events.append, stop, between)

    def of(self, kind: type[Any]) -> list[Any]:
        return [e for e in self.events if isinstance(e, kind)]

    def codes(self) -> set[str]:
        return {e.code for e in self.events if hasattr(e, "code") and hasattr(e, "level")}

    def ask(
        self,
        *turns: str,
        choice: RoutingChoice = AUTO,
        stop: Callable[[], bool] = lambda: False,
        engine: Engine | None = None,
        **sampling: Any,
    ) -> tuple[Routed, list[str], Reply]:
        """A reply to a conversation whose turns are the user's and the assistant's by turns."""
        messages = [Message("user" if i % 2 == 0 else "assistant", t) for i, t in enumerate(turns)]
        settings = Sampling(**({"max_tokens": 24} | sampling))
        events = list((engine or self.engine).generate(messages, choice, settings, stop))
        assert isinstance(events[0], Routed) and isinstance(events[-1], Reply)
        return events[0], [e.text for e in events if isinstance(e, Token)], events[-1]

    def another(self, name: str) -> "Desk":
        """A desk of its own beside this one: other store, other engine, same base."""
        folder = self.folder / name
        folder.mkdir()
        return Desk(folder, self.base)

    def stop_after(self, steps: int) -> Callable[[], bool]:
        """A stop flag that rises once `steps` optimiser steps are done."""
        done = iter(range(steps))
        return lambda: next(done, None) is None

    def hashes(self) -> dict[str, str]:
        """Adapter name to a hash over the committed files of its current version."""
        return committed_hashes(self.home)


def committed_hashes(home: Path) -> dict[str, str]:
    import hashlib

    from dlm_core.store.store import Store

    snapshot = Store.open(DLM_ID, home, create=False).snapshot()
    found: dict[str, str] = {}
    for name in snapshot.adapters:
        folder = snapshot.adapter_dir(name)
        parts = [(folder / f).read_bytes() for f in ("adapter_config.json", "adapter_model.safetensors")]
        found[name] = hashlib.sha256(b"".join(parts)).hexdigest()
    return found


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny Llama, made once."""
    return make_base_folder(tmp_path_factory.mktemp("bases"))


@pytest.fixture
def desk(tmp_path: Path, tiny_base: Path) -> Desk:
    return Desk(tmp_path, tiny_base)
