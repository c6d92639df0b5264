"""What the host asks of an engine: `dlm_core.engine` is one, tests bring a scripted one. No torch."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from dlm_core.events import Embedded, Evaluated, Event, MaskedRow, Ready, Reply, Routed, RunEnded, Token, Why
from dlm_core.reports import METHODS, Checkup, Comparison, Method
from dlm_core.requests import Message, RoutingChoice, Sampling, TrainOptions

Emit = Callable[[Event], None]
ShouldStop = Callable[[], bool]

DEFAULT_ENGINE = "dlm_core.engine:create_engine"
"""The factory that the host calls, as `module:function`; it takes no arguments."""


EXPORT_FORMATS: Mapping[str, tuple[str, ...]] = {
    "peft": (),
    "hf": ("f32", "bf16", "f16"),
    "gguf": ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"),
    "ollama": ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"),
}
"""The number formats that weights can be written in, by the export's target."""


@dataclass(frozen=True)
class EvalOptions:
    """What to evaluate with: a probe file (None: the document's sibling `<stem>.probes.yaml` if there is
    one), and a text of one's own to measure retention on besides the bundled ones. Without `ground` the
    weights alone are measured, and nothing is looked up in the document.
    """

    probes: Path | None = None
    text: Path | None = None
    ground: bool = True


@dataclass(frozen=True)
class CompareOptions:
    """Which methods to compare and how.

    `epochs` None: as the document says. `rates` names the one rate to try for a method; the others try
    those known for them. `rehearsal`: train without it, with it, or once each. `probes` as in
    EvalOptions. `fresh`: measure again what was measured before.
    """

    methods: tuple[Method, ...] = METHODS
    epochs: int | None = None
    rates: Mapping[Method, float] = field(default_factory=dict)
    rehearsal: Literal["off", "on", "both"] = "both"
    probes: Path | None = None
    fresh: bool = False


@dataclass(frozen=True)
class ExportOptions:
    """What to export. `target`: peft, hf, gguf or ollama; `choice`: which adapters, as for a reply.

    `folder` None: the store's own folder for exports. `quant` None: the document's for GGUF, the base's for
    hf. `fold` makes a static LoRA of PEFT folders, `merge` puts the adapters into the GGUF's weights;
    `overwrite` replaces an earlier export.
    """

    target: str
    choice: RoutingChoice = field(default_factory=RoutingChoice)
    folder: Path | None = None
    quant: str | None = None
    fold: bool = False
    merge: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class Exported:
    """A finished export: where it is, what it says for itself, and its manifest as plain values."""

    folder: Path
    banner: tuple[str, ...]
    manifest: Mapping[str, Any]


class EngineProtocol(Protocol):
    """One opened document on one base. All calls come from one thread; none of them is re-entrant, but one.

    That one: while `train` calls `between_steps`, the host may call `route`, `generate`, `explain` and
    `embed`; and between two events of `generate` it may call `route`.
    Every method raises `DlmError` for what a person can put right. Events carry an empty `request_id`; the
    host stamps it. `emit` is set by the host before the first call, for events outside of a return value, and
    `should_stop`, which is asked while a base is fetched.
    """

    emit: Emit
    should_stop: ShouldStop

    def open(self, path: Path) -> Ready:
        """Read the document, load its base (BaseProgress through `emit`) and its committed adapters."""
        ...

    def reload(self) -> Ready:
        """Take up the document and the versions as they now stand on disk."""
        ...

    def route(self, messages: Sequence[Message], choice: RoutingChoice) -> Routed:
        """The routing a reply to `messages` would have."""
        ...

    def generate(
        self, messages: Sequence[Message], choice: RoutingChoice, sampling: Sampling, stop: ShouldStop
    ) -> Iterator[Routed | Token | Reply]:
        """One Routed, Tokens, and at last one Reply; `stop` is asked at every token."""
        ...

    def explain(
        self, messages: Sequence[Message], choice: RoutingChoice, nearest: int, alone: int = 0
    ) -> Why:
        """The routing of `messages`, the `nearest` trained questions, and the first `alone` tokens that the
        weights would say without the document.
        """
        ...

    def embed(self, texts: Sequence[str]) -> Embedded:
        """The texts' vectors by the sentence encoder, or none where it cannot be had; no document need be
        open.
        """
        ...

    def mask(self, path: Path) -> Sequence[MaskedRow]:
        """The rows a training of the document at `path` would learn from, token by token."""
        ...

    def evaluate(self, options: EvalOptions, emit: Emit, stop: ShouldStop) -> Evaluated:
        """Measure the committed versions of the open document, and record the figures in its store.

        `stop` is asked at every token; once it is true, Stopped is raised and nothing recorded.
        """
        ...

    def export(self, options: ExportOptions, emit: Emit, stop: ShouldStop) -> Exported:
        """Write the committed versions of the open document for other programs.

        `stop` is asked at every forward and every tensor; once it is true, Stopped is raised and nothing
        written.
        """
        ...

    def compare(self, path: Path, options: CompareOptions, emit: Emit, stop: ShouldStop) -> Comparison:
        """Train several methods on the rows of the document at `path`, and measure them.

        What was open is closed before. `stop` is asked at every step; once it is true, Stopped is raised, and
        the trainings that are done are kept.
        """
        ...

    def doctor(self, path: Path) -> Checkup:
        """What this machine offers, and what the document at `path` needs of it. Loads nothing."""
        ...

    def train(
        self, options: TrainOptions, emit: Emit, stop: ShouldStop, between_steps: Callable[[], None]
    ) -> RunEnded:
        """Train the document as it stands on disk.

        `stop` is asked at every step; once it is true, a resumable checkpoint is saved and the run ends with
        status `stopped`. `between_steps` is called after every step.
        """
        ...

    def close(self) -> None:
        """Free what is held; nothing is called after it."""
        ...


EngineFactory = Callable[[], EngineProtocol]
