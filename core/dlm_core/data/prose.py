"""Plain text: `Q:` and `A:` where it is written so, else prose as it stands."""

import re

from dlm_core.data import passages
from dlm_core.data.passages import BOLD, Piece, Text
from dlm_core.document.lines import normalised

_PARAGRAPHS = re.compile(r"\n[ \t]*\n+")
_Q = re.compile(r"q(?:uestion)?\s{0,3}\d{0,5}\s{0,3}[:.)]\s+", re.IGNORECASE)
_A = re.compile(r"(?:^|\n)(?=a(?:nswer)?\s{0,3}\d{0,5}\s{0,3}[:.)]\s)", re.IGNORECASE)


def text_pieces(text: str) -> list[Piece]:
    """The pieces of a plain text."""
    text = normalised(text)
    pieces: list[Piece] = []
    line = 1
    at = 0
    for paragraph in _PARAGRAPHS.split(text):
        start = text.index(paragraph, at) if paragraph else at
        line += text.count("\n", at, start)
        for part in _parts(paragraph):
            if (asked := _Q.match(part.lstrip())) is not None:
                question, *answer = _A.split(part.lstrip(), maxsplit=1)
                pieces.append(passages.heading(BOLD, f"Q: {question[asked.end() :]}", line))
                pieces += [Text(answer[0], line)] if answer else []
            elif part.strip():
                pieces.append(Text(part.strip("\n"), line))
            line += part.count("\n") + 1
        line -= 1
        at = start + len(paragraph)
    return pieces


def _parts(paragraph: str) -> list[str]:
    """A paragraph cut before each line that begins with `Q:`."""
    return re.split(r"\n(?=q(?:uestion)?\s{0,3}\d{0,5}\s{0,3}[:.)]\s)", paragraph, flags=re.IGNORECASE)
