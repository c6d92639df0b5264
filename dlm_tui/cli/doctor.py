"""`dlm doctor`: device, number type and memory, each with its reason, and what to change."""

from dataclasses import asdict
from pathlib import Path

import click

from dlm_core import oneshot
from dlm_core.reports import Checkup
from dlm_core.safetext import visible
from dlm_tui.cli.tables import print_json, print_table
from dlm_tui.failures import FAILED
from dlm_tui.flags import json_option
from dlm_tui.session.output import megabytes


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
        _print(found)
    if not found.fits:
        raise click.exceptions.Exit(FAILED)


def _encoder(found: Checkup) -> str:
    if found.encoder_path:
        where = f"sha256 {found.encoder_sha256[:16]}…\n  {found.encoder_path}"
        return f"encoder: {found.encoder}, cached, {where}"
    return (
        f"encoder: {found.encoder}, not fetched\n"
        "  without it the right section is found for fewer reworded questions, by words and the base alone,\n"
        f"  and more prompts about other things are answered; fetch it with `dlm base pull {found.encoder}`"
    )


def _print(found: Checkup) -> None:
    click.echo(visible(f"device: {found.device}, {found.dtype}\n  {found.reason}"))
    click.echo(f"free memory: {megabytes(found.available)}")
    if found.base:
        click.echo(visible(f"base: {found.base}, {found.base_state}"))
    if found.encoder:
        click.echo(visible(_encoder(found)))
    if found.needs:
        about = "about, as the base is not here to be measured" if found.estimated else "about"
        click.echo(f"training takes {about} {megabytes(found.needed)}:")
        print_table(
            ("  part", "memory#", ""), [(f"  {n.label}", megabytes(n.size), n.how) for n in found.needs]
        )
        click.echo("that fits" if found.fits else "that does not fit")
    for sentence in found.advice:
        click.echo(visible(f"advice: {sentence}"))
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    click.echo(visible(f"{found.platform}\n{versions}"))
