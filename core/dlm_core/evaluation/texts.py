"""A text of the person's own, to measure retention on: read, and cut into pieces, each a forward."""

from pathlib import Path

from dlm_core.errors import DocumentError
from dlm_core.safetext import visible_line

PIECE = 2000  # characters of a piece; a piece is one forward
MOST_PIECES = 40
_LEAST_WORDS = 20


def load_text(path: Path) -> tuple[tuple[str, ...], bool]:
    """The pieces of a UTF-8 text, and whether what came after the first `MOST_PIECES` was left out.

    Raises:
        DocumentError: unreadable, or with fewer than twenty words, which say nothing about a perplexity.
    """
    shown = visible_line(str(path))
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(PIECE * MOST_PIECES + 1)
    except OSError as error:
        raise DocumentError(
            f"{shown}: cannot be read: {error.strerror or error}", "name a readable file"
        ) from error
    except UnicodeDecodeError as error:
        raise DocumentError(f"{shown}: is not UTF-8 (byte {error.start})", "save it as UTF-8 text") from error
    if len(text.split()) < _LEAST_WORDS:
        raise DocumentError(
            f"{shown}: has fewer than {_LEAST_WORDS} words", "give it a page or more of plain text"
        )
    pieces = split(text)
    return pieces[:MOST_PIECES], len(text) > PIECE * MOST_PIECES or len(pieces) > MOST_PIECES


def split(text: str) -> tuple[str, ...]:
    """`text` in pieces of at most `PIECE` characters: whole paragraphs together, long ones cut at a blank."""
    pieces: list[str] = []
    current = ""
    for paragraph in (p.strip() for p in text.split("\n\n")):
        while len(paragraph) > PIECE:
            cut = paragraph.rfind(" ", PIECE // 2, PIECE)
            cut = PIECE if cut < 0 else cut
            pieces += [current] if current else []
            current, head, paragraph = "", paragraph[:cut], paragraph[cut:].strip()
            pieces.append(head)
        joined = f"{current}\n\n{paragraph}" if current else paragraph
        if len(joined) > PIECE:
            pieces.append(current)
            joined = paragraph
        current = joined
    return tuple(p for p in (*pieces, current) if p)
