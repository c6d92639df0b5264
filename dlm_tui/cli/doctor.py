"""`dlm doctor`: device, number type and memory, each with its reason, and what to change."""

from dataclasses import asdict
from pathlib import Path

import click

from dlm_core import oneshot
from dlm_tui.cli.tables import print_json
from dlm_tui.failures import FAILED
from dlm_tui.flags import json_option
from dlm_tui.session.checkup_words import checkup_lines


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@json_option
def doctor(file: Path | None, as_json: bool) -> None:
    """Say which device and number type would be used and why, and whether FILE can be trained here.

    Exits with 1 if the memory that training needs is more than there is. Nothing is fetched or loaded.
    """
    found = oneshot.doctor(file)
    if as_json:
        print_json(asdict(found))
    else:
        for line in checkup_lines(found):
            click.echo(line)
    if not found.fits:
        raise click.exceptions.Exit(FAILED)
