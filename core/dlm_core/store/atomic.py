"""Files that are there whole or not at all: written aside, synced, renamed; private; failures in plain words.

Every change the store makes to the disk goes through `system`, so that a test can make the n-th one fail.
"""

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from dlm_core.errors import NOT_JSON, StoreError
from dlm_core.safetext import visible_line
from dlm_core.store.paths import dlm_home

FILE_MODE = 0o600
FOLDER_MODE = 0o700


@dataclass(frozen=True)
class System:
    """The calls that change the disk."""

    open: Callable[[Path, int, int], int] = os.open
    write: Callable[[int, bytes], int] = os.write
    fsync: Callable[[int], None] = os.fsync
    replace: Callable[[Path, Path], None] = os.replace
    link: Callable[[Path, Path], None] = os.link
    mkdir: Callable[[Path, int], None] = os.mkdir
    chmod: Callable[[Path, int], None] = os.chmod
    unlink: Callable[[Path], None] = os.unlink
    rmtree: Callable[[Path], None] = shutil.rmtree


system = System()

_HINTS = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "your quota is used up: free some space",
    errno.EROFS: "the disk is mounted read-only: remount it",
    errno.EACCES: "give yourself the right to write there",
    errno.EPERM: "give yourself the right to write there",
    errno.EIO: "the disk reports an error: check it",
    errno.ENOENT: "a file or folder vanished while it was in use: check that nothing else cleans up there",
    errno.EMFILE: "too many files are open: close some programs and try again",
}
_HINTS_AT_HOME = {
    errno.ENOSPC: ", or set DLM_HOME to a folder on another disk; committed versions stand",
    errno.EDQUOT: ", or set DLM_HOME to a folder on another disk",
    errno.EROFS: ", or copy the store and set DLM_HOME to the copy",
    errno.EACCES: ", or set DLM_HOME to a folder of your own",
    errno.EPERM: ", or set DLM_HOME to a folder of your own",
    errno.EIO: ", copy the store elsewhere and set DLM_HOME to the copy",
}
_NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
_DEFAULT_HINT = "check the disk and the rights on that path, then try again; committed versions are untouched"


def shown(path: Path) -> str:
    """`path` for a message: nothing in it can steer a terminal."""
    return visible_line(str(path))


def store_error(path: Path, action: str, error: OSError) -> StoreError:
    """The error for a person: `action` is what was tried, such as "write"."""
    reason = (error.strerror or str(error)).lower()
    number = error.errno or 0
    hint = _HINTS.get(number, _DEFAULT_HINT)
    if path.absolute().is_relative_to(dlm_home()):
        hint += _HINTS_AT_HOME.get(number, "")
    return StoreError(f"cannot {action} {shown(path)}: {reason}", hint)


@contextmanager
def translating(path: Path, action: str) -> Iterator[None]:
    """Turns an OSError in the block into a StoreError that names `path`."""
    try:
        yield
    except OSError as error:
        raise store_error(path, action, error) from error


def make_folder(path: Path) -> None:
    """Makes `path` and its missing parents, private and durable. An existing folder is left as it is."""
    with translating(path, "make the folder"):
        missing = []
        folder = path
        while not folder.is_dir():
            missing.append(folder)
            if folder.parent == folder:
                break
            folder = folder.parent
        for folder in reversed(missing):
            with contextlib.suppress(FileExistsError):
                system.mkdir(folder, FOLDER_MODE)
            _fsync_path(folder.parent)
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))


def write_bytes(path: Path, data: bytes) -> None:
    """Puts `data` at `path` in one step: a reader, or a crash, sees the old content or the new.

    Raises:
        StoreError: it could not be written. The old content stands, unless only the folder's own sync failed:
            then the new content is in place, and might not outlive a power cut.
    """
    with _aside(path, system.replace) as write:
        write(data)


@contextmanager
def new_file(path: Path) -> Iterator[Callable[[bytes], None]]:
    """A private file where none was: what the block writes stands at `path`, whole, once the block ends well.

    Raises:
        StoreError: something is at `path` already, which stays as it is, or it cannot be written; also for an
            OSError out of the block. As with `write_bytes`, only a failed sync of the folder leaves the file.
    """
    if os.path.lexists(path):
        raise _taken(path)
    with _aside(path, _publish_new) as write:
        yield write


@contextmanager
def replaced_file(path: Path) -> Iterator[Callable[[bytes], None]]:
    """As `new_file`, but what is at `path` is replaced once the block ends well, and stands until then."""
    with _aside(path, system.replace) as write:
        yield write


@contextmanager
def _aside(path: Path, publish: Callable[[Path, Path], None]) -> Iterator[Callable[[bytes], None]]:
    """Writes a file beside `path`, syncs it, and has it published under its name when the block ends well."""
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name[:48]}.{secrets.token_hex(4)}.tmp")
    with translating(path, "write"):
        try:
            descriptor = system.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)

            def write(data: bytes) -> None:
                view = memoryview(data)
                while view:
                    view = view[system.write(descriptor, bytes(view)) :]

            try:
                yield write
                system.fsync(descriptor)
            finally:
                os.close(descriptor)
            publish(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                system.unlink(temporary)
            raise
        _fsync_path(path.parent)


def _publish_new(temporary: Path, path: Path) -> None:
    """Gives a file its name, unless something has it."""
    try:
        system.link(temporary, path)
        system.unlink(temporary)
    except FileExistsError:
        raise _taken(path) from None
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        _reserve(path)
        try:
            system.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                system.unlink(path)
            raise


def _reserve(path: Path) -> None:
    """Takes a name with an empty file, where the file system cannot link."""
    try:
        os.close(system.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
    except FileExistsError:
        raise _taken(path) from None


def _taken(path: Path) -> StoreError:
    return StoreError(f"{shown(path)} is there already, and stays as it is", "choose another place or name")


def write_text(path: Path, text: str) -> None:
    """`write_bytes` in UTF-8."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """`write_bytes` of `value` (anything msgspec encodes) as indented JSON."""
    write_bytes(path, msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")


def read_bytes(path: Path) -> bytes:
    """The content of `path`. Raises StoreError if it cannot be read."""
    with translating(path, "read"):
        return path.read_bytes()


def read_json(path: Path) -> Any:
    """The value in `path`. Raises StoreError if it cannot be read or is no JSON."""
    return parse_json(read_bytes(path), shown(path))


def parse_json(data: bytes, place: str) -> Any:
    """The value that `data`, the content of the file `place`, holds. Raises StoreError if it is no JSON."""
    try:
        return msgspec.json.decode(data)
    except NOT_JSON as error:
        raise StoreError(f"{place} is damaged: {error}", "restore it from a backup") from error


def remove_tree(path: Path) -> None:
    """Removes a folder and what is in it; no error if there is none."""
    with translating(path, "remove"):
        if path.is_symlink():
            system.unlink(path)
        elif path.is_dir():
            system.rmtree(path)


def remove_file(path: Path) -> None:
    """Removes a file; no error if there is none."""
    with translating(path, "remove"), contextlib.suppress(FileNotFoundError):
        system.unlink(path)


def replace(source: Path, target: Path) -> None:
    """Renames within one folder, durably; a file at `target` is replaced."""
    with translating(target, "write"):
        system.replace(source, target)
        _fsync_path(target.parent)


def fsync_tree(folder: Path) -> None:
    """Makes every file below `folder`, and the folders themselves, private and durable.

    Raises:
        StoreError: a file could not be synced, or the folder holds a link or a device.
    """
    for path in sorted(folder.rglob("*"), reverse=True):
        with translating(path, "write"):
            mode = path.lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise StoreError(f"{shown(path)} is neither a file nor a folder", "remove it, then try again")
            system.chmod(path, FOLDER_MODE if stat.S_ISDIR(mode) else FILE_MODE)
            _fsync_path(path)
    with translating(folder, "write"):
        _fsync_path(folder)


def _fsync_path(path: Path) -> None:
    is_folder = path.is_dir()
    if is_folder and os.name == "nt":  # Windows cannot open folders; NTFS journals renames by itself.
        return
    descriptor = os.open(path, os.O_RDONLY if is_folder or os.name != "nt" else os.O_RDWR)
    try:
        system.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot sync a folder, and say so in one of these ways.
        if not (is_folder and error.errno in (errno.EINVAL, errno.ENOTSUP)):
            raise
    finally:
        os.close(descriptor)
