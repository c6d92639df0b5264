"""What stands on each row of a widget, so that after a change only the rows that differ are painted again."""

from collections.abc import Callable, Iterable, Iterator

from textual.strip import Strip

RowPainter = Callable[[int], Strip]


class Rows:
    """Remembers the strips a widget gave out; `paint` makes the strip of a row (from 0, in the widget)."""

    def __init__(self, paint: RowPainter) -> None:
        self._paint = paint
        self._shown: dict[int, Strip] = {}

    def give(self, row: int) -> Strip:
        """The strip of `row`, which goes to the screen."""
        strip = self._shown[row] = self._paint(row)
        return strip

    def changed(self, height: int) -> Iterator[tuple[int, int]]:
        """Stretches of the first `height` rows that differ from what was given out: first row, how many."""
        return stretches(row for row in range(height) if self._shown.get(row) != self._paint(row))


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
