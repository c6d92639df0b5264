"""New adapters declared in the frontmatter of a document by editing its text; comments stay."""

from collections.abc import Sequence
from pathlib import Path

from dlm_core.document.frontmatter import find_block
from dlm_core.document.lines import Lines, normalised
from dlm_core.document.report import Report, listed
from dlm_core.document.yaml_tree import Mapping, read_tree
from dlm_core.errors import DocumentError
from dlm_core.safetext import visible_line


def declare(rows: list[str], adapters: Sequence[str], path: Path) -> None:
    """Put adapters under `training.adapters`, in place. `rows` are the document's lines, their ends left on.

    Raises:
        DocumentError: there is no such key, or it is laid out over several lines in braces.
    """
    if not adapters:
        return
    mapping = _adapters(rows)
    if mapping is None or not mapping.entries:
        raise _by_hand(path, adapters, "declares no adapters by name")
    if mapping.flow:
        span = mapping.span
        row = rows[span.end_line - 1]
        at = row.rindex("}", 0, span.end_column) if "}" in row[: span.end_column] else -1
        if at < 0:
            raise _by_hand(path, adapters, "has its adapters in braces over several lines")
        before = row[:at].rstrip()
        comma = "" if before.endswith(("{", ",")) else ", "
        rows[span.end_line - 1] = (
            f"{before}{comma}{', '.join(f'{name}: {{}}' for name in adapters)}{row[at:]}"
        )
        return
    last = list(mapping.entries.values())[-1]
    indent = " " * (last.key_span.column - 1)
    after = last.key_span.line
    if not isinstance(last.value, Mapping) or last.value.flow:
        after = max(after, last.value.span.end_line)
    while after < len(rows) and rows[after].startswith(f"{indent} ") and rows[after].strip():
        after += 1
    end = "\r" if rows[after - 1].endswith("\r") else ""
    rows[after:after] = [f"{indent}{name}: {{}}{end}" for name in adapters]


def _adapters(rows: Sequence[str]) -> Mapping | None:
    report, lines = Report(), Lines(normalised("\n".join(rows)))
    block = find_block(lines, report)
    tree = read_tree(lines, block.start, block.end, report) if block else None
    training = tree.entries.get("training") if tree else None
    if training is None or not isinstance(training.value, Mapping):
        return None
    adapters = training.value.entries.get("adapters")
    return adapters.value if adapters is not None and isinstance(adapters.value, Mapping) else None


def _by_hand(path: Path, adapters: Sequence[str], what: str) -> DocumentError:
    return DocumentError(
        f"{visible_line(str(path))} {what}, so {listed(adapters)} cannot be added to them",
        "declare them under `training.adapters` by hand, and import again",
    )
