"""Measuring a served document: recall on its own questions, paraphrase and routing on probes, openness, and
retention on neutral text, each with the bare base's figures beside it.
"""

import math
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from dlm_core.adapters.bank import ServingPlan
from dlm_core.adapters.openness import OpennessRecorder, adapter_means
from dlm_core.document.model import Document
from dlm_core.errors import Stopped
from dlm_core.evaluation.decode import greedy_replies, room_for
from dlm_core.evaluation.probes import Probe
from dlm_core.evaluation.tally import Tally
from dlm_core.events import Event, Reply
from dlm_core.inference.chat import Chat
from dlm_core.reports import (
    AdapterRecall,
    Drift,
    Evaluation,
    OpennessFigures,
    Recall,
    Retention,
    RoutingFigures,
    TextRetention,
)
from dlm_core.requests import Message, RoutingChoice, Sampling
from dlm_core.training.examples import learners
from dlm_core.training.forgetting import ForgettingMeter
from dlm_core.training.forward import SelectiveHead

AUTO = RoutingChoice(mode="auto")
Scores = Mapping[str, Sequence[float]]


def word_f1(found: str, expected: str) -> float:
    """F1 of the two bags of words, case folded, punctuation left out (SQuAD's measure, arXiv 1606.05250)."""
    a, b = Counter(re.findall(r"\w+", found.casefold())), Counter(re.findall(r"\w+", expected.casefold()))
    common = sum((a & b).values())
    return 2 * common / (a.total() + b.total()) if common else 0.0


def same_answer(found: str, expected: str) -> bool:
    """Whether a reply is the answer word for word; space around it does not count."""
    return found.strip() == expected.strip()


def trained_questions(document: Document) -> list[Probe]:
    """Every trained wording of the document with its answer and the adapter that learned it."""
    return [
        Probe(wording, q.answer, learners(section, document.adapter_names)[0])
        for section in document.sections
        for q in section.questions
        for wording in q.wordings
    ]


def _silent(event: Event) -> None:
    pass


class Examiner:
    """Asks a chat what the document says and keeps score.

    Args:
        chat: serving the versions to be measured; the conversation's cache is used and left warm.
        head: for perplexity.
        emit: receives a Working event for what is done.
        stop: asked at every token.
    """

    def __init__(
        self,
        chat: Chat,
        head: SelectiveHead,
        emit: Callable[[Event], None] = _silent,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.chat, self.head, self._emit, self._stop = chat, head, emit, stop

    def examine(
        self, document: Document, probes: Sequence[Probe], texts: Sequence[str], own: Sequence[str] = ()
    ) -> Evaluation:
        """Everything at once.

        Args:
            document: whose questions are asked.
            probes: reworded questions; without any there is no paraphrase recall and no routing accuracy.
            texts: neutral texts. own: the pieces of a text of the person's own.

        Raises Stopped when asked to stop.
        """
        begun = time.perf_counter()
        questions = trained_questions(document)
        tally = Tally(self._emit, 2 * (len(questions) + len(probes)) + len(texts) + len(own))
        told = [self._ask(q, tally, "asking the document's questions") for q in questions]
        retold = [self._ask(p, tally, "asking the probes") for p in probes]
        bare = self._bare([*questions, *probes], tally)
        neutral, outside = self._retention(texts, tally, "reading neutral text")
        own_text = self._retention(own, tally, "reading your text")[0] if own else None
        gate = self.chat.serving.gate
        confusion = self._confusion(probes, retold)
        return Evaluation(
            version=self.chat.serving.version,
            recall=self._recall(
                _scores(questions, [r.reply for r in told], same_answer),
                _scores(questions, bare[: len(questions)], same_answer),
                _scores(probes, [r.reply for r in retold], word_f1),
                _scores(probes, bare[len(questions) :], word_f1),
            ),
            routing=RoutingFigures(
                accuracy=_right(confusion),
                loo_accuracy=gate.meta.loo_accuracy if gate else None,
                confusion=confusion,
                per_adapter={
                    name: row.get(name, 0) / sum(row.values()) for name, row in confusion.items() if row
                },
            ),
            retention=Retention(
                perplexity_base=neutral.perplexity_base,
                perplexity=neutral.perplexity,
                kl=neutral.kl,
                per_adapter=neutral.per_adapter,
                tokens=neutral.tokens,
                own=own_text,
            ),
            openness={
                name: OpennessFigures(inside=_inside(name, questions, told), outside=outside[name])
                for name in self.chat.serving.names
            },
            questions=len(questions),
            probes=len(probes),
            seconds=time.perf_counter() - begun,
        )

    def _ask(self, probe: Probe, tally: Tally, label: str) -> Reply:
        """The greedy reply to a probe, the gate in auto."""
        sampling = Sampling(max_tokens=room_for(probe.answer, self.chat.base))
        reply: Reply | None = None
        for event in self.chat.generate((Message("user", probe.question),), AUTO, sampling, self._stop):
            if isinstance(event, Reply):
                reply = event
        if reply is None or reply.finish_reason == "interrupted":
            raise _stopped()
        tally.add(label)
        return reply

    def _bare(self, probes: Sequence[Probe], tally: Tally) -> list[str]:
        """What the base says without any adapter."""

        def tick(replies: int) -> None:
            self._halt()
            tally.add("asking the bare base", replies)

        self.chat.bank.use(None)
        return greedy_replies(self.chat.base, probes, self.chat.system, tick)

    def _halt(self) -> None:
        if self._stop():
            raise _stopped()

    def _recall(self, told: Scores, told_base: Scores, retold: Scores, retold_base: Scores) -> Recall:
        def of(scores: Scores, name: str) -> float | None:
            return _mean(scores.get(name, ()))

        return Recall(
            verbatim=_mean(_flat(told)),
            paraphrase_f1=_mean(_flat(retold)),
            per_adapter={
                name: AdapterRecall(
                    verbatim=of(told, name),
                    verbatim_base=of(told_base, name),
                    paraphrase_f1=of(retold, name),
                    paraphrase_f1_base=of(retold_base, name),
                    questions=len(told.get(name, ())),
                    probes=len(retold.get(name, ())),
                )
                for name in self.chat.serving.names
            },
            verbatim_base=_mean(_flat(told_base)),
            paraphrase_f1_base=_mean(_flat(retold_base)),
        )

    def _confusion(self, probes: Sequence[Probe], replies: Sequence[Reply]) -> dict[str, dict[str, int]]:
        """Counts [expected][chosen] where the gate chose; a uniform gate chooses nothing."""
        confusion: dict[str, dict[str, int]] = {name: {} for name in self.chat.serving.names}
        for probe, reply in zip(probes, replies, strict=True):
            weights = reply.routing.weights
            if reply.routing.mode == "auto":
                chosen = max(weights, key=lambda name: weights[name])
                row = confusion.setdefault(probe.adapter, {})
                row[chosen] = row.get(chosen, 0) + 1
        return confusion

    def _retention(
        self, texts: Sequence[str], tally: Tally, label: str
    ) -> tuple[TextRetention, dict[str, float]]:
        """Perplexities on `texts`, and each adapter's openness there when it is pinned.

        One text is in memory at a time, with the base's predictions for it.
        """
        chat, bank = self.chat, self.chat.bank
        pinned: dict[str, ServingPlan] = {}
        for adapter in chat.serving.adapters:
            plan = ServingPlan(bank, chat.serving.adapters, {adapter.spec.name: 1.0})
            plan.recorder = OpennessRecorder(plan.layout) if plan.layout.width() else None
            pinned[adapter.spec.name] = plan
        base, auto = _Sum(), _Sum()
        alone = {name: _Sum() for name in pinned}
        try:
            for text in texts:
                self._halt()
                bank.use(None)
                meter = ForgettingMeter(
                    self.head,
                    chat.base.chat,
                    [text],
                    chat.base.placement.device,
                    limit=chat.base.context_length,
                )
                base.add(meter.tokens, meter.base_perplexity, 0.0)
                weights = chat.route((Message("user", text),), AUTO).routing.weights
                bank.use(ServingPlan(bank, chat.serving.adapters, weights) if any(weights.values()) else None)
                auto.add(meter.tokens, *meter.measure())
                for name, plan in pinned.items():
                    bank.use(plan)
                    alone[name].add(meter.tokens, *meter.measure())
                    if plan.recorder is not None:
                        plan.recorder.flush()
                tally.add(label)
        finally:
            bank.use(None)
        outside = {
            name: adapter_means(plan.layout, plan.recorder.mean(), [name])[name] if plan.recorder else 1.0
            for name, plan in pinned.items()
        }
        return TextRetention(
            perplexity_base=base.perplexity,
            perplexity=auto.perplexity,
            kl=auto.kl,
            per_adapter={name: Drift(perplexity=s.perplexity, kl=s.kl) for name, s in alone.items()},
            tokens=base.tokens,
        ), outside


class _Sum:
    """Perplexities and divergences of texts, put together token by token."""

    def __init__(self) -> None:
        self.tokens = 0
        self._nll = self._kl = 0.0

    def add(self, tokens: int, perplexity: float, kl: float) -> None:
        self.tokens += tokens
        self._nll += tokens * math.log(perplexity)
        self._kl += tokens * kl

    @property
    def perplexity(self) -> float:
        return math.exp(self._nll / max(self.tokens, 1))

    @property
    def kl(self) -> float:
        return self._kl / max(self.tokens, 1)


def _stopped() -> Stopped:
    return Stopped("the evaluation was stopped; nothing was recorded")


def _inside(name: str, questions: Sequence[Probe], replies: Sequence[Reply]) -> float | None:
    """Mean openness of an adapter in the replies to its own questions."""
    own = [r for q, r in zip(questions, replies, strict=True) if q.adapter == name]
    return _mean([r.openness[name].mean for r in own if name in r.openness])


def _scores(
    probes: Sequence[Probe], replies: Sequence[str], score: Callable[[str, str], float]
) -> dict[str, list[float]]:
    """What each reply scores against the answer expected, by adapter."""
    groups: dict[str, list[float]] = defaultdict(list)
    for probe, reply in zip(probes, replies, strict=True):
        groups[probe.adapter].append(float(score(reply, probe.answer)))
    return groups


def _right(confusion: Mapping[str, Mapping[str, int]]) -> float | None:
    routed = sum(sum(row.values()) for row in confusion.values())
    right = sum(row.get(name, 0) for name, row in confusion.items())
    return right / routed if routed else None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _flat(groups: Scores) -> list[float]:
    return [value for group in groups.values() for value in group]
