"""JSON lines, read line by line, and JSON files that hold one list of rows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from dlm_core.data.columns import Columns
from dlm_core.data.encodings import Encoding, misfit, read_text
from dlm_core.data.rows import Item, Note, Place, Topic
from dlm_core.data.shapes import read_object
from dlm_core.errors import NOT_JSON, DataError
from dlm_core.safetext import visible_line

MAX_LINE = 16 * 1024 * 1024
MAX_JSON_BYTES = 64 * 1024 * 1024
_DEEPEST = 3  # levels of objects that a list of rows may stand under
_decode = msgspec.json.Decoder().decode


def read_lines(path: Path, source: str, encoding: Encoding, columns: Columns) -> Iterator[Item]:
    """The rows of a file with one JSON value a line; lines that are none are noted, and the rest goes on.

    Raises:
        OSError: the file cannot be read.
        DataError: the bytes do not fit the encoding.
    """
    number = row = 0
    try:
        with path.open(encoding=encoding.name, newline="\n") as file:
            while line := file.readline(MAX_LINE):
                number += 1
                place = Place(source, row + 1, number)
                if len(line) == MAX_LINE:
                    yield Note(Topic.UNREADABLE, place, f"this line is longer than {MAX_LINE:,} characters")
                    while line and not line.endswith("\n"):
                        line = file.readline(MAX_LINE)
                    continue
                if not line.strip():
                    continue
                row += 1
                try:
                    value = _decode(line)
                except NOT_JSON as error:
                    yield Note(Topic.UNREADABLE, place, f"this line is no JSON: {str(error).lower()}")
                    continue
                yield from read_object(value, place, columns)
    except UnicodeDecodeError:
        raise misfit(path, encoding) from None


def read_json(path: Path, source: str, encoding: Encoding, columns: Columns) -> Iterator[Item]:
    """The rows of a JSON file: a list of objects, on its own or under a key.

    Raises:
        OSError: the file cannot be read.
        DataError: it is larger than may be held in memory, no JSON, or holds no list of rows.
    """
    shown = visible_line(str(path))
    if path.stat().st_size > MAX_JSON_BYTES:
        limit = MAX_JSON_BYTES // (1024 * 1024)
        raise DataError(f"{shown} is larger than {limit} MiB", "write it as JSON lines, one row a line")
    text = read_text(path, encoding)
    if not text.strip("\ufeff \t\r\n"):
        raise DataError(f"{shown} is empty", "choose a file with rows in it")
    rows: list[Any] | None
    try:
        rows = _rows(text)
    except NOT_JSON as error:
        if "\n" in text.strip() and _is_object(text.lstrip().split("\n", 1)[0]):
            yield from read_lines(path, source, encoding, columns)
            return
        line = text.count("\n", 0, _offset(error)) + 1
        raise DataError(f"{shown}:{line}: this is no JSON: {str(error).lower()}", "mend the file") from None
    if rows is None:
        raise DataError(
            f"{shown} holds no list of rows", "the rows stand in a list, on its own or under a key"
        )
    for number, value in enumerate(rows, 1):
        place = Place(source, number)
        try:
            read = _decode(value) if isinstance(value, msgspec.Raw) else value
        except NOT_JSON as error:
            yield Note(Topic.UNREADABLE, place, f"this row is no JSON: {str(error).lower()}")
            continue
        yield from read_object(read, place, columns)


def _rows(text: str) -> list[Any] | None:
    """The rows of a text, still encoded where they are all there is; None where there are none."""
    if not text.lstrip("\ufeff \t\r\n").startswith("["):
        return _listed(_decode(text), _DEEPEST)
    rows: list[Any] = msgspec.json.decode(text, type=list[msgspec.Raw])
    return rows


def _is_object(line: str) -> bool:
    try:
        return isinstance(_decode(line), dict)
    except NOT_JSON:
        return False


def _offset(error: Exception) -> int:
    """Where msgspec says that JSON breaks off: `… (byte 12)`; 0 where it does not."""
    digits = str(error).rpartition("byte ")[2].partition(")")[0]
    return int(digits) if digits.isdecimal() else 0


def _listed(value: Any, depth: int) -> list[Any] | None:
    """The longest list of objects under a value, or the one row that it is."""
    if isinstance(value, list):
        return value
    if not isinstance(value, dict) or not depth:
        return None
    found = [rows for inner in value.values() if (rows := _inner(inner, depth - 1)) is not None]
    return max(found, key=len, default=None)


def _inner(value: Any, depth: int) -> list[Any] | None:
    rows = _listed(value, depth)
    return rows if rows and all(isinstance(row, dict) for row in rows) else None
