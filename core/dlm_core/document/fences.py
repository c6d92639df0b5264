"""What one line of the body is by itself: a fence, almost a fence, a heading, the edge of a code block.

Shared by the parser and the editor's highlighter, so that both see the same thing. Every function looks at
one line, in time linear in its length.
"""

import re
from dataclasses import dataclass
from typing import Literal

from dlm_core.document.model import SectionKind

FenceProblem = Literal["case", "unknown", "malformed", "unsupported"]
KINDS = tuple(kind.value for kind in SectionKind)
UNSUPPORTED_KINDS = ("image", "audio")
PROVENANCE_OPENING = "<!-- dlm-auto-"
QUESTION_HEADINGS = ("Q", "A")
PROBE_MARK = "!probe"
PROBE_HEADING = f"Q {PROBE_MARK}"
TURN_MARK = "!before"
TURN_HEADINGS = (f"Q {TURN_MARK}", f"A {TURN_MARK}")
"""Headings of the earlier turns of a conversation."""
_MARKED = (PROBE_HEADING, *TURN_HEADINGS)
PREFERENCE_HEADINGS = ("Prompt", "Chosen", "Rejected")
_HEADING_SLIPS = {
    "q": "Q",
    "question": "Q",
    "a": "A",
    "answer": "A",
    "prompt": "Prompt",
    "chosen": "Chosen",
    "rejected": "Rejected",
}
_TURN_SLIPS = ("before", "befor", "earlier", "previous", "context", "history")
_LONGEST_FENCE = 256
_ADAPTER_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)


def is_adapter_name(text: str) -> bool:
    """Whether a text may name an adapter: a small letter, then small letters, digits and `_`, 32 at most."""
    return _ADAPTER_NAME.fullmatch(text) is not None


@dataclass(frozen=True)
class Fence:
    """A line that opens a section, or was meant to.

    `kind` is the kind it opens, None for one that cannot be trained. `tag` is what stands after `#` as
    written, None without one. `tag_start` and `tag_end` are columns from 0. `word` is the kind as written.
    """

    kind: SectionKind | None
    word: str
    tag: str | None
    tag_start: int
    tag_end: int
    problem: FenceProblem | None = None


def is_plain(line: str) -> bool:
    """Whether a line is surely no fence and no edge of a code block: a quick look for the common case."""
    return not line.lstrip().startswith((":", "`"))


def read_fence(line: str) -> Fence | None:
    """The fence a line is, possibly a faulty one; None for any other line.

    A line that reads `::word::` or `::word#tag::` from its first column on is meant as a fence, whatever the
    word. Other lines that begin with `::` are meant as one if a kind of section follows.
    """
    if not line.startswith("::"):
        return None
    shown = line.rstrip()
    word_end = 2
    while word_end < min(len(shown), 64) and (shown[word_end].isalnum() or shown[word_end] in "_-"):
        word_end += 1
    word = shown[2:word_end]
    folded = word.casefold()
    if folded in UNSUPPORTED_KINDS and (shown.endswith("::") and len(shown) > word_end):
        return Fence(None, word, None, word_end, word_end, "unsupported")
    known = SectionKind(folded) if folded in KINDS else None
    closed = shown.endswith("::") and len(shown) >= word_end + 2 and len(shown) <= _LONGEST_FENCE
    inner = shown[word_end : len(shown) - 2] if closed else ""
    whole = (
        closed and bool(word) and (not inner or (inner[0] == "#" and ":" not in inner and " " not in inner))
    )
    if whole:
        tag = inner[1:] if inner else None
        problem: FenceProblem | None = None if word in KINDS else "case" if known else "unknown"
        return Fence(known, word, tag, word_end + 1 if inner else word_end, word_end + len(inner), problem)
    if known is not None and (word_end == len(shown) or not shown[word_end].isalnum()):
        return Fence(known, word, None, word_end, word_end, "malformed")
    return None


def is_indented_fence(line: str) -> bool:
    """Whether a line would be a good fence if it began in the first column."""
    if not line[:1].isspace() or len(line) > _LONGEST_FENCE:
        return False
    fence = read_fence(line.lstrip())
    return fence is not None and fence.problem is None


def code_ticks(line: str) -> int:
    """How many backticks open or close a code block here: 0 for a line that does neither.

    Three or more at the beginning of the line, indented or not; what follows (the language) has no backtick.
    """
    shown = line.lstrip(" \t")
    if not shown.startswith("```"):
        return 0
    rest = shown.lstrip("`")
    return 0 if "`" in rest else len(shown) - len(rest)


def closes_code(line: str, opening: int) -> bool:
    """Whether a line ends a code block that `opening` backticks began: at least as many, and nothing else."""
    ticks = code_ticks(line)
    return ticks >= opening and not line.strip().strip("`")


def heading(line: str) -> str | None:
    """`Q`, `A`, `Prompt`, `Chosen`, `Rejected`, or `Q !probe` and the like, for a line that is exactly `###`
    and that.
    """
    if not line.startswith("### ") or len(line) > _LONGEST_FENCE:
        return None
    word = line[4:].rstrip()
    if "!" in word:
        head, _, mark = word.partition(" ")
        marked = f"{head} {mark.lstrip()}"
        return marked if marked in _MARKED else None
    return word if word in QUESTION_HEADINGS or word in PREFERENCE_HEADINGS else None


def heading_slip(line: str) -> tuple[str, bool] | None:
    """What a line that is almost a heading was meant to be, and whether only the case is wrong.

    Almost: another number of `#`, no space after them, the whole word (`### Question`), a colon (`### Q: …`);
    for one with a mark also no space before that, or another word after the `!`.
    """
    if not line.startswith("#") or len(line) > 4096 or heading(line) is not None:
        return None
    shown = line.rstrip()
    rest = shown.lstrip("#")
    hashes = len(shown) - len(rest)
    before, mark, flag = rest.strip().partition("!")
    marked = _HEADING_SLIPS.get(before.strip().rstrip(":").casefold()) if mark and flag.isalpha() else None
    if marked in QUESTION_HEADINGS and hashes <= 6:
        if flag.casefold() in _TURN_SLIPS:
            return f"{marked} {TURN_MARK}", False
        return (PROBE_HEADING if marked == "Q" else marked), False
    word, colon, after = rest.strip().partition(":")
    meant = _HEADING_SLIPS.get(word.casefold())
    if meant is None or hashes > 6 or (after.strip() and not (hashes == 3 and len(word) == 1)):
        return None
    only_case = hashes == 3 and rest.startswith(" ") and not colon and word.casefold() == meant.casefold()
    if hashes != 3 and word != meant:
        return None
    return meant, only_case
