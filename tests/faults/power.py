"""A power cut: what was never synced is gone, in the worst way the rules of a file system allow.

A file whose content was not synced comes back empty; a rename, or a new entry in a folder, that was not
followed by a sync of that folder did not happen. What was unlinked stays so.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlm_core.store import atomic


class PowerCutError(BaseException):
    """The machine went dark; no handler may do anything about it."""


class PowerCut:
    """Cuts the power at the n-th call that changes the disk, and leaves `root` as a machine would find it."""

    def __init__(self, root: Path, at: int) -> None:
        self._root = root
        self._at = at
        self._calls = 0
        self._known = {_identity(p.stat()) for p in root.rglob("*")}
        self._synced: set[tuple[int, int]] = set()
        self._renamed: list[tuple[Path, bytes | None]] = []
        self._made: list[Path] = []

    def system(self) -> atomic.System:
        """The table of calls to put in place of `atomic.system`."""
        real = atomic.System()
        return atomic.System(
            open=self._cut(self._open),
            write=self._cut(real.write),
            fsync=self._cut(self._fsync),
            replace=self._cut(self._replace),
            link=self._cut(self._link),
            mkdir=self._cut(self._mkdir),
            chmod=self._cut(real.chmod),
            unlink=self._cut(real.unlink),
            rmtree=self._cut(real.rmtree),
        )

    def leave(self) -> None:
        """What the disk holds when the power is back."""
        for path, before in reversed(self._renamed):
            path.unlink(missing_ok=True) if before is None else path.write_bytes(before)
        for path in reversed(self._made):
            if path.is_dir():
                atomic.System().rmtree(path)
            else:
                path.unlink(missing_ok=True)
        for path in self._root.rglob("*"):
            status = path.stat()
            durable = self._known | self._synced
            if stat.S_ISREG(status.st_mode) and _identity(status) not in durable and _kept_by_store(path):
                os.truncate(path, 0)

    def _cut(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def until_then(*arguments: Any) -> Any:
            self._calls += 1
            if self._calls >= self._at:
                raise PowerCutError
            return call(*arguments)

        return until_then

    def _open(self, path: Path, flags: int, mode: int) -> int:
        self._made.append(path)
        return os.open(path, flags, mode)

    def _mkdir(self, path: Path, mode: int) -> None:
        path.mkdir(mode)
        self._made.append(path)

    def _fsync(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        self._synced.add(_identity(status))
        if stat.S_ISDIR(status.st_mode):
            here = [
                p for p in self._root.rglob("*") if p.is_dir() and _identity(p.stat()) == _identity(status)
            ]
            folder = here[0] if here else self._root
            self._renamed = [(path, before) for path, before in self._renamed if path.parent != folder]
            self._made = [path for path in self._made if path.parent != folder]

    def _replace(self, source: Path, target: Path) -> None:
        if source.is_file():
            self._renamed.append((target, target.read_bytes() if target.exists() else None))
        else:
            self._made.append(target)
        source.replace(target)
        self._made = [path for path in self._made if path != source]

    def _link(self, source: Path, target: Path) -> None:
        target.hardlink_to(source)
        self._made.append(target)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _kept_by_store(path: Path) -> bool:
    """The lock and SQLite's files look after themselves."""
    return path.name != "lock" and not path.name.startswith("metrics.")
