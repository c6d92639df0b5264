"""A document's `dlm_id`: where it stands, and another one in its place for a copy that goes its own way."""

from pathlib import Path

from ulid import ULID

from dlm_core.document.frontmatter import find_block
from dlm_core.document.lines import Lines, normalised
from dlm_core.document.model import Span
from dlm_core.document.report import Report
from dlm_core.document.yaml_tree import Scalar, read_tree
from dlm_core.errors import DocumentError
from dlm_core.safetext import visible_line


def id_span(text: str) -> Span | None:
    """Where the value of `dlm_id` stands in a document's text, None where there is none to be found."""
    report, lines = Report(), Lines(normalised(text))
    block = find_block(lines, report)
    tree = read_tree(lines, block.start, block.end, report) if block else None
    entry = tree.entries.get("dlm_id") if tree else None
    return entry.value.span if entry is not None and isinstance(entry.value, Scalar) else None


def new_id() -> str:
    """A fresh id; no other document has it."""
    return str(ULID())


def with_new_id(text: str, path: Path) -> tuple[str, str]:
    """The text with a fresh id in place of its own, every other byte as it was, and the id.

    Raises DocumentError: there is no `dlm_id` in the frontmatter.
    """
    span = id_span(text)
    if span is None or span.line != span.end_line:
        raise DocumentError(
            f"{visible_line(str(path))} has no `dlm_id` that could be replaced",
            "`dlm check` says what is wrong",
        )
    fresh, rows = new_id(), text.split("\n")
    row = rows[span.line - 1]
    rows[span.line - 1] = row[: span.column - 1] + fresh + row[span.end_column - 1 :]
    return "\n".join(rows), fresh
