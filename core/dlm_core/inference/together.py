"""Several replies at a time, a token of each in every forward, each under its own routing.

Reading the weights is most of what a token costs, and a forward reads them once for all of its rows. Replies
join and leave between tokens. What a row says is what it would say alone: it attends to itself only, its
prompt is read alone, and a greedy choice that hangs on less than the forward's lead is made again alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from dlm_core.adapters.bank import NEGLIGIBLE
from dlm_core.adapters.openness import OpennessLayout
from dlm_core.inference.generate import PREFILL_CHUNK, Finish
from dlm_core.inference.sampling import Sampler
from dlm_core.llama.decode_adapters import Routed, Stacks
from dlm_core.llama.decode_forward import LeanBase


@dataclass(frozen=True)
class Said:
    """A token of row `name`, or with `finish` its end (token None). `openness` [layout's width] are the gate
    values that led to the token, None where nothing is gated.
    """

    name: int
    token: int | None
    finish: Finish | None = None
    openness: Tensor | None = None


@dataclass
class _Row:
    """A reply under way: its name, routing, and the tokens so far. `first` are the logits after its prompt,
    until they are drawn from.
    """

    name: int
    weights: Mapping[str, float]
    routed: Routed | None
    sampler: Sampler
    limit: int
    first: Tensor | None
    openness: Tensor | None
    produced: list[int] = field(default_factory=list)


class Together:
    """Replies on one base and one serving set.

    Args:
        stacks: all adapters of the serving set; None where there are none.
        most: rows of a forward.
    """

    def __init__(self, base: LeanBase, stacks: Stacks | None, end_tokens: frozenset[int], most: int) -> None:
        self._base, self._stacks, self._ends, self.most = base, stacks, end_tokens, most
        self._memory = base.rows(most)
        self._rows: list[_Row] = []
        self._routed: Routed | None = None
        self._fresh = False  # `_routed` is of the present rows

    def __len__(self) -> int:
        return len(self._rows)

    def join(
        self, name: int, ids: Sequence[int], weights: Mapping[str, float], sampler: Sampler, limit: int
    ) -> OpennessLayout | None:
        """Begin a reply of up to `limit` tokens after `ids`; there must be room for one more row. Gives the
        layout of the openness that comes with its tokens, None where nothing is gated.
        """
        assert len(self._rows) < self.most
        own = {n: w if abs(w) > NEGLIGIBLE else 0.0 for n, w in weights.items()}
        routed = self._stacks.routed(own) if self._stacks is not None and any(own.values()) else None
        memory = self._base.keys_values()
        for begin in range(0, len(ids), PREFILL_CHUNK):
            part = ids[begin : begin + PREFILL_CHUNK]
            first = self._base.logits(part, memory, routed, 1)[0]
        openness = self._openness(routed, 0, len(part))
        self._memory.join(memory)
        self._rows.append(_Row(name, own, routed, sampler, limit, first, openness))
        self._fresh = False
        return None if openness is None or routed is None else routed.layout

    def step(self) -> list[Said]:
        """The next token of every row, and the ends of those that end with it."""
        said: list[Said] = []
        logits = self._forward()
        for place, row in enumerate(self._rows):
            said.append(self._draw(place, row, logits))
        said += [Said(r.name, None, "length") for r in self._rows if len(r.produced) >= r.limit]
        ended = {s.name for s in said if s.finish is not None}
        for place in reversed(range(len(self._rows))):
            if self._rows[place].name in ended:
                self._leave(place)
        return said

    def _forward(self) -> Tensor:
        """Logits [rows, vocabulary] of the rows that have said something; those that just joined come after
        them, and were read then.
        """
        speaking = [row for row in self._rows if row.first is None]
        if not speaking:
            return torch.empty(0)
        if not self._fresh or len(speaking) < len(self._rows):
            self._routed, self._fresh = None, len(speaking) == len(self._rows)
            if self._stacks is not None and any(any(row.weights.values()) for row in speaking):
                self._routed = self._stacks.routed(*(row.weights for row in speaking))
        ids = [row.produced[-1] for row in speaking]
        logits = self._base.next_logits(ids, self._memory, self._routed)
        for place, row in enumerate(speaking):
            row.openness = None if row.routed is None else self._openness(self._routed, place, place + 1)
        return logits

    def _draw(self, place: int, row: _Row, logits: Tensor) -> Said:
        if row.first is not None:
            here, row.first = row.first, None
        else:
            here = logits[place]
            if row.sampler.undecided(here, row.produced, self._base.lead):
                alone = self._memory.alone(place, -1)
                here = self._base.logits(row.produced[-1:], alone, row.routed, 1)[0]
        with torch.inference_mode():
            token = row.sampler.draw(here, row.produced)
        if token in self._ends:
            return Said(row.name, None, "stop")
        row.produced.append(token)
        return Said(row.name, token, openness=row.openness)

    def _leave(self, place: int) -> None:
        self._memory.leave(place)
        last = self._rows.pop()
        if place < len(self._rows):
            self._rows[place] = last
        self._fresh = False

    def _openness(self, routed: Routed | None, first: int, last: int) -> Tensor | None:
        if routed is None or not routed.layout.width():
            return None
        return routed.openness(first, last)
