"""Keys and values of one sequence or of several, and how much of them serves the next prompt."""

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


class RowsKeysValues:
    """Keys and values of several sequences, [layers, rows, 2 · kv_heads, capacity, head_dim]; of row i,
    `lengths[i]` positions are valid.

    The rows in use are the first ones: where one leaves, the last one takes its place.
    """

    def __init__(self, layers: int, rows: int, heads: int, head_dim: int) -> None:
        self._shape = (layers, rows, heads, head_dim)
        self.lengths: list[int] = []
        self.memory = torch.empty(layers, rows, heads, 0, head_dim)

    def join(self, one: KeysValues) -> None:
        """Take up the keys and values of one more sequence as the last row."""
        row = len(self.lengths)
        self.lengths.append(one.length)
        self.reserve(one.length)
        self.memory[:, row, :, : one.length] = one.memory[:, :, : one.length]

    def leave(self, row: int) -> None:
        """Forget a row; the last one becomes this one."""
        last = self.lengths.pop()
        if row < len(self.lengths):
            self.memory[:, row, :, :last] = self.memory[:, len(self.lengths), :, :last]
            self.lengths[row] = last

    def alone(self, row: int, change: int) -> KeysValues:
        """A row as a sequence of its own, without its last -`change` positions; room for one more is there.

        It is a view: what is added there is added to the row, once `lengths` says so.
        """
        self.reserve(self.lengths[row] + 1)
        layers, _, heads, head_dim = self._shape
        one = KeysValues(layers, heads, head_dim)
        one.memory, one.length = self.memory[:, row], self.lengths[row] + change
        return one

    def grow(self, rows: int) -> None:
        """One more position of each of the first rows is valid."""
        for row in range(rows):
            self.lengths[row] += 1

    def reserve(self, positions: int) -> None:
        """Make room for `positions` in every row, keeping what is there."""
        if positions <= self.memory.shape[3]:
            return
        layers, rows, heads, head_dim = self._shape
        capacity = max(_FIRST_CAPACITY, 1 << (positions - 1).bit_length())
        grown = torch.zeros(layers, rows, heads, capacity, head_dim)
        for row, length in enumerate(self.lengths):
            kept = min(length, self.memory.shape[3])
            grown[:, row, :, :kept] = self.memory[:, row, :, :kept]
        self.memory = grown


def shared_beginning(known: Sequence[int], ids: Sequence[int]) -> int:
    """How many ids both begin with, at least one of `ids` left over."""
    common = 0
    for a, b in zip(known, ids, strict=False):
        if a != b:
            break
        common += 1
    return min(common, len(ids) - 1)
