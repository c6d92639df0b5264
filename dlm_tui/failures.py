"""Every way a command can end other than well: what is said on stderr, and the exit code."""

import os
import sys

import click

from dlm_core.errors import DlmError, UsageError
from dlm_core.safetext import visible
from dlm_tui.session.mishaps import unforeseen

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
            _say(f"Error: {unforeseen(error)}")
            return FAILED


def _say(text: str) -> None:
    click.echo(visible(text), err=True)
