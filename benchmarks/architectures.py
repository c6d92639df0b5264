"""Bases of other architectures under the forward written out here, against transformers' own.

    python -m benchmarks.architectures [NAME …] [--rounds 5]

Every base has its real sizes and random weights, so that nothing is downloaded: what a step or a token costs
does not hang on what weights say. Three rank-gated adapters where the recipe puts them; steps on three rows
of fifty tokens, optimiser and rehearsal left out; tokens of a reply under a mix of all three. By turns.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from dlm_core.adapters.bank import Bank
from dlm_core.adapters.flat import FlatAdapters
from dlm_core.adapters.spec import AdapterSpec, GateShape
from dlm_core.adapters.targets import resolve_targets
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.bases.placement import Placement
from dlm_core.document.model import SectionKind
from dlm_core.inference.decoders import Decoders
from dlm_core.llama.decode_forward import take_over
from dlm_core.training.batches import Batch, collate
from dlm_core.training.examples import Row
from dlm_core.training.forward import SelectiveHead
from dlm_core.training.passes import LeanPasses, PlanPasses, choose_passes
from dlm_core.training.processes import accelerator_for

NAMES = ("one", "two", "three")
ROWS, LENGTH, TOKENS = 3, 50, 16


def gemma3_270m() -> Any:
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    config = Gemma3TextConfig(
        vocab_size=262_144,
        hidden_size=640,
        intermediate_size=2048,
        num_hidden_layers=18,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=256,
        sliding_window=512,
    )
    return Gemma3ForCausalLM(config)


def qwen3_06b() -> Any:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(
        vocab_size=151_936,
        hidden_size=1024,
        intermediate_size=3072,
        num_hidden_layers=28,
        num_attention_heads=16,
        num_key_value_heads=8,
        head_dim=128,
        tie_word_embeddings=True,
    )
    return Qwen3ForCausalLM(config)


BASES: dict[str, Callable[[], Any]] = {"gemma-3-270m": gemma3_270m, "qwen3-0.6b": qwen3_06b}


def batch_of(vocabulary: int) -> Batch:
    """Rows of random tokens, the second half of each to be learned."""
    chance = torch.Generator().manual_seed(1)
    rows = []
    for number, name in zip(range(ROWS), NAMES, strict=True):
        ids = tuple(torch.randint(0, vocabulary, (LENGTH,), generator=chance).tolist())
        learned = tuple(place >= LENGTH // 2 for place in range(LENGTH))
        rows.append(Row(ids, learned, name, str(number), "", SectionKind.INSTRUCTION))
    return collate(rows, list(NAMES), 0)


def by_turns(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, object]:
    """Median milliseconds of each way, and how many times the second takes the first, with quartiles."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            begun = time.perf_counter()
            way()
            if number:  # the first round warms up
                taken[name].append(time.perf_counter() - begun)
    first, second = taken.values()
    ratios = sorted(b / a for a, b in zip(first, second, strict=True))
    return {
        **{f"{name}_ms": round(1000 * statistics.median(times), 1) for name, times in taken.items()},
        "times_as_fast": round(statistics.median(ratios), 2),
        "quartiles": [round(ratios[len(ratios) // 4], 2), round(ratios[(3 * len(ratios)) // 4], 2)],
    }


def measured(make: Callable[[], Any], rounds: int) -> dict[str, object]:
    """One base: steps and tokens, written out and through transformers."""
    torch.manual_seed(0)
    model = make().eval().requires_grad_(False)
    bank, head = Bank(model), SelectiveHead(model)
    modules = resolve_targets(tuple(bank.layers), "auto")
    specs = [AdapterSpec(n, "disel", 8, 16.0, modules, 0.0, GateShape()) for n in NAMES]
    adapters = [AdapterWeights.initial(spec, bank.features, 1) for spec in specs]
    lean = take_over(model, "float16")
    assert lean is not None

    def tokens(base: Any) -> Callable[[], None]:
        decoders = Decoders(model, bank, base, adapters)

        def say() -> None:
            decoder = decoders.under(dict.fromkeys(NAMES, 1 / 3))
            for token in range(TOKENS):
                decoder.forward([token], 1)
            decoder.close()

        return say

    with torch.inference_mode():
        reply = by_turns({"written_out": tokens(lean), "transformers": tokens(None)}, rounds)
    for adapter in adapters:
        adapter.requires_grad_(True)
    flat = FlatAdapters(adapters)
    accelerator = accelerator_for(Placement("cpu", torch.float32, None, "for a measurement"))
    batch = batch_of(len(lean.shape.embedding))
    out = choose_passes(model, bank, head, adapters, flat, None, accelerator, LENGTH)
    assert isinstance(out, LeanPasses)
    through = PlanPasses(bank, head, adapters, flat, None, accelerator)

    def step(passes: Any) -> Callable[[], None]:
        def learn() -> None:
            flat.begin_step()
            passes.learn(batch, 1.0, None, None)
            passes.changed()

        return learn

    steps = by_turns({"written_out": step(out), "transformers": step(through)}, rounds)
    return {"step": steps, f"{TOKENS}_tokens": reply}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("bases", nargs="*", default=list(BASES), help=", ".join(BASES))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    found = {name: measured(BASES[name], options.rounds) for name in options.bases}
    print(json.dumps({"threads": torch.get_num_threads(), "bases": found}, indent=2))


if __name__ == "__main__":
    main()
