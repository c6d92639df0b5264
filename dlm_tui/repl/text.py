"""Styled text as values: what is shown, before it is known on what."""

import textwrap
from collections.abc import Iterable, Sequence

from dlm_core.errors import DlmError
from dlm_core.safetext import visible

Line = Sequence[tuple[str, str]]
"""One line as (style, text) pieces; styles are prompt-toolkit's (`class:note`, `fg:#56b4e9`)."""

NOTE, ERROR, WARNING, STRONG = "class:note", "class:error", "class:warning", "class:strong"


def plain(line: Line) -> str:
    """The line without its styles."""
    return "".join(text for _, text in line)


def wrapped(text: str, width: int, style: str = "", indent: str = "") -> list[Line]:
    """`text` in lines of at most `width` characters, its own line ends kept, control characters shown."""
    lines: list[Line] = []
    for paragraph in visible(text).splitlines() or [""]:
        pieces = textwrap.wrap(
            paragraph,
            max(8, width - len(indent)),
            replace_whitespace=False,
            drop_whitespace=True,
            break_on_hyphens=False,
        )
        lines += [[(style, indent + piece)] for piece in pieces or [""]]
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
    """Where a row of `width` characters ends in `text`: after its last space, or hard; 0 if all fits."""
    if len(text) <= width:
        return 0
    space = text.rfind(" ", 0, width + 1)
    return space + 1 if space > 0 else width
