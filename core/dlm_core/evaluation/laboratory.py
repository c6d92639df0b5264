"""Where a comparison's trials are made: a fresh base for each, a method trained on it, and the measuring."""

import gc
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec
import torch
from torch.nn import functional

from dlm_core.adapters.spec import AdapterSpec, spec_from_config
from dlm_core.adapters.targets import linear_layers, resolve_targets, upper_half
from dlm_core.bases.folder import BaseFolder
from dlm_core.bases.load import Base, load_base
from dlm_core.bases.placement import Placement
from dlm_core.document.model import Document
from dlm_core.errors import DocumentError, Stopped
from dlm_core.evaluation.answers import same_answer, word_f1
from dlm_core.evaluation.decode import greedy_replies
from dlm_core.evaluation.measure import trained_questions
from dlm_core.evaluation.methods import Shape
from dlm_core.evaluation.probes import Probe
from dlm_core.evaluation.teaching import ONE, Taught, teach
from dlm_core.events import BaseProgress, Event, TrainEpoch, TrainStep, Working
from dlm_core.reports import Drift, Learned, Method, Trial
from dlm_core.safetext import visible_line
from dlm_core.training.batches import collate
from dlm_core.training.examples import Row, build_rows
from dlm_core.training.forgetting import ChatMeter, ForgettingMeter
from dlm_core.training.forward import SelectiveHead
from dlm_core.training.recipe import Recipe, resolve
from dlm_core.training.rehearsal import TOKENS, bundled, bundled_lines, own_texts

FORM = 2  # changes when trials of before can no longer stand beside new ones
_ROWS = 8
_STOPPED = "the comparison was stopped; the trials done so far are kept"


@dataclass(frozen=True)
class BaseFigures:
    """The bare base's: tokens of neutral text and its perplexity on them, and what it knows unasked."""

    neutral_tokens: int
    perplexity: float
    learned: Learned


class Laboratory:
    """What all trials have in common, and how one is made and measured."""

    def __init__(
        self,
        document: Document,
        folder: BaseFolder,
        placement: Placement,
        probes: Sequence[Probe],
        epochs: int | None,
        emit: Callable[[Event], None],
        stop: Callable[[], bool],
    ) -> None:
        self.document, self._folder, self._placement = document, folder, placement
        self.probes, self.emit, self._stop = tuple(probes), emit, stop
        self.questions = trained_questions(document)
        # Other questions beside each row are of the run's loop alone, and no part of any method.
        self.recipe: Recipe = replace(resolve(document, epochs=epochs), question_copies=0, lead_weight=1.0)
        self.system = document.frontmatter.system_prompt
        own = own_texts(document.frontmatter.training.rehearsal.texts, document.path.parent)
        self._neutral = (*own, *bundled("rehearsal"))
        base = self._fresh()
        self.rows = _one_adapter(build_rows(document, base.chat, base.context_length).sft)
        if not self.rows:
            raise DocumentError(
                f"{visible_line(str(document.path))}: no prose and no instruction to compare methods on",
                "preferences alone are not compared; write instruction sections",
            )
        self.base_name, self.fingerprint = base.name, base.fingerprint
        self.shape = self._shape(base)
        self.key = self._key()
        self.device = placement.reason

    def _fresh(self) -> Base:
        """The base anew; the one before must be let go of first."""
        gc.unfreeze()
        gc.collect()
        return load_base(self._folder, self._placement, _unheard)

    def _shape(self, base: Base) -> Shape:
        """Rank, alpha, layers and rank gates as the document's first adapter has them."""
        training = self.document.frontmatter.training
        name, config = next(iter(training.adapter_configs().items()))
        layers, wanted = tuple(linear_layers(base.model)), config.target_modules
        # "auto" leaves attention out because of this comparison: it is not settled before it is made.
        modules = upper_half(layers) if wanted == "auto" else resolve_targets(layers, wanted)
        gated = msgspec.structs.replace(config, adapter="disel")
        spec: AdapterSpec = spec_from_config(
            name, gated, training.disel, modules, bias_init=self.recipe.gate_bias_init
        )
        assert spec.gate is not None
        return Shape(spec.rank, spec.alpha, spec.modules, spec.gate)

    def _key(self) -> str:
        """Hash of everything but method, rate and rehearsal that decides what comes out of a trial."""
        recipe = {k: v for k, v in self.recipe.to_dict().items() if k not in ("learning_rate", "precision")}
        parts = {
            "form": FORM,
            "rows": [(r.ids, r.loss, r.question) for r in self.rows],
            "recipe": recipe,
            "shape": [self.shape.rank, self.shape.alpha, self.shape.modules, str(self.shape.gate)],
            "base": self.fingerprint,
            "placement": [self._placement.device_type, str(self._placement.autocast_dtype)],
            "probes": self.probes,
            "neutral": [TOKENS, *self._neutral, *bundled("held_out")],
            "system": self.system,
        }
        return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()

    def settings(self) -> dict[str, str]:
        """What all trials share, by name, for people."""
        recipe = self.recipe
        return {
            "rank": str(self.shape.rank),
            "alpha": f"{self.shape.alpha:g}",
            "layers": f"{len(self.shape.modules)}",
            "rank gates": f"bias {self.shape.gate.bias_init:g}, rate x {recipe.gate_lr_multiplier:g}",
            "rows a batch": str(recipe.max_rows),
            "epochs": f"{recipe.min_epochs} to {recipe.epochs}",
            "stop": f"{recipe.stop_recall:.1%} of answer tokens predicted",
            "schedule": f"{recipe.scheduler}, warm-up {recipe.warmup_ratio:g}",
            "question wear": f"{recipe.question_wear:g}",
            "rehearsal": f"every {self.rehearse_every} steps, weight {recipe.rehearse_weight:g}",
            "weight decay": f"{recipe.weight_decay:g}",
            "seed": str(recipe.seed),
        }

    def measure_base(self) -> "BaseFigures":
        """What the bare base knows of the questions, and its perplexity."""
        base = self._fresh()
        self._tell("asking the bare base", 0, 1)
        with SelectiveHead(base.model) as head:
            meter = self._meter(base, head)
            return BaseFigures(meter.tokens, meter.base_perplexity, self._learned(base, head))

    @property
    def rehearse_every(self) -> int:
        """The document's rehearsal; where it has none, every second step."""
        return self.recipe.rehearse_every or 2

    def trial(self, method: Method, rate: float, rehearsal: bool, place: str) -> Trial:
        """Train a method on a fresh base, and measure it. `place` says which of how many this is."""
        recipe = replace(
            self.recipe, learning_rate=rate, rehearse_every=self.rehearse_every if rehearsal else 0
        )
        title = f"{method} at {rate:g}{' with rehearsal' if rehearsal else ''} ({place})"
        base = self._fresh()
        with SelectiveHead(base.model) as head:
            meter = self._meter(base, head)
            chat = ChatMeter(head, base.chat, bundled_lines("chat"), self.system, self._placement.device)
            taught: Taught = teach(
                method,
                base,
                head,
                self.rows,
                recipe,
                self.shape,
                self._neutral if rehearsal else (),
                lambda event: self._relay(event, title),
                self._stop,
            )
            if taught.ended == "stopped":
                raise Stopped(_STOPPED)
            self._tell(f"{title}: measuring", 0, 1)
            learned = self._learned(base, head)
            perplexity, kl = meter.measure()
            chat_kl = chat.measure(lambda _: None)
        return Trial(
            method=method,
            learning_rate=rate,
            rehearsal=rehearsal,
            learned=learned,
            kept=Drift(perplexity=perplexity, kl=kl, chat_kl=chat_kl),
            epochs=taught.epochs,
            steps=taught.steps,
            seconds=taught.seconds,
            parameters=taught.parameters,
            ended=taught.ended,
        )

    def _meter(self, base: Base, head: SelectiveHead) -> ForgettingMeter:
        device, limit = self._placement.device, base.context_length
        return ForgettingMeter(head, base.chat, bundled("held_out"), device, limit=limit)

    def _learned(self, base: Base, head: SelectiveHead) -> Learned:
        """Recall, paraphrase and loss of the base's model as it now stands."""

        def tick(_: int) -> None:
            if self._stop():
                raise Stopped(_STOPPED)

        asked = [*self.questions, *self.probes]
        replies = greedy_replies(base, asked, self.system, tick)
        scores = [
            float(same_answer(r, p.answer)) if i < len(self.questions) else word_f1(r, p.answer)
            for i, (r, p) in enumerate(zip(replies, asked, strict=True))
        ]
        told, retold = scores[: len(self.questions)], scores[len(self.questions) :]
        loss, recall = _answer_loss(base, head, self.rows)
        reworded = [self._probe_row(base, p) for p in self.probes]
        return Learned(
            verbatim=sum(told) / len(told) if told else None,
            paraphrase_f1=sum(retold) / len(retold) if retold else None,
            token_recall=recall,
            loss=loss,
            loss_probes=_answer_loss(base, head, reworded)[0] if reworded else None,
        )

    def _probe_row(self, base: Base, probe: Probe) -> Row:
        ids, loss = base.chat.encode_row(probe.question, probe.answer, self.system, probe.before)
        limit = base.context_length
        return replace(self.rows[0], ids=tuple(ids[:limit]), loss=tuple(loss[:limit]), question=(0, 0))

    def _relay(self, event: Event, title: str) -> None:
        """A training's events as progress of the comparison."""
        if isinstance(event, TrainStep):
            label = f"{title}: epoch {event.epoch} of {event.epochs}"
            figures = f"loss {event.loss:.3f}  {event.tokens_per_s:,.0f} tokens/s"
            self._tell(label, event.step, event.steps, event.eta_s, figures)
        elif isinstance(event, TrainEpoch) and event.recall >= self.recipe.stop_recall:
            self._tell(f"{title}: every answer token is predicted", 1, 1)

    def _tell(self, label: str, done: int, total: int, eta: float | None = None, figures: str = "") -> None:
        self.emit(Working(label=label, done=done, total=total, eta_s=eta, figures=figures))


def _answer_loss(base: Base, head: SelectiveHead, rows: Sequence[Row]) -> tuple[float, float]:
    """Nats per answer token, and the share of answer tokens predicted, over rows."""
    total, hits, tokens = 0.0, 0, 0
    pad = base.tokenizer.pad_token_id or 0
    ordered = sorted(rows, key=lambda r: len(r.ids))
    for start in range(0, len(ordered), _ROWS):
        batch = collate(ordered[start : start + _ROWS], [ONE], pad).to(base.placement.device)
        with torch.no_grad():
            logits = head.logits(batch.input_ids, batch.attention_mask, batch.positions)
        total += float(functional.cross_entropy(logits, batch.targets, reduction="sum"))
        hits += int((logits.argmax(-1) == batch.targets).sum())
        tokens += batch.targets.numel()
    return total / max(tokens, 1), hits / max(tokens, 1)


def _one_adapter(rows: Sequence[Row]) -> tuple[Row, ...]:
    """All rows for one adapter; prose that several adapters read is there once."""
    once = {(row.section, row.ids): replace(row, adapter=ONE) for row in rows}
    return tuple(once.values())


def _unheard(event: BaseProgress) -> None:
    pass
