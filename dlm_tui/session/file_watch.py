"""Files as they change on disk: the one watch for documents, stores and themes, by the system's notices."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path

REST_MS = 200
"""A file counts as written once nothing happened in its folder for so long."""
BURST_MS = 1000
"""A folder in which something happens all the time is looked at that often."""
LOOK_S = 5.0
"""Seconds after which files are looked at though nothing was told: not every file system tells."""
RETRY_S = 1.0

Stamp = tuple[int, int] | None
"""A file's time in nanoseconds and its size, by which a change is seen; None where there is no such file."""


def stamp_of(path: Path) -> Stamp:
    """What changes when the file is written; None while there is no such file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


async def changes(files: Callable[[], Iterable[Path]], known: dict[Path, Stamp]) -> AsyncIterator[set[Path]]:
    """Those of `files` that are others than before, each time whoever writes them rests; for ever.

    Args:
        files: which files (or folders, whose entries count) to watch; asked again at every look.
        known: their stamps as the caller last saw them; kept up to date.
    """
    while True:
        folders = {_folder_of(path) for path in files()}
        async for _ in _notices(folders):
            now = {path: stamp_of(path) for path in files()}
            changed = {path for path in {*known, *now} if known.get(path) != now.get(path)}
            known.clear()
            known.update(now)
            if changed:
                yield changed
            if {_folder_of(path) for path in files()} != folders:
                break


def bursts(folders: tuple[Path, ...], recursive: bool) -> Iterator[object]:
    """One item for every burst of changes below `folders`; KeyboardInterrupt passes through."""
    from watchfiles import watch

    return watch(*folders, watch_filter=None, debounce=BURST_MS, step=REST_MS, recursive=recursive)


async def _notices(folders: set[Path]) -> AsyncIterator[object]:
    """Something may have happened in `folders`: now, and whenever the system says so, or after `LOOK_S`."""
    from watchfiles import awatch

    yield None
    try:
        async for notice in awatch(
            *folders,
            watch_filter=None,
            debounce=BURST_MS,
            step=REST_MS,
            rust_timeout=int(LOOK_S * 1000),
            yield_on_timeout=True,
            recursive=False,
        ):
            yield notice
    except (OSError, RuntimeError, UnicodeError):
        # A folder that is gone or whose name is not UTF-8, or no notices to be had: look without them.
        await asyncio.sleep(RETRY_S)


def _folder_of(path: Path) -> Path:
    """The folder to watch for `path`: itself, its own, or the nearest above that there is."""
    return next((folder for folder in (path, *path.parents) if folder.is_dir()), Path("/"))
