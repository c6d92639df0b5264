"""A scripted engine with the real events. In-process: `FakeEngine(Script(...))`.

As the host's child: `--engine tests.fakes.engine:create_engine`, with the script as JSON in `DLM_FAKE_ENGINE`
(keys are `Script`'s fields) and the repository's root on `PYTHONPATH`.

A prompt is routed by its words: an adapter's weight grows with those that start with its name or one of its
topics. The reply echoes the question and counts the turns, so that tests can see what was asked, in which
conversation, under which routing.
"""

import math
import os
import signal
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from dlm_core.document import parse_text
from dlm_core.engine_protocol import CompareOptions, Emit, EvalOptions, Exported, ExportOptions, ShouldStop
from dlm_core.errors import DlmError, ExportError, ExportExistsError, Stopped, TrainingError, UsageError
from dlm_core.events import (
    AdapterOpenness,
    BaseProgress,
    Citation,
    Embedded,
    Evaluated,
    Event,
    GateStep,
    GateTrained,
    Log,
    MaskedRow,
    Neighbour,
    OpennessMap,
    Place,
    ProbeAnswer,
    ProbesAsked,
    Ready,
    RecipeEntry,
    Reply,
    Routed,
    Routing,
    RoutingMode,
    RunEnded,
    RunPlanned,
    Timing,
    Token,
    TrainEpoch,
    TrainStep,
    Why,
    Working,
)
from dlm_core.launched import place
from dlm_core.reports import Checkup, Comparison
from dlm_core.requests import Message, RoutingChoice, Sampling, TrainOptions
from tests.fakes.reports import CHECKUP, COMPARISON, EVALUATION

LAYERS, RANKS = 4, 8


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What the fake engine does. Delays are in seconds, all 0 so that tests do not wait."""

    adapters: tuple[str, ...] = ("knowledge", "tone", "procedure")
    topics: dict[str, tuple[str, ...]] = {}
    """Words that route to an adapter, beside its own name; empty: what, please and how, in declared order."""
    gate_mode: str = "trained"
    uniform_reason: str = "cold start, tone has 2 of 4 sections"
    reply: str = ""
    """A fixed reply; empty: an echo of the question."""
    finish_reason: str = "stop"
    dropped_turns: int = 0
    citation: Citation | None = None
    """Where every reply comes from."""
    candidates: tuple[Place, ...] = ()
    """The sections that search finds for every prompt."""
    taught_reply: str = ""
    """The reply once something was trained; empty: as before."""
    watched: tuple[str, ...] = ()
    """Questions that are asked again after every epoch; each is answered right at the last."""
    steps: int = 6
    epochs: int = 2
    open_delay: float = 0.0
    route_delay: float = 0.0
    token_delay: float = 0.0
    step_delay: float = 0.0
    embed_delay: float = 0.0
    encoder: bool = False
    """Whether there is a sentence encoder."""
    open_error: str = ""
    generate_error: str = ""
    """A DlmError with this message when a reply is asked for."""
    crash_on: str = ""
    """Exit the process at once when the last message contains this."""
    raise_on: str = ""
    """An unforeseen exception when the last message contains this."""
    train_error: str = ""
    killed_rank: int = -1
    """Of several processes that train together, the one that is killed at its first step."""
    nothing_to_train: bool = False
    untrained: bool = False
    """No adapter is trained yet, say exports."""
    fits: bool = True
    """Whether training fits into memory, says the doctor."""
    warnings: tuple[str, ...] = ()
    """Messages of the cold-start warnings that opening emits."""


def _no_emit(event: Event) -> None:
    del event


class FakeEngine:
    """An engine that follows a `Script`; `calls` records what was asked of it, in order."""

    def __init__(self, script: Script | None = None, sleep: Callable[[float], None] = time.sleep) -> None:
        self.script = script or Script()
        self.emit: Emit = _no_emit
        self.should_stop: ShouldStop = lambda: False
        self.calls: list[str] = []
        self.versions = dict.fromkeys(self.script.adapters, "v0001")
        self.runs = 0
        self.training: int | None = None
        self.exports = Path("exports")
        self._sleep = sleep

    def open(self, path: Path) -> Ready:
        self.calls.append(f"open {path.name}")
        self.exports = path.parent / "exports"
        self.emit(BaseProgress(base="fake-135m", source="cache", outcome="trying"))
        self._wait(self.script.open_delay)
        if self.script.open_error:
            raise DlmError(self.script.open_error, "try another base")
        self.emit(BaseProgress(base="fake-135m", source="cache", outcome="loaded"))
        for message in self.script.warnings:
            self.emit(Log(level="warning", message=message, hint="add tagged sections", code="cold_start"))
        return self._ready()

    def reload(self) -> Ready:
        self.calls.append("reload")
        return self._ready()

    def route(self, messages: Sequence[Message], choice: RoutingChoice) -> Routed:
        self.calls.append(f"route {messages[-1].content}")
        self._wait(self.script.route_delay)
        return Routed(routing=self.routing(messages[-1].content, choice), route_s=self.script.route_delay)

    def generate(
        self, messages: Sequence[Message], choice: RoutingChoice, sampling: Sampling, stop: ShouldStop
    ) -> Iterator[Routed | Token | Reply]:
        question = messages[-1].content
        self.calls.append(f"generate {question}")
        if self.script.crash_on and self.script.crash_on in question:
            os._exit(17)
        if self.script.raise_on and self.script.raise_on in question:
            raise ZeroDivisionError("a fault in the fake engine")
        if self.script.generate_error:
            raise DlmError(self.script.generate_error, "ask something else")
        routing = self.routing(question, choice)
        yield Routed(routing=routing, route_s=0.01)
        turns = sum(m.role == "user" for m in messages)
        text = self.script.reply or f"Turn {turns}, {routing.mode}: {question}"
        text = self.script.taught_reply or text if self.runs else text
        openness = {name: 0.1 + 0.2 * w for name, w in routing.weights.items() if w > 0}
        said: list[str] = []
        finish = self.script.finish_reason
        for n, piece in enumerate(_pieces(text)):
            if stop():
                finish = "interrupted"
                break
            if n >= sampling.max_tokens:
                finish = "length"
                break
            self._wait(self.script.token_delay)
            said.append(piece)
            yield Token(text=piece, openness=openness)
        yield Reply(
            reply="".join(said),
            finish_reason=finish,  # type: ignore[arg-type]
            routing=routing,
            openness={name: _openness(mean) for name, mean in openness.items()},
            timing=Timing(load_s=0.0, route_s=0.01, first_token_s=0.1, tokens_per_s=20.0, tokens=len(said)),
            version=self._version(),
            prompt_tokens=sum(len(m.content.split()) for m in messages),
            dropped_turns=self.script.dropped_turns,
            during_run=self.training,
            citation=self.script.citation,
        )

    def explain(
        self, messages: Sequence[Message], choice: RoutingChoice, nearest: int, alone: int = 0
    ) -> Why:
        self.calls.append(f"explain {messages[-1].content}")
        neighbours = tuple(
            Neighbour(question=f"A question about {name}?", adapter=name, similarity=0.9 - 0.1 * n)
            for n, name in enumerate(self.script.adapters[:nearest])
        )
        return Why(
            routing=self.routing(messages[-1].content, choice),
            neighbours=neighbours,
            candidates=self.script.candidates,
            scores=({},) * len(self.script.candidates),
            alone=" ".join(self.script.reply.split()[:alone]) if alone else None,
        )

    def embed(self, texts: Sequence[str]) -> Embedded:
        """Vectors by the first word of a text, or none, as the script says."""
        self.calls.append(f"embed {len(texts)}")
        self._wait(self.script.embed_delay)
        if not self.script.encoder:
            return Embedded()
        rows = [struct.pack("<2f", *((1.0, 0.0) if text.startswith("W") else (0.0, 1.0))) for text in texts]
        return Embedded(vectors=b"".join(rows), width=2)

    def plan(self, path: Path, options: TrainOptions) -> RunPlanned:
        self.calls.append("plan")
        return self._planned(0, options.epochs or self.script.epochs)

    def mask(self, path: Path) -> tuple[MaskedRow, ...]:
        """Words as tokens; answers and prose carry loss, and so does the end token."""
        self.calls.append(f"mask {path.name}")
        document = parse_text(path.read_text(encoding="utf-8"), path).document
        found: list[MaskedRow] = []
        for section in document.sections if document is not None else ():
            texts = [(q.question, q.answer) for q in section.questions]
            texts += [(p.prompt, said) for p in section.preferences for said in (p.chosen, p.rejected)]
            for asked, said in texts or [("", section.text)]:
                tokens = [(f"<user>{asked}<bot>", False)] if asked else []
                tokens += [(piece, True) for piece in _pieces(said)]
                tokens += [("<end>", True)] if asked else []
                row = MaskedRow(
                    section=section.content_hash,
                    adapter=section.adapter or self.script.adapters[0],
                    pieces=tuple(piece for piece, _ in tokens),
                    loss=tuple(loss for _, loss in tokens),
                    label=section.kind.value,
                )
                found.append(row)
        return tuple(found)

    def train(
        self, options: TrainOptions, emit: Emit, stop: ShouldStop, between_steps: Callable[[], None]
    ) -> RunEnded:
        self.calls.append("train")
        self.runs += 1
        run, script = self.runs, self.script
        if script.train_error:
            raise TrainingError(script.train_error, "lower the learning rate")
        if script.nothing_to_train:
            return RunEnded(
                run_id=run, status="done", reason="nothing changed", versions=self.versions, seconds=0
            )
        epochs = options.epochs or script.epochs
        emit(self._planned(run, epochs))
        if script.killed_rank >= 0 and place().rank == script.killed_rank:
            os.kill(os.getpid(), signal.SIGKILL)
        self.training = run
        try:
            return self._steps(run, epochs, emit, stop, between_steps)
        finally:
            self.training = None

    def evaluate(self, options: EvalOptions, emit: Emit, stop: ShouldStop) -> Evaluated:
        del options
        self.calls.append("evaluate")
        for done in range(3):
            if stop():
                raise Stopped("stopped by you")
            self._wait(self.script.token_delay)
            emit(Working(label="replies", done=done, total=3))
        return Evaluated(run_id=self.runs, document_hash="x", evaluation=EVALUATION)

    def export(self, options: ExportOptions, emit: Emit, stop: ShouldStop) -> Exported:
        """A folder with a manifest beside the document, or where it is asked for."""
        self.calls.append(f"export {options.target}")
        if self.script.untrained:
            raise ExportError("no adapter of this document is trained yet", "`dlm train` it first")
        goal = options.folder or self.exports / options.target
        if (goal / "manifest.json").is_file() and not options.overwrite:
            raise ExportExistsError(f"{goal} is there already", "choose another folder with -o")
        for done in range(3):
            if stop():
                raise Stopped("stopped; nothing was exported")
            self._wait(self.script.step_delay)
            emit(Working(label="questions", done=done, total=3))
        emit(Log(level="info", message=f"writing {goal}", code="export"))
        goal.mkdir(parents=True, exist_ok=True)
        (goal / "manifest.json").write_text("{}", "utf-8")
        return Exported(goal, ("greedy tokens as the engine's: 100%",), {"target": options.target})

    def compare(self, path: Path, options: CompareOptions, emit: Emit, stop: ShouldStop) -> Comparison:
        self.calls.append(f"compare {path.name} {','.join(options.methods)}")
        for done in range(3):
            if stop():
                raise Stopped("the comparison was stopped; the trials done so far are kept")
            self._wait(self.script.step_delay)
            emit(Working(label="lora, 1 of 2", done=done, total=3, eta_s=9.0))
        return COMPARISON

    def doctor(self, path: Path) -> Checkup:
        self.calls.append(f"doctor {path.name}")
        return replace(CHECKUP, fits=self.script.fits)

    def close(self) -> None:
        self.calls.append("close")

    def routing(self, prompt: str, choice: RoutingChoice) -> Routing:
        """The weights for `prompt`, as the real engine would state them."""
        names = self.script.adapters
        equal = dict.fromkeys(names, 1 / len(names))
        mode: RoutingMode = choice.mode
        if choice.mode == "base":
            return Routing(mode="base", weights=dict.fromkeys(names, 0.0), reason="adapters are off")
        if choice.mode == "off":
            return Routing(mode="off", weights=equal, reason="the gate is off: every adapter weighs the same")
        if choice.mode == "pin":
            if choice.adapter not in names:
                raise UsageError(f"there is no adapter '{choice.adapter}'", f"declared: {', '.join(names)}")
            weights = {name: float(name == choice.adapter) for name in names}
            return Routing(mode="pin", weights=weights, reason=f"pinned to {choice.adapter}")
        if choice.mode == "mix":
            total = sum(choice.mix.values())
            weights = {name: choice.mix.get(name, 0.0) / total for name in names}
            return Routing(mode="mix", weights=weights, reason="weights by hand")
        if self.script.gate_mode != "trained":
            return Routing(mode="uniform", weights=equal, reason=self.script.uniform_reason)
        words = prompt.lower().split()
        scores = [
            math.exp(2 * sum(w.startswith((name, *self.script.topics.get(name, ()))) for w in words))
            for name in names
        ]
        weights = {name: score / sum(scores) for name, score in zip(names, scores, strict=True)}
        return Routing(mode=mode, weights=weights, reason="the gate decides")

    def _asked_again(self, run: int, epoch: int, epochs: int) -> ProbesAsked:
        names, expected = self.script.adapters, "Forty-two."
        probes = tuple(
            ProbeAnswer(
                question=question,
                adapter=names[n % len(names)],
                expected=expected,
                said=expected if epoch == epochs else expected[: 3 * epoch],
                probability=epoch / (epochs + 1),
            )
            for n, question in enumerate(self.script.watched)
        )
        return ProbesAsked(run_id=run, phase="sft", epoch=epoch, epochs=epochs, probes=probes)

    def _steps(
        self, run: int, epochs: int, emit: Emit, stop: ShouldStop, between_steps: Callable[[], None]
    ) -> RunEnded:
        steps = self.script.steps
        per_epoch = max(1, steps // epochs)
        for step in range(1, steps + 1):
            if stop():
                return RunEnded(
                    run_id=run,
                    status="stopped",
                    reason="stopped by you",
                    versions=self.versions,
                    seconds=1.0,
                    checkpoint=f"step-{step - 1}",
                )
            self._wait(self.script.step_delay)
            epoch = min(epochs, 1 + (step - 1) // per_epoch)
            emit(_train_step(run, step, steps, epoch, epochs, self.script.adapters))
            for adapter in self.script.adapters:
                values = tuple(
                    tuple(((layer + rank + step) % 10) / 10 for rank in range(RANKS))
                    for layer in range(LAYERS)
                )
                emit(
                    OpennessMap(
                        run_id=run,
                        step=step,
                        adapter=adapter,
                        module="q_proj",
                        layers=tuple(range(LAYERS)),
                        values=values,
                    )
                )
            if step % per_epoch == 0:
                recall = step / steps
                emit(
                    TrainEpoch(
                        run_id=run,
                        epoch=epoch,
                        epochs=epochs,
                        loss=2.0 / step,
                        recall=recall,
                        recalls=dict.fromkeys(self.script.adapters, recall),
                        perplexity=20.2,
                        perplexity_base=20.0,
                        kl=0.01,
                    )
                )
                if self.script.watched:
                    emit(self._asked_again(run, epoch, epochs))
            between_steps()
        for step in range(1, 4):
            emit(GateStep(run_id=run, step=step, steps=3, loss=1.0 / step, entropy=0.5, accuracy=step / 3))
        names = self.script.adapters
        emit(
            GateTrained(
                run_id=run,
                mode="trained" if self.script.gate_mode == "trained" else "uniform",
                mean_weights=dict.fromkeys(names, 1 / len(names)),
                sample_counts=dict.fromkeys(names, 10),
                floor=4,
                train_accuracy=1.0,
                loo_accuracy=0.9,
                entropy=0.5,
                max_entropy=math.log(len(names)),
            )
        )
        self.versions = dict.fromkeys(names, f"v{run + 1:04d}")
        return RunEnded(
            run_id=run,
            status="done",
            reason="every answer learned",
            versions=self.versions,
            seconds=2.0,
            recall=1.0,
        )

    def _planned(self, run: int, epochs: int) -> RunPlanned:
        return RunPlanned(
            run_id=run,
            adapters=self.script.adapters,
            rows=dict.fromkeys(self.script.adapters, 10),
            tokens=2000,
            steps=self.script.steps,
            epochs=epochs,
            recipe=(RecipeEntry(key="learning_rate", value="3e-3", reason="auto for a 135M base"),),
        )

    def _ready(self) -> Ready:
        return Ready(
            dlm_id="01HZX3V5J8K2M4N6P7Q8R9S0TA",
            base="fake-135m",
            device="cpu",
            dtype="float32",
            adapters=self.script.adapters,
            version=self._version(),
            gate_mode=self.script.gate_mode,  # type: ignore[arg-type]
            load_s=self.script.open_delay,
            context_length=2048,
        )

    def _version(self) -> str:
        return max(self.versions.values(), default="v0000")

    def _wait(self, seconds: float) -> None:
        if seconds:
            self._sleep(seconds)


def _pieces(text: str) -> list[str]:
    return [word if n == 0 else f" {word}" for n, word in enumerate(text.split(" "))]


def _openness(mean: float) -> AdapterOpenness:
    return AdapterOpenness(
        mean=mean,
        per_layer=tuple(mean * (1 + layer / LAYERS) / 2 for layer in range(LAYERS)),
        per_rank=tuple(tuple(mean * (rank + 1) / RANKS for rank in range(RANKS)) for _ in range(LAYERS)),
    )


def _train_step(
    run: int, step: int, steps: int, epoch: int, epochs: int, adapters: Sequence[str]
) -> TrainStep:
    return TrainStep(
        run_id=run,
        phase="sft",
        step=step,
        steps=steps,
        epoch=epoch,
        epochs=epochs,
        loss=2.0 / step,
        losses={name: (2.0 + n / 10) / step for n, name in enumerate(adapters)},
        learning_rate=3e-3,
        grad_norm=1.0,
        tokens_per_s=800.0,
        elapsed_s=float(step),
        eta_s=float(steps - step),
        padding_share=0.05,
        rehearsal_kl=0.001,
        openness={name: 0.05 + 0.01 * step for name in adapters},
    )


def create_engine() -> FakeEngine:
    """The factory for `--engine`, scripted by the environment."""
    source = os.environ.get("DLM_FAKE_ENGINE", "")
    return FakeEngine(msgspec.json.decode(source, type=Script) if source else Script())
