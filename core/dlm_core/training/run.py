"""One run from document to committed versions: rows, plan, loop, preference, commit, gate. Everything it says
is recorded.
"""

import hashlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import torch

from dlm_core.adapters.bank import TrainingPlan
from dlm_core.adapters.folder import is_transposed, load_adapter, save_adapter
from dlm_core.adapters.spec import AdapterSpec, spec_from_config
from dlm_core.adapters.targets import resolve_targets
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.document.model import Document
from dlm_core.engine_protocol import TrainOptions
from dlm_core.errors import TrainingError, UsageError
from dlm_core.events import (
    Event,
    Log,
    RecipeEntry,
    RunEnded,
    RunPlanned,
    RunStatus,
)
from dlm_core.store.manifest import SectionRecord, Snapshot
from dlm_core.training import checkpoint
from dlm_core.training.examples import Row, Rows, build_rows, label_of
from dlm_core.training.forgetting import METER_TEXTS, ForgettingMeter
from dlm_core.training.gate_phase import GatePhase
from dlm_core.training.loop import Learned, Loop
from dlm_core.training.plan import RunPlan, make_plan
from dlm_core.training.preference import PreferenceLoop
from dlm_core.training.processes import accelerator_for
from dlm_core.training.recipe import Recipe, resolve
from dlm_core.training.rehearsal import Rehearsal, bundled, own_texts
from dlm_core.training.workshop import Workshop

METER_INTERVAL_S = 8.0
CHECKPOINT_INTERVAL_S = 60.0


class Run:
    """One training of one document. `execute` does it all; the bank is off when it returns.

    Args:
        emit: receives every event; they are recorded in the store as well.
        stop: asked on every step.
        between_steps: called between steps; may use the bank for serving.
    """

    def __init__(
        self,
        document: Document,
        workshop: Workshop,
        options: TrainOptions,
        emit: Callable[[Event], None],
        stop: Callable[[], bool],
        between_steps: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if options.fresh and options.resume:
            raise UsageError("`--fresh` and `--resume` exclude each other", "leave one out")
        self.document, self.shop, self.options = document, workshop, options
        self._tell, self._stop, self._between, self._clock = emit, stop, between_steps, clock
        self.recipe: Recipe = resolve(document, seed=options.seed, epochs=options.epochs)
        self.names = document.adapter_names
        self._begun = clock()
        self._learned = Learned()
        self.accelerator = accelerator_for(workshop.base.placement)
        self.run_id = 0
        self._emit: Callable[[Event], None] = lambda _: None

    def execute(self, on_started: Callable[[int], None] = lambda _: None) -> RunEnded:
        """Train, commit, train the gate. Raises DlmError; the store then holds what it held before, or the
        adapters of this run when only the gate failed.

        Of several processes that a launcher started, the first writes and speaks; the others help it train.
        """
        if not self.accelerator.is_main_process:
            return self._help(on_started)
        store = self.shop.store
        with store.writer():
            metrics = store.metrics()
            try:
                run_id = metrics.start_run(self.document_hash(), self.recipe_hash(), self.shop.base.name)

                def emit(event: Event) -> None:
                    metrics.record(event)
                    self._tell(event)

                self._emit, self.run_id = emit, run_id
                on_started(run_id)
                try:
                    ended = self._train()
                except BaseException as error:
                    metrics.end_run(run_id, "failed", getattr(error, "message", "") or type(error).__name__)
                    raise
                finally:
                    self.shop.bank.use(None)
                metrics.record(ended)
                self.accelerator.wait_for_everyone()
                return ended
            finally:
                metrics.close()

    def _help(self, on_started: Callable[[int], None]) -> RunEnded:
        """A process that trains beside the first: the same steps, nothing written, nothing said."""
        on_started(0)
        self._between = lambda: None
        try:
            ended = self._train()
        finally:
            self.shop.bank.use(None)
        self.accelerator.wait_for_everyone()
        return msgspec.structs.replace(ended, versions=dict(self.shop.store.snapshot().adapters))

    def document_hash(self) -> str:
        return hashlib.sha256(self.document.text.encode()).hexdigest()

    def recipe_hash(self) -> str:
        """Hash of everything but the sections that decides what comes out of a training."""
        training = self.document.frontmatter.training
        parts = {
            "recipe": self.recipe.fingerprint(),
            "adapters": [(n, msgspec.structs.asdict(c)) for n, c in training.adapter_configs().items()],
            "disel": msgspec.structs.asdict(training.disel),
            "preference": training.preference,
            "system": self.document.frontmatter.system_prompt,
            "sequence_len": training.sequence_len,
            "rehearsal": training.rehearsal.texts,
        }
        return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()

    def _train(self) -> RunEnded:
        shop, store = self.shop, self.shop.store
        shop.bank.use(None)
        rows = build_rows(self.document, shop.base.chat, shop.base.context_length)
        if not self.document.frontmatter.training.preference.enabled:
            rows = replace(rows, preference=())
        for label in rows.truncated:
            self._log(
                "warning",
                f"{label} is longer than `training.sequence_len` or than the base reads, and was cut",
                code="truncated",
            )
        self.accelerator.wait_for_everyone()  # the first process has tidied up, none has committed
        snapshot = store.snapshot()
        gate = GatePhase(
            self.document,
            shop,
            run_id=self.run_id,
            seed=self.recipe.seed,
            emit=self._emit,
            stop=self._stop,
            breathe=self._breathe,
            clock=self._clock,
        )
        plan = make_plan(
            rows,
            self.names,
            snapshot,
            recipe_hash=self.recipe_hash(),
            base_fingerprint=shop.base.fingerprint,
            gate_key=gate.key(),
            fresh=self.options.fresh,
            seed=self.recipe.seed,
        )
        if not rows.sft and not rows.preference:
            raise TrainingError(
                "the document has nothing to learn: no section has text that is trained",
                "write a section under a fence",
            )
        if plan.empty:
            self._log("info", plan.reason, "change a section, or train anew with `--fresh`", "nothing_to_do")
            return self._ended("done", plan.reason, snapshot)
        if plan.adapters:
            outcome, snapshot = self._train_adapters(plan, rows, snapshot)
            if outcome is not None:
                return outcome
        writes = self.accelerator.is_main_process
        if writes and gate.wanted and (plan.gate or snapshot.gate is None):
            snapshot = gate.run(snapshot)
        return self._ended("done", self._reason, snapshot)

    _reason = "gate trained"

    def _train_adapters(
        self, plan: RunPlan, rows: Rows, snapshot: Snapshot
    ) -> tuple[RunEnded | None, Snapshot]:
        shop, store, recipe = self.shop, self.shop.store, self.recipe
        adapters = self._adapters(plan, snapshot)
        key, taken_up = self._checkpoint_key(plan), None
        if self.options.resume:
            taken_up = self._checkpoint(key)
        torch.manual_seed(recipe.seed + self.accelerator.process_index)
        learn, held_out = _split(plan.rows, recipe.validation_share, recipe.seed)
        encoder = shop.base.chat
        neutral = own_texts(self.document.frontmatter.training.rehearsal.texts, self.document.path.parent)
        rehearsal = None
        if recipe.rehearse_every:
            texts = (*neutral, *bundled("rehearsal"))
            rehearsal = Rehearsal(shop.head, shop.bank, encoder, texts, recipe.seed, shop.device)
        self._breathe()
        meter = ForgettingMeter(shop.head, encoder, bundled("held_out")[:METER_TEXTS], shop.device)
        rates = {a.spec.name: self._rate(a.spec.name) for a in adapters}
        reason = "epochs"
        at = checkpoint.standing(taken_up) if taken_up else None
        loop: Loop | None = None
        if learn and (at is None or at.phase == "sft"):
            loop = Loop(
                run_id=self.run_id,
                bank=shop.bank,
                adapters=adapters,
                rates=rates,
                rows=learn,
                validation=held_out,
                rehearsal=rehearsal,
                recipe=recipe,
                head=shop.head,
                pad_id=shop.base.tokenizer.pad_token_id or 0,
                accelerator=self.accelerator,
                emit=self._emit,
            )
            if at is not None and taken_up is not None:
                loop.learned = at.learned
                checkpoint.restore(loop, adapters, taken_up)
                self._log(
                    "info", f"resumed at step {loop.progress.step} of {loop.total_steps}", code="resumed"
                )
        self._announce(plan, loop)
        if loop is not None:
            saved_at = measured_at = self._clock()

            def at_epoch(epoch: int) -> Mapping[str, float]:
                nonlocal saved_at, measured_at
                assert loop is not None
                now = self._clock()
                if now - saved_at >= CHECKPOINT_INTERVAL_S:
                    saved_at = now
                    self._keep(loop, "sft", adapters, loop.learned, key)
                if now - measured_at < METER_INTERVAL_S and epoch < recipe.epochs:
                    return {}
                measured_at = now
                perplexity, kl = meter.measure_pinned(shop.bank, TrainingPlan(shop.bank, adapters), epoch)
                return {"perplexity": perplexity, "perplexity_base": meter.base_perplexity, "kl": kl}

            reason = loop.run(self._stop, self._between, at_epoch)
            self._learned = loop.learned
            if reason == "stopped":
                return self._stopped(loop, "sft", adapters, key, snapshot), snapshot
        if plan.preference:
            pairs = PreferenceLoop(
                run_id=self.run_id,
                bank=shop.bank,
                head=shop.head,
                adapters=adapters,
                rates=rates,
                pairs=plan.preference,
                config=self.document.frontmatter.training.preference,
                recipe=recipe,
                rehearsal=rehearsal,
                pad_id=shop.base.tokenizer.pad_token_id or 0,
                accelerator=self.accelerator,
                emit=self._emit,
            )
            if at is not None and at.phase == "preference" and taken_up is not None:
                self._learned, reason = at.learned, "epochs"
                checkpoint.restore(pairs, adapters, taken_up)
                step = pairs.progress.step
                self._log("info", f"resumed at step {step} of the preference phase", code="resumed")
            if pairs.run(self._stop, self._between) == "stopped":
                return self._stopped(pairs, "preference", adapters, key, snapshot), snapshot
        shop.bank.use(None)
        self._reason = {"recall": "every answer was learned", "epochs": "all epochs done"}.get(reason, reason)
        if not self.accelerator.is_main_process:
            return None, snapshot
        committed = self._commit(adapters, snapshot)
        store.checkpoints.clear()
        return None, committed

    def _keep(
        self,
        loop: Loop | PreferenceLoop,
        phase: checkpoint.Phase,
        adapters: Sequence[AdapterWeights],
        learned: Learned,
        key: str,
    ) -> Path | None:
        """Save a checkpoint; None in a process that does not write."""
        if not self.accelerator.is_main_process:
            return None
        return self.shop.store.checkpoints.save(
            lambda folder: checkpoint.save(loop, phase, adapters, learned, folder), key
        )

    def _stopped(
        self,
        loop: Loop | PreferenceLoop,
        phase: checkpoint.Phase,
        adapters: Sequence[AdapterWeights],
        key: str,
        snapshot: Snapshot,
    ) -> RunEnded:
        where = self._keep(loop, phase, adapters, self._learned, key)
        kept = "the version before it stays" if snapshot.adapters else "nothing was committed yet"
        reason = f"stopped as asked; {kept}; go on with `--resume`"
        return self._ended("stopped", reason, snapshot, None if where is None else str(where))

    def _adapters(self, plan: RunPlan, snapshot: Snapshot) -> list[AdapterWeights]:
        """The adapters that train: new ones, or copies of the committed ones."""
        found: list[AdapterWeights] = []
        for spec in self.specs():
            if spec.name not in plan.adapters:
                continue
            if spec.name in plan.fresh:
                adapter = AdapterWeights.initial(spec, self.shop.bank.features, self.recipe.seed)
            else:
                adapter = load_adapter(snapshot.adapter_dir(spec.name), spec.name, self.shop.bank.features)
            found.append(adapter.to(self.shop.device))
        return found

    def specs(self) -> list[AdapterSpec]:
        """The adapters as the document declares them, on this base."""
        training = self.document.frontmatter.training
        return [
            spec_from_config(
                name,
                config,
                training.disel,
                resolve_targets(tuple(self.shop.bank.layers), config.target_modules),
                bias_init=self.recipe.gate_bias_init,
            )
            for name, config in training.adapter_configs().items()
        ]

    def _rate(self, name: str) -> float:
        own = self.document.frontmatter.training.adapter_configs()[name].learning_rate
        return self.recipe.learning_rate if own == "auto" else float(own)

    def _checkpoint_key(self, plan: RunPlan) -> str:
        parts = [self.recipe_hash(), self.shop.base.fingerprint, *plan.adapters]
        parts += [f"{r.section}:{r.adapter}" for r in plan.rows]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def _checkpoint(self, key: str) -> Path:
        """The checkpoint to go on from. Raises TrainingError: there is none for this document and recipe."""
        folder = self.shop.store.checkpoints.latest(key)
        if folder is None:
            there = self.shop.store.checkpoints.latest() is not None
            why = "the document or its recipe changed since it was saved" if there else "no run was stopped"
            raise TrainingError(f"there is no checkpoint to resume: {why}", "train without `--resume`")
        return folder

    def _announce(self, plan: RunPlan, loop: Loop | None) -> None:
        counts = {name: 0 for name in plan.adapters}
        for row in plan.rows:
            counts[row.adapter] = counts.get(row.adapter, 0) + 1
        for pair in plan.preference:
            counts[pair.adapter] = counts.get(pair.adapter, 0) + 1
        placement = self.shop.base.placement
        entries = (
            *self.recipe.entries,
            RecipeEntry(key="device", value=placement.device, reason=placement.reason),
            RecipeEntry(
                key="precision",
                value=str(placement.autocast_dtype or placement.weights_dtype),
                reason=placement.reason,
            ),
        )
        self._emit(
            RunPlanned(
                run_id=self.run_id,
                adapters=plan.adapters,
                rows=counts,
                tokens=sum(len(r.ids) for r in plan.rows),
                steps=loop.total_steps if loop else 0,
                epochs=self.recipe.epochs,
                recipe=entries,
                reason=plan.reason,
            )
        )

    def _commit(self, adapters: Sequence[AdapterWeights], snapshot: Snapshot) -> Snapshot:
        shop = self.shop
        transposed = is_transposed(shop.base.model)
        recalls, losses = self._learned.recalls, self._learned.losses
        before = {r.content_hash: r for r in snapshot.sections}
        sections = tuple(
            SectionRecord(
                content_hash=s.content_hash,
                kind=s.kind.value,
                adapter=s.adapter,
                title=_title(s.text) or label_of(s),
                questions=len(s.questions) + len(s.preferences),
                last_loss=losses.get(s.content_hash, _was(before, s.content_hash, "last_loss")),
                last_recall=recalls.get(s.content_hash, _was(before, s.content_hash, "last_recall")),
            )
            for s in self.document.sections
        )
        with shop.store.stage(self.run_id) as stage:
            for adapter in adapters:
                save_adapter(
                    adapter,
                    stage.adapter_dir(adapter.spec.name),
                    base=shop.base.name,
                    every_layer=shop.bank.layers,
                    transposed=transposed,
                )
            same = set(self.names) == set(snapshot.adapters)
            return stage.commit(
                sections=sections,
                recipe_hash=self.recipe_hash(),
                base_fingerprint=shop.base.fingerprint,
                document_hash=self.document_hash(),
                extra={**snapshot.extra, "base": shop.base.name, "recall": self._learned.recall},
                keep=self.names,
                keep_gate=same and snapshot.base_fingerprint == shop.base.fingerprint,
            )

    def _breathe(self) -> None:
        """Let waiting requests be served; the bank is off again afterwards."""
        self._between()
        self.shop.bank.use(None)

    def _log(self, level: str, message: str, hint: str = "", code: str = "") -> None:
        assert level in ("info", "warning", "error")
        self._emit(Log(level=level, message=message, hint=hint, code=code))  # type: ignore[arg-type]

    def _ended(
        self, status: RunStatus, reason: str, snapshot: Snapshot, checkpoint_at: str | None = None
    ) -> RunEnded:
        return RunEnded(
            run_id=self.run_id,
            status=status,
            reason=reason,
            versions=dict(snapshot.adapters),
            seconds=self._clock() - self._begun,
            recall=self._learned.recall,
            checkpoint=checkpoint_at,
        )


def _split(rows: Sequence[Row], share: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Rows to learn and rows to validate on; every adapter keeps at least one row to learn."""
    held = round(len(rows) * share)
    order = list(range(len(rows)))
    random.Random(f"{seed}:validation").shuffle(order)
    chosen: set[int] = set()
    left = {name: sum(r.adapter == name for r in rows) for name in {r.adapter for r in rows}}
    for i in order:
        if len(chosen) == held:
            break
        if left[rows[i].adapter] > 1:
            left[rows[i].adapter] -= 1
            chosen.add(i)
    return [r for i, r in enumerate(rows) if i not in chosen], [rows[i] for i in sorted(chosen)]


def _title(text: str) -> str:
    """The first line of a section that says something."""
    for line in text.splitlines():
        words = line.strip()
        if words and not words.startswith(("###", "<!--")):
            return words[:80]
    return ""


def _was(before: Mapping[str, SectionRecord], key: str, field: str) -> float | None:
    record = before.get(key)
    return None if record is None else getattr(record, field)


__all__ = ["Run", "Workshop"]
