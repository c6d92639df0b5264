"""Collecting diagnostics while reading, and writing them out for people and for programs."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from dlm_core.document.codes import Code
from dlm_core.document.model import Diagnostic, Span
from dlm_core.safetext import visible_line

MAX_DIAGNOSTICS = 500
_LONGEST_NAME = 64
_LONGEST_QUOTE = 60


class Report:
    """The diagnostics found so far. Past `MAX_DIAGNOSTICS` they are dropped: hostile input stays cheap."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.has_errors = False
        self._found: list[Diagnostic] = []
        self._more = False

    @property
    def full(self) -> bool:
        """Whether further diagnostics are no longer kept: no need to word them carefully."""
        return len(self._found) >= MAX_DIAGNOSTICS

    def gives_up(self) -> bool:
        """Whether reading on is no use: there are errors, and no more would be listed. A note will say so."""
        self._more |= self.has_errors and self.full
        return self.has_errors and self.full

    def add(self, code: Code, span: Span, message: str, hint: str = "") -> None:
        """Note one problem, its texts made safe to show; its severity is the code's."""
        is_error = code.severity == "error"
        self.has_errors |= is_error
        if not self.full:
            message, hint = visible_line(message), visible_line(hint)
            self._found.append(Diagnostic(span, code.severity, code.value, message, hint, self.path))
        else:
            self._more = True

    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """All of them in file order, closed by a note if some were not kept."""
        found = sorted(self._found, key=lambda d: d.span)
        if found and self._more:
            code = Code.TOO_MANY if self.has_errors else Code.TOO_MANY_NOTES
            message = f"there are more problems than the {MAX_DIAGNOSTICS} listed"
            hint = "put the first ones right, and check again"
            found.append(Diagnostic(found[-1].span, code.severity, code.value, message, hint, self.path))
        return tuple(found)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was probably meant to be, if any is close."""
    if not 0 < len(name) <= _LONGEST_NAME:
        return None
    by_folded = {candidate.casefold(): candidate for candidate in known}
    close = get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[close[0]] if close else None


def quoted(text: str) -> str:
    """`text` for a message: safe, on one line, in backticks, cut when long."""
    shown = visible_line(text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 1] + "…")
    return f"`{shown}`"


def listed(names: Iterable[str]) -> str:
    """Names for a message: `` `a`, `b` `` in the given order."""
    return ", ".join(f"`{name}`" for name in names)


def as_dict(diagnostic: Diagnostic) -> dict[str, int | str]:
    """One diagnostic under the keys that `dlm check --json` promises, text made safe to show."""
    span = diagnostic.span
    return {
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
        "severity": diagnostic.severity,
        "code": diagnostic.code,
        "message": visible_line(diagnostic.message),
        "hint": visible_line(diagnostic.hint),
    }


def as_text(diagnostic: Diagnostic, path: Path | None = None) -> str:
    """`file:line:col: severity: message (code)`, and the hint on a second line. Safe to print."""
    file = visible_line(str(path or diagnostic.path or "<text>"))
    span = diagnostic.span
    head = f"{file}:{span.line}:{span.column}: {diagnostic.severity}: {visible_line(diagnostic.message)}"
    first = f"{head} ({diagnostic.code})"
    return f"{first}\n  hint: {visible_line(diagnostic.hint)}" if diagnostic.hint else first
