"""One run from document to committed versions: rows, plan, loop, preference, commit, gate. Everything it says
is recorded.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import msgspec
import torch

from dlm_core.adapters.folder import is_transposed, load_adapter, save_adapter
from dlm_core.adapters.spec import AdapterSpec, spec_from_config
from dlm_core.adapters.targets import resolve_targets
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.document.model import Document
from dlm_core.errors import StoreError, TrainingError, UsageError
from dlm_core.events import (
    Event,
    Log,
    RunEnded,
    RunStatus,
)
from dlm_core.kept_texts import save_earlier, save_kept
from dlm_core.requests import TrainOptions
from dlm_core.store import origin
from dlm_core.store.history import keep_runs
from dlm_core.store.manifest import RunRecord, Snapshot
from dlm_core.training import outcome
from dlm_core.training.course import Course, Trained
from dlm_core.training.examples import Row
from dlm_core.training.gate_phase import GatePhase, has_gate
from dlm_core.training.phases import PolicyMaker, measure_routed, rehearsal_of
from dlm_core.training.plan import Past, PlannedRows, RunPlan, trains
from dlm_core.training.planner import Planner
from dlm_core.training.probing import Probing, Watched, chosen
from dlm_core.training.processes import accelerator_for, require_same
from dlm_core.training.progress import Learned
from dlm_core.training.records import kept_records, libraries, section_records
from dlm_core.training.settings import hash_of
from dlm_core.training.step import Tools
from dlm_core.training.workshop import Workshop


class Run:
    """One training of one document. `execute` does it all; the bank is off when it returns.

    Args:
        emit: receives every event; they are recorded in the store as well.
        stop: asked on every step.
        between_steps: called between steps; may use the bank for serving.
        probes: questions that are never trained, some of which are asked again while it trains.
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
        *,
        probes: Sequence[Watched] = (),
    ) -> None:
        if options.fresh and options.resume:
            raise UsageError("`--fresh` and `--resume` exclude each other", "leave one out")
        self.document, self.shop, self.options = document, workshop, options
        self._probes = probes
        self._tell, self._stop, self._between, self._clock = emit, stop, between_steps, clock
        self.planner = Planner(document, workshop.base, workshop.store, options)
        self.recipe, self.settings = self.planner.recipe, self.planner.settings
        self.names = document.adapter_names
        self._system = document.frontmatter.system_prompt
        self._begun = clock()
        self._trained = Trained(Learned(), {})
        self.accelerator = accelerator_for(workshop.base.placement)
        self.run_id = 0
        self._lost: Sequence[Row] = ()
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
                document_hash, recipe_hash = self.planner.document_hash(), hash_of(self.settings)
                run_id = metrics.start_run(document_hash, recipe_hash, self.shop.base.name)

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

    def _gate(self) -> GatePhase:
        return GatePhase(
            self.document,
            self.shop,
            run_id=self.run_id,
            seed=self.recipe.seed,
            emit=self._emit,
            stop=self._stop,
            breathe=self._breathe,
            clock=self._clock,
        )

    def _train(self) -> RunEnded:
        shop, store = self.shop, self.shop.store
        shop.bank.use(None)
        self.accelerator.wait_for_everyone()  # the first process has tidied up, none has committed
        snapshot = store.snapshot()
        plan, past = self.planner.plan(snapshot)
        rows, self._lost = self.planner.rows(plan)
        require_same(self.accelerator, self._reading(snapshot))
        for warning in outcome.warnings(self._lost):
            self._emit(warning)
        if not any(trains(s, self.document) for s in self.document.sections):
            raise TrainingError(
                "the document has nothing to learn: no section has text that is trained",
                "write a section under a fence",
            )
        if plan.fresh and not rows.sft and not rows.preference and self._lost:
            raise TrainingError(
                "the document has nothing to learn: every section that would train is left out",
                "`dlm check --mask` says why",
            )
        writes = self.accelerator.is_main_process
        if plan.empty:
            self._log("info", plan.reason, "change a section, or train anew with `--fresh`", "nothing_to_do")
            if writes and plan.bookkeeping:
                snapshot = self._commit((), plan, past)
            return self._ended("done", plan.reason, snapshot)
        if plan.shares:
            ended = self._train_adapters(plan, rows, past)
            if isinstance(ended, RunEnded):
                return ended
            snapshot = ended
        else:
            self._emit(self.planner.describe(plan, rows, 0, self.run_id))
            if writes and plan.bookkeeping:
                snapshot = self._commit((), plan, past)
        if writes and has_gate(self.document) and (plan.gate or snapshot.gate is None):
            snapshot = self._gate().run(snapshot)
        if writes and self._trained.retention:
            routed = measure_routed(shop, self.names, snapshot, self._system)
            figures = {**self._trained.retention, "chat_kl_auto": routed}
            self._trained = replace(self._trained, retention=figures)
        if writes and self.options.keep_versions:
            keep_runs(store, self.options.keep_versions)
        why = outcome.reason(self._trained.finished, self._lost, self._trained.preferred)
        return self._ended("done", why, snapshot)

    def _train_adapters(self, plan: RunPlan, rows: PlannedRows, past: Past) -> RunEnded | Snapshot:
        """Train the plan's adapters and commit them; a run that was asked to stop gives its end instead."""
        shop, snapshot = self.shop, past.snapshot
        adapters = self._adapters(plan, snapshot)
        key = self._checkpoint_key(plan, rows, adapters)
        resume = self._checkpoint(key) if self.options.resume else None
        torch.manual_seed(self.recipe.seed + self.accelerator.process_index)
        tools = Tools(
            run_id=self.run_id,
            bank=shop.bank,
            head=shop.head,
            pad_id=shop.base.tokenizer.pad_token_id or 0,
            rehearsal=rehearsal_of(self.document, shop, self.recipe),
            accelerator=self.accelerator,
            emit=self._emit,
        )
        self._breathe()
        phases = PolicyMaker(self.document, shop, self.recipe, tools).phases(rows, adapters, plan.fresh)
        course = Course(
            shop,
            self.recipe,
            tools,
            adapters,
            key,
            rows.loss_tokens(),
            self._system,
            self._clock,
            self._probing(plan) if self.accelerator.is_main_process else None,
        )

        def begun(steps: int) -> None:
            self._emit(self.planner.describe(plan, rows, steps, self.run_id))

        self._trained = trained = course.run(phases, resume, begun, self._stop, self._between)
        if trained.stopped:
            kept = "the version before it stays" if snapshot.adapters else "nothing was committed yet"
            return self._ended("stopped", f"stopped as asked; {kept}", snapshot)
        if not self.accelerator.is_main_process:
            return snapshot
        committed = self._commit(adapters, plan, past)
        shop.store.checkpoints.clear()
        return committed

    def _probing(self, plan: RunPlan) -> Probing:
        """Asks what is worth watching of this run."""
        base = self.shop.base
        watched = chosen(self.document, plan, self._probes, self.recipe.seed)
        return Probing(
            watched,
            base.chat,
            base.chat.encoding.decode,
            self._system,
            base.context_length,
            self.run_id,
            self._emit,
            self._clock,
        )

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

    def _reading(self, snapshot: Snapshot) -> str:
        """What processes that train together must have read alike."""
        resumed = self.shop.store.checkpoints.latest() if self.options.resume else None
        parts = [self.planner.document_hash(), hash_of(self.settings), self.shop.base.fingerprint]
        parts += [f"{snapshot.generation}", "" if resumed is None else resumed.name]
        return "\n".join(parts)

    def _checkpoint_key(self, plan: RunPlan, rows: PlannedRows, adapters: Sequence[AdapterWeights]) -> str:
        """What a checkpoint's tensors belong to; what `auto` layers are may differ between releases."""
        parts = [hash_of(self.settings), self.shop.base.fingerprint, *plan.adapters]
        parts += [f"{r.section}:{r.adapter}" for r in rows.sft]
        parts += [f"{a.spec.name}:{','.join(a.spec.modules)}" for a in adapters]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def _checkpoint(self, key: str) -> Path:
        """The checkpoint to go on from. Raises TrainingError: there is none for this document and recipe."""
        folder = self.shop.store.checkpoints.latest(key)
        if folder is None:
            there = self.shop.store.checkpoints.latest() is not None
            why = "the document or its recipe changed since it was saved" if there else "no run was stopped"
            raise TrainingError(f"there is no checkpoint to resume: {why}", "train without `--resume`")
        return folder

    def _commit(
        self,
        adapters: Sequence[AdapterWeights],
        plan: RunPlan,
        past: Past,
    ) -> Snapshot:
        """Make what was trained current; without adapters, note what changed in the document."""
        shop, snapshot, learned = self.shop, past.snapshot, self._trained.learned
        transposed = is_transposed(shop.base.model)
        kept = kept_records(plan, self.run_id)
        same = set(self.names) == set(snapshot.adapters)
        with shop.store.stage(self.run_id) as stage:
            for adapter in adapters:
                save_adapter(
                    adapter,
                    stage.adapter_dir(adapter.spec.name),
                    base=shop.base.name,
                    every_layer=shop.bank.layers,
                    transposed=transposed,
                )
            committed = stage.commit(
                RunRecord(
                    sections=section_records(self.document, plan, snapshot, learned, self.run_id, self._lost),
                    kept=kept,
                    settings=self.settings,
                    recipe_hash=hash_of(self.settings),
                    base_fingerprint=shop.base.fingerprint,
                    document_hash=self.planner.document_hash(),
                    libraries=libraries(),
                    recall=learned.recall,
                    retention=self._trained.retention if adapters else None,
                    extra={**snapshot.extra, "base": shop.base.name, "recall": learned.recall},
                ),
                keep=self.names,
                keep_gate=same and snapshot.base_fingerprint == shop.base.fingerprint,
            )
        texts = [*self.document.sections, *(past.texts[r.content_hash] for r in kept)]
        save_kept(shop.store.paths.replay, texts, past.texts)
        with suppress(
            StoreError
        ):  # a convenience: versions are compared by their sections' titles without it
            named = {r.content_hash for v in shop.store.versions() for r in (*v.sections, *v.kept)}
            save_earlier(shop.store.paths.replay, past.texts, named)
        origin.remember(shop.store.paths, self.document.path)
        return committed

    def _breathe(self) -> None:
        """Let waiting requests be served; the bank is off again afterwards."""
        self._between()
        self.shop.bank.use(None)

    def _log(self, level: str, message: str, hint: str = "", code: str = "") -> None:
        assert level in ("info", "warning", "error")
        self._emit(Log(level=level, message=message, hint=hint, code=code))  # type: ignore[arg-type]

    def _ended(self, status: RunStatus, reason: str, snapshot: Snapshot) -> RunEnded:
        trained = self._trained
        return RunEnded(
            run_id=self.run_id,
            status=status,
            reason=reason,
            versions=dict(snapshot.adapters),
            seconds=self._clock() - self._begun,
            recall=trained.learned.recall,
            retention=dict(trained.retention),
            checkpoint=None if trained.kept is None else str(trained.kept),
        )


__all__ = ["Run", "Workshop"]
