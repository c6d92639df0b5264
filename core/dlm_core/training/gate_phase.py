"""The adapter gate's part of a run: embeddings, training, the cold start, and the commit that follows the
adapters'.
"""

import hashlib
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec
import torch

from dlm_core import gate_health
from dlm_core.document.cold_start import cold_start_words, sample_counts
from dlm_core.document.model import Document
from dlm_core.errors import GateTrainingError, StoreError
from dlm_core.events import Event, GateStep, GateTrained, Level, Log
from dlm_core.routing import train as gates
from dlm_core.routing.embedding_cache import EmbeddingCache
from dlm_core.routing.gate import AdapterGate, GateMeta, load_gate, save_gate
from dlm_core.routing.reads import NAMES, Kind
from dlm_core.store.manifest import RunRecord, Snapshot
from dlm_core.training.workshop import Workshop

_EVENT_INTERVAL_S = 0.1
_MOST_WORN = 96
_ALIKE = 0.9  # of the questions have to be the same for what was found out about reading them to hold on
_ORDER: tuple[Kind, ...] = ("encoder", "base", "both", "base-mean")


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
        other: AdapterGate | None = None
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
                known = self._known(snapshot)
                worn = self._worn(known)
                asked = (
                    gates.Worn(self.shop.embedder.embed(list(worn.values())), list(worn)) if worn else None
                )
                module, meta = self._fit(embeddings, counts, known, asked)
                other, meta = self._choose(known, worn, meta, counts)
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
            save_gate(stage.gate_dir(), meta, module, embeddings, other)
            snapshot = stage.commit(
                RunRecord(extra={**snapshot.extra, "gate_key": gate_key(self.document, self.seed)})
            )
        self._tell(meta)
        return snapshot

    def _choose(
        self, known: Kind | None, worn: Mapping[int, str], meta: GateMeta, counts: Mapping[str, int]
    ) -> tuple[AdapterGate | None, GateMeta]:
        """The head that routes where that is not `meta`'s on the base's last state, with its figures: the one
        that is asked for, that was `known` to be best, or that routes best with sections left out.
        """
        wanted = self.document.frontmatter.training.gate.embedding
        single = known if wanted == "auto" else wanted
        kinds: tuple[Kind, ...] = ("encoder", "both") if single is None else (single,)
        reader, texts = self.shop.reader, [s.text for s in self.samples]
        heads: dict[Kind, tuple[AdapterGate | None, GateMeta]] = {"base": (None, meta)}
        for kind in kinds:
            read = None if kind == "base" else reader.read(kind, texts)
            if read is not None:
                asked = reader.read(kind, list(worn.values())) if worn else None
                heads[kind] = self._fit(
                    read,
                    counts,
                    known,
                    gates.Worn(asked, list(worn)) if asked is not None else None,
                    tell=False,
                )
        # Of those that route alike, one that does not need the base's forward comes first.
        order = [kind for kind in _ORDER if kind in heads]
        if single is None:
            chosen = max(order, key=lambda kind: _routes(heads[kind][1]))
        else:
            chosen = single if single in heads else "base"
        if known is None and len(heads) > 1:
            said = [f"by {NAMES[kind]} {_said(heads[kind][1])}" for kind in order if kind != chosen]
            self._log(
                "info",
                f"the gate reads {NAMES[chosen]}: with sections left out it routes {_said(heads[chosen][1])} "
                f"of questions, {', '.join(said)}",
                "",
                "gate_embedding",
            )
        head, found = heads[chosen]
        # Where the encoder that was found best is missing today, nothing is known for the next time.
        compared = chosen == known if known is not None else single is None and len(heads) > 1
        found = msgspec.structs.replace(found, compared=compared)
        if head is None:
            return None, found
        kept = {"hidden_size": meta.hidden_size, "base_loo_accuracy": meta.loo_accuracy}
        hashed = reader.sha256(chosen)
        return head, msgspec.structs.replace(found, embedding=chosen, encoder_sha256=hashed, **kept)

    def _known(self, snapshot: Snapshot) -> Kind | None:
        """What the gate of before was found to read best, where most of its questions are the same."""
        folder = snapshot.gate_dir()
        if folder is None or self.document.frontmatter.training.gate.embedding != "auto":
            return None
        try:
            before = load_gate(folder, self.names, self.shop.embedder.hidden_size).meta
        except StoreError:
            return None
        own = {(sample.text, sample.adapter) for sample in self.samples}
        same = sum(question in own for question in before.questions)
        alike = same >= _ALIKE * max(len(own), len(before.questions), 1)
        return before.embedding if before.compared and alike else None

    def _worn(self, known: Kind | None) -> dict[int, str]:
        """Questions with words left out, by whose they are, where the choice hangs on them."""
        auto = self.document.frontmatter.training.gate.embedding == "auto"
        if known is not None or not auto or self.shop.find_encoder() is None:
            return {}
        chance, step = random.Random(self.seed), max(1.0, len(self.samples) / _MOST_WORN)
        some = dict.fromkeys(int(i * step) for i in range(min(len(self.samples), _MOST_WORN)))
        return {place: gates.wear(self.samples[place].text, chance) for place in some}

    def _fit(
        self,
        embeddings: torch.Tensor,
        counts: Mapping[str, int],
        known: Kind | None,
        worn: gates.Worn | None = None,
        *,
        tell: bool = True,
    ) -> tuple[AdapterGate, GateMeta]:
        """A gate for what was read of the samples; one whose kind is `known` needs no fine measure."""
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
            worn=worn,
            most_folds=gates.MAX_FOLDS if known is None else gates.FEW_FOLDS,
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


def _routes(meta: GateMeta) -> float:
    """How well a head routes with sections left out: questions as they are count as much as worn ones."""
    accuracy = meta.loo_accuracy or 0.0
    return accuracy if meta.worn_accuracy is None else (accuracy + meta.worn_accuracy) / 2


def _said(meta: GateMeta) -> str:
    worn = "" if meta.worn_accuracy is None else f" ({meta.worn_accuracy:.0%} with words left out)"
    return f"{meta.loo_accuracy or 0.0:.0%}{worn}"
