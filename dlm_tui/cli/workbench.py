"""`dlm open`: the workbench."""

from importlib.util import find_spec
from pathlib import Path

import click

from dlm_core.errors import DlmError


@click.command("open")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
def open_(file: Path | None) -> None:
    """Open FILE in the workbench; without one, choose from recent and sample documents."""
    if find_spec("dlm_tui.app") is None:
        raise DlmError("the workbench is not part of this version", "`dlm repl FILE` chats in the terminal")
    from dlm_tui.app import run_app

    run_app(file)
