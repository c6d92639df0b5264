"""Rows of different lengths laid end to end, and the way to rows side by side, for attention, and back."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_ROUNDED_TO = 8  # a few lengths come again and again, for which matrix products are already prepared


@dataclass(frozen=True)
class Packed:
    """Rows end to end.

    `ids` and `places` (each token's place in its row) are [T]; T is more than all rows together by at least
    one token that belongs to none and changes nothing. `real` counts the others. `side_by_side` [rows *
    width] picks from T (what is missing is the token of none), `end_to_end` [T] picks back; `owners` [T] are
    the rows' adapters by index, -1 for none; `starts` where each row begins; `texts` are the rows.
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
    texts: tuple[tuple[int, ...], ...]


def pack(rows: Sequence[Sequence[int]], owners: Sequence[int], device: torch.device | str) -> Packed:
    """Lay `rows` of token ids end to end; `owners` has an adapter's index for each."""
    lengths = [len(row) for row in rows]
    real, width = sum(lengths), max(lengths)
    total = -(-(real + 1) // _ROUNDED_TO) * _ROUNDED_TO
    ids = torch.zeros(total, dtype=torch.long)
    places = torch.zeros(total, dtype=torch.long)
    whose = torch.zeros(total, dtype=torch.long)
    side = torch.full((len(rows), width), total - 1, dtype=torch.long)
    back = torch.zeros(total, dtype=torch.long)
    starts: list[int] = []
    at = 0
    for i, (row, owner) in enumerate(zip(rows, owners, strict=True)):
        end = at + len(row)
        ids[at:end] = torch.tensor(row)
        places[at:end] = torch.arange(len(row))
        whose[at:end] = owner
        side[i, : len(row)] = torch.arange(at, end)
        back[at:end] = torch.arange(len(row)) + i * width
        starts.append(at)
        at = end
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
        texts=tuple(tuple(row) for row in rows),
    )
