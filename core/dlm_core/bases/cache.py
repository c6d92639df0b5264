"""The bases kept on this machine; an entry is believed only if its manifest, written last, fits its files.

`home/cache/bases/<key>/manifest.json` names a folder of safetensors: `weights` beside it, or the snapshot in
the Hugging Face cache that it was found in. An entry is staged elsewhere and renamed into place.
"""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import filelock
import msgspec

from dlm_core.bases.folder import (
    BaseFolder,
    FileRecord,
    SourceName,
    fingerprint,
    hash_file,
    record_file,
    record_files,
    text_digest,
)
from dlm_core.bases.hub import delete_snapshot
from dlm_core.errors import NOT_JSON, Stopped

_KEY_UNSAFE = re.compile(r"[^a-z0-9._@-]+")


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an entry holds. `folder` is relative to the entry, or absolute for a snapshot in the Hugging Face
    cache, which `fetched` says this program put there.
    """

    name: str
    source: SourceName
    origin: str
    folder: str
    fingerprint: str
    files: tuple[FileRecord, ...]
    fetched: bool = True
    format: Literal[1] = 1

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(f.size for f in self.files)


@dataclass(frozen=True)
class Lookup:
    """What the cache knows: the folder, or why there is none."""

    folder: BaseFolder | None
    reason: str = ""


class BaseCache:
    """The entries under one home folder."""

    def __init__(self, home: Path) -> None:
        self.root = home / "cache" / "bases"

    def entry(self, name: str) -> Path:
        """The folder of a base's entry; distinct names get distinct folders on any file system."""
        slug = _KEY_UNSAFE.sub("-", name.lower()).strip("-.")[:80]
        return self.root / (slug if slug == name else f"{slug}-{text_digest(name)[:12]}")

    def look_up(self, name: str) -> Lookup:
        """The base if its entry is whole (manifest readable, every file there in its size)."""
        entry = self.entry(name)
        manifest = self.manifest(name)
        if manifest is None:
            return Lookup(None, "the manifest is unreadable" if entry.exists() else "not cached yet")
        folder = entry / manifest.folder
        for record in manifest.files:
            try:
                size = (folder / record.name).stat().st_size
            except OSError:
                return Lookup(None, f"{record.name} is missing")
            if size != record.size:
                return Lookup(None, f"{record.name} has {size} bytes, not {record.size}")
        return Lookup(BaseFolder(name, folder, "cache", manifest.fingerprint))

    def manifest(self, name: str) -> Manifest | None:
        """The manifest of an entry, None where there is none that can be read."""
        try:
            manifest = msgspec.json.decode((self.entry(name) / "manifest.json").read_bytes(), type=Manifest)
        except (OSError, *NOT_JSON):
            return None
        return manifest if manifest.name == name else None

    def manifests(self) -> Iterator[Manifest]:
        """Every readable entry, by folder name."""
        for path in sorted(self.root.glob("*/manifest.json")):
            with contextlib.suppress(OSError, *NOT_JSON):
                yield msgspec.json.decode(path.read_bytes(), type=Manifest)

    def verify(self, name: str) -> str:
        """Hash every file of an entry again; "" where all is as recorded, else what is not."""
        found = self.look_up(name)
        manifest = self.manifest(name)
        if found.folder is None or manifest is None:
            return found.reason
        changed = [r.name for r in manifest.files if hash_file(found.folder.path / r.name) != r.sha256]
        return f"changed since it was cached: {', '.join(changed)}" if changed else ""

    @contextlib.contextmanager
    def lock(self, name: str, stop: Callable[[], bool], waiting: Callable[[], None]) -> Iterator[None]:
        """Hold the right to write one entry; `waiting` is called once if another process has it."""
        self.root.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self.root / f".{self.entry(name).name}.lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            waiting()
            while not lock.is_locked:
                if stop():
                    raise Stopped(f"stopped while another process fetched {name}") from None
                with contextlib.suppress(filelock.Timeout):
                    lock.acquire(timeout=1)
        try:
            yield
        finally:
            lock.release()

    @contextlib.contextmanager
    def staging(self, name: str) -> Iterator[Path]:
        """A folder to build an entry in; gone afterwards. Under `lock`: a killed process's goes too."""
        prefix = f".staging-{self.entry(name).name}."
        self.root.mkdir(parents=True, exist_ok=True)
        for leftover in self.root.glob(f"{prefix}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        stage = Path(tempfile.mkdtemp(prefix=prefix, dir=self.root))
        try:
            yield stage
        finally:
            shutil.rmtree(stage, ignore_errors=True)

    def adopt(
        self,
        name: str,
        source: SourceName,
        origin: str,
        stage: Path,
        shared: Path | None = None,
        fetched: bool = True,
    ) -> BaseFolder:
        """Make `stage` the entry of `name`: hash the files, write the manifest, sync, rename.

        Weights are in `stage/weights`, or stay where they are if `shared` names a folder; what they were made
        from may stand in `stage/download` and is not kept.
        """
        folder = shared or stage / "weights"
        records = record_files(folder)
        if shared is None:
            for record in records:
                _sync(folder / record.name)
            _sync(folder)
        manifest = Manifest(
            name=name,
            source=source,
            origin=origin,
            folder=str(shared) if shared else "weights",
            fingerprint=fingerprint(folder, records),
            files=records,
            fetched=fetched,
        )
        (stage / "manifest.json").write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
        _sync(stage / "manifest.json")
        _sync(stage)
        entry = self.entry(name)
        shutil.rmtree(stage / "download", ignore_errors=True)
        if entry.exists():
            shutil.rmtree(entry)
        stage.rename(entry)
        _sync(self.root)
        return BaseFolder(name, entry / manifest.folder, source, manifest.fingerprint)

    def remove(self, name: str, delete_snapshot: Callable[[Path], int] = delete_snapshot) -> int | None:
        """Delete an entry; the bytes freed, None where there was none.

        A snapshot in the Hugging Face cache goes too if it was fetched for this entry; one that was there
        already belongs to somebody else.
        """
        entry, manifest = self.entry(name), self.manifest(name)
        if not entry.exists():
            return None
        freed = sum(p.stat().st_size for p in entry.rglob("*") if p.is_file())
        (entry / "manifest.json").unlink(missing_ok=True)
        shutil.rmtree(entry)
        if manifest is not None and manifest.fetched and Path(manifest.folder).is_absolute():
            freed += delete_snapshot(Path(manifest.folder))
        return freed

    def hashes_of(self, path: Path, files: list[Path]) -> tuple[FileRecord, ...]:
        """Records of files outside the cache; one whose size and mtime are known is not read again."""
        memo = self.root / ".paths" / f"{text_digest(str(path))[:32]}.json"
        known: dict[str, FileRecord] = {}
        with contextlib.suppress(OSError, *NOT_JSON):
            known = {r.name: r for r in msgspec.json.decode(memo.read_bytes(), type=list[FileRecord])}
        records = tuple(record_file(f, known.get(f.name)) for f in files)
        if list(records) != list(known.values()):
            memo.parent.mkdir(parents=True, exist_ok=True)
            scratch = memo.with_suffix(f".{os.getpid()}.tmp")
            scratch.write_bytes(msgspec.json.encode(records))
            scratch.replace(memo)
        return records


def _sync(path: Path) -> None:
    """Flush a file or folder to the disk; a system that cannot sync folders is left to its own ways."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
