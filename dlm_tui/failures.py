"""Every way a command can end other than well: what is said on stderr, and the exit code."""

import os
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path

import click

from dlm_core.errors import DlmError, UsageError
from dlm_core.safetext import visible

FAILED = 1
MISUSED = 2
INTERRUPTED = 130


def report(error: BaseException) -> int:
    """Say on stderr what went wrong, and return the exit code that goes with it. Never a traceback.

    Exit codes: 2 for a request that is wrong in itself, 130 after Ctrl-C, 1 for everything else. An error
    that nobody foresaw is one sentence, with its traceback in a log file whose path is given.
    """
    match error:
        case click.UsageError():
            if error.ctx is not None:
                _say(error.ctx.get_usage())
                _say(f"Try '{error.ctx.command_path} --help' for help.\n")
            _say(f"Error: {error.format_message()}")
            return MISUSED
        case click.ClickException():
            _say(f"Error: {error.format_message()}")
            return error.exit_code
        case click.Abort() | KeyboardInterrupt():
            _say("Interrupted.")
            return INTERRUPTED
        case DlmError():
            _say(f"Error: {error}")
            return MISUSED if isinstance(error, UsageError) else FAILED
        case BrokenPipeError():
            # The reader of our output left, as `head` does. Nothing more can be written, so nothing is
            # flushed at exit either (see "Note on SIGPIPE" in the documentation of Python's signal module).
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        case _:
            _say(f"Error: {_unforeseen(error)}")
            return FAILED


def _unforeseen(error: BaseException) -> str:
    what = f"{type(error).__name__}: {str(error).strip() or 'no message'}".splitlines()[0]
    try:
        log = _write_log(error)
    except OSError as cause:
        return f"something unforeseen happened ({what}), and the log could not be written ({cause})"
    return f"something unforeseen happened ({what})\n  hint: the details are in {log}"


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


def _say(text: str) -> None:
    click.echo(visible(text), err=True)
