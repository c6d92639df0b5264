"""The merged model as a folder that `AutoModelForCausalLM` and `AutoTokenizer` load."""

import json
from pathlib import Path
from typing import Any

import torch

from dlm_core.bases.load import Base, quiet_transformers
from dlm_core.engine_protocol import ShouldStop
from dlm_core.errors import Stopped
from dlm_core.export.fold import Weights

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


def write(base: Base, weights: Weights, folder: Path, dtype: torch.dtype | None, stop: ShouldStop) -> None:
    """Write config, generation config, tokenizer with chat template, and weights in `dtype` (None: the
    base's).

    Raises OSError where the disk refuses, Stopped.
    """
    state: dict[str, torch.Tensor] = {}
    known: dict[int, torch.Tensor] = {}  # tied weights stay one tensor, and are written once
    for name in weights.names():
        if stop():
            raise Stopped("stopped; nothing was exported")
        place = weights.parameter(name).data_ptr()
        if place not in known:
            tensor = weights.get(name)
            known[place] = tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor
        state[name] = known[place]
    model: Any = base.model
    with quiet_transformers():
        model.save_pretrained(folder, state_dict=state)
        base.tokenizer.save_pretrained(folder)
    if dtype is not None:  # transformers writes the type of the model in memory
        path = folder / "config.json"
        config = json.loads(path.read_text("utf-8")) | {"dtype": str(dtype).removeprefix("torch.")}
        path.write_text(json.dumps(config, indent=2) + "\n", "utf-8")
