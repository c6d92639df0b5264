"""Where replies come from, in words: the section cited, how sure that is, and what no section says."""

from collections.abc import Mapping

from dlm_core.events import Citation, Place
from dlm_core.safetext import visible_line
from dlm_tui.session.signs import AdapterSign
from dlm_tui.session.wording import counted

SURE_FROM = 0.5
"""The support under which a reply is called unsure."""
NAMED = 4
"""So many words that no section says are named one by one."""


def says(citation: Citation, sign: str = "", *, dot: str = " · ") -> str:
    """One line: `▲ schema, line 161 · 97 %`."""
    if citation.kind == "outside":
        return "not in the document: the base answers"
    if citation.kind == "none":
        return "nothing in the document says this"
    where = (
        f"line {citation.line}" if citation.line is not None else "a section that is not in the file any more"
    )
    kind = "" if citation.kind == "answer" else f" ({citation.kind})"
    parts = [f"{_named(citation.adapter, sign)}{where}{kind}"]
    if citation.support is not None:
        parts.append(f"{citation.support:.0%}".replace("%", " %"))
    return dot.join(parts)


def doubts(citation: Citation, signs: Mapping[str, AdapterSign], *, take: str = "") -> list[str]:
    """Sentences on what is doubtful about a reply; none where nothing is. `take` is the key or command that
    answers from the other section.
    """
    said: list[str] = []
    also = [_also(place, signs) for place in citation.see_also[:2]]
    if citation.kind == "none" and also:
        said.append(f"nearest: {also[0]}")
    elif citation.support is not None and citation.support < SURE_FROM:
        remark = f" ({take} takes {'it' if len(also) == 1 else 'the first'})" if take else ""
        said.append("unsure" + (f": {' or '.join(also)} may be meant{remark}" if also else ""))
    elif also:
        said.append(f"see also {', '.join(also)}")
    if citation.unsupported:
        words = [visible_line(found.text) for found in citation.unsupported[:NAMED]]
        more = "" if len(citation.unsupported) <= NAMED else ", …"
        said.append(f"not in that section: {', '.join(words)}{more}")
    return said


def place(found: Place, sign: str = "") -> str:
    """A section that fits, on one line: `▲ schema, line 161 · 0.31  How do I …?`."""
    line = f"line {found.line}" if found.line is not None else "gone from the file"
    likely = f"  {found.probability:.2f}" if found.probability is not None else ""
    question = f"  {visible_line(found.question)}" if found.question else ""
    return f"{_named(found.adapter, sign)}{line}{likely}{question}"


def overruled(count: int) -> str:
    """How much of a reply the document decided against the weights."""
    if not count:
        return "the weights alone say the same"
    return f"the document decided {counted(count, 'token')} against the weights"


def alone(said: str) -> str:
    """How the weights would have begun without the document."""
    return f"without it they begin: {visible_line(said.strip()) or 'with the end of the reply'}"


def _named(adapter: str | None, sign: str) -> str:
    return f"{sign} {visible_line(adapter)}, ".lstrip() if adapter else ""


def _also(found: Place, signs: Mapping[str, AdapterSign]) -> str:
    adapter = signs.get(found.adapter or "")
    name = f" ({adapter.sign} {adapter.name})" if adapter else ""
    return (f"line {found.line}" if found.line is not None else f"“{visible_line(found.question)}”") + name
