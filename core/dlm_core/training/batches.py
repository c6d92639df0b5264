"""Rows into batches: of like length, from as many adapters as there are, filled up to a token budget, in an
order that depends on seed and epoch alone.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from dlm_core.document.model import SectionKind
from dlm_core.training.augment import LEAD_TOKENS
from dlm_core.training.examples import Row

_ROUNDING = 1e-6
_ALIKE = 3  # rows share a batch that are at most so many times as long as each other


@dataclass(frozen=True)
class Batch:
    """Padded rows on the right.

    `input_ids` and `attention_mask` [rows, tokens]; `positions` [n] are flat indices (row * tokens + token)
    whose logits predict `targets` [n]; `owners` [n] is the row of each of them, `emphasis` [n] how much its
    loss counts; `weights` [rows, adapters] is one-hot.
    """

    input_ids: Tensor
    attention_mask: Tensor
    positions: Tensor
    targets: Tensor
    owners: Tensor
    emphasis: Tensor
    weights: Tensor
    rows: tuple[Row, ...]

    @property
    def tokens(self) -> int:
        """Real tokens, padding not counted."""
        return sum(len(r.ids) for r in self.rows)

    @property
    def padding_share(self) -> float:
        """Padding as a share of all positions, 0..1."""
        return 1.0 - self.tokens / self.input_ids.numel() if self.rows else 0.0

    def tally(self, losses: Tensor, hits: Tensor) -> list[tuple[float, int, int]]:
        """Per row the summed loss, the answer tokens and how many were predicted, from `losses` [n] and
        `hits` [n] of all answer tokens.
        """
        losses, hits, owners = losses.float().cpu(), hits.cpu(), self.owners.cpu()
        found = []
        for i in range(len(self.rows)):
            mine = owners == i
            found.append((float(losses[mine].sum()), int(mine.sum()), int(hits[mine].sum())))
        return found

    def to(self, device: torch.device | str) -> "Batch":
        return replace(self, **{name: getattr(self, name).to(device) for name in _TENSORS})


_T = TypeVar("_T")
_TENSORS = ("input_ids", "attention_mask", "positions", "targets", "owners", "emphasis", "weights")


def plan_epoch(
    rows: Sequence[_T],
    length: Callable[[_T], int],
    *,
    token_budget: int,
    max_rows: int,
    seed: int,
    epoch: int,
    owner: Callable[[_T], str] = lambda _: "",
) -> list[list[_T]]:
    """Batches for one epoch, the same for the same arguments in every process.

    Rows of like length share a batch, and neighbours are of different owners as far as they go: an adapter
    moves once a step, however many of its rows are in it. Otherwise the order is shuffled, and so is the
    order of the batches. A batch holds at most `max_rows` rows and `token_budget` positions, padding
    included, but never less than one row.
    """
    rng = random.Random(f"{seed}:{epoch}")
    order = list(range(len(rows)))
    rng.shuffle(order)
    order = _alternating(order, lambda i: length(rows[i]), lambda i: owner(rows[i]))
    batches: list[list[_T]] = []
    current: list[_T] = []
    longest = 0
    for i in order:
        longest_with = max(longest, length(rows[i]))
        if current and (len(current) == max_rows or longest_with * (len(current) + 1) > token_budget):
            batches.append(current)
            current, longest_with = [], length(rows[i])
        current.append(rows[i])
        longest = longest_with
    if current:
        batches.append(current)
    rng.shuffle(batches)
    return batches


def _alternating(order: list[int], length: Callable[[int], int], owner: Callable[[int], str]) -> list[int]:
    """`order` in stretches of like length; in each of them every owner's share is spread evenly, shorter rows
    first.
    """
    stretch, shortest = 0, 0
    shares: dict[tuple[int, str], list[int]] = {}
    for i in sorted(order, key=lambda i: length(i) // 8):
        if length(i) > _ALIKE * shortest:
            stretch, shortest = stretch + 1, length(i)
        shares.setdefault((stretch, owner(i)), []).append(i)
    placed = []
    for number, ((stretch, _), mine) in enumerate(shares.items()):
        placed += [((stretch, (k + 0.5) / len(mine), number), i) for k, i in enumerate(mine)]
    return [i for _, i in sorted(placed)]


def other_questions(
    batches: Sequence[Sequence[int]],
    owners: Sequence[str],
    copies: Mapping[str, float],
    seed: int,
    epoch: int,
) -> list[list[int]]:
    """For every row of every batch more rows of the same owner, other than the batch's own as far as there
    are others; over an epoch each comes up about as often as any other.

    Args:
        batches: rows by their places in `owners`.
        owners: whose each row is.
        copies: how many more rows each row of an owner brings, on the average.
    """
    rng = random.Random(f"{seed}:others:{epoch}")
    waiting: dict[str, list[int]] = {owner: [] for owner in owners}
    due = dict.fromkeys(owners, 0.0)
    found = []
    for batch in batches:
        taken: list[int] = []
        for place in batch:
            owner = owners[place]
            due[owner] += copies[owner]
            while due[owner] >= 1 - _ROUNDING:
                due[owner] -= 1
                queue = waiting[owner]
                if not any(i not in batch and i not in taken for i in queue):
                    mine = [i for i, o in enumerate(owners) if o == owner]
                    queue += rng.sample(mine, len(mine))
                free = [i for i in queue if i not in batch and i not in taken]
                chosen = free[0] if free else queue[0]
                queue.remove(chosen)
                taken.append(chosen)
        found.append(taken)
    return found


def within_budget(rows: Sequence[Row], token_budget: int) -> list[Row]:
    """As many of the rows, from the first, as one batch may hold; at least one."""
    longest = 0
    for count, row in enumerate(rows):
        longest = max(longest, len(row.ids))
        if count and longest * (count + 1) > token_budget:
            return list(rows[:count])
    return list(rows)


def collate(rows: Sequence[Row], adapters: Sequence[str], pad_id: int, *, lead_weight: float = 1.0) -> Batch:
    """Pad rows to the longest. `adapters` fixes the columns of `weights`; the first tokens of every answer
    count `lead_weight` times, for they decide which answer it becomes.
    """
    width = max((len(r.ids) for r in rows), default=0)
    input_ids = torch.full((len(rows), width), pad_id, dtype=torch.long)
    attention = torch.zeros((len(rows), width), dtype=torch.long)
    weights = torch.zeros((len(rows), len(adapters)))
    positions: list[int] = []
    targets: list[int] = []
    owners: list[int] = []
    emphasis: list[float] = []
    for i, row in enumerate(rows):
        input_ids[i, : len(row.ids)] = torch.tensor(row.ids)
        attention[i, : len(row.ids)] = 1
        weights[i, adapters.index(row.adapter)] = 1.0
        lead = 0 if row.kind is SectionKind.PROSE else LEAD_TOKENS
        for t in range(1, len(row.ids)):
            if row.loss[t]:
                positions.append(i * width + t - 1)
                targets.append(row.ids[t])
                owners.append(i)
                emphasis.append(lead_weight if lead > 0 else 1.0)
                lead -= 1
    return Batch(
        input_ids,
        attention,
        torch.tensor(positions, dtype=torch.long),
        torch.tensor(targets, dtype=torch.long),
        torch.tensor(owners, dtype=torch.long),
        torch.tensor(emphasis, dtype=torch.float32),
        weights,
        tuple(rows),
    )
