"""Worn questions: some of a question's tokens left out or replaced by near ones, in several wordings.

An answer that must follow from any part of its question, and from words like those in it, hangs on what the
question is about and not on its exact wording; reworded questions then find it too. Near tokens are those
whose input embeddings point the same way ("angry": furious, annoyed; "sentence": phrase, paragraph).
Answers and prose are never touched.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from dlm_core.training.examples import Row

LEAD_TOKENS = 3  # so many open an answer
_ALIKE_AT_MOST = 32  # tokens that an answer's beginning is followed through while others begin so too
_MORE = 1.6  # times as worn are questions whose answers only begin
_WHOLE = 0.25  # this share of the questions is left as it stands
_WORDINGS = 8  # worn ones of a question that come up again and again: what nothing changes reads each once
_NEAREST = 8
_NEAR = 0.5  # cosine from which a token counts as near

Near = Mapping[int, tuple[int, ...]]


def near_tokens(embeddings: Tensor, tokens: Iterable[int]) -> dict[int, tuple[int, ...]]:
    """For each token the nearest others by cosine of input embeddings [vocabulary, hidden], where near."""
    wanted = sorted(set(tokens))
    if not wanted:
        return {}
    with torch.no_grad():
        table = embeddings.detach().float()
        lengths = table.norm(dim=-1).clamp_min(1e-6)
        chosen = torch.tensor(wanted, device=table.device)
        cosine = (table[chosen] @ table.T) / lengths[chosen].unsqueeze(1) / lengths
        cosine[torch.arange(len(wanted)), chosen] = -1.0
        best = cosine.topk(min(_NEAREST, table.shape[0] - 1), dim=-1)
    return {
        token: tuple(int(i) for i, c in zip(ids, values, strict=True) if c >= _NEAR)
        for token, ids, values in zip(wanted, best.indices.tolist(), best.values.tolist(), strict=True)
    }


def wear(rows: Sequence[Row], share: float, near: Near, seed: int, epoch: str) -> list[Row]:
    """The rows of one epoch.

    Three questions in four come in one of their worn wordings: each of its tokens is left out with
    probability `share` / 2 (at least half stay), and replaced by one of `near` with probability `share` / 2.
    The same arguments give the same rows.
    """
    if share <= 0:
        return list(rows)
    rng = random.Random(f"{seed}:wear:{epoch}")
    return [
        row if rng.random() < _WHOLE else _worn(row, share, near, seed, rng.randrange(_WORDINGS))
        for row in rows
    ]


def settled_after(rows: Sequence[Row]) -> dict[tuple[int, ...], int]:
    """By the tokens of an answer, how many of them settle that it is this one: `LEAD_TOKENS`, and before them
    what another answer of the same adapter begins with as well. Prose has no answers.
    """
    by_owner: dict[str, set[tuple[int, ...]]] = {}
    for row in rows:
        if row.question[0] < row.question[1]:
            by_owner.setdefault(row.adapter, set()).add(answer_of(row))
    found: dict[tuple[int, ...], int] = {}
    for answers in by_owner.values():
        ordered = sorted(answers)  # the one that is most alike is the one before or the one after
        alike = [_alike(a, b) for a, b in pairwise(ordered)]
        for answer, before, after in zip(ordered, [0, *alike], [*alike, 0], strict=True):
            alike_for = min(max(before, after), _ALIKE_AT_MOST)
            found[answer] = max(found.get(answer, 0), alike_for + LEAD_TOKENS)
    return found


def answer_of(row: Row) -> tuple[int, ...]:
    """The tokens of a row from its answer's first one on."""
    return row.ids[row.loss.index(True) :]


def begin(row: Row, settled: Mapping[tuple[int, ...], int]) -> Row:
    """A row up to where it is settled which answer follows (see `settled_after`)."""
    end = row.loss.index(True) + settled[answer_of(row)]
    return replace(row, ids=row.ids[:end], loss=row.loss[:end])


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))


def beginnings(
    rows: Sequence[Row],
    settled: Mapping[tuple[int, ...], int],
    share: float,
    near: Near,
    seed: int,
    turn: str,
) -> list[Row]:
    """For each question of `rows` one wording, worn by itself, up to where it is settled which answer follows
    (see `settled_after`); since no more hangs on it, it is worn more than rows that learn an answer whole.
    Prose has none. `turn` tells the calls of one run apart.
    """
    asked = [row for row in rows if row.question[0] < row.question[1]]
    found = []
    for row in wear(asked, min(1.0, share * _MORE), near, seed, turn):
        found.append(replace(begin(row, settled), repeated=True))
    return found


def _worn(row: Row, share: float, near: Near, seed: int, wording: int) -> Row:
    rng = random.Random(f"{seed}:wording {wording}:{row.ids}")
    start, end = row.question
    ids = list(row.ids)
    gone: list[int] = []
    for place in range(start, end):
        drawn = rng.random()
        if drawn < share / 2:
            gone.append(place)
        elif drawn < share and near.get(ids[place]):
            ids[place] = rng.choice(near[ids[place]])
    rng.shuffle(gone)
    dropped = set(gone[: (end - start) // 2])
    kept = [place for place in range(len(ids)) if place not in dropped]
    return replace(
        row,
        ids=tuple(ids[place] for place in kept),
        loss=tuple(row.loss[place] for place in kept),
        question=(start, end - len(dropped)),
    )
