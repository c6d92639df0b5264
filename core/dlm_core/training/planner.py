"""What a run of a document would do and take: the plan, its rows, and the figures for the person.

All of it comes from the document, its store, and the base's tokenizer and settings; no weights are read.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from dlm_core.bases.load import BaseOutline
from dlm_core.document.model import Document
from dlm_core.events import RecipeEntry, RunPlanned
from dlm_core.kept_texts import load_kept
from dlm_core.requests import TrainOptions
from dlm_core.store.manifest import Snapshot
from dlm_core.store.store import Store
from dlm_core.training.examples import Row, build_rows, scopes
from dlm_core.training.forecast import estimate, memory_needed
from dlm_core.training.gate_phase import gate_key, has_gate
from dlm_core.training.plan import Past, PlannedRows, RunPlan, make_plan
from dlm_core.training.preference import AUTO_EPOCHS
from dlm_core.training.recipe import Recipe, resolve
from dlm_core.training.settings import settings_of


class Planner:
    """Plans runs of one document as it stands."""

    def __init__(self, document: Document, base: BaseOutline, store: Store, options: TrainOptions) -> None:
        self.document, self.base, self.store, self.options = document, base, store, options
        self.recipe: Recipe = resolve(document, seed=options.seed, epochs=options.epochs)
        self.settings = settings_of(document, self.recipe, epochs=options.epochs)

    def document_hash(self) -> str:
        return hashlib.sha256(self.document.text.encode()).hexdigest()

    def plan(self, snapshot: Snapshot) -> tuple[RunPlan, Past]:
        """What there is to do since `snapshot`, and what that was compared with."""
        past = Past(snapshot, load_kept(self.store.paths.replay))
        plan = make_plan(
            self.document,
            past,
            now=self.settings,
            base_fingerprint=self.base.fingerprint,
            gate_key=gate_key(self.document, self.recipe.seed),
            fresh=self.options.fresh,
            keep=self.options.keep,
            seed=self.recipe.seed,
        )
        return plan, past

    def rows(self, plan: RunPlan) -> tuple[PlannedRows, Sequence[Row]]:
        """The rows of a plan, and those of its sections that are cut or left out."""
        here = {s.content_hash for s in self.document.sections}
        wanted = {s.content_hash: s for s in plan.sections()}
        sections = [s for s in self.document.sections if s.content_hash in wanted]
        sections += [s for key, s in wanted.items() if key not in here]
        part = replace(self.document, sections=tuple(sections))
        rows = build_rows(part, self.base.chat, self.base.context_length)
        earlier = replace(self.document, sections=plan.before)
        before = build_rows(earlier, self.base.chat, self.base.context_length)
        return plan.pick(rows, before), rows.lost

    def preview(self) -> RunPlanned:
        """The next run, before anything of it has begun. Nothing is written."""
        plan, _ = self.plan(self.store.snapshot())
        rows, _ = self.rows(plan)
        batches = -(-len(rows.fresh) // (self.recipe.max_rows * self.recipe.grad_accum))
        return self.describe(plan, rows, batches * self.recipe.epochs, run_id=0)

    def _pair_epochs(self) -> int:
        """Epochs of the preference phase."""
        epochs = self.document.frontmatter.training.preference.hyperparams.num_epochs
        return AUTO_EPOCHS if epochs == "auto" else int(epochs)

    def describe(self, plan: RunPlan, rows: PlannedRows, steps: int, run_id: int) -> RunPlanned:
        """The plan of run `run_id` with `steps` in full, as the person is told of it."""
        pairs = Counter(p.adapter for p in rows.preference)
        owners = Counter(r.adapter for r in rows.sft) + pairs
        placement = self.base.placement
        entries = (
            *self.recipe.entries,
            RecipeEntry(key="device", value=placement.device, reason=placement.reason),
            RecipeEntry(
                key="precision",
                value=str(placement.autocast_dtype or placement.weights_dtype),
                reason=placement.reason,
            ),
            *(
                RecipeEntry(key=f"adapters.{name}.scope", value=scope, reason=why)
                for name, (scope, why) in scopes(self.document).items()
            ),
        )
        tokens = rows.tokens()
        kind: Literal["full", "revision"] = "full" if plan.fresh else "revision"
        return RunPlanned(
            run_id=run_id,
            adapters=plan.adapters,
            rows={name: owners[name] for name in plan.adapters},
            tokens=tokens,
            steps=steps,
            epochs=self.recipe.epochs,
            pairs={name: pairs[name] for name in plan.adapters if pairs[name]},
            pair_epochs=self._pair_epochs() if pairs else 0,
            recipe=entries,
            reason=plan.reason,
            kind=kind,
            fresh=tuple(sorted(plan.fresh)),
            new={s.adapter: len(s.new) for s in plan.shares},
            changed={s.adapter: len(s.changed) for s in plan.shares},
            replayed={s.adapter: len(s.replayed) for s in plan.shares},
            untouched=plan.untouched,
            retired=plan.retired,
            gate=plan.gate and has_gate(self.document),
            estimated_s=estimate(self.store.paths.metrics, kind, tokens) if rows.sft else None,
            memory=memory_needed(self.document, self.store.paths.home, placement.device),
        )
