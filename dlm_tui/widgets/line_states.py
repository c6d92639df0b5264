"""What holds at the start of every line of a document, kept up to date as lines change."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

S = TypeVar("S")

_STRETCH = 256  # lines that are compared at once


class LineStates(Generic[S]):
    """States at line start for a line-by-line automaton, recomputed only as far as an edit reaches.

    Args:
        step: state at the start of a line, and the line → state at the start of the next. Pure.
        start: state at the start of the first line.
    """

    def __init__(self, step: Callable[[str, S], S], start: S) -> None:
        self._step = step
        self._lines: list[str] = []
        self._states: list[S] = [start]
        self.stepped = 0
        """Lines stepped over by the last `sync`; what an edit cost."""

    def __getitem__(self, line: int) -> S:
        """The state at the start of `line` (from 0)."""
        return self._states[line]

    def sync(self, lines: Sequence[str]) -> int | None:
        """Follow the document to `lines`. Returns the last line whose state changed, None if none did.

        Finds the changed stretch by comparing with what it saw last; equal objects cost next to
        nothing. From there it steps on until a state comes out as it was.
        """
        old, new = self._lines, list(lines)
        shortest = min(len(old), len(new))
        top = _common(old, new)
        tail = 0
        while tail < shortest - top and old[len(old) - 1 - tail] == new[len(new) - 1 - tail]:
            tail += 1
        self.stepped = 0
        if top == len(old) == len(new):
            return None
        kept = self._states[len(old) - tail :]
        state = self._states[top]
        states = self._states[: top + 1]
        for line in new[top : len(new) - tail]:
            state = self._step(line, state)
            states.append(state)
            self.stepped += 1
        # `states[-1]` now stands at the start of the unchanged tail, as kept[0] did before the edit.
        changed = len(states) - 1
        position = 0
        while position < len(kept) - 1 and states[-1] != kept[position]:
            states.append(self._step(new[len(new) - tail + position], states[-1]))
            position += 1
            self.stepped += 1
            changed = len(states) - 1
        states.extend(kept[position + 1 :])
        self._lines, self._states = new, states
        return changed


def _common(old: list[str], new: list[str]) -> int:
    """How many lines the two begin with alike. Compares a stretch at once, which is ten times as fast."""
    shortest = min(len(old), len(new))
    begin = 0
    while begin < shortest and old[begin : begin + _STRETCH] == new[begin : begin + _STRETCH]:
        begin += _STRETCH
    end = min(begin + _STRETCH, shortest)
    return next((i for i in range(begin, end) if old[i] != new[i]), end)
