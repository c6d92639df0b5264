"""What stands on each row of a widget, so that after a change only the rows that differ are painted again."""

from collections.abc import Callable, Iterable, Iterator

from textual.strip import Strip

RowPainter = Callable[[int], Strip]
"""Makes the strip of a row (from 0, in the widget)."""


class Rows:
    """Remembers the strips that a widget gave out, by row."""

    def __init__(self) -> None:
        self._shown: dict[int, Strip] = {}

    def give(self, row: int, strip: Strip) -> Strip:
        """The strip of `row`, which goes to the screen."""
        self._shown[row] = strip
        return strip

    def changed(self, height: int, paint: RowPainter) -> Iterator[tuple[int, int]]:
        """Stretches of the first `height` rows that differ from what was given out: first row, how many."""
        return stretches(row for row in range(height) if not _same(self._shown.get(row), paint(row)))


def _same(shown: Strip | None, painted: Strip) -> bool:
    return shown is painted or shown == painted


def stretches(rows: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Ascending numbers as runs without a gap: the first of each and how many there are."""
    first = count = 0
    for row in rows:
        if count and row == first + count:
            count += 1
            continue
        if count:
            yield first, count
        first, count = row, 1
    if count:
        yield first, count
