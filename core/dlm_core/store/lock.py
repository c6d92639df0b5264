"""One writer at a time: a lock of the operating system, and a file beside it that says who holds it.

The system drops the lock when its process dies, however it dies; no age or clock is consulted.
"""

import contextlib
import os
import shlex
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
import msgspec
import psutil
from msgspec import Struct

from dlm_core.errors import NOT_JSON, StoreError, StoreLockedError
from dlm_core.safetext import visible_line
from dlm_core.store import atomic

_LAST_DAY = 253402214400.0  # 9999-12-31 in seconds since the epoch: clocks jump


class Holder(Struct, frozen=True, kw_only=True):
    """The process that holds a lock; `since` in seconds since the epoch."""

    pid: int
    host: str
    command: str
    since: float

    def lives(self) -> bool:
        """Whether the process still runs; one on another machine is taken at its word."""
        return self.host != socket.gethostname() or psutil.pid_exists(self.pid)

    def describe(self) -> str:
        """`process 4711, `dlm train notes.dlm`, since 12:03`."""
        began = time.localtime(min(max(self.since, 0.0), _LAST_DAY))
        today = time.strftime("%x") == time.strftime("%x", began)
        since = time.strftime("%H:%M" if today else "%Y-%m-%d %H:%M", began)
        elsewhere = f" on {self.host}" if self.host != socket.gethostname() else ""
        return visible_line(f"process {self.pid}{elsewhere}, `{self.command}`, since {since}")


@contextmanager
def hold(path: Path, wait: float = 0.0, clock: Callable[[], float] = time.time) -> Iterator[Holder | None]:
    """Holds the lock at `path` for the block; yields the holder that died with it, if one did.

    Args:
        path: the lock file; who holds it stands in a file of the same name with `.holder` added.
        wait: seconds to wait for another holder, negative without end.
        clock: the time to write down.

    Raises:
        StoreLockedError: another process, or another holder in this one, has it; the message names it.
        StoreError: the lock file cannot be used.
    """
    atomic.make_folder(path.parent)
    note = holder_file(path)
    lock = filelock.FileLock(path, mode=atomic.FILE_MODE, thread_local=False)
    try:
        lock.acquire(timeout=wait, poll_interval=0.1)
    except filelock.Timeout as error:
        holder = read_holder(path)
        who = holder.describe() if holder and holder.lives() else "another process"
        raise StoreLockedError(
            f"the store is held by {who}", "wait until it is done, or stop it; then try again"
        ) from error
    except (OSError, NotImplementedError) as error:
        cause = error if isinstance(error, OSError) else OSError(0, "the file system cannot lock files")
        raise atomic.store_error(path, "lock", cause) from error
    try:
        left_behind = read_holder(path)
        atomic.write_json(note, _myself(clock()))
        try:
            yield left_behind
        finally:
            with contextlib.suppress(StoreError):
                atomic.remove_file(note)
    finally:
        lock.release()


def holder_file(path: Path) -> Path:
    """Where the holder of the lock at `path` is written down."""
    return path.with_name(path.name + ".holder")


def read_holder(path: Path) -> Holder | None:
    """Who holds the lock at `path` by the file beside it; None if nobody is written down."""
    try:
        return msgspec.json.decode(holder_file(path).read_bytes(), type=Holder)
    except (OSError, *NOT_JSON):
        return None


def _myself(now: float) -> Holder:
    command = shlex.join([Path(sys.argv[0]).name or "python", *sys.argv[1:4]])
    return Holder(pid=os.getpid(), host=socket.gethostname(), command=command[:200], since=now)
