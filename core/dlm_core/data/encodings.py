"""The encoding of a file: told by its byte order mark, by being valid UTF-8, or by charset-normalizer."""

import codecs
from dataclasses import dataclass
from pathlib import Path

from charset_normalizer import from_bytes

from dlm_core.errors import DataError, UsageError
from dlm_core.safetext import visible_line

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHUNK = 1 << 20
_COMMONEST = "cp1252"
_SAMPLE = 1 << 18  # bytes on either side of the first byte that is not UTF-8


@dataclass(frozen=True)
class Encoding:
    """The name of an encoding as Python has it, and whether it was guessed from the bytes."""

    name: str
    guessed: bool = False


def encoding_of(path: Path, wanted: str | None = None) -> Encoding:
    """The encoding of a file; `wanted` by the user counts before all else. Reads the file once, in pieces.

    Raises:
        OSError: the file cannot be read.
        UsageError: there is no encoding called `wanted`.
        DataError: no encoding fits the bytes.
    """
    if wanted is not None:
        return Encoding(_known(wanted))
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        start = file.read(4)
        for mark, name in _MARKS:
            if start.startswith(mark):
                return Encoding(name)
        file.seek(0)
        at = 0
        while chunk := file.read(_CHUNK):
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as error:
                file.seek(max(0, at + error.start - _SAMPLE))
                return _guess(path, file.read(2 * _SAMPLE))
            at += len(chunk)
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return _guess(path, path.read_bytes()[-_SAMPLE:])
    return Encoding("utf-8")


def read_text(path: Path, encoding: Encoding) -> str:
    """The text of a whole file, its line ends as they are.

    Raises:
        OSError: the file cannot be read.
        DataError: the bytes do not fit the encoding; the message has the line.
    """
    data = path.read_bytes()
    try:
        return data.decode(encoding.name)
    except UnicodeDecodeError as error:
        raise misfit(path, encoding) from error


def misfit(path: Path, encoding: Encoding) -> DataError:
    """The error for a file with bytes that do not fit the encoding it was read as; it has their line."""
    line, decoder = 1, codecs.getincrementaldecoder(encoding.name)()
    with path.open("rb") as file:
        try:
            while chunk := file.read(_CHUNK):
                line += decoder.decode(chunk).count("\n")
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            line += bytes(error.object[: error.start]).decode(encoding.name, "replace").count("\n")
    message = f"{visible_line(str(path))}:{line}: the bytes here are not {encoding.name}"
    return DataError(message, "name the encoding with --encoding, or save the file as UTF-8")


def _known(name: str) -> str:
    try:
        codec = codecs.lookup(name)
        "".encode(codec.name)
    except (LookupError, ValueError):
        raise UsageError(
            f"there is no encoding called {visible_line(name)!r}", "utf-8, windows-1252 and utf-16 are some"
        ) from None
    return codec.name


def _guess(path: Path, sample: bytes) -> Encoding:
    found = () if b"\0" in sample else tuple(from_bytes(sample))
    if not found:
        message = f"{visible_line(str(path))} is no text in any known encoding"
        raise DataError(message, "name its encoding with --encoding, or save it as UTF-8")
    # Short texts fit several encodings alike: then it is the most common of them.
    as_good = (match for match in found if match.chaos <= found[0].chaos)
    common = any(_COMMONEST in (match.encoding, *match.could_be_from_charset) for match in as_good)
    return Encoding(codecs.lookup(_COMMONEST if common else found[0].encoding).name, guessed=True)
