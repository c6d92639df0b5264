"""llama.cpp as a consumer of what was written: greedy tokens of a GGUF file, with or without a LoRA.

It runs in a process of its own: its destructor waits for a thread, and can do so for good.
"""

import json
import os
import subprocess
import sys
import urllib.request
import weakref
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

_TIMEOUT = 120  # seconds


class LlamaCpp:
    """A GGUF file in llama.cpp, on one thread.

    Unless `own_settings`, keys and values are kept in float32 and attention is written out, so that it rounds
    little beyond the file's numbers.

    Raises RuntimeError where llama.cpp does not load it.
    """

    def __init__(
        self, model: Path, lora: Path | None = None, *, context: int = 512, own_settings: bool = False
    ) -> None:
        if find_spec("xllamacpp") is None:
            pytest.skip("xllamacpp is not installed")
        files = [str(model), *([str(lora)] if lora is not None else [])]
        rounding = "own" if own_settings else "little"
        command = [sys.executable, str(Path(__file__)), str(context), rounding, *files]
        # What llama.cpp says goes nowhere; its address comes on a line of its own.
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.PIPE, text=True
        )
        self._end = weakref.finalize(self, _end, self._process)
        assert self._process.stdout is not None
        found = next((line for line in self._process.stdout if line.startswith("at ")), None)
        if found is None:
            self._end()
            raise RuntimeError(f"llama.cpp does not load {model.name}: exit code {self._process.returncode}")
        self._address = found.removeprefix("at ").strip()

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
        """llama.cpp's own server, at an address of this machine."""
        request = urllib.request.Request(
            self._address + path,
            json.dumps(question).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
            return json.loads(answer.read())


def _end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def _serve(context: str, rounding: str, model: str, lora: str | None = None) -> None:
    """Print the address of a server for these files, and serve until whoever asked for it is gone."""
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = model
    settings.n_ctx, settings.n_parallel = int(context), 1
    settings.warmup, settings.verbosity = False, -1
    if rounding == "little":
        settings.cache_type_k = settings.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        settings.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
    if lora is not None:
        settings.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(lora, 1.0)]
    server = xllamacpp.Server(settings)
    print(f"at {server.listening_address}", flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
