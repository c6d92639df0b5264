"""The adapter gate's part of a run: embeddings, training, the cold start, and the commit that follows the
adapters'.
"""

import hashlib
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec
import torch

from dlm_core import gate_health
from dlm_core.document.cold_start import cold_start_words, sample_counts
from dlm_core.document.model import Document
from dlm_core.errors import GateTrainingError
from dlm_core.events import Event, GateStep, GateTrained, Level, Log
from dlm_core.routing import train as gates
from dlm_core.routing.embedding_cache import EmbeddingCache
from dlm_core.routing.gate import AdapterGate, GateMeta, save_gate
from dlm_core.store.manifest import RunRecord, Snapshot
from dlm_core.training.workshop import Workshop

_EVENT_INTERVAL_S = 0.1


def has_gate(document: Document) -> bool:
    """Whether the document has a gate at all."""
    return document.frontmatter.training.gate.enabled and len(document.adapter_names) > 1


def gate_key(document: Document, seed: int) -> str:
    """Hash of all that the training of the document's gate depends on; "" where it has none."""
    if not has_gate(document):
        return ""
    config = msgspec.structs.asdict(document.frontmatter.training.gate)
    if config["embedding"] == "auto":
        del config["embedding"]  # gates from before it could be chosen are as good as they were
    parts = {
        "gate": config,
        "samples": [(s.text, s.adapter) for s in gates.collect(document)],
        "adapters": document.adapter_names,
        "seed": seed,
    }
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()


class GatePhase:
    """Trains and commits the gate of one document, or finds that there is nothing to train.

    Args:
        seed: of the gate's first weights and of its batches.
        breathe: called now and then; it may use the bank, and leaves it off.
    """

    def __init__(
        self,
        document: Document,
        shop: Workshop,
        *,
        run_id: int,
        seed: int,
        emit: Callable[[Event], None],
        stop: Callable[[], bool],
        breathe: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.document, self.shop, self.run_id, self.seed = document, shop, run_id, seed
        self.names = document.adapter_names
        self.samples = gates.collect(document)
        self._emit, self._stop, self._breathe, self._clock = emit, stop, breathe, clock

    def run(self, snapshot: Snapshot) -> Snapshot:
        """Train the gate and commit it; a failure is said, and leaves `snapshot` as it was."""
        config = self.document.frontmatter.training.gate
        counts = {name: sample_counts(self.document).get(name, 0) for name in self.names}
        self.shop.bank.use(None)
        module: AdapterGate | None = None
        by_encoder: AdapterGate | None = None
        embeddings: torch.Tensor | None = None
        try:
            if self.samples:
                cache = EmbeddingCache(self.shop.store.paths.gate, self.shop.base.fingerprint)
                embeddings = cache.embed(self.shop.embedder, [s.text for s in self.samples])
            cold = gates.cold_adapters(counts, config.cold_start_floor)
            if cold:
                meta = gates.uniform_meta(self.names, counts, config.cold_start_floor, "cold start")
                self._warn_of_cold_start(cold, counts)
            else:
                assert embeddings is not None
                module, meta = self._fit(embeddings, counts)
                by_encoder, meta = self._by_encoder(meta, counts)
        except GateTrainingError as error:
            self._log("error", error.message, error.hint, "gate_failed")
            self._tell_failure(error, counts)
            return snapshot
        meta = msgspec.structs.replace(
            meta,
            questions=tuple((s.text, s.adapter) for s in self.samples),
            base_fingerprint=self.shop.base.fingerprint,
        )
        with self.shop.store.stage(self.run_id) as stage:
            save_gate(stage.gate_dir(), meta, module, embeddings, by_encoder)
            snapshot = stage.commit(
                RunRecord(extra={**snapshot.extra, "gate_key": gate_key(self.document, self.seed)})
            )
        self._tell(meta)
        return snapshot

    def _by_encoder(self, meta: GateMeta, counts: Mapping[str, int]) -> tuple[AdapterGate | None, GateMeta]:
        """A head on the sentence encoder's vectors beside the one on the base's state, where it is wanted,
        can be had, and routes as well; and the figures of the two together.
        """
        wanted = self.document.frontmatter.training.gate.embedding
        encoder = self.shop.find_encoder() if wanted != "base" else None
        if encoder is None:
            return None, meta
        head, found = self._fit(encoder.encode([s.text for s in self.samples]), counts, tell=False)
        theirs, own = found.loo_accuracy or 0.0, meta.loo_accuracy or 0.0
        chosen = wanted == "encoder" or theirs >= own
        reads, other = ("the sentence encoder", "the base's state")[:: 1 if chosen else -1]
        best, rest = (theirs, own) if chosen else (own, theirs)
        self._log(
            "info",
            f"the gate reads {reads}: with sections left out it routes {best:.0%} of questions, by {other} "
            f"{rest:.0%}",
            "",
            "gate_embedding",
        )
        if not chosen:
            return None, meta
        kept = {"hidden_size": meta.hidden_size, "base_loo_accuracy": meta.loo_accuracy}
        return head, msgspec.structs.replace(
            found, embedding="encoder", encoder_sha256=encoder.sha256, **kept
        )

    def _fit(
        self, embeddings: torch.Tensor, counts: Mapping[str, int], *, tell: bool = True
    ) -> tuple[AdapterGate, GateMeta]:
        config = self.document.frontmatter.training.gate
        told = -1e9

        def on_step(figures: gates.StepFigures) -> None:
            nonlocal told
            if self._clock() - told < _EVENT_INTERVAL_S and figures.step < config.steps:
                return
            told = self._clock()
            self._breathe()
            if not tell:
                return
            self._emit(
                GateStep(
                    run_id=self.run_id,
                    step=figures.step,
                    steps=config.steps,
                    loss=figures.loss,
                    entropy=figures.entropy,
                    accuracy=figures.accuracy,
                )
            )

        return gates.train_gate(
            embeddings,
            [self.names.index(s.adapter) for s in self.samples],
            [s.section for s in self.samples],
            self.names,
            config,
            counts,
            seed=self.seed,
            base_fingerprint=self.shop.base.fingerprint,
            on_step=on_step,
            stop=self._stop,
        )

    def _warn_of_cold_start(self, cold: Sequence[str], counts: Mapping[str, int]) -> None:
        floor = self.document.frontmatter.training.gate.cold_start_floor
        for name in cold:
            self._log("warning", *cold_start_words(name, counts[name], floor), "cold_start")

    def _tell_failure(self, error: GateTrainingError, counts: Mapping[str, int]) -> None:
        self._emit(
            GateTrained(
                run_id=self.run_id,
                mode="failed",
                mean_weights=dict.fromkeys(self.names, 1 / len(self.names)),
                sample_counts=dict(counts),
                floor=self.document.frontmatter.training.gate.cold_start_floor,
                reason=error.message,
            )
        )

    def _tell(self, meta: GateMeta) -> None:
        trained = GateTrained(
            run_id=self.run_id,
            mode=meta.mode,
            mean_weights=meta.mean_weights,
            sample_counts=meta.sample_counts,
            floor=meta.floor,
            train_accuracy=meta.train_accuracy,
            loo_accuracy=meta.loo_accuracy,
            entropy=meta.entropy,
            max_entropy=math.log(len(self.names)),
            reason=meta.reason,
            question_counts=Counter(s.adapter for s in self.samples),
        )
        self._emit(trained)
        if fault := gate_health.fault_of(trained):
            self._log("warning", fault.sentence, gate_health.remedy(fault), gate_health.CODE)

    def _log(self, level: Level, message: str, hint: str, code: str) -> None:
        self._emit(Log(level=level, message=message, hint=hint, code=code))
