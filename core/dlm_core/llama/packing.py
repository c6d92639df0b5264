"""Rows of different lengths laid end to end, and the way to rows side by side, for attention, and back.

Rows of one adapter that begin alike, with a system prompt say, read that beginning once: its tokens stand in
the first of them, and the others look there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_ROUNDED_TO = 8  # a few lengths come again and again, for which matrix products are already prepared
WORTH_SHARING = 4
"""Tokens that rows must begin with alike for these to be read once."""


@dataclass(frozen=True)
class Packed:
    """Rows end to end.

    `ids` and `places` (each token's place in its row) are [T]; T is more than all tokens together by at least
    one that belongs to no row and changes nothing. `real` counts the others. `side_by_side` [rows * width]
    picks from T (what is missing is the token of none), `end_to_end` [T] picks back; `owners` [T] are the
    rows' adapters by index, -1 for none. Row i looks for its first `shared[i]` tokens in an earlier row, the
    rest begins at `starts[i]`. `texts` are the rows.

    `own` [rows * width] is 1.0 where a row has a token to itself or first. Tokens that several rows share
    are `common` [S]; `copies` [S, K] are their places in the other rows, among rows * width, as far as
    `copied` [S, K] is 1.0.
    """

    ids: Tensor
    places: Tensor
    real: int
    rows: int
    width: int
    side_by_side: Tensor
    end_to_end: Tensor
    owners: Tensor
    starts: tuple[int, ...]
    shared: tuple[int, ...]
    texts: tuple[tuple[int, ...], ...]
    own: Tensor
    common: Tensor
    copies: Tensor
    copied: Tensor

    def row(self, number: int, length: int) -> Tensor:
        """Where in T the first `length` tokens of a row stand."""
        return self.side_by_side[number * self.width :][:length]


def pack(
    rows: Sequence[Sequence[int]],
    owners: Sequence[int],
    device: torch.device | str,
) -> Packed:
    """Lay `rows` of token ids end to end; `owners` has an adapter's index for each."""
    shared, first = _beginnings(rows, owners)
    width = max(map(len, rows))
    real = sum(len(row) - known for row, known in zip(rows, shared, strict=True))
    total = -(-(real + 1) // _ROUNDED_TO) * _ROUNDED_TO
    ids = torch.zeros(total, dtype=torch.long)
    places = torch.zeros(total, dtype=torch.long)
    whose = torch.zeros(total, dtype=torch.long)
    side = torch.full((len(rows), width), total - 1, dtype=torch.long)
    own = torch.zeros(len(rows), width)
    back = torch.zeros(total, dtype=torch.long)
    starts: list[int] = []
    copies: dict[int, list[int]] = {}
    at = 0
    for i, (row, owner) in enumerate(zip(rows, owners, strict=True)):
        known, length = shared[i], len(row)
        end = at + length - known
        ids[at:end] = torch.tensor(row[known:], dtype=torch.long)
        places[at:end] = torch.arange(known, length)
        whose[at:end] = owner
        side[i, :known] = side[first[i], :known]
        side[i, known:length] = torch.arange(at, end)
        own[i, known:length] = 1.0
        back[at:end] = torch.arange(known, length) + i * width
        for place in range(known):
            copies.setdefault(int(side[i, place]), []).append(i * width + place)
        starts.append(at)
        at = end
    most = max(map(len, copies.values()), default=0)
    return Packed(
        ids=ids.to(device),
        places=places.to(device),
        real=real,
        rows=len(rows),
        width=width,
        side_by_side=side.flatten().to(device),
        end_to_end=back.to(device),
        owners=whose.to(device),
        starts=tuple(starts),
        shared=tuple(shared),
        texts=tuple(map(tuple, rows)),
        own=own.flatten().to(device),
        common=torch.tensor(list(copies), dtype=torch.long, device=device),
        copies=torch.tensor(
            [[*at, *[0] * (most - len(at))] for at in copies.values()], dtype=torch.long, device=device
        ).view(len(copies), most),
        copied=torch.tensor(
            [[1.0] * len(at) + [0.0] * (most - len(at)) for at in copies.values()], device=device
        ).view(len(copies), most),
    )


def _beginnings(rows: Sequence[Sequence[int]], owners: Sequence[int]) -> tuple[list[int], list[int]]:
    """Per row how many tokens it shares with the first row of its owner, and which row that is."""
    firsts: dict[int, int] = {}
    shared, first = [], []
    for i, (row, owner) in enumerate(zip(rows, owners, strict=True)):
        earlier = firsts.setdefault(owner, i)
        known = 0
        if earlier != i:
            pairs = zip(row[:-1], rows[earlier], strict=False)
            known = next(
                (n for n, (a, b) in enumerate(pairs) if a != b), min(len(row) - 1, len(rows[earlier]))
            )
        shared.append(known if known >= WORTH_SHARING else 0)
        first.append(earlier)
    return shared, first
