"""Measuring a served document: recall on its own questions, answers and routing on probes, replies to what it
says nothing about, openness, and retention on neutral text, each with the bare base's figures beside it.
"""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import msgspec

from dlm_core.adapters.bank import ServingPlan
from dlm_core.adapters.openness import OpennessRecorder, adapter_means
from dlm_core.bases.chat import conversation
from dlm_core.document.model import Document, Turn, in_context
from dlm_core.errors import Stopped
from dlm_core.evaluation.answers import Judge, Judgement, same_answer, scores, word_f1
from dlm_core.evaluation.decode import greedy_replies, room_for
from dlm_core.evaluation.near import NearMiss
from dlm_core.evaluation.offtopic import REPLY_TOKENS, Leaks
from dlm_core.evaluation.probes import Probe
from dlm_core.evaluation.search import DocumentSearch
from dlm_core.evaluation.tally import Tally
from dlm_core.evaluation.trust import near_misses_of, support_of
from dlm_core.events import Event, Reply
from dlm_core.inference.chat import Asked, Chat
from dlm_core.reports import (
    AdapterRecall,
    Answers,
    ChatRetention,
    Drift,
    Evaluation,
    OffTopic,
    OpennessFigures,
    ProbeReply,
    Recall,
    Retention,
    RoutingFigures,
    Scores,
    Support,
    TextRetention,
)
from dlm_core.requests import Message, RoutingChoice, Sampling
from dlm_core.training.examples import learners
from dlm_core.training.forgetting import ChatMeter, ForgettingMeter
from dlm_core.training.forward import SelectiveHead
from dlm_core.training.rehearsal import bundled_lines

AUTO, BASE = RoutingChoice(mode="auto", ground="off"), RoutingChoice(mode="base")
SERVED = RoutingChoice(mode="auto")
"""As a chat replies, with the document in hand; `AUTO` are the weights alone, as the gate weighs them."""
ByAdapter = Mapping[str, Sequence[float]]


def trained_questions(document: Document) -> list[Probe]:
    """Every trained wording of the document with its answer and the adapter that learned it."""
    return [
        Probe(wording, q.answer, learners(section, document.adapter_names)[0], q.before)
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
        self,
        document: Document,
        probes: Sequence[Probe],
        texts: Sequence[str],
        own: Sequence[str] = (),
        offtopic: Sequence[str] = (),
        near: Sequence[NearMiss] = (),
        ground: bool = True,
    ) -> Evaluation:
        """Everything at once.

        Args:
            document: whose questions are asked.
            probes: reworded questions; without any nobody's answers and no routing are measured on them.
            texts: neutral texts. own: the pieces of a text of the person's own.
            offtopic: prompts that the document says nothing about.
            near: questions close to the document's that it does not answer.
            ground: whether replies are measured with the document in hand too, where it is looked up.

        Raises Stopped when asked to stop.
        """
        begun = time.perf_counter()
        questions = trained_questions(document)
        asked = len(questions) + len(probes) + len(offtopic)
        known = self.chat.knowledge
        looked_up = ground and known is not None and known.index is not None
        served = SERVED if looked_up else AUTO
        extra = len(probes) + len(near) if looked_up else 0
        tally = Tally(self._emit, 2 * asked + extra + len(texts) + len(own))
        told = self._ask([self._probe(q, AUTO) for q in questions], tally, "asking the document's questions")
        retold = self._ask([self._probe(p, AUTO) for p in probes], tally, "asking the probes")
        grounded, missed, close = None, None, None
        if looked_up:
            grounded = self._ask(
                [self._probe(p, SERVED) for p in probes], tally, "asking the probes, document in hand"
            )
            said = [_asked(miss.question, REPLY_TOKENS, SERVED) for miss in near]
            close = near_misses_of(near, self._ask(said, tally, "asking near misses"))
            missed = _mean([float(_is_outside(reply)) for reply in grounded])
        foreign = self._ask(
            [_asked(prompt, REPLY_TOKENS, choice) for choice in (BASE, served) for prompt in offtopic],
            tally,
            "asking off-topic prompts",
        )
        strange = dict(
            zip(
                offtopic,
                zip(foreign[: len(offtopic)], foreign[len(offtopic) :], strict=True),
                strict=True,
            )
        )
        bare = self._bare([*questions, *probes], tally)
        neutral, outside = self._retention(texts, tally, "reading neutral text")
        in_use = self._as_served(texts, neutral) if looked_up else None
        own_text = self._retention(own, tally, "reading your text")[0] if own else None
        gate = self.chat.serving.gate
        confusion = self._confusion(probes, retold)
        return Evaluation(
            version=self.chat.serving.version,
            recall=self._recall(
                _grouped(questions, [r.reply for r in told], same_answer),
                _grouped(questions, bare[: len(questions)], same_answer),
                _grouped(probes, [r.reply for r in retold], word_f1),
                _grouped(probes, bare[len(questions) :], word_f1),
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
                chat=self._chat_retention(strange),
                served=in_use,
            ),
            openness={
                name: OpennessFigures(inside=_inside(name, questions, told), outside=outside[name])
                for name in self.chat.serving.names
            },
            questions=len(questions),
            probes=len(probes),
            seconds=time.perf_counter() - begun,
            answers=_answers(document, probes, retold, bare[len(questions) :], grounded) if probes else None,
            offtopic=_offtopic(document, list(strange.values())) if strange else None,
            replies=_replies(document, probes, retold if grounded is None else grounded),
            missed=missed,
            support=_support(document, probes, grounded) if grounded is not None else None,
            near_miss=close,
        )

    def _probe(self, probe: Probe, choice: RoutingChoice) -> Asked:
        return _asked(probe.question, room_for(probe.answer, self.chat.base), choice, probe.before)

    def _ask(self, asked: Sequence[Asked], tally: Tally, label: str) -> list[Reply]:
        """The greedy replies to questions, several under way at a time."""
        found: dict[int, Reply] = {}
        for place, reply in self.chat.replies(asked, self._stop):
            if reply.finish_reason == "interrupted":
                raise _stopped()
            found[place] = reply
            tally.add(label)
        if len(found) < len(asked):
            raise _stopped()
        return [found[place] for place in range(len(asked))]

    def _chat_retention(self, strange: Mapping[str, tuple[Reply, Reply]]) -> ChatRetention | None:
        """What is kept on the bundled chat questions, from the replies to them and where these begin."""
        chat, bank = self.chat, self.chat.bank
        questions = [prompt for prompt in bundled_lines("chat") if prompt in strange]
        if not questions:
            return None
        bank.use(None)
        meter = ChatMeter(self.head, chat.base.chat, questions, chat.system, chat.base.placement.device)

        def route(place: int) -> None:
            weights = strange[questions[place]][1].routing.weights
            bank.use(ServingPlan(bank, chat.serving.adapters, weights) if any(weights.values()) else None)

        try:
            kl = meter.measure(route)
        finally:
            bank.use(None)
        same = [strange[q][0].reply == strange[q][1].reply for q in questions]
        return ChatRetention(kl=kl, same_as_base=sum(same) / len(same), questions=len(questions))

    def _bare(self, probes: Sequence[Probe], tally: Tally) -> list[str]:
        """What the base says without any adapter."""
        self.chat.bank.use(None)
        if self.chat.lean is not None:
            asked = [self._probe(probe, BASE) for probe in probes]
            return [reply.reply for reply in self._ask(asked, tally, "asking the bare base")]

        def tick(replies: int) -> None:
            self._halt()
            tally.add("asking the bare base", replies)

        return greedy_replies(self.chat.base, probes, self.chat.system, tick)

    def _halt(self) -> None:
        if self._stop():
            raise _stopped()

    def _recall(
        self, told: ByAdapter, told_base: ByAdapter, retold: ByAdapter, retold_base: ByAdapter
    ) -> Recall:
        def of(scores: ByAdapter, name: str) -> float | None:
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

    def _as_served(self, texts: Sequence[str], neutral: TextRetention) -> Drift:
        """Perplexity and KL on `texts` with those outside the document read by the base, the others as in
        `neutral` on the whole.
        """
        silent = [
            not any(self.chat.route((Message("user", text),), SERVED).routing.weights.values())
            for text in texts
        ]
        if all(silent):
            return Drift(perplexity=neutral.perplexity_base, kl=0.0)
        if not any(silent):
            return Drift(perplexity=neutral.perplexity, kl=neutral.kl)
        chat, bank, told = self.chat, self.chat.bank, _Sum()
        try:
            for text in texts:
                self._halt()
                bank.use(None)
                meter = ForgettingMeter(
                    self.head, chat.base.chat, [text], chat.base.placement.device,
                    limit=chat.base.context_length,
                )  # fmt: skip
                weights = chat.route((Message("user", text),), SERVED).routing.weights
                bank.use(ServingPlan(bank, chat.serving.adapters, weights) if any(weights.values()) else None)
                told.add(meter.tokens, *meter.measure())
        finally:
            bank.use(None)
        return Drift(perplexity=told.perplexity, kl=told.kl)

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


def _answers(
    document: Document,
    probes: Sequence[Probe],
    replies: Sequence[Reply],
    bare: Sequence[str],
    grounded: Sequence[Reply] | None,
) -> Answers:
    judge, search = Judge(document.sections), DocumentSearch(document.sections)

    def of(found: Sequence[Reply]) -> Scores:
        false = [bool(reply.citation.unsupported) for reply in found if reply.citation is not None]
        return msgspec.structs.replace(
            scores(judged([reply.reply for reply in found])),
            false_facts=sum(false) / len(false) if false else None,
        )

    def judged(found: Sequence[str]) -> list[Judgement]:
        return [judge.judge(reply, probe.answer) for probe, reply in zip(probes, found, strict=True)]

    return Answers(
        base=scores(judged(bare)),
        search=scores(judged([search.answer(in_context(probe.question, probe.before)) for probe in probes])),
        weights=of(replies),
        grounded=of(grounded) if grounded is not None else None,
    )


def _support(document: Document, probes: Sequence[Probe], replies: Sequence[Reply]) -> Support | None:
    judge = Judge(document.sections)
    right = [judge.judge(r.reply, p.answer).right for p, r in zip(probes, replies, strict=True)]
    return support_of(replies, right)


def _is_outside(reply: Reply) -> bool:
    return reply.citation is not None and reply.citation.kind == "outside"


def _replies(document: Document, probes: Sequence[Probe], replies: Sequence[Reply]) -> tuple[ProbeReply, ...]:
    judge = Judge(document.sections)
    found = []
    for probe, reply in sorted(zip(probes, replies, strict=True), key=lambda pair: -_confidence(pair[1])):
        judged = judge.judge(reply.reply, probe.answer)
        found.append(
            ProbeReply(
                question=probe.question,
                expected=probe.answer,
                reply=reply.reply,
                adapter=probe.adapter,
                right=judged.right,
                f1=judged.f1,
                routing=reply.routing.weights,
                support=reply.citation.support if reply.citation is not None else None,
                outside=_is_outside(reply),
                before=tuple((turn.question, turn.answer) for turn in probe.before),
            )
        )
    return tuple(found)


def _confidence(reply: Reply) -> float:
    """Support where there is any, else the openness of the adapters' rank gates, weighted as they were
    routed: low where a reply is the base's.
    """
    if reply.citation is not None and reply.citation.support is not None:
        return reply.citation.support
    weights = reply.routing.weights
    return sum(weights.get(name, 0.0) * openness.mean for name, openness in reply.openness.items())


def _offtopic(document: Document, replies: Sequence[tuple[Reply, Reply]]) -> OffTopic:
    leaks, count = Leaks(document.sections), len(replies)
    return OffTopic(
        same_as_base=sum(base.reply == found.reply for base, found in replies) / count,
        leaked=sum(leaks.leaked(found.reply, base.reply) for base, found in replies) / count,
        weight=sum(max(found.routing.weights.values(), default=0.0) for _, found in replies) / count,
        prompts=count,
        outside=_mean(
            [float(_is_outside(found)) for _, found in replies if found.routing.outside is not None]
        ),
    )


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


def _asked(question: str, tokens: int, choice: RoutingChoice, before: Sequence[Turn] = ()) -> Asked:
    return Asked(tuple(conversation(question, None, before)), choice, Sampling(max_tokens=tokens))


def _stopped() -> Stopped:
    return Stopped("the evaluation was stopped; nothing was recorded")


def _inside(name: str, questions: Sequence[Probe], replies: Sequence[Reply]) -> float | None:
    """Mean openness of an adapter in the replies to its own questions."""
    own = [r for q, r in zip(questions, replies, strict=True) if q.adapter == name]
    return _mean([r.openness[name].mean for r in own if name in r.openness])


def _grouped(
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


def _flat(groups: ByAdapter) -> list[float]:
    return [value for group in groups.values() for value in group]
