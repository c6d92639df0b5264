"""The header of a GGUF file walked through once, before anything believes the numbers in it.

A header says how many keys, array items and tensors follow, in 64 bits each. Readers that loop as often as
they are told run for years on a file of a hundred bytes. The layout is the GGUF specification's (ggml,
docs/gguf.md).
"""

import mmap
import struct
from pathlib import Path

from dlm_core.errors import BaseModelError
from dlm_core.safetext import visible_line

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_FIXED = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes, by type of value
_STRING, _ARRAY = 8, 9
_MAX_DEPTH = 4  # arrays in arrays
_MAX_DIMENSIONS = 4
_MAX_NAME = 65_535
_HINT = "download it again; `path:` takes a folder or a .gguf file"


def check_header(path: Path) -> None:
    """Walks through keys and tensors; takes time and memory that the file's own size bounds.

    Raises:
        BaseModelError: the file is no GGUF, is cut off, or claims more than it holds.
        OSError: it cannot be read.
    """
    shown = visible_line(path.name)
    if path.stat().st_size < 24:
        raise BaseModelError(f"{shown} is not a GGUF file", _HINT)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            _Walk(data).all()
        except _Bad as problem:
            raise BaseModelError(f"{shown} is not a whole GGUF file: {problem}", _HINT) from None


class _Bad(Exception):
    """What is wrong with a header."""


class _Walk:
    """A place in the file, and the steps from it."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._size = len(data)
        self._at = 0

    def all(self) -> None:
        if self._data[:4] != _MAGIC:
            raise _Bad("it does not begin as one")
        self._at = 4
        version = self._number("<I", 4)
        if version not in _VERSIONS:
            swapped = " (big-endian files are not read)" if version & 0xFFFF == 0 else ""
            raise _Bad(f"its version is {version}{swapped}")
        tensors, keys = self._number("<Q", 8), self._number("<Q", 8)
        self._expect(keys, 13, "keys")
        for _ in range(keys):
            self._string(_MAX_NAME)
            self._value(self._number("<I", 4), 0)
        self._expect(tensors, 24, "tensors")
        for _ in range(tensors):
            self._tensor()

    def _tensor(self) -> None:
        self._string(_MAX_NAME)
        dimensions = self._number("<I", 4)
        if dimensions > _MAX_DIMENSIONS:
            raise _Bad(f"a tensor has {dimensions} dimensions")
        self._skip(8 * dimensions + 4)
        if self._number("<Q", 8) > self._size:
            raise _Bad("a tensor lies behind its end")

    def _value(self, kind: int, depth: int) -> None:
        if kind in _FIXED:
            self._skip(_FIXED[kind])
        elif kind == _STRING:
            self._string(self._size)
        elif kind == _ARRAY and depth < _MAX_DEPTH:
            inner, count = self._number("<I", 4), self._number("<Q", 8)
            if inner in _FIXED:
                self._skip(count * _FIXED[inner])
                return
            self._expect(count, 8, "items")
            for _ in range(count):
                self._value(inner, depth + 1)
        else:
            raise _Bad(f"a value is of type {kind}")

    def _string(self, longest: int) -> None:
        length = self._number("<Q", 8)
        if length > longest:
            raise _Bad(f"a text has {length:,} bytes")
        self._skip(length)

    def _expect(self, count: int, least: int, what: str) -> None:
        """Refuses a count of things, each at least so many bytes long, that cannot be there."""
        if count * least > self._size - self._at:
            raise _Bad(f"it claims {count:,} {what}, and has {self._size:,} bytes")

    def _skip(self, length: int) -> None:
        self._at += length
        if self._at > self._size:
            raise _Bad(f"it ends after {self._size:,} bytes")

    def _number(self, form: str, length: int) -> int:
        at = self._at
        self._skip(length)
        number: int = struct.unpack_from(form, self._data, at)[0]
        return number
