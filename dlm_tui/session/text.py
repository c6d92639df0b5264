"""Styled text as values: what is shown, before it is known on what."""

from collections.abc import Iterable, Sequence

from wcwidth import wcwidth

from dlm_core.errors import DlmError
from dlm_core.safetext import visible

Line = Sequence[tuple[str, str]]
"""One line as (style, text) pieces; styles are prompt-toolkit's (`class:note`, `fg:#56b4e9`)."""

NOTE, ERROR, WARNING, STRONG = "class:note", "class:error", "class:warning", "class:strong"
MARKED = "class:marked"
"""Words of a reply that its source does not hold."""


def plain(line: Line) -> str:
    """The line without its styles."""
    return "".join(text for _, text in line)


def wrapped(text: str, width: int, style: str = "", indent: str = "") -> list[Line]:
    """`text` in lines of at most `width` cells, its own line ends kept, control characters shown."""
    room = max(8, width - len(indent))
    lines: list[Line] = []
    for paragraph in visible(text).expandtabs(4).splitlines() or [""]:
        while end := row_end(paragraph, room):
            lines.append([(style, indent + paragraph[:end].rstrip())])
            paragraph = paragraph[end:]
        lines.append([(style, indent + paragraph.rstrip())])
    return lines


def sentences(texts: Iterable[str], width: int, style: str = NOTE) -> list[Line]:
    """Each text wrapped; continuation lines stand under its own indent."""
    lines: list[Line] = []
    for text in texts:
        indent = text[: len(text) - len(text.lstrip())]
        lines += wrapped(text.strip(), width, style, indent)
    return lines


def failure(error: DlmError, width: int) -> list[Line]:
    """An error as the person sees it: what is wrong, then what to do."""
    hint = [f"  {error.hint}"] if error.hint else []
    return [*sentences([error.message], width, ERROR), *sentences(hint, width, NOTE)]


def row_end(text: str, width: int) -> int:
    """Where a row of `width` cells ends in `text`: after its last space, or hard; 0 if all of it fits.

    A space at the very end of the row may hang over. A character can be two cells wide.
    """
    cells = 0
    for at, character in enumerate(text):
        cells += max(0, wcwidth(character))
        if cells > width:
            if character == " ":
                return at + 1
            space = text.rfind(" ", 0, at)
            return space + 1 if space > 0 else max(1, at)
    return 0
