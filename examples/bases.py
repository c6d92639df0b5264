"""A base model with its tokenizer, an adapter over it, and a sentence for what does not load."""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer

from dlm_core.disel import AdapterError, from_pretrained

_FAILURES = (OSError, ValueError, RuntimeError, SafetensorError)


def number_type() -> torch.dtype:
    """bf16 where the GPU has it, else fp32."""
    return torch.bfloat16 if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else torch.float32


def load_tokenizer(name: str) -> Any:
    """The tokenizer of a base in a folder or on the hub."""
    try:
        return AutoTokenizer.from_pretrained(name)
    except _FAILURES as error:
        raise SystemExit(_not_loaded(name, error)) from None


def load_base(name: str) -> Any:
    """The model of a base in a folder or on the hub."""
    try:
        return AutoModelForCausalLM.from_pretrained(name, dtype=number_type())
    except _FAILURES as error:
        raise SystemExit(_not_loaded(name, error)) from None


def load_adapter(model: Any, folder: str) -> Any:
    """The base with an adapter, gated or plain, ready to be asked."""
    try:
        config = json.loads((Path(folder) / "adapter_config.json").read_text("utf-8"))
        gated = any(key.startswith("disel_gate_") for key in config)
        load = from_pretrained if gated else PeftModel.from_pretrained
        return load(model, folder).eval()
    except FileNotFoundError as error:
        raise SystemExit(
            f"--adapter {folder}: there is no {error.filename or error}; "
            "name the OUTPUT folder of a training that came to its end"
        ) from None
    except (*_FAILURES, AdapterError) as error:
        raise SystemExit(
            f"--adapter {folder} does not load: {_first_line(error)}\nWas it trained on this --model?"
        ) from None


def at_least(least: int) -> Any:
    """A type for argparse: a whole number from `least` on."""

    def number(text: str) -> int:
        if not text.lstrip("-").isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"a whole number from {least} on, not {text!r}")
        return int(text)

    return number


def _not_loaded(name: str, error: Exception) -> str:
    return (
        f"--model {name} does not load: {_first_line(error)}\n"
        "It is a folder with config.json, weights and tokenizer, or a name on the hub, if in reach."
    )


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
