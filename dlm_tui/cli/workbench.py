"""`dlm open`: the workbench."""

import sys
from pathlib import Path

import click

from dlm_core.errors import UsageError


@click.command("open")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--watch", is_flag=True, help="Train after every save of the document.")
def open_(file: Path | None, watch: bool) -> None:
    """Open FILE in the workbench; without one, choose from recent and sample documents."""
    if not on_a_terminal():
        raise UsageError("the workbench needs a terminal", "`dlm repl` and `dlm prompt` do without one")
    from dlm_tui import sweeping

    with sweeping.held_off():
        from dlm_tui.app import run_app

        code = run_app(file, watch=watch)
    raise click.exceptions.Exit(code)


def on_a_terminal() -> bool:
    """Whether a person sits at both ends."""
    return sys.stdin.isatty() and sys.stdout.isatty()
