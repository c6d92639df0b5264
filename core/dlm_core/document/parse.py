"""Reading a document: from a file or a text to `Parsed`, and from a file to a `Document` to train."""

import stat
from pathlib import Path

from dlm_core.document.body import read_sections
from dlm_core.document.checks import check_sections
from dlm_core.document.codes import Code
from dlm_core.document.frontmatter import ReadFrontmatter, find_block, read_frontmatter
from dlm_core.document.lines import Lines, normalised
from dlm_core.document.model import Document, Parsed, Section, Span
from dlm_core.document.report import Report, as_text
from dlm_core.document.sources import read_sources
from dlm_core.errors import DocumentError
from dlm_core.safetext import visible_line

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
MAX_LINES = 500_000
_START = Span(1, 1, 1, 1)
_LISTED_ERRORS = 20
_SPLIT_HINT = "split it, or bring long texts in with `training.sources`"


def parse_text(text: str | bytes, path: Path = Path("<text>"), *, follow_sources: bool = False) -> Parsed:
    """The document that `text` holds, and every diagnostic. Never raises, whatever the text is.

    With `follow_sources`, `training.sources` are read as if the text stood in the file `path`, and the
    diagnostics are those that `parse_file` would give. Without it no file is touched.
    """
    return _parse(text, path, follow_sources=follow_sources)


def parse_file(path: Path) -> Parsed:
    """The document in a file with what `training.sources` bring in, and every diagnostic. Never raises."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise OSError(0, "it is not a regular file")
        with path.open("rb") as file:
            content = file.read(MAX_DOCUMENT_BYTES + 1)
    except (OSError, ValueError) as error:
        report = Report(path)
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        hint = _unreadable_hint(error)
        report.add(Code.UNREADABLE, _START, f"{visible_line(str(path))} cannot be read: {reason}", hint)
        return Parsed(None, report.diagnostics())
    return _parse(content, path, follow_sources=True)


def load(path: Path) -> Document:
    """The document in a file, its sources included.

    Raises:
        DocumentError: the file cannot be read, or it has diagnostics of severity error; the message lists
            them as `file:line:column: error: what is wrong (code)`.
    """
    parsed = parse_file(path)
    if parsed.document is not None:
        return parsed.document
    errors = parsed.errors
    listed = [as_text(diagnostic, path) for diagnostic in errors[:_LISTED_ERRORS]]
    if len(errors) > _LISTED_ERRORS:
        listed.append(f"and {len(errors) - _LISTED_ERRORS} more errors")
    raise DocumentError("\n".join(listed))


def _parse(text: str | bytes, path: Path, *, follow_sources: bool) -> Parsed:
    report = Report(path)
    decoded = decode(text, report)
    if decoded is None:
        return Parsed(None, report.diagnostics())
    lines = Lines(decoded)
    if len(lines.rows) > MAX_LINES:
        report.add(Code.TOO_LARGE, _START, f"the document has more than {MAX_LINES:,} lines", _SPLIT_HINT)
        return Parsed(None, report.diagnostics())
    block = find_block(lines, report)
    if block is None:
        return Parsed(None, report.diagnostics())
    front = read_frontmatter(lines, block, report)
    sections = read_sections(lines, block.body_row, front.adapters, report)
    if front.value is not None and follow_sources:
        sections += read_sources(front.value.training, path, front.values, report)
    if front.value is not None:
        check_sections(
            front.value.training,
            sections,
            front.keys,
            report,
            sources_read=follow_sources,
            system_prompt=front.value.system_prompt,
        )
    return Parsed(_document(path, front, sections, decoded, report), report.diagnostics())


def _document(
    path: Path, front: ReadFrontmatter, sections: tuple[Section, ...], text: str, report: Report
) -> Document | None:
    if front.value is None or report.has_errors:
        return None
    return Document(path=path, frontmatter=front.value, sections=sections, text=text)


def decode(text: str | bytes, report: Report) -> str | None:
    """The text with LF line ends and without its byte order mark, or None after reporting why not."""
    if len(text) > MAX_DOCUMENT_BYTES:
        limit = MAX_DOCUMENT_BYTES // (1024 * 1024)
        report.add(Code.TOO_LARGE, _START, f"the document is larger than {limit} MiB", _SPLIT_HINT)
        return None
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        if isinstance(text, str):
            text.encode("utf-8")
    except UnicodeDecodeError as error:
        _report_encoding(bytes(error.object[: error.start]).decode("utf-8"), error.object, report)
        return None
    except UnicodeEncodeError as error:
        _report_encoding(error.object[: error.start], b"", report)
        return None
    return normalised(decoded)


def _report_encoding(before: str, raw: bytes, report: Report) -> None:
    hint = "save the file as UTF-8"
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        hint = "it looks like UTF-16; save it as UTF-8"
    lines = Lines(normalised(before))
    at = len(lines.text)
    report.add(Code.NOT_UTF8, lines.span(at, at), "the text is not UTF-8 from here on", hint)


def _unreadable_hint(error: Exception) -> str:
    match error:
        case FileNotFoundError():
            return "check the path, or write a new document with `dlm init`"
        case PermissionError():
            return "check the file's permissions"
    return "give the path of a `.dlm` file"
