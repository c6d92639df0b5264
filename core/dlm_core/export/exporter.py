"""One export from start to end: resolve, observe, choose, write aside, measure, record, publish.

routing ─▶ reference (the engine's predictions) ─▶ constants ─▶ rounding ─▶ files ─▶ manifest ─▶ goal
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec

from dlm_core.adapters.folder import WEIGHTS_FILE, is_transposed
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.document.model import Document
from dlm_core.engine_protocol import Emit, Exported, ExportOptions, ShouldStop
from dlm_core.errors import ExportError, StoreError, UsageError
from dlm_core.events import Log, Working
from dlm_core.export import banner, gguf_file, gguf_tokenizer, hf, manifest, ollama, peft, quant
from dlm_core.export.choose import Chosen, choose
from dlm_core.export.fidelity import measure
from dlm_core.export.fold import Weights, stacked
from dlm_core.export.gguf_shape import Shape
from dlm_core.export.reference import Observer
from dlm_core.export.routing import StaticRouting, resolve
from dlm_core.export.staging import check_goal, staged
from dlm_core.inference.chat import Chat
from dlm_core.store.manifest import Snapshot
from dlm_core.store.metrics_reader import MetricsReader
from dlm_core.training.forward import SelectiveHead

TARGETS = ("peft", "hf", "gguf", "ollama")
_MODEL, _ADAPTER = "model.gguf", "adapter.gguf"


@dataclass(frozen=True)
class Subject:
    """What is exported: an opened document with its versions, and the engine's parts that serve it."""

    document: Document
    chat: Chat
    head: SelectiveHead
    snapshot: Snapshot


class Exporter:
    """One export of one subject.

    Args:
        emit: told what happens, in sentences.
        stop: asked at every forward and every tensor.
        now: seconds since the epoch, for the manifest.
    """

    def __init__(
        self,
        subject: Subject,
        options: ExportOptions,
        emit: Emit,
        stop: ShouldStop,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._subject, self._options, self._emit, self._stop, self._now = subject, options, emit, stop, now
        self._number_format = _number_format(options, subject.document)
        self._base, self._bank = subject.chat.base, subject.chat.bank
        self._warnings: list[str] = []

    def run(self) -> Exported:
        """Write the export.

        Raises:
            UsageError: options that contradict each other, an adapter that is not there.
            ExportError: nothing is trained, the goal is taken, the target cannot hold this base, the disk
                refuses. Stopped: nothing was exported.
        """
        options, subject = self._options, self._subject
        goal = options.folder or subject.snapshot.paths.exports / self._default_name()
        check_goal(goal, overwrite=options.overwrite)
        routing = resolve(options.choice, subject.chat.serving)
        adapters = routing.active(subject.chat.serving)
        shape = Shape(self._base.model) if options.target in ("gguf", "ollama") else None
        if shape is not None:  # refuse before minutes are spent
            gguf_tokenizer.read(self._base.tokenizer, shape.config.vocab_size)
        file = self._modelfile() if options.target == "ollama" else None
        whole = options.target == "peft" and not options.fold
        chosen = None if whole else self._choose(routing, shape)
        lora = self._stacked(chosen, routing) if chosen else None
        with staged(goal, overwrite=options.overwrite) as stage:
            self._say(f"writing {goal}")
            template = None
            if options.target == "peft":
                written: Sequence[AdapterWeights] = adapters if lora is None else [lora]
                peft.write(written, stage, base=self._base.name, bank=self._bank)
            elif options.target == "hf":
                hf.write(
                    self._base, self._weights(lora), stage, hf.DTYPES.get(options.quant or ""), self._stop
                )
            elif lora is not None and shape is not None:
                self._write_gguf(stage, shape, lora)
            if file is not None:
                template = self._write_modelfile(stage, *file)
            self._warn(chosen, routing, len(adapters))
            record = self._manifest(stage, routing, adapters, chosen, template)
            manifest.write(stage, record)
        said = [*banner.lines(record), *self._left_behind()]
        if options.target == "ollama":
            name, sentence = ollama.create(goal, subject.document.path.stem)
            self._say(sentence, level="info" if name or "not installed" in sentence else "warning")
        return Exported(goal, tuple(said), msgspec.to_builtins(record))

    def _left_behind(self) -> Iterator[str]:
        """A sentence on search, where the document's replies have it."""
        subject = self._subject
        if not subject.document.frontmatter.training.grounding.enabled:
            return
        found = None
        with suppress(StoreError), MetricsReader(subject.snapshot.paths.metrics) as metrics:
            found = metrics.evaluation()
        measured = found.evaluated.evaluation if found is not None else None
        if measured is None or measured.version != subject.chat.serving.version:
            yield banner.search_stays_behind(None, 0)
        else:
            yield banner.search_stays_behind(measured.answers, measured.probes)

    def _choose(self, routing: StaticRouting, shape: Shape | None) -> Chosen:
        """The constants, measured with what the number format makes of the weights."""
        subject, options = self._subject, self._options
        observer = Observer(subject.chat, subject.head, options.choice, self._stop, self._told)
        self._say("measuring what the engine says to the document's questions")
        reference = observer.observe(
            subject.document, [a.spec.name for a in routing.active(subject.chat.serving)]
        )
        lossy = shape if shape is not None and quant.is_lossy(self._number_format) else None
        beside = partial(self._rounded, lossy, None) if lossy and not options.merge else None
        seed = subject.document.frontmatter.training.seed
        chosen = choose(observer, reference, routing, seed, self._say, beside)
        if lossy and options.merge:
            self._say(f"measuring what {self._number_format} makes of the merged weights")
            with self._rounded(lossy, self._stacked(chosen, routing)):
                return replace(chosen, fidelity=measure(observer, reference, [], {}))
        return chosen

    def _write_gguf(self, stage: Path, shape: Shape, lora: AdapterWeights) -> None:
        options, document = self._options, self._subject.document
        merged = lora if options.merge else None
        gguf_file.write_model(
            stage / _MODEL,
            self._base,
            shape,
            self._weights(merged),
            title=document.path.stem if options.merge else self._base.name,
            number_format=self._number_format,
            stop=self._stop,
        )
        if not options.merge:
            gguf_file.write_lora(stage / _ADAPTER, lora, shape, title=document.path.stem)

    def _modelfile(self) -> tuple[str, ollama.OllamaTemplate]:
        """The Modelfile, written before anything is measured: what it cannot hold is refused at once."""
        export, system = (
            self._subject.document.frontmatter.export,
            self._subject.document.frontmatter.system_prompt,
        )
        ollama.check_system(self._base.chat, system)
        found = ollama.template_for(self._base.chat, system or "")
        text = ollama.modelfile(
            model=_MODEL,
            adapter=None if self._options.merge else _ADAPTER,
            template=found.text,
            system=None if found.says_system else system,
            stops=ollama.stop_texts(self._base),
            temperature=export.default_temperature or 0.0,
            top_p=export.default_top_p or 1.0,
        )
        return text, found

    def _write_modelfile(
        self, stage: Path, text: str, found: ollama.OllamaTemplate
    ) -> manifest.TemplateEntry:
        (stage / "Modelfile").write_text(text, "utf-8", newline="")
        if found.text is None:
            self._warning(
                f"no TEMPLATE was written: {found.note}", "Ollama falls back on the template in the GGUF"
            )
        elif found.note:
            self._warning(
                found.note, "messages that begin or end with white space are rendered otherwise there"
            )
        return manifest.TemplateEntry(
            written=found.text is not None, conversations=found.checked, note=found.note
        )

    def _rounded(self, shape: Shape, merged: AdapterWeights | None) -> AbstractContextManager[None]:
        """Within it the model computes with the weights as the file will hold them."""
        weights = self._weights(merged)
        return quant.applied(weights, gguf_file.names_in_file(shape, weights), self._number_format)

    def _stacked(self, chosen: Chosen, routing: StaticRouting) -> AdapterWeights:
        """All adapters of the export as one plain LoRA."""
        adapters = routing.active(self._subject.chat.serving)
        name = adapters[0].spec.name if len(adapters) == 1 else "mixture"
        static = [chosen.constants.static(a) for a in adapters]
        return stacked(name, static, routing.weights, list(self._bank.layers))

    def _weights(self, lora: AdapterWeights | None) -> Weights:
        model = self._base.model
        return Weights(model, self._bank, lora, transposed=is_transposed(model))

    def _manifest(
        self,
        stage: Path,
        routing: StaticRouting,
        adapters: Sequence[AdapterWeights],
        chosen: Chosen | None,
        template: manifest.TemplateEntry | None,
    ) -> manifest.Manifest:
        options, subject = self._options, self._subject
        gated = any(a.spec.gate is not None for a in adapters)
        constants = chosen.constants if chosen else None
        method = constants.method if constants else ""
        mode: manifest.RankGateMode = "none"
        if gated or method == "distilled":
            mode = "dynamic" if constants is None else "static_mean"
        entries = {}
        for adapter in adapters:
            spec = adapter.spec
            folder = subject.snapshot.adapter_dir(spec.name)
            entries[spec.name] = manifest.AdapterEntry(
                version=subject.snapshot.adapters[spec.name],
                kind=spec.kind,
                rank=spec.rank,
                alpha=spec.alpha,
                weight=routing.weights[spec.name],
                sha256=manifest.sha256_of(folder / WEIGHTS_FILE),
            )
        fixed = constants is not None and constants.refitted is None
        return manifest.Manifest(
            format=manifest.FORMAT,
            target=options.target,
            created_at=datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="seconds"),
            quant=self._number_format,
            merged=options.merge or options.target == "hf",
            folded=options.fold,
            document={"dlm_id": subject.document.dlm_id, "name": subject.document.path.name},
            base={"name": self._base.name, "fingerprint": self._base.fingerprint},
            generation=subject.chat.serving.version,
            gate_mode=routing.gate_mode,
            rank_gate_mode=mode,
            rank_constants=method,
            coefficients=manifest.Coefficients(
                adapters=dict(routing.weights),
                ranks=manifest.plain(constants.values) if constants is not None and fixed else None,
                mean=constants.summary() if constants is not None and fixed else {},
            ),
            adapters=entries,
            fidelity=chosen.fidelity if chosen else None,
            tried=dict(chosen.tried) if chosen else {},
            warnings=tuple(self._warnings),
            template=template,
            versions=manifest.versions(),
            files=manifest.describe_files(stage),
        )

    def _default_name(self) -> str:
        options = self._options
        parts = [options.target]
        if options.choice.mode == "pin" and options.choice.adapter:
            parts.append(options.choice.adapter)
        elif options.choice.mode != "auto":
            parts.append(options.choice.mode)
        parts += ["folded"] if options.fold else []
        parts += ["merged"] if options.merge else []
        parts += [self._number_format] if self._number_format else []
        return "-".join(parts)

    def _warn(self, chosen: Chosen | None, routing: StaticRouting, adapters: int) -> None:
        if chosen is None:
            return
        for message, hint in banner.warnings(
            chosen.fidelity,
            routing.gate_mode,
            adapters,
            merged=self._options.merge and quant.is_lossy(self._number_format),
        ):
            self._warning(message, hint, code="export_lost")

    def _warning(self, message: str, hint: str, code: str = "export") -> None:
        self._warnings.append(message)
        self._emit(Log(level="warning", message=message, hint=hint, code=code))

    def _told(self, done: int, total: int) -> None:
        self._emit(Working(label="the engine's own replies", done=done, total=total))

    def _say(self, message: str, level: str = "info") -> None:
        self._emit(Log(level="warning" if level == "warning" else "info", message=message, code="export"))


def _number_format(options: ExportOptions, document: Document) -> str:
    """The format of the weights that are written; "" means the base's own."""
    if options.target not in TARGETS:
        raise UsageError(f"there is no target {options.target}", f"targets: {', '.join(TARGETS)}")
    if options.fold and options.target != "peft":
        raise UsageError("--fold goes with --target peft only", "the other targets are static anyway")
    if options.merge and options.target not in ("gguf", "ollama"):
        raise UsageError("--merge goes with --target gguf and ollama only", "hf is always merged, peft never")
    if options.target == "peft":
        if options.quant:
            raise UsageError("--quant does not go with --target peft", "adapters are written in float32")
        return "f32"
    if options.target == "hf":
        if options.quant and options.quant not in hf.DTYPES:
            raise UsageError(
                f"--target hf cannot be written as {options.quant}", f"it takes {', '.join(hf.DTYPES)}"
            )
        return options.quant or ""
    return quant.check(options.quant or document.frontmatter.export.default_quant)


def export(subject: Subject, options: ExportOptions, emit: Emit, stop: ShouldStop) -> Exported:
    """Export `subject`; see `Exporter.run`."""
    if not subject.chat.serving.adapters:
        raise ExportError("no adapter of this document is trained yet", "`dlm train` it first")
    return Exporter(subject, options, emit, stop).run()
