"""Engine: the one owner of torch. Opens a document, answers, trains, and swaps new versions in; front ends
call this.
"""

import contextlib
import gc
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from dlm_core.adapters.bank import Bank
from dlm_core.adapters.folder import load_adapter
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.bases.doctor import examine
from dlm_core.bases.load import Base, BaseOutline, load_base, outline_base
from dlm_core.bases.placement import choose_placement
from dlm_core.bases.registry import parse_base_name
from dlm_core.bases.sources import find_base
from dlm_core.document.model import Document
from dlm_core.document.parse import load
from dlm_core.engine_protocol import (
    CompareOptions,
    Emit,
    EvalOptions,
    Exported,
    ExportOptions,
    ShouldStop,
)
from dlm_core.errors import AdapterError, DlmError, StoreError
from dlm_core.evaluation.compare import compare
from dlm_core.evaluation.examine import evaluate
from dlm_core.evaluation.probes import all_probes
from dlm_core.events import (
    Embedded,
    Evaluated,
    Event,
    Log,
    MaskedRow,
    Ready,
    Reply,
    Routed,
    RunEnded,
    RunPlanned,
    Token,
    Why,
)
from dlm_core.inference.chat import Chat, ServingSet
from dlm_core.inference.draft import Passage as Drafted
from dlm_core.inference.draft import Passages
from dlm_core.inference.knowledge import Knowledge
from dlm_core.llama.decode_forward import LeanBase, PromptStates, take_over
from dlm_core.llama.packed_linear import chosen_precision
from dlm_core.llama.prefetch import packed_ahead
from dlm_core.reports import Checkup, Comparison
from dlm_core.requests import Message, RoutingChoice, Sampling, TrainOptions
from dlm_core.retrieval.encoder import Encoder
from dlm_core.retrieval.index import Index
from dlm_core.retrieval.passages import Passage
from dlm_core.routing.embed import Embedder
from dlm_core.routing.gate import SavedGate, load_gate
from dlm_core.routing.train import uniform_meta
from dlm_core.store import origin
from dlm_core.store.manifest import Snapshot
from dlm_core.store.paths import dlm_home
from dlm_core.store.store import Store
from dlm_core.taught import Library, knowledge_of
from dlm_core.training.examples import build_rows
from dlm_core.training.forward import SelectiveHead
from dlm_core.training.planner import Planner
from dlm_core.training.probing import Watched
from dlm_core.training.run import Run, Workshop


def _silent(event: Event) -> None:
    pass


def create_engine(home: Path | None = None, device: str | None = None, emit: Emit = _silent) -> "Engine":
    """An engine that has opened nothing yet.

    Args:
        home: where base cache and stores are; None asks `$DLM_HOME`, then the platform.
        device: cpu, cuda, cuda:N or mps; None lets `choose_placement` decide.
    """
    return Engine(dlm_home() if home is None else home, device, emit)


class Engine:
    """One document on one base; see `EngineProtocol` for what each method promises."""

    def __init__(self, home: Path, device: str | None, emit: Emit) -> None:
        self.home = home
        self.device = device
        self.emit = emit
        self.should_stop: ShouldStop = lambda: False
        self._document: Document | None = None
        self._base: Base | None = None
        self._base_name = ""
        self._lean: LeanBase | None = None
        self._workshop: Workshop | None = None
        self._chat: Chat | None = None
        self._load_s = 0.0
        self._run: int | None = None
        self._loaded: dict[Path, AdapterWeights] = {}
        self._library = Library(home, lambda event: self.emit(event))

    def open(self, path: Path) -> Ready:
        begun = time.perf_counter()
        document = load(path)
        self._loaded.clear()  # what is opened is read, and so checked, from disk
        self._ensure_base(document)
        assert self._base is not None and self._workshop is not None
        store = Store.open(document.dlm_id, self.home, create=False)
        self._workshop = replace(self._workshop, store=store)
        self._document = document
        if (other := origin.other_file(store.paths, path)) is not None:
            message, hint = origin.warning(other)
            self.emit(Log(level="warning", message=message, hint=hint, code=origin.SHARED_ID))
        serving = self._serving(document, store)
        self._load_s = time.perf_counter() - begun
        self._chat = Chat(
            self._base,
            self._workshop.bank,
            self._workshop.embedder,
            serving,
            document.frontmatter.system_prompt,
            self._load_s,
            lean=self._lean,
            passages=self._passages,
            knowledge=self._knowledge,
            encoder=self._library.encoder,
        )
        return self._ready()

    def _passages(self) -> Passages:
        """What the open document teaches, for drafting; nothing where its rows cannot be made."""
        assert self._document is not None and self._base is not None
        try:
            rows = build_rows(self._document, self._base.chat, self._base.context_length)
        except DlmError:
            return Passages(())
        taught = [*rows.sft, *(pair.chosen for pair in rows.preference)]
        return Passages(Drafted(row.ids, row.loss.index(True)) for row in taught if True in row.loss)

    def _knowledge(self) -> Knowledge | None:
        """What was taught of the open document; see `dlm_core.taught`."""
        assert self._document is not None and self._base is not None and self._workshop is not None
        snapshot = self._workshop.store.snapshot()
        if snapshot.base_fingerprint != self._base.fingerprint:
            return None
        chat, fingerprint = self._opened(), self._base.fingerprint

        def index(passages: tuple[Passage, ...], kept: Path) -> Index:
            return self._library.index(passages, kept, fingerprint, chat.states)

        return knowledge_of(self._document, snapshot, self._base.chat, self._base.context_length, index)

    def embed(self, texts: Sequence[str]) -> Embedded:
        encoder = self._library.encoder()
        if encoder is None:
            return Embedded()
        vectors = encoder.encode(texts, self.should_stop).numpy().astype("<f4")
        return Embedded(vectors=vectors.tobytes(), width=encoder.width)

    def reload(self) -> Ready:
        if self._document is None:
            raise DlmError("no document is open", "open one first")
        document = load(self._document.path)
        if document.frontmatter.base_model != self._base_name or document.dlm_id != self._document.dlm_id:
            return self.open(document.path)
        self._document = document
        self._swap()
        return self._ready()

    def _ensure_base(self, document: Document) -> None:
        """Load the document's base unless it is the one in memory."""
        name = document.frontmatter.base_model
        if self._base is not None and self._base_name == name:
            return
        if self._base is not None:
            gc.unfreeze()
        self._base = self._chat = self._workshop = self._lean = None
        self._loaded.clear()
        ref = parse_base_name(name, document.path.parent)
        folder = find_base(ref, home=self.home, report=self.emit, stop=self.should_stop)
        placement = choose_placement(document.frontmatter.training.precision, self.device)
        precision = chosen_precision(os.environ)
        with packed_ahead(folder.path, placement, precision) as ahead:
            base = load_base(folder, placement, self.emit)
            bank = Bank(base.model)
            self._lean = take_over(base.model, precision, ahead)
        pad = base.tokenizer.pad_token_id or 0
        state = PromptStates(self._lean) if self._lean is not None else None
        embedder = Embedder(base.model, base.chat, pad, placement.device, state=state)
        store = Store.open(document.dlm_id, self.home, create=False)
        self._workshop = Workshop(
            base, bank, SelectiveHead(base.model), embedder, store, find_encoder=self._library.encoder
        )
        self._base, self._base_name = base, name

    def _serving(self, document: Document, store: Store) -> ServingSet:
        """The committed adapters that the document still declares, and the gate if it fits."""
        assert self._workshop is not None and self._base is not None
        snapshot = store.snapshot()
        for notice in store.notices:
            self.emit(Log(level="warning", message=notice, code="store"))
        store.notices.clear()
        version = f"g{snapshot.generation}"
        names = [n for n in document.adapter_names if n in snapshot.adapters]
        if snapshot.adapters and snapshot.base_fingerprint != self._base.fingerprint:
            self.emit(
                Log(
                    level="warning",
                    message="the adapters in the store were trained on another base; the bare base answers",
                    hint="train the document on its present base",
                    code="foreign_base",
                )
            )
            return ServingSet((), None, version)
        adapters: list[AdapterWeights] = []
        for name in names:
            try:
                adapters.append(self._adapter(snapshot.adapter_dir(name), name))
            except AdapterError as error:
                hint = "go back with `dlm rollback`, or train with `--fresh`"
                self.emit(Log(level="warning", message=error.message, hint=hint, code="adapter_unreadable"))
        served = {id(a) for a in adapters}
        self._loaded = {path: a for path, a in self._loaded.items() if id(a) in served}
        serving = [a.spec.name for a in adapters]
        return ServingSet(tuple(adapters), self._gate(document, snapshot, serving), version)

    def _adapter(self, folder: Path, name: str) -> AdapterWeights:
        """A committed version, from memory where it is served already. Raises AdapterError."""
        assert self._workshop is not None and self._base is not None
        if folder not in self._loaded:
            adapter = load_adapter(folder, name, self._workshop.bank.features)
            self._loaded[folder] = adapter.to(self._base.placement.device)
        return self._loaded[folder]

    def _gate(self, document: Document, snapshot: Snapshot, names: Sequence[str]) -> SavedGate | None:
        """The document's gate; a uniform one with the reason where it cannot be had, None without one."""
        assert self._workshop is not None
        if not document.frontmatter.training.gate.enabled or len(names) < 2:
            return None
        folder, why = snapshot.gate_dir(), "the gate is not trained yet"
        if folder is not None:
            try:
                return load_gate(folder, names, self._workshop.embedder.hidden_size)
            except StoreError as error:
                why = "the gate's files cannot be read; train to make it anew"
                self.emit(
                    Log(level="warning", message=error.message, hint=error.hint, code="gate_unreadable")
                )
        return SavedGate(uniform_meta(names, {}, 0, why), None, None)

    def _swap(self) -> None:
        """Put what is committed now into the serving set, in place."""
        assert self._chat is not None and self._document is not None and self._workshop is not None
        serving = self._serving(self._document, self._workshop.store)
        self._chat.serve(serving, self._document.frontmatter.system_prompt)

    def _ready(self) -> Ready:
        chat, base, document = self._chat, self._base, self._document
        assert chat is not None and base is not None and document is not None
        gate = chat.serving.gate
        return Ready(
            dlm_id=document.dlm_id,
            base=base.name,
            device=base.placement.device,
            dtype=base.placement.dtype_name,
            adapters=chat.serving.names,
            version=chat.serving.version,
            gate_mode=gate.meta.mode if gate else "none",
            load_s=self._load_s,
            context_length=base.context_length,
        )

    def _opened(self) -> Chat:
        if self._chat is None:
            raise DlmError("no document is open", "open one first")
        return self._chat

    def route(self, messages: Sequence[Message], choice: RoutingChoice) -> Routed:
        return self._opened().route(messages, choice)

    def generate(
        self, messages: Sequence[Message], choice: RoutingChoice, sampling: Sampling, stop: ShouldStop
    ) -> Iterator[Routed | Token | Reply]:
        for event in self._opened().generate(messages, choice, sampling, stop):
            if isinstance(event, Reply) and self._run is not None:
                event = msgspec.structs.replace(event, during_run=self._run)
            yield event

    def explain(
        self, messages: Sequence[Message], choice: RoutingChoice, nearest: int, alone: int = 0
    ) -> Why:
        return self._opened().explain(messages, choice, nearest, alone)

    def train(
        self, options: TrainOptions, emit: Emit, stop: ShouldStop, between_steps: Callable[[], None]
    ) -> RunEnded:
        """Train the document as it now stands on disk; its new versions answer from then on."""
        chat = self._opened()
        assert self._document is not None
        document = load(self._document.path)
        if document.frontmatter.base_model != self._base_name or document.dlm_id != self._document.dlm_id:
            self.open(document.path)
            chat = self._opened()
        self._document = document
        assert self._workshop is not None and self._base is not None
        store = Store.open(document.dlm_id, self.home, create=True)
        self._workshop = replace(self._workshop, store=store)
        probes = _watched(document)
        run = Run(document, self._workshop, options, emit, stop, between_steps, probes=probes)
        try:
            self._run = 0
            return run.execute(on_started=self._note_run)
        finally:
            self._run = None
            self._workshop.bank.use(None)
            if (
                run.accelerator.is_main_process
                and store.snapshot().generation
                and f"g{store.snapshot().generation}" != chat.serving.version
            ):
                self._swap()
                with contextlib.suppress(DlmError):
                    _ = chat.knowledge  # the index is made now, and the first reply need not wait for it

    def plan(self, path: Path, options: TrainOptions) -> RunPlanned:
        """What a run of the document at `path` would do and take. Nothing is written, no weights are read."""
        document = load(path)
        name = document.frontmatter.base_model
        base: BaseOutline | None = self._base if self._base_name == name else None
        if base is None:
            ref = parse_base_name(name, path.parent)
            folder = find_base(ref, home=self.home, report=self.emit, stop=self.should_stop)
            placement = choose_placement(document.frontmatter.training.precision, self.device)
            base = outline_base(folder, placement)
        store = Store.open(document.dlm_id, self.home, create=False)
        return Planner(document, base, store, options).preview()

    def _note_run(self, run_id: int) -> None:
        self._run = run_id

    def mask(self, path: Path) -> tuple[MaskedRow, ...]:
        """The rows a training of the document would learn from, token by token."""
        document = load(path)
        self._ensure_base(document)
        assert self._base is not None
        rows = build_rows(document, self._base.chat, self._base.context_length)
        found: list[MaskedRow] = []
        pairs = (r for p in rows.preference for r in (p.chosen, p.rejected))
        for row in (*rows.sft, *pairs, *rows.left_out):
            found.append(
                MaskedRow(
                    section=row.section,
                    adapter=row.adapter,
                    pieces=tuple(self._base.chat.encoding.texts(row.ids)),
                    loss=tuple(row.loss if row.loss_tokens else (False,) * len(row.loss)),
                    label=row.label,
                    note=row.lost.message if row.lost else "",
                )
            )
        return tuple(found)

    def evaluate(self, options: EvalOptions, emit: Emit, stop: ShouldStop) -> Evaluated:
        """Measure the committed versions of the open document; see `dlm_core.evaluation.examine`."""
        chat = self._opened()
        assert self._document is not None and self._workshop is not None
        return evaluate(self._document, chat, self._workshop.head, self._workshop.store, options, emit, stop)

    def compare(self, path: Path, options: CompareOptions, emit: Emit, stop: ShouldStop) -> Comparison:
        """Train methods on the rows of the document at `path` and measure them; see
        `dlm_core.evaluation.compare`. What was open is let go of first: one base is in memory at a time.
        """
        self.close()
        return compare(load(path), self.home, self.device, options, emit, stop)

    def export(self, options: ExportOptions, emit: Emit, stop: ShouldStop) -> Exported:
        """Write the open document's adapters for other programs; see `dlm_core.export.exporter`."""
        from dlm_core.export.exporter import Subject, export

        chat = self._opened()
        assert self._document is not None and self._workshop is not None
        workshop = self._workshop
        return export(
            Subject(self._document, chat, workshop.head, workshop.store.snapshot()), options, emit, stop
        )

    def doctor(self, path: Path) -> Checkup:
        """Compare what the document at `path` needs with this machine; see `dlm_core.bases.doctor`."""
        held = self._base.name if self._base is not None else ""
        return examine(load(path), home=self.home, device=self.device, in_memory=held).checkup()

    def close(self) -> None:
        """Let go of everything in memory."""
        if self._workshop is not None:
            self._workshop.bank.use(None)
        self._loaded.clear()
        self._base = self._chat = self._workshop = self._document = self._lean = None


def sentence_encoder(home: Path, emit: Emit) -> Encoder | None:
    """The sentence encoder; None, with a warning, where it cannot be had."""
    return Library(home, emit).encoder()


def _watched(document: Document) -> list[Watched]:
    """The probes of a document, to be asked while it trains; none where the list beside it cannot be read."""
    try:
        probes = all_probes(document, None)
    except DlmError:
        return []
    return [Watched(probe.question, probe.answer, probe.adapter, probe.before) for probe in probes]
