"""What the engine itself says: its routing and predictions on the document's questions and on neutral text.

Exports are fitted to these predictions, and measured against them.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from dlm_core.adapters.bank import Bank, ServingPlan
from dlm_core.bases.chat import conversation
from dlm_core.document.model import Document, Section, Turn
from dlm_core.engine_protocol import ShouldStop
from dlm_core.errors import Stopped
from dlm_core.inference.chat import Chat
from dlm_core.requests import Message, RoutingChoice
from dlm_core.training.examples import learners
from dlm_core.training.forward import SelectiveHead
from dlm_core.training.rehearsal import bundled

Item = TypeVar("Item")

_MOST_QUESTIONS = 64
_MOST_BYTES = 400_000_000  # of predictions kept, in float16
_NEUTRAL_TOKENS = 64
_PROSE_TOKENS = 96


@dataclass(frozen=True)
class Sample:
    """One sequence with what the engine predicts in it.

    Shapes: `ids` [1, T]; `positions` [n] are those whose next token is looked at; `log_probs` [n, vocabulary]
    (float16) are the engine's there; `expected` [n] are the tokens that were trained, None for neutral text.
    `weights` is the engine's routing of it.
    """

    ids: Tensor
    positions: Tensor
    log_probs: Tensor
    weights: Mapping[str, float]
    expected: Tensor | None = None

    @property
    def choices(self) -> Tensor:
        """The engine's greedy token at each position, [n]."""
        return self.log_probs.argmax(-1)

    @property
    def learned(self) -> bool:
        """Whether the engine says exactly what was trained."""
        return self.expected is not None and torch.equal(self.choices, self.expected)


@dataclass(frozen=True)
class Reference:
    """The engine's predictions: `questions` of the document, `neutral` to measure on, `rehearsal` to fit on.

    `asked` counts the questions the document has; of a long document only some are sampled.
    `of_prose`: the document has no questions, and passages of its prose stand for them.
    """

    questions: tuple[Sample, ...]
    neutral: tuple[Sample, ...]
    rehearsal: tuple[Sample, ...]
    asked: int
    of_prose: bool


class Observer:
    """Runs the engine's own model under the engine's own routing.

    Args:
        chat: serving the versions to be exported.
        choice: how the person wants adapters weighed.
        stop: asked before every forward.
        told: hears how many of the document's questions were asked, and of how many.
    """

    def __init__(
        self,
        chat: Chat,
        head: SelectiveHead,
        choice: RoutingChoice,
        stop: ShouldStop,
        told: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self.chat, self.head, self.choice, self.stop, self._told = chat, head, choice, stop, told
        self._plans: dict[tuple[tuple[str, float], ...], ServingPlan] = {}

    @property
    def bank(self) -> Bank:
        return self.chat.bank

    def observe(self, document: Document, adapters: Collection[str]) -> Reference:
        """The engine's predictions on everything an export is fitted to and measured on.

        Only what one of `adapters` has learned is asked: the others have no part in the export.
        """
        sections = [s for s in document.sections if set(learners(s, document.adapter_names)) & set(adapters)]
        pairs = _questions(sections)
        kept = _spread(pairs, _MOST_QUESTIONS)
        questions = self._within_memory(self._question(*asked) for asked in self._counted(kept))
        if not pairs:
            passages = _spread([s.text.strip() for s in sections if s.text.strip()], _MOST_QUESTIONS)
            questions = self._within_memory(self._text(p, _PROSE_TOKENS, trained=True) for p in passages)
        neutral = [self._text(t, _NEUTRAL_TOKENS) for t in bundled("held_out")]
        rehearsal = [self._text(t, _NEUTRAL_TOKENS) for t in bundled("rehearsal")[: len(neutral)]]
        return Reference(questions, tuple(neutral), tuple(rehearsal), len(pairs), not pairs)

    def plan(self, weights: Mapping[str, float]) -> ServingPlan:
        """The engine's plan under `weights`; the last few are kept."""
        key = tuple(sorted((n, round(w, 6)) for n, w in weights.items()))
        if key not in self._plans:
            if len(self._plans) >= 4:
                self._plans.pop(next(iter(self._plans)))
            self._plans[key] = ServingPlan(self.bank, self.chat.serving.adapters, weights)
        return self._plans[key]

    def _counted(self, asked: Sequence[Item]) -> Iterator[Item]:
        for done, item in enumerate(asked):
            self._told(done, len(asked))
            yield item
        self._told(len(asked), len(asked))

    def _within_memory(self, samples: Iterator[Sample]) -> tuple[Sample, ...]:
        found: list[Sample] = []
        size = 0
        for sample in samples:
            found.append(sample)
            size += sample.log_probs.numel() * sample.log_probs.element_size()
            if size > _MOST_BYTES:
                break
        return tuple(found)

    def check_stop(self) -> None:
        """Raises Stopped if that was asked for."""
        if self.stop():
            raise Stopped("stopped; nothing was exported")

    def _weights(self, messages: Sequence[Message]) -> Mapping[str, float]:
        self.check_stop()
        return self.chat.route(messages, self.choice).routing.weights

    def _question(self, question: str, answer: str, before: Sequence[Turn]) -> Sample:
        """The trained answer where the engine gives it, otherwise what the engine says instead."""
        base = self.chat.base
        weights = self._weights(conversation(question, None, before))
        ids, loss = base.chat.encode_row(question, answer, self.chat.system, before)
        ids, loss = ids[: base.context_length], loss[: base.context_length]
        sample = self._sample(ids, loss.index(True) if True in loss else len(ids) - 1, weights, trained=True)
        if sample.learned:
            return sample
        begin = int(sample.positions[0]) + 1
        said = self._reply(ids[:begin], weights, limit=len(ids) - begin + 16)
        given = self._sample([*ids[:begin], *said], begin, weights, trained=False)
        # What was trained is no longer beside what is said: any mark that is not a token tells them apart.
        return Sample(
            given.ids, given.positions, given.log_probs, weights, torch.full_like(given.positions, -1)
        )

    def _reply(self, prompt: Sequence[int], weights: Mapping[str, float], limit: int) -> list[int]:
        """The engine's greedy tokens after `prompt`, with the end token it stops at."""
        base = self.chat.base
        model, ends = base.model, base.end_token_ids
        tokens: list[int] = []
        past: Any = None
        pending = torch.tensor([list(prompt)], device=base.placement.device)
        self.bank.use(self.plan(weights))
        try:
            for _ in range(max(1, min(limit, base.context_length - len(prompt)))):
                self.check_stop()
                with torch.no_grad():
                    out = model(input_ids=pending, past_key_values=past, use_cache=True, logits_to_keep=1)
                past, token = out.past_key_values, int(out.logits[0, -1].argmax())
                tokens.append(token)
                if token in ends:
                    break
                pending = torch.tensor([[token]], device=base.placement.device)
        finally:
            self.bank.use(None)
        return tokens

    def _text(self, text: str, limit: int, *, trained: bool = False) -> Sample:
        weights = self._weights(conversation(text, None))
        return self._sample(self.chat.base.chat.encode_text(text)[:limit], 1, weights, trained=trained)

    def _sample(
        self, ids: Sequence[int], begin: int, weights: Mapping[str, float], *, trained: bool
    ) -> Sample:
        """`ids` with the engine's predictions of every token from `begin` on."""
        device = self.chat.base.placement.device
        tokens = torch.tensor([ids], device=device)
        positions = torch.arange(max(begin, 1) - 1, len(ids) - 1, device=device)
        self.bank.use(self.plan(weights))
        try:
            log_probs = predictions(self.head, tokens, positions).half()
        finally:
            self.bank.use(None)
        return Sample(tokens, positions, log_probs, weights, tokens[0, positions + 1] if trained else None)


def predictions(head: SelectiveHead, ids: Tensor, positions: Tensor) -> Tensor:
    """Log-probabilities [n, vocabulary] of the next token at `positions` [n] of `ids` [1, T], no gradient."""
    with torch.no_grad():
        return torch.log_softmax(head.logits(ids, torch.ones_like(ids), positions), -1)


def _questions(sections: Sequence[Section]) -> list[tuple[str, str, tuple[Turn, ...]]]:
    """Every wording with its answer, and every preference's prompt with the chosen one, and the turns that
    either follows on.
    """
    found: list[tuple[str, str, tuple[Turn, ...]]] = []
    for section in sections:
        found += [(wording, q.answer, q.before) for q in section.questions for wording in q.wordings]
        found += [(p.prompt, p.chosen, p.before) for p in section.preferences]
    return found


def _spread(items: Sequence[Item], most: int) -> list[Item]:
    """At most `most` items, evenly over the whole."""
    if len(items) <= most:
        return list(items)
    return [items[i * len(items) // most] for i in range(most)]
