"""From what the user names to items: files by their kind, folders file by file, datasets by their library."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dlm_core.data import hub
from dlm_core.data.columns import Columns
from dlm_core.data.encodings import encoding_of, read_text
from dlm_core.data.formats import FORMATS, NAMED, SAVE_AS
from dlm_core.data.json_files import read_json, read_lines
from dlm_core.data.markdown import markdown_pieces
from dlm_core.data.passages import Heading, Headings, Piece, Text, read_pieces
from dlm_core.data.prose import text_pieces
from dlm_core.data.rows import Item, Note, Place, Topic
from dlm_core.data.tables import read_table
from dlm_core.data.web import page_pieces
from dlm_core.document.parse import MAX_DOCUMENT_BYTES
from dlm_core.errors import DataError
from dlm_core.safetext import visible_line

MAX_FILES = 20_000
MAX_PAGE_BYTES = 2 * 1024 * 1024
"""Of Markdown and HTML: to take a page apart takes more than a hundred times its size."""
_FRONT = re.compile(r"\A\ufeff?---[ \t]*\r?\n(?:(?!---).*\n){0,200}?---[ \t]*\r?\n")
_MAY_ASK = ("?", "？", "؟", "Q:", "q:")


@dataclass(frozen=True)
class Reading:
    """How files are to be read; each field is an option of `dlm import`."""

    format: str | None = None
    encoding: str | None = None
    columns: Columns = field(default_factory=Columns)
    header: bool = True
    headings: Headings = "auto"
    prose: bool = False
    split: str = "train"


@dataclass(frozen=True)
class Source:
    """One file or dataset: its name as a document keeps it, and the folder it was found in, if in one."""

    name: str
    path: Path | None
    format: str
    folder: str = ""


def _page(html: str) -> list[Piece]:
    """The pieces of a page; what its text asks in bold lines and lists counts as in Markdown."""
    pieces: list[Piece] = []
    front = _FRONT.match(html)  # what builds the page reads it, and nobody who looks at the page
    end = front.end() if front else 0
    for piece in page_pieces(html[end:], 1 + html.count("\n", 0, end)):
        within: list[Piece] = []
        if isinstance(piece, Text) and any(mark in piece.text for mark in _MAY_ASK):
            within = markdown_pieces(piece.text, piece.line)
        asks = any(isinstance(inner, Heading) and inner.asks for inner in within)
        pieces += within if asks else [piece]
    return pieces


_PAGES: dict[str, Callable[[str], list[Piece]]] = {
    "markdown": markdown_pieces,
    "html": _page,
    "text": text_pieces,
}


def find_sources(inputs: Sequence[str], target: Path, reading: Reading) -> tuple[list[Source], list[Note]]:
    """The sources that the inputs name, in order, each once, and notes on files of folders left out.

    Names are paths from the folder of the document `target`, or `hf:org/name`.

    Raises:
        DataError: an input does not exist, or its kind cannot be told from its name.
    """
    found: dict[str, Source] = {}
    notes: list[Note] = []
    for given in inputs:
        if given.startswith(hub.PREFIX):
            found.setdefault(given, Source(given, None, "hub"))
            continue
        path = Path(given).expanduser()
        if not path.exists():
            raise DataError(f"there is no {visible_line(given)}", "check the path")
        if not path.is_dir():
            source = _source(path, target, reading)
            if source is None:
                raise DataError(
                    f"{visible_line(given)}: its kind cannot be told from its name",
                    SAVE_AS.get(path.suffix.lower(), f"say it with --format: {', '.join(NAMED)}"),
                )
            found.setdefault(source.name, source)
        elif hub.is_dataset(path):
            name = _name(path, target)
            found.setdefault(name, Source(name, path, "dataset"))
        else:
            _add_folder(path, target, reading, found, notes)
    return list(found.values()), notes


def read_source(source: Source, reading: Reading) -> Iterator[Item]:
    """The items of a source.

    Raises:
        DataError, UsageError: it cannot be read (further).
    """
    if source.path is None or source.format in ("dataset", "parquet", "arrow"):
        yield from hub.read_dataset(source.name, source.path, source.format, reading.columns, reading.split)
        return
    try:
        yield from _read_file(source.path, source, reading)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(f"{visible_line(str(source.path))} cannot be read: {reason}") from error


def _read_file(path: Path, source: Source, reading: Reading) -> Iterator[Item]:
    if not path.is_file():
        raise DataError(f"{visible_line(str(path))} is no regular file")
    encoding = encoding_of(path, reading.encoding)
    if encoding.guessed:
        yield Note(Topic.GUESSED, Place(source.name), f"read as {encoding.name}, by the look of its bytes")
    match source.format:
        case "jsonl":
            yield from read_lines(path, source.name, encoding, reading.columns)
        case "json":
            yield from read_json(path, source.name, encoding, reading.columns)
        case "csv" | "tsv":
            yield from read_table(path, source.name, encoding, reading.columns, header=reading.header)
        case kind:
            limit = MAX_DOCUMENT_BYTES if kind == "text" else MAX_PAGE_BYTES
            shown = visible_line(str(path))
            if path.stat().st_size > limit:
                raise DataError(f"{shown} is larger than {limit // (1024 * 1024)} MiB", "split it")
            try:
                pieces = _PAGES[kind](read_text(path, encoding))
            except RecursionError:
                raise DataError(f"{shown} is nested too deeply to be read") from None
            yield from read_pieces(pieces, source.name, headings=reading.headings, prose=reading.prose)


def _source(path: Path, target: Path, reading: Reading, folder: str = "") -> Source | None:
    kind = reading.format or FORMATS.get(path.suffix.lower())
    return Source(_name(path, target), path, kind, folder) if kind is not None else None


def _name(path: Path, target: Path) -> str:
    """A path as it reads from the document's folder, with `/`."""
    try:
        return Path(os.path.relpath(path.resolve(), target.resolve().parent)).as_posix()
    except ValueError:  # another drive
        return path.resolve().as_posix()


def _add_folder(
    root: Path, target: Path, reading: Reading, found: dict[str, Source], notes: list[Note]
) -> None:
    files = 0
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            if name.startswith(".") or path.resolve() == target.resolve():
                continue
            files += 1
            if files > MAX_FILES:
                raise DataError(
                    f"{visible_line(str(root))} has more than {MAX_FILES:,} files", "name a smaller folder"
                )
            source = _source(path, target, reading, path.parent.name or root.resolve().name)
            if source is None:
                place = Place(_name(path, target))
                notes.append(Note(Topic.FILE, place, "no kind of file that is read here"))
            else:
                found.setdefault(source.name, source)
