"""Keys and values of one sequence, and how much of them serves the next prompt."""

from collections.abc import Sequence

import torch

_FIRST_CAPACITY = 256


class KeysValues:
    """Keys and values of one sequence, [layers, 2 · kv_heads, capacity, head_dim]; `length` positions of it
    are valid.
    """

    def __init__(self, layers: int, heads: int, head_dim: int) -> None:
        self._shape = (layers, heads, head_dim)
        self.length = 0
        self.memory = torch.empty(layers, heads, 0, head_dim)

    def crop(self, change: int) -> None:
        """Forget the last -`change` positions."""
        self.length += change

    def get_seq_length(self) -> int:
        """How many positions are valid."""
        return self.length

    def reserve(self, positions: int) -> None:
        """Make room for `positions` in all, keeping what is there."""
        if positions <= self.memory.shape[2]:
            return
        layers, heads, head_dim = self._shape
        capacity = max(_FIRST_CAPACITY, 1 << (positions - 1).bit_length())
        grown = torch.empty(layers, heads, capacity, head_dim)
        grown[:, :, : self.length] = self.memory[:, :, : self.length]
        self.memory = grown


def shared_beginning(known: Sequence[int], ids: Sequence[int]) -> int:
    """How many ids both begin with, at least one of `ids` left over."""
    common = 0
    for a, b in zip(known, ids, strict=False):
        if a != b:
            break
        common += 1
    return min(common, len(ids) - 1)
