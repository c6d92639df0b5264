"""`version.json`: the seal of a folder, written last, with a hash of every file. No seal, no version."""

import hashlib
from pathlib import Path, PurePosixPath

import msgspec
from msgspec import Struct

from dlm_core.errors import StoreError
from dlm_core.safetext import visible_line
from dlm_core.store import atomic, envelope
from dlm_core.store.paths import is_version

SEAL = "version.json"
_FORMAT = 1


class SealedFile(Struct, frozen=True, kw_only=True):
    """A file as it was when it was sealed."""

    sha256: str
    size: int


class Seal(Struct, frozen=True, kw_only=True):
    """The content of `version.json`. `files` by path relative to the folder, with forward slashes."""

    name: str
    generation: int
    run_id: int
    sealed_at: float
    files: dict[str, SealedFile]


def seal(folder: Path, *, name: str, generation: int, run_id: int, at: float) -> None:
    """Makes all that is in `folder` private and durable, and closes it with its seal.

    Raises:
        StoreError: the folder is empty, holds something other than files, or cannot be written.
    """
    atomic.fsync_tree(folder)
    files = {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*")) if p.is_file()}
    files.pop(SEAL, None)
    if not files:
        raise StoreError(f"nothing was written to {atomic.shown(folder)}, so there is nothing to keep")
    sealed = {relative: SealedFile(sha256=_sha256(p), size=p.stat().st_size) for relative, p in files.items()}
    content = Seal(name=name, generation=generation, run_id=run_id, sealed_at=at, files=sealed)
    envelope.write(folder / SEAL, content, _FORMAT)


def is_sealed(folder: Path) -> bool:
    """Whether the folder was finished; says nothing about damage since."""
    return (folder / SEAL).is_file()


def should_be_sealed(folder: Path) -> bool:
    """Whether a folder to read from has a seal, or is called like a version and must not be without one."""
    return is_sealed(folder) or is_version(folder.name)


def read_seal(folder: Path) -> Seal:
    """The seal of a folder. Raises StoreError if it is missing, damaged, or a newer dlm wrote it."""
    path = folder / SEAL
    return decode(atomic.read_bytes(path), atomic.shown(path))


def decode(data: bytes, place: str) -> Seal:
    """What `read_seal` reads, from bytes; `place` names the file in messages. Raises StoreError."""
    content, form = envelope.decode(data, place)
    if form > _FORMAT:
        raise StoreError(f"{place} was written by a newer dlm (format {form})", "update dlm")
    try:
        return msgspec.convert(content, Seal)
    except msgspec.ValidationError as error:
        raise StoreError(f"{place} is damaged: {visible_line(str(error))}") from error


def damage(folder: Path) -> tuple[str, ...]:
    """What is wrong with a sealed folder, one sentence per file; empty if every file is as it was sealed."""
    try:
        sealed = read_seal(folder)
    except StoreError as error:
        return (error.message,)
    found = []
    for relative, expected in sealed.files.items():
        inside = PurePosixPath(relative)
        path = folder / inside
        place = atomic.shown(path)
        if inside.is_absolute() or ".." in inside.parts:
            found.append(f"{atomic.shown(folder / SEAL)} is damaged: it names a file outside its folder")
        elif not path.is_file():
            found.append(f"{place} is missing")
        else:
            try:
                size, digest = path.stat().st_size, _sha256(path)
            except (OSError, StoreError) as error:
                found.append(f"{place} cannot be read: {error}")
                continue
            if size != expected.size:
                found.append(f"{place} is damaged: {size} bytes instead of {expected.size}")
            elif digest != expected.sha256:
                found.append(f"{place} is damaged: its content does not match its hash")
    return tuple(found)


def _sha256(path: Path) -> str:
    with atomic.translating(path, "read"), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
