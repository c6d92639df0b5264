"""GGUF to a safetensors folder, in a child process: it keeps its chatter, can be stopped, frees its memory.

Run as `python -m dlm_core.bases.convert FILE.gguf OUT_FOLDER`.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlm_core.bases.gguf_header import check_header
from dlm_core.bases.wheel import Runner, last_line
from dlm_core.errors import BaseModelError
from dlm_core.safetext import visible_line

_FULL_PRECISION_BELOW = 2_000_000_000


def convert_gguf(gguf: Path, out: Path, run: Runner, stop: Callable[[], bool]) -> None:
    """Write `gguf`, dequantised, with its tokenizer and chat template, to the folder `out`.

    Files under 2 GB become float32, larger ones bfloat16. Raises BaseModelError if it cannot be read.
    """
    check_header(gguf)
    finished = run([sys.executable, "-m", "dlm_core.bases.convert", str(gguf), str(out)], stop)
    if finished.code != 0:
        raise BaseModelError(
            f"{visible_line(gguf.name)} cannot be converted: {visible_line(last_line(finished.stderr))}",
            "transformers reads GGUF files of common architectures; a Hugging Face folder always works",
        )


def _convert(gguf: Path, out: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    dtype = torch.float32 if gguf.stat().st_size < _FULL_PRECISION_BELOW else torch.bfloat16
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, local_files_only=True)
    model: Any = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=dtype, local_files_only=True
    )
    # The weights are plain tensors from here on; marked as quantised, they could not be saved.
    model.hf_quantizer = None
    model.is_quantized = False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(out, safe_serialization=True)
    tokenizer.save_pretrained(out)


if __name__ == "__main__":
    try:
        _convert(Path(sys.argv[1]), Path(sys.argv[2]))
    except Exception as error:  # the parent shows the last line
        text = " ".join(str(error).split())
        print(f"{type(error).__name__}: {text}", file=sys.stderr)
        sys.exit(1)
