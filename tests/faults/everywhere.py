"""An operation under every fault: at every call that changes the disk, and with the power cut there."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from dlm_core.errors import StoreError
from tests.faults.inject import KILLING, KINDS, Disk, FaultKind, on
from tests.faults.power import PowerCut, PowerCutError
from tests.faults.tally import Tally

IN_MEMORY = Path("/dev/shm")  # Where there is one: the faults are ours, a slow disk adds nothing to them.

Operation = Callable[[Path], object]


def work_folder() -> Path | None:
    """Where the parts of the harness make their temporary folders; None for the usual place."""
    return IN_MEMORY if IN_MEMORY.is_dir() else None


def fresh_copy(source: Path, target: Path) -> Path:
    """`source` as it was, in `target`."""
    shutil.rmtree(target, ignore_errors=True)
    return Path(shutil.copytree(source, target))


def faults(
    tally: Tally, source: Path, work: Path, name: str, operation: Operation, stride: int
) -> Iterator[tuple[Path, str]]:
    """Every kind of fault at every `stride`-th call: the folder that the operation leaves, and where it was.

    An operation that fails has to say which file it was about and what the way out is.
    """
    for kind in KINDS:
        with on(Disk()) as counting:
            operation(fresh_copy(source, work))
        for at in range(1, counting.calls + 1, stride):
            folder = fresh_copy(source, work)
            tally.faults[kind] += 1
            error = _attempt(folder, operation, kind, at)
            place = f"{name}, {kind} at call {at}"
            if isinstance(error, StoreError):
                tally.expect(bool(error.hint) and "/" in error.message, f"{place}: no way out in {error}")
            elif error is not None:
                tally.lost.append(f"{place}: {error!r} instead of a message")
            yield folder, place


def power_cuts(
    tally: Tally, source: Path, work: Path, name: str, operation: Operation, stride: int
) -> Iterator[tuple[Path, str, bool]]:
    """The power gone at every `stride`-th call, until the operation goes through: and whether it did."""
    at, dark = 1, True
    while dark:
        folder = fresh_copy(source, work)
        cut = PowerCut(folder, at)
        dark = False
        try:
            with on(cut):
                operation(folder)
        except PowerCutError:
            dark = True
            tally.faults["power"] += 1
        cut.leave()
        yield folder, f"{name}, power cut at call {at}", not dark
        at += stride


def _attempt(folder: Path, operation: Operation, kind: FaultKind, at: int) -> Exception | None:
    """What the operation ended with; one that is to die does so in a fork, as this program has no threads."""
    if kind not in KILLING:
        try:
            with on(Disk(kind, at)):
                operation(folder)
        except Exception as error:
            return error
        return None
    pid = os.fork()
    if pid == 0:
        with on(Disk(kind, at)):
            operation(folder)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    survived = kind == "kill" or os.WIFEXITED(status)  # `torn` only bites where a write is hit.
    return None if os.WIFSIGNALED(status) or survived else RuntimeError(f"the child ended with {status}")
