"""Disks that fail on purpose: the n-th call that changes the disk fails, or kills the process."""

import errno
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, Literal, Protocol, TypeVar

from dlm_core.store import atomic

FaultKind = Literal["kill", "torn", "enospc", "eio", "read_only", "full"]
KINDS: tuple[FaultKind, ...] = ("kill", "torn", "enospc", "eio", "read_only", "full")
KILLING = ("kill", "torn")

_ONCE = {"enospc": errno.ENOSPC, "eio": errno.EIO}
_FROM_THEN_ON = {"read_only": errno.EROFS, "full": errno.ENOSPC}
_FREES_SPACE = ("unlink", "rmtree")


@dataclass
class Disk:
    """Counts the calls that change the disk and spoils one of them.

    Kinds: `kill` dies before the call, `torn` does half of a write or removal and dies; `enospc` and `eio`
    fail once, half-way too; `read_only` and `full` fail from then on, but a full disk lets files be removed.
    """

    kind: FaultKind | None = None
    at: int = 0
    calls: int = 0

    def system(self) -> atomic.System:
        """The table of calls to put in place of `atomic.system`."""
        real = atomic.System()
        return atomic.System(**{f.name: self._spoiled(f.name, getattr(real, f.name)) for f in fields(real)})

    def _spoiled(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def spoiled(*arguments: Any) -> Any:
            self.calls += 1
            if self.kind is not None and self._hits(name):
                self._fail(name, call, arguments)
            return call(*arguments)

        return spoiled

    def _hits(self, name: str) -> bool:
        if self.kind == "full" and name in _FREES_SPACE:
            return False
        return self.calls >= self.at if self.kind in _FROM_THEN_ON else self.calls == self.at

    def _fail(self, name: str, call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        assert self.kind is not None
        if name == "write" and self.kind != "kill":
            descriptor, data = arguments
            call(descriptor, data[: len(data) // 2])
        if name == "rmtree" and self.kind != "kill":
            entries = sorted(p for p in arguments[0].rglob("*") if p.is_file())
            for entry in entries[: (len(entries) + 1) // 2]:
                entry.unlink()
        if self.kind in KILLING:
            os.kill(os.getpid(), signal.SIGKILL)
        code = (_ONCE | _FROM_THEN_ON)[self.kind]
        raise OSError(code, os.strerror(code))


class Spoiler(Protocol):
    """Something that stands in for the disk."""

    def system(self) -> atomic.System: ...


D = TypeVar("D", bound=Spoiler)


@contextmanager
def on(disk: D) -> Iterator[D]:
    """Everything the store changes goes through `disk` in the block."""
    before, atomic.system = atomic.system, disk.system()
    try:
        yield disk
    finally:
        atomic.system = before
