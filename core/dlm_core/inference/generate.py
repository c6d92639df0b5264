"""The token loop: prompt ids in, one step per token out, with keys and values kept between turns where that
is right.

Keys and values depend on every weight that made them. They are reused only for the same adapters under the
same routing, and only for the ids that both prompts begin with.
"""

import time
from collections.abc import Callable, Generator, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from dlm_core.inference.sampling import Sampler

Finish = Literal["stop", "length", "interrupted"]
_PREFILL_CHUNK = 512


@dataclass(frozen=True)
class Step:
    """One drawn token; `finish` is set on the last step, whose token is None."""

    token: int | None
    finish: Finish | None = None


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
        common = 0
        for a, b in zip(known, ids, strict=False):
            if a != b:
                break
            common += 1
        common = min(common, len(ids) - 1)
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
    model: Any,
    ids: Sequence[int],
    sampler: Sampler,
    *,
    limit: int,
    end_tokens: frozenset[int],
    cache: KeyValueCache,
    key: Hashable,
    stop: Callable[[], bool],
    after_forward: Callable[[int], None] = lambda _: None,
) -> Generator[Step, None, None]:
    """Draw up to `limit` tokens after `ids`; the caller has set the bank's plan and holds it until the end.

    Args:
        key: names the weights (versions and routing) that the plan applies.
        stop: asked before every forward.
        after_forward: called with the number of tokens of each forward (for openness).

    Raises nothing of its own. The cache keeps what was computed, also after an interruption.
    """
    device = next(model.parameters()).device
    past, known = cache.take(key, ids)
    done = list(ids[:known])
    pending = list(ids[known:])
    produced: list[int] = []
    try:
        while True:
            logits: Tensor | None = None
            while pending:
                if stop():
                    yield Step(None, "interrupted")
                    return
                part, pending = pending[:_PREFILL_CHUNK], pending[_PREFILL_CHUNK:]
                # Closed before the next yield: what a generator switches stays switched for its caller.
                with torch.inference_mode():
                    out = model(
                        input_ids=torch.tensor([part], device=device),
                        past_key_values=past,
                        use_cache=True,
                        logits_to_keep=1,
                    )
                    past, logits = out.past_key_values, out.logits[0, -1]
                done += part
                after_forward(len(part))
            assert logits is not None
            with torch.inference_mode():
                token = sampler.draw(logits, produced)
            if token in end_tokens:
                yield Step(None, "stop")
                return
            produced.append(token)
            yield Step(token)
            if len(produced) >= limit:
                yield Step(None, "length")
                return
            pending = [token]
    finally:
        if past is not None:
            cache.keep(key, done, past)


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
