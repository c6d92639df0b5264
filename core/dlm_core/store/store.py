"""The store of one document: what is current, how a run becomes current, and how to go back.

A commit has two phases. First every new version folder is written, synced and sealed beside the old ones,
and a copy of the new manifest goes into `history/`. Then `manifest.json` is replaced, and that one rename
makes all adapters and the gate of the run current together. Killed before it, the store holds the old
versions; after it, the new ones. What a killed process left over is cleared by the next writer.
"""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import structs

from dlm_core.errors import StoreError
from dlm_core.store import atomic, lock, manifest, marks, seal
from dlm_core.store.checkpoints import Checkpoints
from dlm_core.store.manifest import NOTHING_NOTED, Committed, RunRecord, Snapshot
from dlm_core.store.metrics import Metrics
from dlm_core.store.paths import StorePaths, dlm_home, is_version, version_name, version_number

_START_OVER = "train again from the base with `dlm train --fresh`"
GATE = ""  # The gate's key where adapters go by name.


class Store:
    """Everything kept for one document. Reading needs no lock and never waits; writing takes the writer lock.

    One Store belongs to one thread at a time. `notices` has a sentence for everything found and put right.
    """

    def __init__(self, paths: StorePaths, clock: Callable[[], float] = time.time) -> None:
        self.paths = paths
        self.checkpoints = Checkpoints(paths.checkpoints, clock)
        self.notices: list[str] = []
        self._clock = clock
        self._writing = False

    @classmethod
    def open(
        cls, dlm_id: str, home: Path | None = None, *, create: bool, clock: Callable[[], float] = time.time
    ) -> "Store":
        """Opens the store of a document.

        Args:
            dlm_id: the document's ULID.
            home: where all stores are; None asks `dlm_home`.
            create: make the folders if there are none, and put right what a killed process left, unless
                another process is writing. Without it nothing is written, and a store that does not exist
                reads as empty.
            clock: seconds since the epoch; for the record alone, order never depends on it.

        Raises:
            StoreError: no ULID, or the store cannot be read, or (with `create`) not made.
        """
        store = cls(StorePaths(dlm_home() if home is None else home, dlm_id), clock)
        if create:
            atomic.make_folder(store.paths.root)
            with suppress(StoreError), store.writer():
                pass
        store.snapshot()
        return store

    @property
    def exists(self) -> bool:
        """Whether anything was ever written for this document."""
        return self.paths.root.is_dir()

    def snapshot(self) -> Snapshot:
        """What is current; generation 0 where nothing was committed yet.

        A damaged manifest is replaced, in memory, by the newest copy in `history/`, and a notice says so.

        Raises:
            StoreError: neither the manifest nor any copy of it can be read.
        """
        with atomic.translating(self.paths.root, "read"):
            return self._load()[0]

    def metrics(self, on_problem: Callable[[str], None] | None = None) -> Metrics:
        """The record of this document's runs, to read and to write. The caller closes it."""
        return Metrics(self.paths.metrics, on_problem=on_problem, floor=self.snapshot().run_id)

    @contextmanager
    def writer(self, wait: float = 0.0) -> Iterator[None]:
        """Holds the writer's lock for the block; within it, `stage` and the like do not take it again.

        Args:
            wait: seconds to wait for another writer, negative without end.

        Raises:
            StoreLockedError: another process writes; the message names it.
            StoreError: the lock cannot be used, or leftovers cannot be cleared.
        """
        if self._writing:
            yield
            return
        with lock.hold(self.paths.lock, wait, self._clock) as left_behind:
            if left_behind is not None:
                self._notice(f"took over the lock that {left_behind.describe()} left when it died")
            self._writing = True
            try:
                with atomic.translating(self.paths.root, "tidy up"):
                    self._tidy()
                yield
            finally:
                self._writing = False

    @contextmanager
    def stage(self, run_id: int) -> Iterator["Stage"]:
        """A place to write new versions in; leaving it without `commit` removes what was staged.

        Raises:
            StoreLockedError, StoreError: as `writer`; also for an OSError out of the block, which writes.
        """
        with self.writer():
            stage = Stage(self, self.snapshot(), run_id, self._clock)
            try:
                with atomic.translating(self.paths.root, "write to"):
                    yield stage
            finally:
                with suppress(StoreError):
                    stage.discard()

    def versions(self) -> list[Snapshot]:
        """Every commit still kept, oldest first; the last one is current. Damaged records are left out."""
        current = self.snapshot()
        older = [self._from_history(g) for g in self._generations() if g < current.generation]
        return [*(s for s in older if s is not None), *([current] if current.generation else [])]

    def verify(self, snapshot: Snapshot | None = None) -> None:
        """Checks every file of a commit (the current one by default) against the hashes of its seal.

        Raises:
            StoreError: names each damaged file; the hint names the newest commit that is whole.
        """
        checked = self.snapshot() if snapshot is None else snapshot
        damaged = [sentence for folder in checked.folders().values() for sentence in seal.damage(folder)]
        if damaged:
            raise StoreError("; ".join(damaged), self._way_out(checked))

    def rollback(self, to: int) -> Snapshot:
        """Makes the versions of an earlier generation current again, as a new generation.

        Raises:
            StoreError: there is no such generation, or it is damaged; what was current stays so.
            StoreLockedError: another process writes.
        """
        with self.writer():
            current = self.snapshot()
            target = next((s for s in self.versions() if s.generation == to), None)
            if target is None:
                kept = ", ".join(str(s.generation) for s in self.versions()) or "none"
                raise StoreError(f"there is no generation {to} in the store", f"kept are: {kept}")
            self.verify(target)
            return self._flip(
                structs.replace(
                    target,
                    generation=current.generation + 1,
                    committed_at=self._clock(),
                    numbered=current.numbered,
                    note=f"rolled back to generation {to}",
                )
            )

    def adopt(self, committed: Committed, fill: Callable[[Snapshot], None]) -> Snapshot:
        """Makes a commit that was made elsewhere current here, in a store that has none yet.

        Args:
            committed: what its manifest said.
            fill: writes its sealed folders, at the places that the snapshot it is given names.

        Raises:
            StoreError: there is a commit here already, or what was written does not match its seals; nothing
                of it is left then. Also whatever `fill` raises.
            StoreLockedError: another process writes.
        """
        with self.writer():
            if self.snapshot().generation:
                raise StoreError(f"{atomic.shown(self.paths.root)} holds a trained document already")
            incoming = manifest.snapshot(self.paths, committed)
            folders = incoming.folders().values()
            try:
                with atomic.translating(self.paths.root, "write to"):
                    fill(incoming)
                for folder in folders:
                    atomic.fsync_tree(folder)
                self.verify(incoming)
                return self._flip(committed)
            except BaseException:
                with suppress(StoreError):
                    if not self.snapshot().generation:
                        for folder in folders:
                            atomic.remove_tree(folder)
                raise

    def prune(self, keep: int) -> list[Path]:
        """Forgets all but the last `keep` (at least 1) commits and those that are pinned, and removes folders
        that only they needed.

        Returns the folders removed. Raises StoreError, StoreLockedError.
        """
        with self.writer():
            commits, pinned = self.versions(), marks.pinned(self.paths.marks)
            last = commits[-max(keep, 1) :]
            kept = [*(s for s in commits if s.generation in pinned and s not in last), *last]
            needed = {folder for s in kept for folder in s.folders().values()}
            oldest = last[0].generation if last else 0
            for generation in self._generations():
                if generation < oldest and generation not in pinned:
                    atomic.remove_file(self.paths.generation(generation))
            removed = [folder for folder in self._version_folders() if folder not in needed]
            for folder in removed:
                atomic.remove_file(folder / seal.SEAL)  # First, so that a half-removed folder is no version.
                atomic.remove_tree(folder)
            return removed

    def sizes(self) -> dict[str, int]:
        """Bytes on disk: adapters, gate, checkpoints, replay, metrics, exports."""
        p = self.paths
        parts = {"adapters": p.adapters, "gate": p.gate, "checkpoints": p.checkpoints, "replay": p.replay}
        sizes = {name: _tree_size(folder) for name, folder in parts.items()}
        metrics = (p.metrics.with_name(p.metrics.name + suffix) for suffix in ("", "-wal", "-shm"))
        return {**sizes, "metrics": sum(map(_tree_size, metrics)), "exports": _tree_size(p.exports)}

    def _load(self) -> tuple[Snapshot, bool]:
        """The current commit, and whether it had to be taken from history."""
        if not self.paths.manifest.exists() and not self._generations():
            return Snapshot(paths=self.paths), False
        try:
            return manifest.snapshot(self.paths, manifest.read(self.paths.manifest)[0]), False
        except manifest.NewerFormatError:
            raise
        except StoreError as error:
            for generation in reversed(self._generations()):
                copy = self._from_history(generation)
                if copy is not None and all(map(seal.is_sealed, copy.folders().values())):
                    self._notice(
                        f"{error.message}; generation {generation} was taken from its copy in history"
                    )
                    return copy, True
            place = atomic.shown(self.paths.root)
            way_out = (
                f"restore {self.paths.manifest.name} from a backup, or move {place} away and train again"
            )
            raise StoreError(error.message, way_out) from error

    def _from_history(self, generation: int) -> Snapshot | None:
        try:
            return manifest.snapshot(self.paths, manifest.read(self.paths.generation(generation))[0])
        except StoreError:
            return None

    def _generations(self) -> list[int]:
        """The generations in history, ascending; one above the current is a commit that was never made."""
        return sorted(int(p.stem) for p in self.paths.history.glob("*.json") if p.stem.isdecimal())

    def _flip(self, committed: Committed) -> Snapshot:
        """Makes a commit current; every folder it points to is sealed by now."""
        manifest.write(self.paths.generation(committed.generation), committed)
        manifest.write(self.paths.manifest, committed)
        flipped = manifest.snapshot(self.paths, manifest.read(self.paths.manifest)[0])
        with suppress(StoreError):  # A convenience; the next writer repairs it.
            self._write_currents(flipped)
        return flipped

    def _write_currents(self, snapshot: Snapshot) -> None:
        """A file `current` beside the versions, for people and scripts; the store itself never reads it."""
        current = {self.paths.adapter(name): version for name, version in snapshot.adapters.items()}
        current[self.paths.gate] = snapshot.gate or ""
        for folder in (*self._adapter_folders(), self.paths.gate):
            pointer = folder / "current"
            wanted = f"{current.get(folder)}\n" if current.get(folder) else ""
            if wanted and not (pointer.is_file() and atomic.read_bytes(pointer) == wanted.encode()):
                atomic.write_text(pointer, wanted)
            elif not wanted and pointer.exists():
                atomic.remove_file(pointer)

    def _tidy(self) -> None:
        """Clears what a killed writer left, repairs what can be repaired. Holds the lock."""
        current, from_history = self._load()
        if from_history or not self.paths.manifest.exists():
            if self.paths.manifest.exists():
                atomic.replace(self.paths.manifest, self.paths.manifest.with_name("manifest.damaged.json"))
            manifest.write(self.paths.manifest, current)
        elif (form := manifest.read(self.paths.manifest)[1]) < manifest.current_format():
            backup = self.paths.manifest.with_name(f"manifest.format{form}.json")
            atomic.write_bytes(backup, atomic.read_bytes(self.paths.manifest))
            manifest.write(self.paths.manifest, current)
        for generation in self._generations():
            if generation > current.generation:
                atomic.remove_file(self.paths.generation(generation))
        needed = {folder for s in self.versions() for folder in s.folders().values()}
        for folder in self._version_folders():
            if folder not in needed and not _was_committed(folder, current.generation):
                atomic.remove_tree(folder)
        for folder in (self.paths.root, self.paths.history, self.paths.gate, *self._adapter_folders()):
            for temporary in folder.glob(".*.tmp"):
                atomic.remove_file(temporary)
        with suppress(StoreError):
            self._write_currents(current)

    def _adapter_folders(self) -> list[Path]:
        return sorted(p for p in self.paths.adapters.glob("*") if p.is_dir())

    def _version_folders(self) -> list[Path]:
        parents = [*self._adapter_folders(), self.paths.gate]
        return sorted(p for parent in parents for p in parent.glob("v*") if p.is_dir() and is_version(p.name))

    def _way_out(self, damaged: Snapshot) -> str:
        for older in reversed(self.versions()):
            if older.generation != damaged.generation and not any(map(seal.damage, older.folders().values())):
                return f"go back with `dlm rollback FILE --to {older.generation}`, or {_START_OVER}"
        return _START_OVER

    def _notice(self, sentence: str) -> None:
        if sentence not in self.notices:
            self.notices.append(sentence)


class Stage:
    """New versions in the making: folders to write into, and the commit that makes them current together."""

    def __init__(self, store: Store, base: Snapshot, run_id: int, clock: Callable[[], float]) -> None:
        self.base = base
        self._store = store
        self._run_id = run_id
        self._clock = clock
        self._staged: dict[str, tuple[str, Path]] = {}
        self._committed = False

    def adapter_dir(self, name: str) -> Path:
        """An empty folder for the adapter's next version; the same when asked again. Raises StoreError."""
        return self._folder(name, self._store.paths.adapter(name))

    def gate_dir(self) -> Path:
        """An empty folder for the gate's next version; the same one when asked again. Raises StoreError."""
        return self._folder(GATE, self._store.paths.gate)

    def commit(
        self,
        record: RunRecord = NOTHING_NOTED,
        *,
        keep: Collection[str] | None = None,
        keep_gate: bool = True,
    ) -> Snapshot:
        """Makes everything staged current in one step. What is not given, and not staged, stays as it was.

        Args:
            record: what the run notes beside its versions.
            keep: the adapters that stay, apart from those staged; None keeps all. A document that lost an
                adapter names those it still has.
            keep_gate: whether the old gate stays where no new one is staged. It does not fit other adapters.

        Raises:
            StoreError: something could not be written. The old versions are current, unless the message is
                about syncing the store's folder after the last rename; `Store.snapshot` tells.
        """
        if self._committed:
            raise StoreError("this stage is committed already", "open another one")
        generation = self.base.generation + 1
        now = self._clock()
        for key, (_, folder) in self._staged.items():
            label = f"adapter {key}" if key != GATE else "gate"
            seal.seal(folder, name=label, generation=generation, run_id=self._run_id, at=now)
        staged = {key: version for key, (version, _) in self._staged.items()}
        staying = {n: v for n, v in self.base.adapters.items() if keep is None or n in keep}
        committed = structs.replace(
            self.base,
            generation=generation,
            adapters=staying | {n: v for n, v in staged.items() if n != GATE},
            gate=staged.get(GATE, self.base.gate if keep_gate else None),
            run_id=self._run_id,
            committed_at=now,
            numbered=self.base.numbered | {key: version_number(v) for key, v in staged.items()},
            note="",
            **record.given(),
        )
        snapshot = self._store._flip(committed)
        self._committed = True
        return snapshot

    def discard(self) -> None:
        """Removes what was staged and not committed. Raises StoreError; the next writer tries again."""
        current = self._store.snapshot()
        if current.generation > self.base.generation:
            return  # The manifest was flipped, even if the commit ended in an error afterwards.
        atomic.remove_file(self._store.paths.generation(self.base.generation + 1))
        for _, folder in self._staged.values():
            atomic.remove_tree(folder)

    def _folder(self, key: str, parent: Path) -> Path:
        if key not in self._staged:
            taken = [version_number(p.name) for p in parent.glob("v*") if is_version(p.name)]
            version = version_name(max([*taken, self.base.numbered.get(key, 0)]) + 1)
            atomic.make_folder(parent / version)
            self._staged[key] = (version, parent / version)
        return self._staged[key][1]


def _was_committed(folder: Path, generation: int) -> bool:
    """Whether a folder that no readable manifest names may still hold a committed version; in doubt, yes."""
    if not seal.is_sealed(folder):
        return False
    try:
        return seal.read_seal(folder).generation <= generation
    except StoreError:
        return True


def _tree_size(path: Path) -> int:
    with suppress(OSError):
        if path.is_file():
            return path.stat().st_size
        return sum(p.lstat().st_size for p in path.rglob("*") if p.is_file())
    return 0
