"""What an import puts into a document: a section for each answer, under a comment on where it is from.

    <!-- dlm-auto-import from "faq.csv" rows 3, 7-9 of 57 as 5f2a9c1b77e0 -->

The last word is a hash of the section as it was imported, so that a later import can tell what the user has
changed since; `of` how many sections the document had been given from that source by then, so that it can
tell what was taken out.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from dlm_core.document.fences import TURN_HEADINGS
from dlm_core.document.model import Section, SectionKind, Turn

_MARK = re.compile(
    r'<!-- dlm-auto-import from (?P<source>"(?:[^"\\]|\\.)*")(?: rows? (?P<rows>[0-9][0-9, -]*))?'
    r"(?: of (?P<of>[0-9]{1,7}))? as (?P<mark>[0-9a-f]{12}) -->"
)
_NAMED = 40  # stretches of rows that a comment names


@dataclass(frozen=True)
class Entry:
    """One section to be: `texts` are its wordings, or the prompt; `answer` is the chosen reply or the prose.

    All texts are settled. `rows` are the rows it came from, in `source`; `line` is where the first stands.
    `before` are the turns of the conversation that it goes on from. `of`: how many sections the document has
    been given from the source with this import, 0 where that is not known yet.
    """

    kind: SectionKind
    adapter: str | None
    source: str
    rows: tuple[int, ...]
    texts: tuple[str, ...]
    answer: str
    rejected: str = ""
    line: int | None = None
    before: tuple[Turn, ...] = ()
    of: int = 0

    @property
    def body(self) -> str:
        """The section without fence and comment."""
        if self.kind is SectionKind.PROSE:
            return self.answer
        asks, answers = TURN_HEADINGS
        parts = [part for turn in self.before for part in ((asks, turn.question), (answers, turn.answer))]
        if self.kind is SectionKind.PREFERENCE:
            parts += [("Prompt", self.texts[0]), ("Chosen", self.answer), ("Rejected", self.rejected)]
        else:
            parts += [*(("Q", text) for text in self.texts), ("A", self.answer)]
        return "\n\n".join(f"### {word}\n{text}" for word, text in parts)

    @property
    def mark(self) -> str:
        return mark_of(self.adapter, self.body)

    @property
    def title(self) -> str:
        """Its first line, for people."""
        text = self.texts[0] if self.texts else self.answer
        return next((row.strip() for row in text.split("\n") if row.strip()), "")

    def rendered(self) -> list[str]:
        """The rows of the section, fence and comment first."""
        tag = f"#{self.adapter}" if self.adapter else ""
        origin = Origin(self.source, stretches(self.rows), self.mark, self.of)
        return [f"::{self.kind.value}{tag}::", str(origin), *self.body.split("\n")]


@dataclass(frozen=True)
class Origin:
    """The comment of an imported section, read: source, rows as stretches [first, last], mark, and `of`:
    how many sections the document had been given from that source, 0 where it does not say.
    """

    source: str
    rows: tuple[tuple[int, int], ...]
    mark: str
    of: int = 0

    def __str__(self) -> str:
        name = msgspec.json.encode(self.source).decode().replace(">", "\\u003e").replace("\x7f", "\\u007f")
        said = [str(a) if a == b else f"{a}-{b}" for a, b in self.rows[:_NAMED]]
        rows = f" row{'s' if len(said) > 1 or '-' in said[0] else ''} {', '.join(said)}" if said else ""
        of = f" of {self.of}" if self.of else ""
        return f"<!-- dlm-auto-import from {name}{rows}{of} as {self.mark} -->"


def origin_of(section: Section) -> Origin | None:
    """Where a section was imported from; None for one that was not."""
    found = _MARK.fullmatch(section.provenance or "")
    if found is None:
        return None
    try:
        source = msgspec.json.decode(found["source"], type=str)
        rows = [part.strip().partition("-") for part in (found["rows"] or "").split(",") if part.strip()]
        read = tuple((int(a[:12]), int((b or a)[:12])) for a, _, b in rows)
    except (ValueError, msgspec.MsgspecError):
        return None
    return Origin(source, read, found["mark"], int(found["of"] or 0))


def mark_of(adapter: str | None, body: str) -> str:
    """The hash by which a section is known to be as it was imported, its adapter included."""
    digest = hashlib.sha256(f"{adapter or ''}\0{body}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:12]


def stretches(rows: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Row numbers as stretches: 1, 2, 3, 7 are (1, 3), (7, 7)."""
    found: list[tuple[int, int]] = []
    for row in sorted(set(rows)):
        if found and found[-1][1] == row - 1:
            found[-1] = (found[-1][0], row)
        elif row:
            found.append((row, row))
    return tuple(found)
