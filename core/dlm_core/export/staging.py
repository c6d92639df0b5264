"""An export folder appears whole or not at all: written beside its goal, synced, then renamed."""

import contextlib
import errno
import glob
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dlm_core.errors import DlmError, ExportError, ExportExistsError, StoreError
from dlm_core.safetext import visible_line

_PARTIAL = ".partial"
_ASIDE = f".old{_PARTIAL}"
_FORGOTTEN_SECONDS = 86_400
_REASONS = {
    errno.ENOSPC: ("the disk is full", "free some space, or choose a folder on another disk with -o"),
    errno.EDQUOT: ("your quota is used up", "free some space, or choose a folder on another disk with -o"),
    errno.EROFS: ("the disk is read-only", "choose another folder with -o"),
    errno.EACCES: ("you may not write there", "choose a folder of your own with -o"),
    errno.EPERM: ("you may not write there", "choose a folder of your own with -o"),
    errno.EFBIG: ("a file would be larger than is allowed there", "choose a folder on another disk with -o"),
    errno.EIO: ("the disk reports an error", "choose a folder on another disk with -o"),
}


def check_goal(goal: Path, *, overwrite: bool) -> None:
    """Refuse a goal that something stands at, before any work is done.

    Raises ExportError, ExportExistsError for an earlier export; `overwrite` allows that, and nothing else.
    """
    if not os.path.lexists(goal):
        return
    place = visible_line(str(goal))
    earlier = goal.is_dir() and not goal.is_symlink() and (goal / "manifest.json").is_file()
    if overwrite and earlier:
        return
    if overwrite:
        raise ExportError(f"{place} is there and is no earlier export", "choose another folder with -o")
    kind = ExportExistsError if earlier else ExportError
    raise kind(
        f"{place} is there already", "choose another folder with -o, or replace an export with --overwrite"
    )


@contextmanager
def staged(goal: Path, *, overwrite: bool) -> Iterator[Path]:
    """A folder to write into; it takes the place of `goal` when the block ends well, and goes when it does
    not.

    What is there under `goal` in the end is the old export or the new one. A process that is killed leaves at
    most a hidden folder beside the goal, whose name ends in `.partial`; the next export to this goal
    removes it.

    Raises:
        ExportError: something is at `goal` (see `check_goal`), or the disk refuses.
    """
    with translating(goal):
        goal.parent.mkdir(parents=True, exist_ok=True)
        _sweep(goal)
        check_goal(goal, overwrite=overwrite)
        stage = Path(tempfile.mkdtemp(prefix=f".{goal.name}.", suffix=_PARTIAL, dir=goal.parent))
        try:
            yield stage
            _sync(stage)
            _publish(stage, goal)
        finally:
            shutil.rmtree(stage, ignore_errors=True)


@contextmanager
def translating(goal: Path) -> Iterator[None]:
    """An OSError in the block, and what safetensors makes of one, as an ExportError in one sentence."""
    from safetensors import SafetensorError

    try:
        yield
    except StoreError as error:  # of what writes for the store too, and knows nothing of the goal
        if not isinstance(error.__cause__, OSError):
            raise
        cause = error.__cause__
        raise refusal(goal, cause.errno or 0, cause.strerror or str(cause)) from error
    except DlmError:
        raise
    except OSError as error:
        raise refusal(goal, error.errno or 0, error.strerror or str(error)) from error
    except SafetensorError as error:
        text = str(error)
        number = errno.ENOSPC if "os error 28" in text or "No space left" in text else 0
        raise refusal(goal, number, text) from error


def refusal(goal: Path, number: int, text: str) -> ExportError:
    """The error for a person: which export failed, and why."""
    reason, hint = _REASONS.get(
        number, (visible_line(text.lower())[:200], "look at the disk, then try again")
    )
    return ExportError(
        f"the export to {visible_line(str(goal))} could not be written: {reason}; nothing was left behind",
        hint,
    )


def _sweep(goal: Path) -> None:
    """Put back an export that stepped aside for one that never came, and remove what other exports left.

    What was replaced goes at once; what is being written, and younger than a day, may be another process's.
    """
    left = [p for p in goal.parent.glob(f".{glob.escape(goal.name)}.*{_PARTIAL}") if not p.is_symlink()]
    for path in left:
        with contextlib.suppress(OSError):
            if path.name.endswith(_ASIDE):
                shutil.rmtree(path) if os.path.lexists(goal) else path.rename(goal)
            elif path.is_dir() and time.time() - path.stat().st_mtime > _FORGOTTEN_SECONDS:
                shutil.rmtree(path, ignore_errors=True)


def _sync(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.chmod(0o700 if path.is_dir() else 0o600)
        _fsync(path)
    _fsync(folder)


def _fsync(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() or os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not (path.is_dir() and error.errno in (errno.EINVAL, errno.ENOTSUP)):
            raise
    finally:
        os.close(descriptor)


def _publish(stage: Path, goal: Path) -> None:
    """Rename the stage to the goal; an export that is replaced steps aside first, and comes back on
    failure.
    """
    aside = goal.with_name(f".{goal.name}.{secrets.token_hex(4)}{_ASIDE}")
    replaced = goal.is_dir() and not goal.is_symlink()
    if replaced:
        goal.rename(aside)
    try:
        stage.rename(goal)
    except OSError as error:
        if replaced:
            try:
                aside.rename(goal)
            except OSError:
                raise ExportError(
                    f"the export to {visible_line(str(goal))} could not be written, and the earlier one "
                    f"stands beside it as {visible_line(aside.name)}",
                    "look at the disk; the next export to this folder puts it back, or rename it yourself",
                ) from error
        raise
    shutil.rmtree(aside, ignore_errors=True)
    _fsync(goal.parent)
