"""`dlm pack` and `dlm unpack`: a trained document as one file, and back."""

from pathlib import Path

import click

from dlm_core import pack as packs
from dlm_core.safetext import visible_line
from dlm_tui.flags import document_argument
from dlm_tui.session.packed_words import held, packed_lines


@click.command()
@document_argument
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="PACK",
    help="The pack to write; beside FILE, with the suffix .dlmpack, if not given.",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace an earlier pack.")
def pack(file: Path, output: Path | None, overwrite: bool) -> None:
    """Put FILE, its current adapters and its gate into one file.

    `dlm unpack` takes it in elsewhere. The base model is not in it, nor are earlier versions and the record
    of runs. The same content gives the same bytes. A pack that is there already is replaced only with
    --overwrite, and any other file never.
    """
    for sentence in packed_lines(packs.pack(file, output, overwrite=overwrite)):
        click.echo(sentence, err=True)


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
    click.echo(f"{document}. Trained: {held(taken.adapters, taken.gate)}{versions}.", err=True)
    click.echo(f"It needs the base {visible_line(taken.base_model)}. Ask it: dlm prompt {shown}", err=True)
