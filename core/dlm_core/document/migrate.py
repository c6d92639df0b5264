"""Old documents lifted to the newest format version by editing their text; comments and bodies stay.

Of the format's versions only the second renamed anything: `training.dpo` became `training.preference`, with
rates and epochs under `hyperparams`. The others added keys or kinds of section: lifting them is a new number.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from msgspec import structs

from dlm_core.document.frontmatter import (
    DPO_HYPERPARAMS,
    NEWEST_VERSION,
    FrontmatterBlock,
    find_block,
    read_frontmatter,
)
from dlm_core.document.lines import Lines
from dlm_core.document.model import Span
from dlm_core.document.parse import decode, parse_text
from dlm_core.document.report import Report, as_text
from dlm_core.document.yaml_tree import Entry, Mapping, Scalar, read_tree
from dlm_core.errors import DocumentError
from dlm_core.safetext import visible_line

_BOM = b"\xef\xbb\xbf"
_ROW = re.compile(r"[^\n]*\n|[^\n]+$")


@dataclass(frozen=True)
class Migration:
    """A lifted document. `changes` says in words what was changed, nothing if it was up to date."""

    content: bytes
    from_version: int
    to_version: int
    changes: tuple[str, ...]


@dataclass(frozen=True)
class _Edit:
    """Rows `first` to `end` (from 0, end excluded) are replaced. Rows carry their line ends."""

    first: int
    end: int
    rows: tuple[str, ...]


def migrate(content: bytes, path: Path = Path("<text>")) -> Migration:
    """The document in `content` as the newest version writes it. Line ends and byte order mark are kept.

    Raises:
        DocumentError: the frontmatter cannot be read, it is of a newer version, or is laid out in a way (the
            old key in braces over several lines, say) that has to be rewritten by hand.
    """
    report = Report(path)
    text = decode(content, report)
    lines = Lines(text if text is not None else "")
    block = find_block(lines, report) if text is not None else None
    tree = read_tree(lines, block.start, block.end, report) if block else None
    if block is None or tree is None:
        raise _refusal(report, path)
    _refuse_newer(lines, block, path)
    version = _version(tree)
    edits: list[_Edit] = []
    changes: list[str] = []
    rows = _ROW.findall(content.removeprefix(_BOM).decode("utf-8"))
    if version != NEWEST_VERSION:
        edits.append(_version_edit(tree, rows))
        changes.append(f"dlm_version {version} → {NEWEST_VERSION}")
    dpo = _dpo(tree)
    if dpo is not None:
        _refuse_both(tree, dpo, path)
        edits.extend(_dpo_edits(dpo, lines, rows, path))
        changes.append("training.dpo → training.preference")
    _apply(edits, rows, path)
    lifted = "".join(rows).encode("utf-8")
    if content.startswith(_BOM):
        lifted = _BOM + lifted
    _check_meaning(content, lifted, path)
    return Migration(lifted, version, NEWEST_VERSION, tuple(changes))


def _refusal(report: Report, path: Path) -> DocumentError:
    return DocumentError("\n".join(as_text(d, path) for d in report.diagnostics() if d.severity == "error"))


def _refuse_newer(lines: Lines, block: FrontmatterBlock, path: Path) -> None:
    report = Report(path)
    read_frontmatter(lines, block, report)
    newer = [
        d for d in report.diagnostics() if d.code in ("version-newer", "version-unknown", "duplicate-key")
    ]
    if newer:
        raise DocumentError("\n".join(as_text(d, path) for d in newer))


def _apply(edits: list[_Edit], rows: list[str], path: Path) -> None:
    """Make the edits from the last to the first, so that row numbers hold."""
    above = len(rows)
    for edit in sorted(edits, key=lambda e: e.first, reverse=True):
        if edit.end > above:
            message = "several keys that change stand on one line"
            raise _by_hand(
                path, edit.first + 1, message, "put each key on a line of its own, and migrate again"
            )
        rows[edit.first : edit.end] = edit.rows
        above = edit.first


def _by_hand(path: Path, line: int, message: str, hint: str) -> DocumentError:
    return DocumentError(f"{visible_line(str(path))}:{line}: {message}", hint)


def _check_meaning(before: bytes, after: bytes, path: Path) -> None:
    """Refuse a result that would not mean what the document meant."""
    old, new = parse_text(before, path), parse_text(after, path)
    if old.document is None:
        return
    same = new.document is not None and (
        structs.replace(old.document.frontmatter, dlm_version=NEWEST_VERSION) == new.document.frontmatter
    )
    if not same:
        hint = "rename `training.dpo` to `training.preference` and set `dlm_version` by hand"
        raise DocumentError(
            f"{visible_line(str(path))} cannot be migrated without changing its meaning", hint
        )


def _version(tree: Mapping) -> int:
    """The document's version; without the key, 1 if it has version 1's `training.dpo`, else the newest."""
    entry = tree.entries.get("dlm_version")
    if entry is not None and isinstance(entry.value, Scalar) and entry.value.text.isdecimal():
        return int(entry.value.text)
    return 1 if entry is None and _dpo(tree) else NEWEST_VERSION


def _version_edit(tree: Mapping, rows: list[str]) -> _Edit:
    entry = tree.entries.get("dlm_version")
    if entry is None:
        first = next(iter(tree.entries.values())).key_span.line - 1
        return _Edit(first, first, (f"dlm_version: {NEWEST_VERSION}{_line_end(rows[first])}",))
    return _replaced(rows, entry.value.span, str(NEWEST_VERSION))


def _replaced(rows: list[str], span: Span, text: str) -> _Edit:
    row = rows[span.line - 1]
    changed = row[: span.column - 1] + text + row[span.end_column - 1 :]
    return _Edit(span.line - 1, span.line, (changed,))


def _line_end(row: str) -> str:
    return "\r\n" if row.endswith("\r\n") else "\n" if row.endswith("\n") else ""


def _dpo(tree: Mapping) -> Entry | None:
    training = tree.entries.get("training")
    if training is None or not isinstance(training.value, Mapping):
        return None
    return training.value.entries.get("dpo")


def _refuse_both(tree: Mapping, dpo: Entry, path: Path) -> None:
    training = tree.entries["training"].value
    if isinstance(training, Mapping) and "preference" in training.entries:
        message = "the document has both `training.dpo` and `training.preference`"
        hint = "take out the one that should not count, and migrate again"
        raise _by_hand(path, dpo.key_span.line, message, hint)


def _dpo_edits(dpo: Entry, lines: Lines, rows: list[str], path: Path) -> Iterator[_Edit]:
    key = dpo.key_span
    if not isinstance(dpo.value, Mapping):
        yield _replaced(rows, key, "preference")
    elif dpo.value.flow:
        yield _flow_edit(dpo, dpo.value, rows, path)
    else:
        yield _replaced(rows, key, "preference")
        yield from _block_edits(dpo.value, rows)


def _flow_edit(dpo: Entry, mapping: Mapping, rows: list[str], path: Path) -> _Edit:
    span = mapping.span
    if span.line != span.end_line or dpo.key_span.line != span.line:
        message = "`training.dpo` is written over several lines in braces"
        raise _by_hand(
            path, span.line, message, "write it as an indented block or on one line, and migrate again"
        )
    row = rows[span.line - 1]
    written = {key: _flow_text(row, entry) for key, entry in mapping.entries.items()}
    kept = [text for key, text in written.items() if key not in DPO_HYPERPARAMS]
    moved = [text for key, text in written.items() if key in DPO_HYPERPARAMS]
    inner = [*kept, f"hyperparams: {{{', '.join(moved)}}}"] if moved else kept
    key = dpo.key_span
    changed = (
        row[: key.column - 1]
        + "preference"
        + row[key.end_column - 1 : span.column - 1]
        + f"{{{', '.join(inner)}}}"
        + row[span.end_column - 1 :]
    )
    return _Edit(span.line - 1, span.line, (changed,))


def _flow_text(row: str, entry: Entry) -> str:
    text = row[entry.key_span.column - 1 : entry.value.span.end_column - 1]
    return text.replace("pre_dpo_adapter", "pre_adapter") if entry.key == "reference" else text


def _block_edits(mapping: Mapping, rows: list[str]) -> Iterator[_Edit]:
    """Move the hyperparameters, with the comments right above them, under a key of their own."""
    reference = mapping.entries.get("reference")
    if reference and isinstance(reference.value, Scalar) and reference.value.text == "pre_dpo_adapter":
        yield _replaced(rows, reference.value.span, "pre_adapter")
    moving = [entry for key, entry in mapping.entries.items() if key in DPO_HYPERPARAMS]
    if not moving:
        return
    indent = " " * (moving[0].key_span.column - 1)
    end = _line_end(rows[moving[0].key_span.line - 1])
    stretches = [_with_comments(entry, rows) for entry in moving]
    moved = [f"  {row}" for first, last in stretches for row in rows[first:last]]
    first, last = stretches[0]
    yield _Edit(first, last, (f"{indent}hyperparams:{end}", *moved))
    for first, last in stretches[1:]:
        yield _Edit(first, last, ())


def _with_comments(entry: Entry, rows: list[str]) -> tuple[int, int]:
    """The rows of an entry and of the comments right above it."""
    first = entry.key_span.line - 1
    last = max(entry.value.span.end_line, entry.key_span.line)
    while rows[first - 1].lstrip(" ").startswith("#"):
        first -= 1
    return first, last
