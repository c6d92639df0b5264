"""What a training step costs, as ratios in one alternating run: three rank-gated adapters in one pass,
against PEFT's LoRA with one adapter, and against forward and input-gradient backward of the frozen base.

    python -m benchmarks.steps [--document F.dlm] [--rounds 7]

All take the same batches with the same answer tokens, in the base's own number formats (bf16 products where
the processor has them). PEFT sits on all linear layers, as do ours in `all_linear`; `default` is where the
recipe puts them. Optimiser steps are included where there is something to optimise, rehearsal is not.
"""

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch.nn import functional

from dlm_core.adapters.flat import FlatAdapters
from dlm_core.adapters.spec import AdapterSpec, GateShape
from dlm_core.adapters.targets import resolve_targets
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.engine import create_engine
from dlm_core.training.batches import Batch, collate, plan_epoch
from dlm_core.training.examples import build_rows
from dlm_core.training.optimiser import BETAS, adamw, vectors
from dlm_core.training.passes import choose_passes
from dlm_core.training.processes import accelerator_for
from dlm_core.training.recipe import resolve


class Steps:
    """The base, a document's batches, and one function a rival that takes a step on a batch."""

    def __init__(self, document: Path) -> None:
        engine = create_engine()
        engine.open(document)
        assert engine._document is not None and engine._workshop is not None
        self.shop, self.document = engine._workshop, engine._document
        self.shop.bank.use(None)
        self.names = self.document.adapter_names
        self.recipe = resolve(self.document)
        self.accelerator = accelerator_for(self.shop.base.placement)
        base = self.shop.base
        rows = build_rows(self.document, base.chat, base.context_length).sft
        plan = plan_epoch(
            rows,
            lambda r: len(r.ids),
            token_budget=self.recipe.token_budget,
            max_rows=self.recipe.max_rows,
            seed=1,
            epoch=0,
        )
        self.batches = [collate(batch, self.names, base.tokenizer.pad_token_id or 0) for batch in plan]
        self.bare = copy.deepcopy(base.model)
        bank = self.shop.bank
        for name in bank.layers:  # the copy has the plain layers back
            parent, _, leaf = name.rpartition(".")
            setattr(self.bare.get_submodule(parent), leaf, self.bare.get_submodule(name).base)

    def ours(self, targets: str | Sequence[str]) -> Callable[[Batch], None]:
        bank = self.shop.bank
        modules = resolve_targets(tuple(bank.layers), targets)
        adapters = [
            AdapterWeights.initial(
                AdapterSpec(n, "disel", 8, 16.0, modules, 0.0, GateShape()), bank.features, 1
            )
            for n in self.names
        ]
        flat = FlatAdapters(adapters)
        rates = dict.fromkeys(self.names, 1e-5)
        optimiser = adamw(vectors(flat, rates), gate_lr_multiplier=5.0, weight_decay=0.0, betas=BETAS)
        passes = choose_passes(
            self.shop.base.model, bank, self.shop.head, adapters, flat, None, self.accelerator, 1
        )

        def step(batch: Batch) -> None:
            flat.begin_step()
            passes.learn(batch, 1.0 / batch.targets.numel(), None, None)
            flat.learn(range(len(adapters)))
            torch.nn.utils.clip_grad_norm_(flat.end_step(), 1.0)
            optimiser.step()
            passes.changed()

        return step

    def frozen(self) -> Callable[[Batch], None]:
        model = self.bare

        def step(batch: Batch) -> None:
            inputs = model.get_input_embeddings()(batch.input_ids).requires_grad_()
            torch.autograd.backward(self._loss(model, batch, inputs_embeds=inputs))

        return step

    def peft(self) -> Callable[[Batch], None]:
        config = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
        model = get_peft_model(copy.deepcopy(self.bare), config)
        parameters = [p for p in model.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(parameters, lr=1e-5, fused=True)

        def step(batch: Batch) -> None:
            torch.autograd.backward(self._loss(model, batch, input_ids=batch.input_ids))
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            optimiser.zero_grad()

        return step

    def _loss(self, model: Any, batch: Batch, **inputs: Any) -> torch.Tensor:
        """Logits at answer tokens only, as ours: the heads shall not decide."""
        kept = batch.positions % batch.input_ids.shape[1]
        with self.accelerator.autocast():
            inner = model.get_base_model() if hasattr(model, "get_base_model") else model
            hidden = inner.model(attention_mask=batch.attention_mask, use_cache=False, **inputs)[0]
            logits = inner.lm_head(hidden[batch.owners, kept])
        return functional.cross_entropy(logits.float(), batch.targets)


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of a training step, as ratios.")
    parser.add_argument("--document", type=Path, default=Path("sample_docs/runbook.dlm"))
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    bench = Steps(options.document)
    rivals = {
        "default": bench.ours("auto"),
        "all_linear": bench.ours(["all-linear"]),
        "frozen": bench.frozen(),
        "peft": bench.peft(),
    }
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for i in range(options.rounds + 1):
        batch = bench.batches[i % len(bench.batches)]
        for name, step in rivals.items():
            begun = time.perf_counter()
            step(batch)
            if i:  # the first round warms up
                seconds[name].append(time.perf_counter() - begun)

    def ratio(a: str, b: str) -> float:
        return round(statistics.median(x / y for x, y in zip(seconds[a], seconds[b], strict=True)), 2)

    print(
        json.dumps(
            {
                "tokens_per_batch": round(statistics.mean(b.tokens for b in bench.batches)),
                "median_ms": {n: round(1000 * statistics.median(s)) for n, s in seconds.items()},
                "peft_over_ours": {n: ratio("peft", n) for n in ("default", "all_linear")},
                "ours_over_frozen": {n: ratio(n, "frozen") for n in ("default", "all_linear")},
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
