"""Where the tokens that carry loss stand in the text: the engine's rows laid over the lines of a section."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dlm_core.events import MaskedRow

UNKNOWN = "\N{REPLACEMENT CHARACTER}"
"""What a token that ends within a character decodes to."""
SEARCH = 32
"""Characters within which the text of the next token is looked for, where one could not be read."""

Stretch = tuple[int, int]
Marks = Mapping[int, tuple[Stretch, ...]]
"""By line (from 0): the columns [start, end) of every token that carries loss."""


@dataclass(frozen=True)
class Passage:
    """Lines that are learned as one: an answer, a chosen or rejected reply, or a section's prose."""

    first: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def marks_of(passages: Sequence[Passage], rows: Sequence[MaskedRow], *, prose: bool) -> Marks | None:
    """The marks of one section, None where its rows do not fit its text.

    Args:
        passages: what is learned of the section, in its order.
        rows: the engine's rows of that section for one adapter, in the same order; prose may be in several.
        prose: all tokens of a row are of the text; otherwise only those that carry loss.
    """
    found: dict[int, list[Stretch]] = {}
    if prose:
        place = 0
        for row in rows:
            stretches, place = _aligned(passages[0].text, row, place, prose=True) if passages else ([], -1)
            if place < 0:
                return None
            _spread(passages[0], stretches, found)
    elif len(rows) != len(passages):
        return None
    else:
        for passage, row in zip(passages, rows, strict=True):
            stretches, place = _aligned(passage.text, row, 0, prose=False)
            if place < 0:
                return None
            _spread(passage, stretches, found)
    return {line: tuple(stretches) for line, stretches in found.items()}


def _aligned(text: str, row: MaskedRow, place: int, *, prose: bool) -> tuple[list[Stretch], int]:
    """The stretches under the row's tokens from `place` on, and where they end; -1 if they do not fit."""
    stretches: list[Stretch] = []
    unread = False
    for piece, loss in zip(row.pieces, row.loss, strict=True):
        if not piece or not (loss or prose):
            continue
        if UNKNOWN in piece:
            unread = True
            continue
        if place >= len(text.rstrip()) and not text.startswith(piece, place):
            break  # the end token, which the text does not show
        start = _found(text, piece, place, SEARCH if unread or not stretches else 4)
        if start < 0:
            return ([], -1) if piece.strip() and text[place:].strip() else (stretches, place)
        if unread and start > place:
            stretches.append((place, start))
        unread = False
        place = start + len(piece)
        if loss:
            stretches.append((start, place))
    return stretches, place


def _found(text: str, piece: str, place: int, reach: int) -> int:
    """Where `piece` stands from `place` on; a tokenizer may have dropped the space before it."""
    if text.startswith(piece, place):
        return place
    return text.find(piece, place, place + reach + len(piece))


def _spread(passage: Passage, stretches: Sequence[Stretch], found: dict[int, list[Stretch]]) -> None:
    """Stretches of the passage's text as columns of its lines."""
    begin = 0
    for number, line in enumerate(passage.lines, passage.first):
        end = begin + len(line)
        columns = [
            (max(a, begin) - begin, min(b, end) - begin) for a, b in stretches if a <= end and b > begin
        ]
        found.setdefault(number, []).extend(column for column in columns if column[0] < column[1])
        begin = end + 1
