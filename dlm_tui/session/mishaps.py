"""Errors that nobody foresaw: one sentence for the user, and the traceback in a private log."""

import os
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path

from dlm_core.errors import DlmError


def unforeseen(error: BaseException) -> DlmError:
    """The error as a sentence, with the log that holds its traceback as the hint."""
    what = f"{type(error).__name__}: {str(error).strip() or 'no message'}".splitlines()[0]
    try:
        log = _write_log(error)
    except OSError as cause:
        return DlmError(f"something unforeseen happened ({what}), and the log could not be written ({cause})")
    return DlmError(f"something unforeseen happened ({what})", f"the details are in {log}")


def _write_log(error: BaseException) -> Path:
    """Write the traceback to a new private file in the logs folder and return its path."""
    from dlm_core.store.paths import dlm_home

    folder = dlm_home() / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    path = folder / f"error-{now:%Y%m%dT%H%M%S}-{os.getpid()}.log"
    text = "".join(traceback.format_exception(error))
    private = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(private, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"{now.isoformat(timespec='seconds')}  dlm {' '.join(sys.argv[1:])}\n\n{text}")
    return path
