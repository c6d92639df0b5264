"""A few questions asked again while adapters train, so that one sees an answer forming.

One forward of the questions with their answers says how probable each answer is, and what would be said at
every place of it. Nothing is generated, and no step comes out otherwise for it.
"""

import math
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from dlm_core.document.model import Document, SectionKind, Turn
from dlm_core.errors import DlmError
from dlm_core.events import Event, ProbeAnswer, ProbesAsked
from dlm_core.training.examples import Encoder, Row, learners
from dlm_core.training.loop import Policy
from dlm_core.training.plan import RunPlan
from dlm_core.training.step import AnswerLearner

WATCHED = 3
"""Questions that are asked again at most."""
_EDITED = 2  # of them that an edit teaches, where there are probes too
LONGEST = 256
"""Tokens of a question with its answer, from which on it is not one of them."""
SHARE, LAST_SHARE = 0.02, 0.03
"""Of the time that was trained so far, what asking may have taken: between epochs, and with the last time."""
FIRST_FROM = 30
"""Steps of a training in full from which on its questions are asked before the first one too."""
_OF_A_STEP = 0.4  # what asking is taken to cost before it was done once


@dataclass(frozen=True)
class Watched:
    """A question with the answer to expect, whose adapter that is, and the turns it follows on."""

    question: str
    answer: str
    adapter: str
    before: tuple[Turn, ...] = ()


def chosen(document: Document, plan: RunPlan, probes: Iterable[Watched], seed: int) -> list[Watched]:
    """Questions worth watching, the most telling first: what an edit teaches, then `probes`, then questions
    in their further wordings. Only adapters that train have any.
    """
    names = document.adapter_names
    edited = list(_edited(plan))
    known = (
        Watched((*asked.others, asked.question)[0], asked.answer, learners(section, names)[0], asked.before)
        for section in document.sections
        for asked in section.questions
    )
    found = [*edited[:_EDITED], *_mixed(probes, plan, seed), *edited[_EDITED:], *_mixed(known, plan, seed)]
    first: dict[str, Watched] = {}
    for watched in found:
        first.setdefault(watched.question, watched)
    return list(first.values())


def _edited(plan: RunPlan) -> Iterator[Watched]:
    """What an edit asks that was not asked before, each question in its newest wording."""
    before = {(w, asked.answer) for s in plan.before for asked in s.questions for w in asked.wordings}
    for share in plan.shares:
        for section in () if share.fresh else (*share.new, *share.changed):
            for asked in section.questions:
                new = [w for w in asked.wordings if (w, asked.answer) not in before]
                if new:
                    yield Watched(new[-1], asked.answer, share.adapter, asked.before)


def _mixed(watched: Iterable[Watched], plan: RunPlan, seed: int) -> list[Watched]:
    """Those of adapters that train, shuffled, one adapter after the other."""
    by_adapter: dict[str, list[Watched]] = {name: [] for name in plan.adapters}
    for one in watched:
        if one.adapter in by_adapter:
            by_adapter[one.adapter].append(one)
    for own in by_adapter.values():
        random.Random(f"{seed}:watched").shuffle(own)
    return [one for together in zip_longest(*by_adapter.values()) for one in together if one is not None]


class Probing:
    """Asks the first few of `watched` that fit, within its share of the time.

    Args:
        encoder, decode: questions and answers to token ids, and token ids to text.
        system: the document's system prompt.
        context_length: tokens that the base reads.
    """

    def __init__(
        self,
        watched: Sequence[Watched],
        encoder: Encoder,
        decode: Callable[[Sequence[int]], str],
        system: str | None,
        context_length: int,
        run_id: int,
        emit: Callable[[Event], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._decode, self._run_id, self._emit, self._clock = decode, run_id, emit, clock
        self._rows: list[tuple[Watched, Row]] = []
        limit = min(LONGEST, context_length)
        for one in watched:
            if len(self._rows) == WATCHED:
                break
            try:
                ids, loss = encoder.encode_row(one.question, one.answer, system, one.before)
            except DlmError:
                continue
            if len(ids) <= limit and any(loss[1:]):
                row = Row(tuple(ids), tuple(loss), one.adapter, "", "", SectionKind.INSTRUCTION)
                self._rows.append((one, row))
        self._trained = self._spent = 0.0  # seconds, of the phases before and of all asking
        self._cost: float | None = None

    def look(self, policy: Policy[Any]) -> Callable[[bool], None]:
        """What a training by `policy` calls before its first step and after every epoch."""
        if not isinstance(policy.learner, AnswerLearner):
            return lambda last: None
        learner, progress, before = policy.learner, policy.progress, self._trained
        mine = [(one, row) for one, row in self._rows if row.adapter in learner.names]

        def look(last: bool) -> None:
            self._trained = before + progress.elapsed_s
            if not mine or not self._may_ask(policy, last):
                return
            begun = self._clock()
            self._ask(learner, mine, policy)
            self._cost = self._clock() - begun
            self._spent += self._cost

        return look

    def _may_ask(self, policy: Policy[Any], last: bool) -> bool:
        """Whether asking once more stays within its share."""
        steps = policy.progress.step
        if not steps:
            return policy.phase == "sft" and policy.total_steps >= FIRST_FROM
        cost = _OF_A_STEP * policy.progress.elapsed_s / steps if self._cost is None else self._cost
        return self._spent + cost <= (LAST_SHARE if last else SHARE) * self._trained

    def _ask(self, learner: AnswerLearner, mine: Sequence[tuple[Watched, Row]], policy: Policy[Any]) -> None:
        batch = learner.batch([row for _, row in mine])
        losses, likeliest = (tensor.cpu() for tensor in learner.passes.foresee(batch))
        owners = batch.owners.cpu()
        answers = []
        for place, (one, _) in enumerate(mine):
            own = owners == place
            answers.append(
                ProbeAnswer(
                    question=one.question,
                    adapter=one.adapter,
                    expected=one.answer,
                    said=self._decode(likeliest[own].tolist()).strip(),
                    probability=math.exp(-float(losses[own].mean())),
                )
            )
        self._emit(
            ProbesAsked(
                run_id=self._run_id,
                phase="revision" if policy.phase == "revision" else "sft",
                epoch=policy.progress.epoch,
                epochs=policy.epochs,
                probes=tuple(answers),
            )
        )
