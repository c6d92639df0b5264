"""Worn questions: some of a question's tokens left out or replaced by near ones, in several wordings.

An answer that must follow from any part of its question, and from words like those in it, hangs on what the
question is about and not on its exact wording; reworded questions then find it too. Near tokens are those
whose input embeddings point the same way ("angry": furious, annoyed; "sentence": phrase, paragraph).
Answers and prose are never touched.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from dlm_core.training.examples import Row

LEAD_TOKENS = 3  # so many open an answer
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


def beginnings(rows: Sequence[Row], share: float, near: Near, seed: int, turn: str) -> list[Row]:
    """For each question of `rows` one wording, worn by itself, up to the first tokens of its answer: there it
    is settled which answer follows, so these are worn more than rows that learn an answer whole. Prose has
    none. `turn` tells the calls of one run apart.
    """
    asked = [row for row in rows if row.question[0] < row.question[1]]
    found = []
    for row in wear(asked, min(1.0, share * _MORE), near, seed, turn):
        end = row.loss.index(True) + LEAD_TOKENS
        found.append(replace(row, ids=row.ids[:end], loss=row.loss[:end], repeated=True))
    return found


def _worn(row: Row, share: float, near: Near, seed: int, wording: int) -> Row:
    rng = random.Random(f"{seed}:wording {wording}:{row.ids}")
    begin, end = row.question
    ids = list(row.ids)
    gone: list[int] = []
    for place in range(begin, end):
        drawn = rng.random()
        if drawn < share / 2:
            gone.append(place)
        elif drawn < share and near.get(ids[place]):
            ids[place] = rng.choice(near[ids[place]])
    rng.shuffle(gone)
    dropped = set(gone[: (end - begin) // 2])
    kept = [place for place in range(len(ids)) if place not in dropped]
    return replace(
        row,
        ids=tuple(ids[place] for place in kept),
        loss=tuple(row.loss[place] for place in kept),
        question=(begin, end - len(dropped)),
    )
