"""The programs that decoding is measured against, each as a function that replies and says how fast.

Both are of this environment (`pip install dlm[dev]` brings them); one that cannot be imported is skipped, and
the reason is in the figures.
"""

import json
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from dlm_core.adapters.weights import AdapterWeights
from dlm_core.inference.chat import Chat

Speed = Callable[[Sequence[int], int], float]
"""Prompt ids and a number of tokens to the tokens per second of the decode."""


def peft_three_loras(folder: Path, chat: Chat) -> Speed:
    """transformers' `generate` on the base in `folder` with the document's adapters as three active LoRAs.

    Raises ImportError where PEFT is not installed.
    """
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    names = [a.spec.name for a in chat.serving.adapters]
    rank = chat.serving.adapters[0].spec.rank
    settings = LoraConfig(r=rank, target_modules="all-linear", init_lora_weights=False)
    tuned: Any = get_peft_model(model, settings, adapter_name=names[0])
    for name in names[1:]:
        tuned.add_adapter(name, settings)
    tuned.base_model.set_adapter(names)

    def speed(ids: Sequence[int], count: int) -> float:
        prompt = torch.tensor([list(ids)])
        times: list[float] = []
        for length in (1, count + 1):
            begun = time.perf_counter()
            with torch.inference_mode():
                tuned.generate(
                    input_ids=prompt,
                    attention_mask=torch.ones_like(prompt),
                    min_new_tokens=length,
                    max_new_tokens=length,
                    do_sample=False,
                )
            times.append(time.perf_counter() - begun)
        return count / (times[1] - times[0])

    return speed


def llama_cpp(folder: Path, chat: Chat, threads: int) -> Speed:
    """llama.cpp on the same base at Q8_0 with the document's adapters as three LoRAs, without their gates.

    Raises ImportError where xllamacpp is not installed.
    """
    import xllamacpp

    from dlm_core.export import gguf_file
    from dlm_core.export.fold import Weights
    from dlm_core.export.gguf_shape import Shape

    shape = Shape(chat.base.model)
    weights = Weights(chat.base.model, chat.bank, None, transposed=False)
    model = folder / "base.gguf"
    gguf_file.write_model(
        model, chat.base, shape, weights, title="base", number_format="q8_0", stop=lambda: False
    )
    adapters: list[AdapterWeights] = list(chat.serving.adapters)
    settings = xllamacpp.CommonParams()
    settings.model.path = str(model)
    settings.n_ctx, settings.n_parallel = 512, 1
    settings.warmup, settings.verbosity = False, -1
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = threads
    loras = []
    for adapter in adapters:
        path = folder / f"{adapter.spec.name}.gguf"
        gguf_file.write_lora(path, adapter, shape, title=adapter.spec.name)
        loras.append(xllamacpp.CommonAdapterLoraInfo(str(path), 1 / len(adapters)))
    settings.lora_adapters = loras
    server = xllamacpp.Server(settings)

    def speed(ids: Sequence[int], count: int) -> float:
        question = {
            "prompt": list(ids),
            "n_predict": count,
            "temperature": 0.0,
            "ignore_eos": True,
            "cache_prompt": False,
        }
        request = urllib.request.Request(
            server.listening_address + "/completion",
            json.dumps(question).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            found = json.loads(answer.read())
        return float(found["timings"]["predicted_per_second"])

    return speed
