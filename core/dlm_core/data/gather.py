"""From what the user names to items: files by their kind, folders file by file, datasets by their library."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dlm_core.data import hub
from dlm_core.data.columns import Columns
from dlm_core.data.encodings import encoding_of, read_text
from dlm_core.data.json_files import read_json, read_lines
from dlm_core.data.markdown import markdown_pieces
from dlm_core.data.passages import Headings, Piece, read_pieces
from dlm_core.data.prose import text_pieces
from dlm_core.data.rows import Item, Note, Place, Topic
from dlm_core.data.tables import read_table
from dlm_core.data.web import page_pieces
from dlm_core.document.parse import MAX_DOCUMENT_BYTES
from dlm_core.errors import DataError
from dlm_core.safetext import visible_line

FORMATS = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "tsv", ".tab": "tsv",
    ".md": "markdown", ".markdown": "markdown", ".mdx": "markdown", ".html": "html", ".htm": "html",
    ".xhtml": "html", ".txt": "text", ".text": "text", ".parquet": "parquet", ".arrow": "arrow",
}  # fmt: skip
NAMED = ("jsonl", "json", "csv", "tsv", "markdown", "html", "text")
"""What `--format` takes."""
MAX_FILES = 20_000
_PAGES: dict[str, Callable[[str], list[Piece]]] = {
    "markdown": markdown_pieces,
    "html": page_pieces,
    "text": text_pieces,
}


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
                    f"say it with --format: {', '.join(NAMED)}",
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
            if path.stat().st_size > MAX_DOCUMENT_BYTES:
                limit = MAX_DOCUMENT_BYTES // (1024 * 1024)
                raise DataError(f"{visible_line(str(path))} is larger than the {limit} MiB of a document")
            pieces = _PAGES[kind](read_text(path, encoding))
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
