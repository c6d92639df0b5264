"""Measuring a served document: recall on its own questions, paraphrase and routing on probes, retention on
neutral text.
"""

import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch

from dlm_core.adapters.bank import ServingPlan
from dlm_core.adapters.openness import OpennessRecorder, adapter_means
from dlm_core.document.model import Document
from dlm_core.errors import Stopped
from dlm_core.evaluation.probes import Probe
from dlm_core.evaluation.report import Evaluation, OpennessFigures, Recall, Retention, RoutingFigures
from dlm_core.events import Reply
from dlm_core.inference.chat import Chat
from dlm_core.requests import Message, RoutingChoice, Sampling
from dlm_core.training.examples import learners
from dlm_core.training.forgetting import ForgettingMeter
from dlm_core.training.forward import SelectiveHead

_ROOM = 1.5  # a reply may be so much longer than the answer expected before it is cut
AUTO = RoutingChoice(mode="auto")
BASE = RoutingChoice(mode="base")


def word_f1(found: str, expected: str) -> float:
    """F1 of the two bags of words, case folded, punctuation left out (SQuAD's measure, arXiv 1606.05250)."""
    a, b = Counter(re.findall(r"\w+", found.casefold())), Counter(re.findall(r"\w+", expected.casefold()))
    common = sum((a & b).values())
    return 2 * common / (a.total() + b.total()) if common else 0.0


def trained_questions(document: Document) -> list[Probe]:
    """Every question of the document with its answer and the adapter that learned it."""
    return [
        Probe(q.question, q.answer, learners(section, document.adapter_names)[0])
        for section in document.sections
        for q in section.questions
    ]


class Examiner:
    """Asks a chat what the document says and keeps score.

    Args:
        chat: serving the versions to be measured; the conversation's cache is used and left warm.
        head: for perplexity.
        progress: told (done, all) replies.
        stop: asked at every token.
    """

    def __init__(
        self,
        chat: Chat,
        head: SelectiveHead,
        progress: Callable[[int, int], None] = lambda done, total: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.chat, self.head, self._progress, self._stop = chat, head, progress, stop
        self._done = self._total = 0

    def ask(self, probe: Probe, choice: RoutingChoice) -> Reply:
        """The greedy reply to a probe. Raises Stopped when asked to stop."""
        expected = len(self.chat.base.chat.encode_text(probe.answer))
        sampling = Sampling(max_tokens=max(16, int(_ROOM * expected)))
        reply: Reply | None = None
        for event in self.chat.generate((Message("user", probe.question),), choice, sampling, self._stop):
            if isinstance(event, Reply):
                reply = event
        if reply is None or reply.finish_reason == "interrupted":
            raise Stopped("the evaluation was stopped; nothing was recorded")
        self._done += 1
        self._progress(self._done, self._total)
        return reply

    def examine(
        self, document: Document, probes: Sequence[Probe], texts: Sequence[str], *, with_base: bool = True
    ) -> Evaluation:
        """Everything at once; the base's own figures beside them where `with_base`."""
        begun = time.perf_counter()
        questions = trained_questions(document)
        self._done, self._total = 0, len(questions) + len(probes) * (2 if with_base else 1)
        verbatim: dict[str, list[float]] = defaultdict(list)
        inside: dict[str, list[float]] = defaultdict(list)
        for question in questions:
            reply = self.ask(question, AUTO)
            verbatim[question.adapter].append(float(reply.reply.strip() == question.answer.strip()))
            found = reply.openness.get(question.adapter)
            if found is not None:
                inside[question.adapter].append(found.mean)
        paraphrase: dict[str, list[float]] = defaultdict(list)
        confusion: dict[str, dict[str, int]] = {a: {} for a in self.chat.serving.names}
        for probe in probes:
            reply = self.ask(probe, AUTO)
            paraphrase[probe.adapter].append(word_f1(reply.reply, probe.answer))
            weights = reply.routing.weights
            if reply.routing.mode == "auto":
                chosen = max(weights, key=lambda name: weights[name])
                row = confusion.setdefault(probe.adapter, {})
                row[chosen] = row.get(chosen, 0) + 1
        bare = [word_f1(self.ask(p, BASE).reply, p.answer) for p in probes] if with_base else []
        retention, outside = self._retention(texts)
        per_adapter = {
            name: {
                k: v
                for k, v in (("verbatim", _mean(verbatim[name])), ("paraphrase_f1", _mean(paraphrase[name])))
                if v is not None
            }
            for name in self.chat.serving.names
        }
        routed = sum(sum(row.values()) for row in confusion.values())
        right = sum(row.get(name, 0) for name, row in confusion.items())
        gate = self.chat.serving.gate
        return Evaluation(
            version=self.chat.serving.version,
            recall=Recall(
                verbatim=_mean(_flat(verbatim)),
                paraphrase_f1=_mean(_flat(paraphrase)),
                per_adapter=per_adapter,
                base_paraphrase_f1=_mean(bare),
            ),
            routing=RoutingFigures(
                accuracy=right / routed if routed else None,
                loo_accuracy=gate.meta.loo_accuracy if gate else None,
                confusion=confusion,
            ),
            retention=retention,
            openness={
                name: OpennessFigures(inside=_mean(inside[name]) or 0.0, outside=outside.get(name, 0.0))
                for name in self.chat.serving.names
            },
            questions=len(questions),
            probes=len(probes),
            seconds=time.perf_counter() - begun,
        )

    def _retention(self, texts: Sequence[str]) -> tuple[Retention, dict[str, float]]:
        """Perplexities on `texts`, and each adapter's openness there when it is pinned."""
        chat, bank = self.chat, self.chat.bank
        device = chat.base.placement.device
        bank.use(None)
        meters = [
            ForgettingMeter(self.head, chat.base.chat, [t], device, limit=chat.base.context_length)
            for t in texts
        ]
        try:
            nll = divergence = 0.0
            for text, meter in zip(texts, meters, strict=True):
                routing = chat.route((Message("user", text),), AUTO).routing
                bank.use(
                    ServingPlan(bank, chat.serving.adapters, routing.weights) if routing.weights else None
                )
                perplexity, kl = meter.measure()
                nll += meter.tokens * _log(perplexity)
                divergence += meter.tokens * kl
            tokens = sum(m.tokens for m in meters)
            base = _exp(sum(m.tokens * _log(m.base_perplexity) for m in meters) / tokens)
            pinned: dict[str, float] = {}
            outside: dict[str, float] = {}
            for adapter in chat.serving.adapters:
                name = adapter.spec.name
                plan = ServingPlan(bank, chat.serving.adapters, {name: 1.0})
                plan.recorder = OpennessRecorder(plan.layout) if plan.layout.width() else None
                bank.use(plan)
                total = 0.0
                for meter in meters:
                    total += meter.tokens * _log(meter.measure()[0])
                    if plan.recorder is not None:
                        plan.recorder.flush()
                pinned[name] = _exp(total / tokens)
                mean = plan.recorder.mean() if plan.recorder is not None else torch.empty(0)
                outside[name] = adapter_means(plan.layout, mean, [name])[name]
            return (
                Retention(
                    perplexity_base=base, perplexity=_exp(nll / tokens), kl=divergence / tokens, pinned=pinned
                ),
                outside,
            )
        finally:
            bank.use(None)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _flat(groups: Mapping[str, Iterable[float]]) -> list[float]:
    return [value for group in groups.values() for value in group]


def _log(value: float) -> float:
    return float(torch.tensor(value, dtype=torch.float64).log())


def _exp(value: float) -> float:
    return float(torch.tensor(value, dtype=torch.float64).exp())
