"""Memory that is not needed for now, given back at once.

safetensors maps its file into memory, and what is read stays resident until the system wants the room.
Whoever has made another form of the weights can say that these pages may go; a later read brings them back.
And the C library keeps for itself what was freed between blocks that are in use.
"""

import contextlib
import ctypes
import functools
import mmap
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from torch import Tensor

_DONTNEED = 4  # MADV_DONTNEED: unlike MADV_PAGEOUT it leaves the file in the system's cache
_OF_FILE, _IN_SWAP, _PRESENT = 1 << 61, 1 << 62, 1 << 63  # bits of /proc/self/pagemap


def let_go(tensors: Iterable[Tensor]) -> None:
    """Release the resident pages of those `tensors` that are mapped from a file. Does nothing elsewhere than
    on Linux, and nothing to memory of the process's own, nor to a tensor that was written to.
    """
    advise = _madvise()
    if advise is None:
        return
    mapped = _mapped()
    for tensor in tensors:
        begin, size = tensor.data_ptr(), tensor.numel() * tensor.element_size()
        if not any(low <= begin and begin + size <= high for low, high in mapped):
            continue
        first = -(-begin // mmap.PAGESIZE) * mmap.PAGESIZE
        whole = (begin + size - first) // mmap.PAGESIZE * mmap.PAGESIZE
        if whole > 0 and _as_in_file(first, whole):
            advise(ctypes.c_void_p(first), ctypes.c_size_t(whole), ctypes.c_int(_DONTNEED))


def trim_heap() -> None:
    """Give freed memory inside the heap back to the system, where the C library can (glibc)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


@functools.cache
def _madvise() -> Callable[..., int] | None:
    if sys.platform != "linux":
        return None
    try:
        advise: Callable[..., int] = ctypes.CDLL(None).madvise
        return advise
    except (OSError, AttributeError):
        return None


def _as_in_file(first: int, size: int) -> bool:
    """Whether every page from address `first` on is the file's own, and not a copy that was written to."""
    try:
        with Path("/proc/self/pagemap").open("rb", buffering=0) as file:
            file.seek(first // mmap.PAGESIZE * 8)
            found = file.read(size // mmap.PAGESIZE * 8)
    except OSError:
        return False
    pages = memoryview(found).cast("Q")
    return len(pages) == size // mmap.PAGESIZE and all(
        page & _OF_FILE or not page & (_PRESENT | _IN_SWAP) for page in pages
    )


def _mapped() -> list[tuple[int, int]]:
    """Address ranges that are mapped from a file."""
    found: list[tuple[int, int]] = []
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        parts = line.split(maxsplit=5)
        if len(parts) == 6 and parts[5].startswith("/"):
            low, high = parts[0].split("-")
            begin, end = int(low, 16), int(high, 16)
            if found and found[-1][1] == begin:
                found[-1] = (found[-1][0], end)
            else:
                found.append((begin, end))
    return found
