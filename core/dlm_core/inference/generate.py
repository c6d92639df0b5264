"""The token loop: prompt ids in, one step per token out, with keys and values kept between turns where that
is right.

Keys and values depend on every weight that made them. They are reused only for the same adapters under the
same routing, and only for the ids that both prompts begin with.

Where a draft is at hand, its tokens are read together with the last one, and each position's token is drawn
as it always is. What was drawn stands; only what was read after a token that is not the draft's was read in
vain. For a draft that is certain of itself this is rejection sampling: a proposed token passes with its own
probability, and where it does not, what was drawn instead follows the rest (arXiv 2211.17192).
"""

import time
from collections.abc import Callable, Generator, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from dlm_core.inference.sampling import Sampler
from dlm_core.llama.keys_values import shared_beginning

Finish = Literal["stop", "length", "interrupted"]
PREFILL_CHUNK = 512
"""Ids of a prompt that are read at a time."""


@dataclass(frozen=True)
class Step:
    """One drawn token; `finish` is set on the last step, whose token is None.

    Rows `first` to `last` (excluded) of the last forward are those that led to the token: all of a prompt, or
    the one before it.
    """

    token: int | None
    finish: Finish | None = None
    first: int = 0
    last: int = 1


class Decoder(Protocol):
    """A model under one routing, with the keys and values of one conversation.

    `past` is what a `KeyValueCache` keeps. Two logits that lie nearer than `lead` may change places with the
    number of ids read at once.
    """

    past: Any
    lead: float

    def forward(self, ids: Sequence[int], read: int) -> Tensor:
        """Logits [read, vocabulary] of the last `read` of `ids`, which follow what `past` holds."""
        ...

    def forget(self, count: int) -> None:
        """Drop the last `count` positions of `past`."""
        ...


class Draft(Protocol):
    """Who proposes how a reply may go on."""

    def propose(self, ids: Sequence[int], room: int) -> list[int]:
        """Up to `room` ids that may follow `ids`; none where there is no good guess."""
        ...

    def judged(self, proposed: int, accepted: int) -> None:
        """So many of the last proposal were drawn."""
        ...


class KeyValueCache:
    """The keys and values of the last conversation, and which weights made them."""

    def __init__(self) -> None:
        self._key: Hashable = None
        self._ids: list[int] = []
        self._past: Any = None

    def take(self, key: Hashable, ids: Sequence[int]) -> tuple[Any, int]:
        """Keys and values for the longest reusable beginning of `ids`, and its length; at least one id is
        left over.

        (None, 0) if nothing can be reused.
        """
        past, known, self._past = self._past, self._ids, None
        if past is None or key != self._key:
            return None, 0
        common = shared_beginning(known, ids)
        if common < 1:
            return None, 0
        if common < len(known):
            try:
                past.crop(common - len(known))  # negative: so many to forget
            except (AttributeError, NotImplementedError, RuntimeError, ValueError):  # a sliding window, say
                return None, 0
            if past.get_seq_length() != common:
                return None, 0
        return past, common

    def keep(self, key: Hashable, ids: Sequence[int], past: Any) -> None:
        self._key, self._ids, self._past = key, list(ids), past

    def drop(self) -> None:
        """Forget everything; weights have changed."""
        self._key, self._ids, self._past = None, [], None


def generate(
    decoder: Decoder,
    ids: Sequence[int],
    sampler: Sampler,
    *,
    limit: int,
    end_tokens: frozenset[int],
    cache: KeyValueCache,
    key: Hashable,
    stop: Callable[[], bool],
    draft: Draft | None = None,
) -> Generator[Step, None, None]:
    """Draw up to `limit` tokens after `ids`.

    Args:
        key: names the weights (versions and routing) that the decoder applies.
        stop: asked before every forward and every token.
        draft: proposes tokens; greedy replies are the same with it as without, and so are sampled ones.

    Raises nothing of its own. The cache keeps what was computed, also after an interruption.
    """
    decoder.past, known = cache.take(key, ids)
    done = list(ids[:known])  # what `past` holds
    pending = list(ids[known:])
    produced: list[int] = []
    alone = False  # the next token is to be read by itself
    try:
        while True:
            while len(pending) > PREFILL_CHUNK and not stop():
                decoder.forward(pending[:PREFILL_CHUNK], 1)
                done += pending[:PREFILL_CHUNK]
                del pending[:PREFILL_CHUNK]
            if stop():
                yield Step(None, "interrupted")
                return
            proposed: list[int] = []
            if draft is not None and produced and not alone:
                proposed = draft.propose(done + pending, limit - len(produced) - 1)
            alone = False
            rows = [*pending, *proposed]
            logits = decoder.forward(rows, len(proposed) + 1)
            done += rows
            accepted = 0
            for position, here in enumerate(logits):
                later = len(proposed) - position
                if position and stop():
                    yield Step(None, "interrupted")
                    return
                with torch.inference_mode():  # closed before the next yield: the caller's mode stays his own
                    if proposed and sampler.undecided(here, produced, decoder.lead):
                        token, alone = done[-later - 1], True
                        later += 1
                    else:
                        token = sampler.draw(here, produced)
                if not alone:
                    if token in end_tokens:
                        accepted += position < len(proposed) and token == proposed[position]
                        _judge(draft, proposed, accepted)
                        yield Step(None, "stop")
                        return
                    produced.append(token)
                    yield Step(token, None, *((position, position + 1) if proposed else (0, len(rows))))
                    if len(produced) >= limit:
                        yield Step(None, "length")
                        return
                    if position < len(proposed) and token == proposed[position]:
                        accepted += 1
                        continue
                if later:
                    decoder.forget(later)
                    del done[-later:]
                pending = [token]
                break
            _judge(draft, proposed, accepted)
    finally:
        if decoder.past is not None:
            cache.keep(key, done, decoder.past)


def _judge(draft: Draft | None, proposed: Sequence[int], accepted: int) -> None:
    if draft is not None and proposed:
        draft.judged(len(proposed), accepted)


class Stopwatch:
    """Times of one reply, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self.begun = clock()
        self.first: float | None = None
        self.last = self.begun
        self.tokens = 0

    def token(self) -> None:
        self.last = self._clock()
        self.tokens += 1
        if self.first is None:
            self.first = self.last

    @property
    def first_token_s(self) -> float:
        return (self.first if self.first is not None else self._clock()) - self.begun

    @property
    def tokens_per_s(self) -> float:
        """Rate after the first token; 0 where there is no second one."""
        if self.first is None or self.tokens < 2 or self.last <= self.first:
            return 0.0
        return (self.tokens - 1) / (self.last - self.first)
