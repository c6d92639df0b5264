"""CSV and TSV files with a line of headings."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dlm_core.data.columns import Columns, Found, find_columns
from dlm_core.data.encodings import Encoding, misfit
from dlm_core.data.rows import Item, Note, Place, Row, Topic
from dlm_core.document.model import SectionKind
from dlm_core.document.parse import MAX_DOCUMENT_BYTES
from dlm_core.document.report import listed, quoted
from dlm_core.errors import DataError
from dlm_core.safetext import visible_line

_SNIFFED = 65_536
_EXCEL = re.compile(r"sep=(.)")
"""A first line with which Excel says what separates the columns."""
_DELIMITERS = ",;\t|"
_SAID = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "|"}


def read_table(
    path: Path, source: str, encoding: Encoding, columns: Columns, *, header: bool = True
) -> Iterator[Item]:
    """The rows of a table, and a note on how it was read where that was guessed.

    Raises:
        OSError: the file cannot be read.
        DataError: the bytes do not fit the encoding, or no column is known as question or answer.
        UsageError: a column that the user named is not there.
    """
    csv.field_size_limit(MAX_DOCUMENT_BYTES)
    number = 0
    try:
        with path.open(encoding=encoding.name, newline="") as file:
            delimiter = _delimiter(file.read(_SNIFFED), path)
            file.seek(0)
            table = _numbered(csv.reader(file, delimiter=delimiter))
            top = next(table, None)
            if top is not None and isinstance(top[1], list) and _EXCEL.fullmatch(delimiter.join(top[1])):
                top = next(table, None)
            if top is None:
                return
            line, first = top
            if isinstance(first, str):
                raise DataError(f"{visible_line(str(path))}:{line}: {first}", "mend the line, or take it out")
            plain = not header or _is_row(first, columns)
            headings = [str(i) for i in range(1, len(first) + 1)] if plain else first
            found = _columns(path, headings, columns, line)
            if found.guessed:
                yield Note(Topic.GUESSED, Place(source), _said(headings, found, delimiter))
            if plain:
                number = 1
                yield from _cells(first, found, Place(source, 1, line))
            for line, cells in table:
                number += 1
                if isinstance(cells, str):
                    yield Note(Topic.UNREADABLE, Place(source, number, line), f"this row: {cells}")
                else:
                    yield from _cells(cells, found, Place(source, number, line))
    except UnicodeDecodeError:
        raise misfit(path, encoding) from None


def _numbered(reader: Any) -> Iterator[tuple[int, list[str] | str]]:
    """The rows that are not blank, each with its line; for one that cannot be read, what is wrong with it."""
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield line, str(error)
            continue
        if cells is None:
            return
        if any(cell.strip() for cell in cells):
            yield line, cells


def _is_row(first: list[str], columns: Columns) -> bool:
    """Whether what stands where headings should be is a row already: something in it is asked."""
    named = columns.questions or columns.answer is not None
    return not named and any(cell.rstrip().endswith(("?", "？", "؟")) for cell in first)


def _delimiter(sample: str, path: Path) -> str:
    """What separates the columns: the sign that stands in the headings most often, tab for a .tsv."""
    if path.suffix.lower() in (".tsv", ".tab"):
        return "\t"
    heading = next((row for row in sample.splitlines() if row.strip()), "")
    if said := _EXCEL.fullmatch(heading.strip('"\ufeff')):
        return said[1]
    counts = {sign: heading.count(sign) for sign in _DELIMITERS}
    best = max(_DELIMITERS, key=lambda sign: counts[sign])
    return best if counts[best] else ","


def _columns(path: Path, headings: list[str], columns: Columns, line: int) -> Found:
    found = find_columns(headings, columns)
    if found is None:
        names = listed(visible_line(name.strip()) for name in headings[:20])
        raise DataError(
            f"{visible_line(str(path))}:{line}: no column is known as question or answer; there are {names}",
            "name them with --question and --answer",
        )
    return found


def _said(headings: list[str], found: Found, delimiter: str) -> str:
    questions = " and ".join(quoted(headings[i].strip()) for i in found.questions)
    said = f"columns separated by {_SAID[delimiter]}; questions from {questions}, answers from "
    said += quoted(headings[found.answer].strip())
    if found.adapter is not None:
        said += f", adapters from {quoted(headings[found.adapter].strip())}"
    return said


def _cells(cells: list[str], found: Found, place: Place) -> Iterator[Item]:
    needed = max(*found.questions, found.answer)
    if len(cells) <= needed:
        have = "1 column" if len(cells) == 1 else f"{len(cells)} columns"
        yield Note(Topic.UNREADABLE, place, f"this row has {have}, and {needed + 1} are needed")
        return
    adapter = cells[found.adapter].strip() if found.adapter is not None and found.adapter < len(cells) else ""
    asked = [cells[i] for i in found.questions]
    for question in [q for q in asked if q.strip()] or asked[:1]:
        yield Row(SectionKind.INSTRUCTION, place, question, cells[found.answer], adapter=adapter or None)
