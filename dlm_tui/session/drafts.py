"""The document's file: read and saved whole, changes by others noticed, unsaved work kept for a crash."""

import contextlib
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dlm_core.errors import NOT_JSON, DocumentError, StoreError
from dlm_core.requests import path_text
from dlm_core.safetext import visible_line
from dlm_core.store import atomic
from dlm_core.teaching import Edit

_BOM = "\ufeff"


@dataclass(frozen=True)
class OnDisk:
    """A document as it was read or written: its text, and what tells whether the file is still that."""

    text: str
    digest: str
    mtime_ns: int
    size: int
    bom: bool = False


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """Unsaved work: the text, and the digest of the file it was made from."""

    path: str
    text: str
    base_digest: str


def read(path: Path) -> OnDisk:
    """The document at `path`; one that is not there yet reads as empty.

    Raises:
        DocumentError: it cannot be read, or is not UTF-8.
    """
    try:
        data = path.read_bytes()
        stat = path.stat()
    except FileNotFoundError:
        return OnDisk("", _digest(b""), 0, 0)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DocumentError(f"{visible_line(str(path))} cannot be read: {reason}") from error
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DocumentError(
            f"{visible_line(str(path))} is not UTF-8 (byte {error.start})",
            "save it as UTF-8 and open it again",
        ) from error
    bom = text.startswith(_BOM)
    return OnDisk(text.removeprefix(_BOM), _digest(data), stat.st_mtime_ns, stat.st_size, bom)


def write(path: Path, text: str, *, bom: bool = False) -> OnDisk:
    """Save `text` at `path` in one step; a link stays a link, the file's rights stay as they were.

    Raises:
        StoreError: it could not be written; the old content stands.
    """
    target = path.resolve()
    data = ((_BOM if bom else "") + text).encode("utf-8")
    mode = None
    with contextlib.suppress(OSError):
        mode = target.stat().st_mode & 0o7777
    atomic.write_bytes(target, data)
    with contextlib.suppress(OSError):
        target.chmod(mode if mode is not None else 0o600)
    with contextlib.suppress(OSError):
        stat = target.stat()
        return OnDisk(text, _digest(data), stat.st_mtime_ns, stat.st_size, bom)
    return OnDisk(text, _digest(data), 0, len(data), bom)


def write_new(path: Path, text: str) -> None:
    """Put a new document at `path`, for the user alone, whole or not at all.

    Raises:
        StoreError: something is there already, or it could not be written.
    """
    with atomic.new_file(path) as write_bytes:
        write_bytes(text.encode("utf-8"))


def write_beside(path: Path, text: str) -> Path:
    """Save `text` under a name of its own beside `path`, and answer it: `NAME.mine1.dlm`, or the next number.

    Raises:
        StoreError: it could not be written.
    """
    number = 1
    while (second := path.with_name(f"{path.stem}.mine{number}{path.suffix}")).exists():
        number += 1
    write(second, text)
    return second


def write_edit(edit: Edit) -> None:
    """Put an edit into its file.

    Raises:
        DlmError: the file is another than the edit was made for, or cannot be written.
    """
    now = read(edit.path)
    if now.text != edit.before:
        name = visible_line(edit.path.name)
        raise DocumentError(f"{name} changed meanwhile, and is left as it is", "do it once more")
    write(edit.path, edit.after, bom=now.bom)


def changed(path: Path, seen: OnDisk) -> OnDisk | None:
    """The document as it now stands, if it is not what was `seen`; None where it is, or where it is gone.

    Costs one `stat` while nothing happens.
    """
    try:
        stat = path.stat()
    except OSError:
        return None
    if (stat.st_mtime_ns, stat.st_size) == (seen.mtime_ns, seen.size):
        return None
    now = read(path)
    return now if now.digest != seen.digest else None


class Drafts:
    """Recovery files, one per document, in a private folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, path: Path, text: str, base: OnDisk) -> None:
        """Keep unsaved work. Raises StoreError where it cannot be written."""
        draft = Draft(path=path_text(path.resolve()), text=text, base_digest=base.digest)
        atomic.write_bytes(self._file(path), msgspec.json.encode(draft))

    def find(self, path: Path) -> Draft | None:
        """Unsaved work of an earlier session on this document; a damaged file counts as none."""
        try:
            draft = msgspec.json.decode(self._file(path).read_bytes(), type=Draft)
        except (OSError, *NOT_JSON):
            return None
        return draft if draft.path == path_text(path.resolve()) else None

    def forget(self, path: Path) -> None:
        """The work is saved, or not wanted."""
        with contextlib.suppress(StoreError, OSError):
            atomic.remove_file(self._file(path))

    def _file(self, path: Path) -> Path:
        return self._folder / f"{_digest(os.fsencode(path.resolve()))[:20]}.json"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
