"""llama.cpp as a consumer of what was written: greedy tokens of a GGUF file, with or without a LoRA."""

import json
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest


class LlamaCpp:
    """A GGUF file in llama.cpp, one thread.

    Raises RuntimeError where llama.cpp does not load it.
    """

    def __init__(self, model: Path, lora: Path | None = None, *, context: int = 512) -> None:
        xllamacpp = pytest.importorskip("xllamacpp")
        settings = xllamacpp.CommonParams()
        settings.model.path = str(model)
        settings.n_ctx, settings.n_parallel = context, 1
        settings.warmup, settings.verbosity = False, -1
        settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
        if lora is not None:
            settings.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(lora), 1.0)]
        self._server = xllamacpp.Server(settings)

    def greedy(self, prompt: str | Sequence[int], count: int) -> list[int]:
        """Up to `count` tokens after a prompt of text or ids, with the end token that ends them."""
        found = self._ask(
            "/completion",
            prompt=prompt if isinstance(prompt, str) else list(prompt),
            n_predict=count,
            temperature=0.0,
            samplers=["temperature"],
            return_tokens=True,
            cache_prompt=False,
        )
        return [int(token) for token in found["tokens"]]

    def log_probs(self, prompt: Sequence[int], count: int) -> dict[int, float]:
        """The `count` likeliest next tokens with the natural logarithm of their probabilities; empty where
        llama.cpp keeps them back, since the likeliest is a part of a character.
        """
        found = self._ask("/completion", prompt=list(prompt), n_predict=1, temperature=0.0, n_probs=count)
        shown = found.get("completion_probabilities")
        return {int(e["id"]): float(e["logprob"]) for e in shown[0]["top_logprobs"]} if shown else {}

    def tokens_of(self, text: str) -> list[int]:
        """The tokens llama.cpp cuts a text into, special ones read as such."""
        found = self._ask("/tokenize", content=text, add_special=False, parse_special=True)
        return [int(token) for token in found["tokens"]]

    def _ask(self, path: str, **question: Any) -> Any:
        """llama.cpp's own server in this process, at an address of this machine."""
        request = urllib.request.Request(
            self._server.listening_address + path,
            json.dumps(question).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.loads(answer.read())
