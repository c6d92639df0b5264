"""The programs that decoding is measured against, each in a process of its own that says how fast it replies.

Threads that one program leaves waiting slow another one in the same process, so none shares one. Both are of
this environment (`pip install dlm[dev]` brings them); one that cannot be imported is skipped, and the reason
is in the figures.
"""

import json
import multiprocessing
import os
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from dlm_core.inference.chat import Chat
from dlm_core.surroundings import SETTINGS

Speed = Callable[[Sequence[int], int], float]
"""Prompt ids and a number of tokens to the tokens per second of the decode."""


def peft_three_loras(folder: Path, chat: Chat) -> Speed:
    """transformers' `generate` on the base in `folder` with the document's adapters as three active LoRAs.

    Raises RuntimeError where PEFT does not run.
    """
    adapters = chat.serving.adapters
    return _apart(_peft, str(folder), [a.spec.name for a in adapters], adapters[0].spec.rank)


def llama_cpp(folder: Path, chat: Chat, threads: int) -> Speed:
    """llama.cpp on the same base at Q8_0 with the document's adapters as three LoRAs, without their gates.

    `folder` holds its files. Raises RuntimeError where xllamacpp does not run.
    """
    from dlm_core.export import gguf_file
    from dlm_core.export.fold import Weights
    from dlm_core.export.gguf_shape import Shape

    shape = Shape(chat.base.model)
    weights = Weights(chat.base.model, chat.bank, None, transposed=False)
    model = folder / "base.gguf"
    gguf_file.write_model(
        model, chat.base, shape, weights, title="base", number_format="q8_0", stop=lambda: False
    )
    loras = []
    for adapter in chat.serving.adapters:
        loras.append(folder / f"{adapter.spec.name}.gguf")
        gguf_file.write_lora(loras[-1], adapter, shape, title=adapter.spec.name)
    return _apart(_llama, str(model), [str(lora) for lora in loras], threads)


def _apart(make: Callable[..., Speed], *arguments: object) -> Speed:
    """What `make` returns, in a process of its own that has a program's usual surroundings."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=_serve, args=(there, make, arguments), daemon=True)
    with _without(SETTINGS):
        child.start()
    there.close()

    def ask(question: object) -> Any:
        try:
            here.send(question)
            answer = here.recv()
        except (EOFError, OSError) as error:
            raise RuntimeError(f"{make.__name__} ended by itself, exit code {child.exitcode}") from error
        if isinstance(answer, str):
            raise RuntimeError(answer)
        return answer

    ask(None)  # it is ready, or says why not
    return lambda ids, count: float(ask((list(ids), count)))


def _serve(questions: Connection, make: Callable[..., Speed], arguments: Sequence[Any]) -> None:
    speed: Speed | None = None
    while True:
        try:
            question = questions.recv()
        except EOFError:
            return
        try:
            speed = speed or make(*arguments)
            questions.send(0.0 if question is None else speed(*question))
        except (ImportError, OSError, RuntimeError) as error:
            questions.send(f"{type(error).__name__}: {error}")


@contextmanager
def _without(names: Iterable[str]) -> Iterator[None]:
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def _peft(folder: str, names: Sequence[str], rank: int) -> Speed:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
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


def _llama(model: str, loras: Sequence[str], threads: int) -> Speed:
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = model
    settings.n_ctx, settings.n_parallel = 512, 1
    settings.warmup, settings.verbosity = False, -1
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = threads
    settings.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(lora, 1 / len(loras)) for lora in loras]
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
