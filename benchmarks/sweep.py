"""Sweep the training recipe on a sample document: one JSON line per setting, as quoted in
benchmarks/README.md.

    python benchmarks/sweep.py                       the whole table (an hour on two cores)
    python benchmarks/sweep.py bias=-1 rank=4        chosen settings, each alone against the defaults
    python benchmarks/sweep.py bias=-1+rank=4        settings together

Every setting trains from scratch and is then measured with each adapter pinned: verbatim recall, word F1 on
the probes beside the document and on those of `runbook.more.probes.yaml` as well, perplexity on neutral text
that training never saw. Replies are decoded in one batch, greedily, in float32.
"""

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from dlm_core.adapters.bank import ServingPlan, TrainingPlan
from dlm_core.adapters.openness import layer_and_module
from dlm_core.adapters.spec import AdapterSpec, GateShape, Kind
from dlm_core.adapters.targets import resolve_targets
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.document.model import SectionKind
from dlm_core.engine import create_engine
from dlm_core.evaluation.answers import word_f1
from dlm_core.evaluation.measure import trained_questions
from dlm_core.evaluation.probes import Probe, load_probes
from dlm_core.requests import Message
from dlm_core.training.batches import collate
from dlm_core.training.examples import Row, build_rows
from dlm_core.training.forgetting import ForgettingMeter
from dlm_core.training.loop import Loop
from dlm_core.training.processes import accelerator_for
from dlm_core.training.recipe import Recipe, resolve
from dlm_core.training.rehearsal import Rehearsal, bundled
from dlm_core.training.sft import InFull
from dlm_core.training.step import Tools

MORE = Path(__file__).with_name("runbook.more.probes.yaml")
TABLE = (
    "",
    "kind=lora",
    "bias=-1",
    "bias=-5",
    "rate=0.002",
    "rate=0.008",
    "gate_rate=1",
    "gate_rate=10",
    "rank=4",
    "rank=16",
    "targets=all",
    "targets=down_proj",
    "rows=1",
    "rows=6",
    "wear=0",
    "lead=1",
    "layers=0",
    "layers=20",
    "wear=0.5",
    "rehearse=0",
    "rehearse=4",
    "rehearse=1",
    "weight=0.3",
    "weight=3",
    "stop=0.98",
    "stop=1.0",
)


class Bench:
    """The base in memory, the document's rows, and a way to train and measure one setting after another."""

    def __init__(self, document: Path, probes: Path, more: Path | None) -> None:
        self.engine = create_engine()
        self.engine.open(document)
        assert self.engine._document is not None and self.engine._workshop is not None
        self.document, self.shop = self.engine._document, self.engine._workshop
        self.names = self.document.adapter_names
        self.system = self.document.frontmatter.system_prompt
        self.probes = load_probes(probes, self.names)
        self.more = () if more is None else load_probes(more, self.names)
        base = self.shop.base
        self.rows = build_rows(self.document, base.chat, base.context_length).sft
        self.shop.bank.use(None)
        self.meter = ForgettingMeter(
            self.shop.head, self.shop.base.chat, bundled("held_out"), self.shop.device, limit=2048
        )
        self.rehearsal = Rehearsal(
            self.shop.head, self.shop.bank, self.shop.base.chat, bundled("rehearsal"), 42, self.shop.device
        )

    def run(self, settings: dict[str, str]) -> dict[str, object]:
        """Train under `settings` (see `recipe_for`), measure, return one row of the table."""
        recipe, kind, rank, alpha, modules = self.configure(settings)
        gate = GateShape(recipe.gate_bias_init) if kind == "disel" else None
        adapters = [
            AdapterWeights.initial(
                AdapterSpec(n, kind, rank, alpha, modules, 0.0, gate), self.shop.bank.features, recipe.seed
            )
            for n in self.names
        ]
        self.shop.bank.use(None)
        tools = Tools(
            run_id=0,
            bank=self.shop.bank,
            head=self.shop.head,
            pad_id=self.shop.base.tokenizer.pad_token_id or 0,
            rehearsal=self.rehearsal if recipe.rehearse_every else None,
            accelerator=accelerator_for(self.shop.base.placement),
            emit=lambda event: None,
        )
        rates = dict.fromkeys(self.names, recipe.learning_rate)
        policy = InFull(tools, recipe, adapters, rates, rows=self.rows)
        begun = time.perf_counter()
        ended = Loop(tools, policy).run(lambda: False, lambda: None)
        seconds = time.perf_counter() - begun
        for adapter in adapters:
            adapter.requires_grad_(False)
        return {
            "seconds": round(seconds, 1),
            "epochs": policy.progress.epoch,
            "steps": policy.progress.step,
            "ended": ended,
            "paraphrase_loss": self.paraphrase_loss(policy),
            **self.measure(adapters),
        }

    def paraphrase_loss(self, policy: InFull) -> float:
        """Nats per token of the right answers to the probes, each under its own adapter; steadier than F1."""
        chat = self.shop.base.chat
        rows = []
        for i, probe in enumerate(self.probes):
            ids, loss = chat.encode_row(probe.question, probe.answer, self.system, probe.before)
            label = f"probe {i}"
            rows.append(Row(tuple(ids), tuple(loss), probe.adapter, label, label, SectionKind.INSTRUCTION))
        batch = collate(rows, self.names, 0)
        return round(float(policy.learner.passes.check(batch).losses.mean()), 3)

    def configure(self, given: dict[str, str]) -> tuple[Recipe, Kind, int, float, tuple[str, ...]]:
        """The recipe and adapter shape for settings by their short names."""
        recipe = resolve(self.document, seed=int(given.get("seed", 42)))
        fields = {
            "bias": "gate_bias_init",
            "rate": "learning_rate",
            "gate_rate": "gate_lr_multiplier",
            "wear": "question_wear",
            "lead": "lead_weight",
            "weight": "rehearse_weight",
            "stop": "stop_recall",
        }
        changed: dict[str, object] = {fields[k]: float(v) for k, v in given.items() if k in fields}
        whole = {
            "copies": "question_copies",
            "rows": "max_rows",
            "rehearse": "rehearse_every",
            "epochs": "epochs",
            "least": "min_epochs",
        }
        changed |= {whole[k]: int(v) for k, v in given.items() if k in whole}
        layers = self._layers(given)
        kind: Kind = "lora" if given.get("kind") == "lora" else "disel"
        rank = int(given.get("rank", 8))
        alpha = float(given.get("alpha", 2 * rank))
        return replace(recipe, **changed), kind, rank, alpha, layers  # type: ignore[arg-type]

    def _layers(self, given: dict[str, str]) -> tuple[str, ...]:
        """`targets` is `all` (linear layers of the upper half), or endings such as `up_proj,down_proj`;
        `layers` is the lowest block, of the same layers or of those that `auto` takes.
        """
        every = tuple(self.shop.bank.layers)
        targets = given.get("targets", "auto")
        wanted = "auto" if targets == "auto" else ["all-linear"] if targets == "all" else targets.split(",")
        chosen = resolve_targets(every, wanted)
        if targets == "auto" and "layers" in given:
            endings = {name.rsplit(".", 1)[-1] for name in chosen}
            chosen = tuple(name for name in every if name.rsplit(".", 1)[-1] in endings)
        half = len(self.shop.base.model.model.layers) // 2
        lowest = int(given.get("layers", half))
        return tuple(name for name in chosen if layer_and_module(name)[0] >= lowest)

    def measure(self, adapters: Sequence[AdapterWeights]) -> dict[str, object]:
        """Recall, paraphrase and retention with each adapter pinned to its own questions."""
        questions = trained_questions(self.document)
        probes = [*self.probes, *self.more]
        replies = self.decode(adapters, [*questions, *probes])
        verbatim = statistics.mean(
            r.strip() == q.answer.strip() for r, q in zip(replies, questions, strict=False)
        )
        found = [word_f1(r, p.answer) for r, p in zip(replies[len(questions) :], probes, strict=True)]
        drift: dict[str, float] = {}
        for adapter in adapters:
            self.shop.bank.use(ServingPlan(self.shop.bank, adapters, {adapter.spec.name: 1.0}))
            perplexity, _ = self.meter.measure()
            drift[adapter.spec.name] = round(100 * (perplexity / self.meter.base_perplexity - 1), 2)
        self.shop.bank.use(None)
        return {
            "verbatim": round(verbatim, 3),
            "paraphrase_f1": round(statistics.mean(found[: len(self.probes)]), 3),
            **({"paraphrase_f1_all": round(statistics.mean(found), 3)} if self.more else {}),
            "perplexity_change_percent": drift,
        }

    @torch.inference_mode()
    def decode(
        self, adapters: Sequence[AdapterWeights], probes: Sequence[Probe], limit: int = 96
    ) -> list[str]:
        """Greedy replies to all probes in one batch, each under its own adapter."""
        base = self.shop.base
        system = [Message("system", self.system)] if self.system else []
        prompts = [base.chat.encode([*system, Message("user", p.question)], True) for p in probes]
        width = max(map(len, prompts))
        ids = torch.full((len(prompts), width), base.tokenizer.pad_token_id or 0)
        mask = torch.zeros_like(ids)
        for i, prompt in enumerate(prompts):
            ids[i, width - len(prompt) :] = torch.tensor(prompt)
            mask[i, width - len(prompt) :] = 1
        plan = TrainingPlan(self.shop.bank, adapters)
        plan.dropping = False
        weights = torch.zeros(len(probes), len(adapters))
        for i, probe in enumerate(probes):
            weights[i, self.names.index(probe.adapter)] = 1.0
        plan.set_rows(weights)
        self.shop.bank.use(plan)
        replies: list[list[int]] = [[] for _ in probes]
        open_rows = set(range(len(probes)))
        past, current, places = None, ids, (mask.cumsum(1) - 1).clamp(min=0)
        for _ in range(limit):
            out = base.model(
                input_ids=current,
                attention_mask=mask,
                position_ids=places,
                past_key_values=past,
                use_cache=True,
                logits_to_keep=1,
            )
            past, drawn = out.past_key_values, out.logits[:, -1].argmax(-1)
            for i in sorted(open_rows):
                if int(drawn[i]) in base.end_token_ids:
                    open_rows.discard(i)
                else:
                    replies[i].append(int(drawn[i]))
            if not open_rows:
                break
            current, places = drawn[:, None], places[:, -1:] + 1
            mask = torch.cat([mask, torch.ones_like(current)], 1)
        self.shop.bank.use(None)
        return [base.tokenizer.decode(r, skip_special_tokens=True) for r in replies]


def main() -> None:
    parser = argparse.ArgumentParser(description="Sweep the training recipe; one JSON line per setting.")
    parser.add_argument("settings", nargs="*", help="name=value, joined by + where they go together")
    parser.add_argument("--document", type=Path, default=Path("sample_docs/runbook.dlm"))
    options = parser.parse_args()
    more = MORE if options.document.name == "runbook.dlm" else None
    bench = Bench(options.document, options.document.with_suffix(".probes.yaml"), more)
    for setting in options.settings or TABLE:
        given = dict(part.split("=", 1) for part in setting.split("+") if part)
        print(json.dumps({"setting": setting or "defaults", **bench.run(given)}), flush=True)


if __name__ == "__main__":
    main()
