"""What commands write on stdout: tables and JSON."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dlm_core.safetext import visible_line
from dlm_tui.session.bars import cut
from dlm_tui.session.output import as_json

_UNFOLDED = 10_000
_LONGEST = 160  # characters of a reply in a list


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    click.echo(as_json(value, indent=2, encoding=sys.stdout.encoding))


def shortened(text: str) -> str:
    """A text on one line, cut where it gets long."""
    return cut(visible_line(" ".join(text.split())), _LONGEST)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Aligned columns on stdout, those of numbers (`heading#`) to the right; folded only on a terminal."""
    console = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=_UNFOLDED)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in headings:
        table.add_column(heading.rstrip("#"), justify="right" if heading.endswith("#") else "left")
    for row in rows:
        table.add_row(*(Text(visible_line(cell)) for cell in row))
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        click.echo(line.rstrip())
