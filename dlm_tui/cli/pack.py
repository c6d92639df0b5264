"""`dlm pack` and `dlm unpack`: a trained document as one file, and back."""

from pathlib import Path

import click

from dlm_core import pack as packs
from dlm_core.safetext import visible_line
from dlm_tui.flags import document_argument
from dlm_tui.session.output import megabytes


@click.command()
@document_argument
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="PACK",
    help="The pack to write; beside FILE, with the suffix .dlmpack, if not given.",
)  # fmt: skip
def pack(file: Path, output: Path | None) -> None:
    """Put FILE, its current adapters and its gate into one file.

    `dlm unpack` takes it in elsewhere. The base model is not in it, nor are earlier versions and the record
    of runs. The same content gives the same bytes. A file that is there already is never touched.
    """
    written = packs.pack(file, output)
    held = _held(written.adapters, written.gate)
    click.echo(f"Wrote {visible_line(str(written.path))}: {held}, {megabytes(written.size)}.", err=True)
    click.echo(f"It needs the base {visible_line(written.base_model)}, which is not in it.", err=True)
    for sentence in written.outside:
        click.echo(f"note: {visible_line(sentence)}", err=True)


@click.command()
@click.argument("packed", metavar="PACK", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", default=Path(),
    help="Where to put the document; the current folder if not given.",
)  # fmt: skip
def unpack(packed: Path, output: Path) -> None:
    """Take in what `dlm pack` wrote: the document, and its versions where `dlm prompt` finds them.

    Every hash is checked before anything is written. Nothing that is there already is ever overwritten.
    """
    taken = packs.unpack(packed, output)
    shown = visible_line(str(taken.path))
    document = f"Wrote {shown}" if taken.wrote_document else f"{shown} is there already, the same"
    versions = "" if taken.wrote_store else ", which were here already"
    click.echo(f"{document}. Trained: {_held(taken.adapters, taken.gate)}{versions}.", err=True)
    click.echo(f"It needs the base {visible_line(taken.base_model)}. Ask it: dlm prompt {shown}", err=True)


def _held(adapters: tuple[str, ...], gate: bool) -> str:
    count = f"{len(adapters)} adapter{'' if len(adapters) == 1 else 's'} ({', '.join(adapters)})"
    return f"{count} and the gate" if gate else count
