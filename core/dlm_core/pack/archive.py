"""A pack's container: a plain tar of regular files, written and read in one fixed way.

Each member's header is the one that `header` makes from its name and size. A reader knows what has to come
next, and takes nothing else in its place: no link, device, extension record or other name. Nothing is
compressed, so what a pack holds is never larger than the pack. `tar tf` lists one.
"""

import tarfile
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from dlm_core.errors import StoreError
from dlm_core.safetext import visible_line

BLOCK = 512
MAX_MEMBER_BYTES = 8**11 - 1  # What a plain tar header can say.
_CHUNK = 1 << 20
_END = bytes(2 * BLOCK)
_KINDS = {
    tarfile.REGTYPE: "another file",
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.DIRTYPE: "a folder",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}


def header(name: str, size: int) -> bytes:
    """The block before a member's content.

    Raises:
        ValueError: the name is not ASCII or is too long, or the size too large.
    """
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o600
    block = member.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")
    if len(block) != BLOCK:
        raise ValueError(f"{name!r} does not fit into a tar header")
    return block


def total_size(sizes: Iterable[int]) -> int:
    """The bytes of an archive whose members have these sizes."""
    return sum(BLOCK + size + _padding(size) for size in sizes) + len(_END)


def write_member(write: Callable[[bytes], None], name: str, size: int, content: Iterable[bytes]) -> None:
    """Writes one member; `content` has to come to `size` bytes."""
    write(header(name, size))
    for chunk in content:
        write(chunk)
    write(bytes(_padding(size)))


def write_end(write: Callable[[bytes], None]) -> None:
    """Writes what ends an archive."""
    write(_END)


class Reader:
    """Reads an archive from its beginning, in order. `place` names it in messages.

    All methods raise StoreError where something other than what is asked for comes next, and OSError.
    """

    def __init__(self, file: BinaryIO, place: str) -> None:
        self._file = file
        self._place = place

    def first(self, name: str, limit: int) -> bytes:
        """The whole content of the first member, which has to be `name` and hold at most `limit` bytes."""
        block = self._file.read(BLOCK)
        size = _declared_size(block)
        if size is None or block != header(name, size):
            raise StoreError(f"{self._place} is not a pack", "packs are written by `dlm pack`")
        if size > limit:
            raise StoreError(f"{self._place} is refused: its list of files has {size:,} bytes")
        return b"".join(self._content(name, size))

    def member(self, name: str, size: int) -> Iterator[bytes]:
        """The content of the next member, in pieces; read to its end before asking for another."""
        block = self._file.read(BLOCK)
        if block != header(name, size):
            raise StoreError(f"{self._place} is refused: {_found(block)} where `{name}` has to follow")
        yield from self._content(name, size)

    def end(self) -> None:
        """Nothing may follow the last member but the end."""
        if self._file.read(len(_END) + 1) != _END:
            raise StoreError(f"{self._place} is refused: it goes on after its last file")

    def _content(self, name: str, size: int) -> Iterator[bytes]:
        left = size
        while left:
            chunk = self._file.read(min(left, _CHUNK))
            if not chunk:
                raise StoreError(f"{self._place} is damaged: it ends inside `{name}`")
            left -= len(chunk)
            yield chunk
        if self._file.read(_padding(size)) != bytes(_padding(size)):
            raise StoreError(f"{self._place} is damaged after `{name}`")


def _padding(size: int) -> int:
    return -size % BLOCK


def _declared_size(block: bytes) -> int | None:
    try:
        size = tarfile.TarInfo.frombuf(block, "ascii", "surrogateescape").size
    except (tarfile.HeaderError, ValueError):
        return None
    return size if 0 <= size <= MAX_MEMBER_BYTES else None


def _found(block: bytes) -> str:
    """What a block that was not expected seems to be."""
    try:
        member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return "there is no file"
    return f"there is {_KINDS.get(member.type, 'something else')} called `{visible_line(member.name[:200])}`"
