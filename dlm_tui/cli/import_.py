"""`dlm import`: rows of other people's files into a document, shown before anything is written."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from dlm_core import oneshot
from dlm_core.data.columns import Columns
from dlm_core.data.formats import NAMED
from dlm_core.data.gather import Reading
from dlm_core.data.importing import Import, Wanted, prepare
from dlm_core.data.topics import Meaning
from dlm_core.errors import StoreError
from dlm_core.safetext import visible_line
from dlm_tui.cli.progress import open_view
from dlm_tui.cli.tables import print_json
from dlm_tui.flags import json_option
from dlm_tui.session import drafts as files
from dlm_tui.session.import_report import as_document, difference, summary, total


@click.command("import")
@click.argument("inputs", metavar="FILE|FOLDER|hf:NAME…", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    metavar="DOC",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The document to write, or the one that is there to import into.",
)
@click.option("--apply", is_flag=True, help="Change a document that is there without asking first.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and write nothing.")
@click.option("--adapter", metavar="NAME", help="The adapter that learns all rows.")
@click.option(
    "--adapters",
    "by",
    type=click.Choice(["file", "folder", "auto"]),
    help="An adapter for each file or folder, by its name, or for each topic, found by meaning where there "
    "is a sentence encoder, else by the words.",
)
@click.option("--adapter-column", metavar="COL", help="The column or field whose value names the adapter.")
@click.option(
    "--question",
    "questions",
    metavar="COL",
    multiple=True,
    help="The column or field with the question; several give several wordings.",
)
@click.option("--answer", metavar="COL", help="The column or field with the answer.")
@click.option("--no-header", is_flag=True, help="The first line of a table is a row; columns go by number.")
@click.option("--format", "form", type=click.Choice(NAMED), help="Read files as this, whatever their names.")
@click.option("--encoding", metavar="NAME", help="The encoding of the files; by default it is detected.")
@click.option(
    "--headings",
    type=click.Choice(["auto", "all", "none"]),
    default="auto",
    show_default=True,
    help="Which headings of Markdown and HTML are questions: those that read like one, all, or none.",
)
@click.option("--prose", is_flag=True, help="Take text under no question too, as prose.")
@click.option("--split", metavar="NAME", default="train", show_default=True, help="The split of a dataset.")
@click.option("--limit", metavar="N", type=click.IntRange(min=1), help="Read no more than N rows.")
@click.option("--drop-near", is_flag=True, help="Leave out rows that nearly repeat another.")
@click.option(
    "--prune",
    is_flag=True,
    help="Take out sections whose row is gone from its source, unless they were edited.",
)
@click.option("--restore", is_flag=True, help="Bring sections back that were taken out of the document.")
@click.option("--base", default="smollm2-135m", show_default=True, help="The base of a new document.")
@json_option
def import_(
    inputs: tuple[str, ...],
    output: Path,
    apply: bool,
    dry_run: bool,
    adapter: str | None,
    by: Any,
    adapter_column: str | None,
    questions: tuple[str, ...],
    answer: str | None,
    no_header: bool,
    form: str | None,
    encoding: str | None,
    headings: Any,
    prose: bool,
    split: str,
    limit: int | None,
    drop_near: bool,
    prune: bool,
    restore: bool,
    base: str,
    as_json: bool,
) -> None:
    """Bring questions and answers, preference pairs and prose from other files into a document.

    Read are JSON and JSON lines (chat, ShareGPT, Alpaca, prompt and completion, preference pairs), CSV and
    TSV, Markdown and HTML whose headings, bold lines, terms or details are questions, plain text, and
    datasets of Hugging Face. Rows with the same answer become wordings of one question.

    A new document is written at once. One that is there is changed only after the difference was shown and
    agreed to, or with --apply; what was edited since an earlier import stays as it is, and is named.
    """
    if apply and dry_run:
        raise click.UsageError("--apply and --dry-run cannot go together")
    columns = Columns(questions, answer, adapter_column)
    reading = Reading(form, encoding, columns, not no_header, headings, prose, split)
    seen = files.read(output) if output.exists() else None
    if seen is None:
        base = oneshot.known_base(base, output.parent)
    wanted = Wanted(reading, adapter, by, base, limit, drop_near, prune, restore)
    meaning = _meaning() if by == "auto" else None
    with _telling() as tell:
        done = prepare(inputs, output, seen.text if seen is not None else None, wanted, tell, meaning)
    if not as_json:
        for line in difference(done):
            click.echo(line)
    for line in (*summary(done), total(done)):
        click.echo(line, err=True)
    written = not dry_run and done.writes and (apply or _agreed(done, ask=not as_json))
    if written:
        _write(done, seen)
    if as_json:
        print_json(as_document(done, written=written))
    click.echo(_ending(done, written, dry_run), err=True)


def _meaning() -> Meaning | None:
    """What tells topics apart; None where that is the words alone, which is said."""
    with open_view(quiet=True) as view:
        return oneshot.sentence_vectors(view.show)


@contextmanager
def _telling() -> Iterator[Callable[[str, int], None]]:
    """Shows what is being read, on a terminal."""
    with Console(stderr=True).status("Reading …") as status:

        def tell(source: str, rows: int) -> None:
            so_far = f": {rows:,} rows so far" if rows else ""
            status.update(Text(f"Reading {visible_line(source)}{so_far}"))

        yield tell


def _agreed(done: Import, *, ask: bool) -> bool:
    """Whether it may be written without having been seen, or the user has seen it and agrees."""
    if done.before is None and not done.topics:
        return True
    if not (ask and somebody_is_there()):
        return False
    what = f"Change {visible_line(str(done.target))}?" if done.before is not None else "Write it so?"
    return click.confirm(what, err=True)


def somebody_is_there() -> bool:
    """Whether a question would be read and answered."""
    return sys.stdin.isatty()


def _write(done: Import, seen: files.OnDisk | None) -> None:
    if seen is None:
        files.write_new(done.target, done.text)
        return
    if files.changed(done.target, seen) is not None:
        shown = visible_line(str(done.target))
        raise StoreError(f"{shown} was changed meanwhile, and stays as it is", "import again")
    files.write(done.target, done.text, bom=seen.bom)


def _ending(done: Import, written: bool, dry_run: bool) -> str:
    shown = visible_line(str(done.target))
    if not done.writes:
        return f"{shown} has all of it already; nothing was written."
    if written:
        return f"Wrote {shown}. Next: dlm check {shown}; dlm train {shown}"
    return f"Nothing was written{'.' if dry_run else f': --apply writes {shown}.'}"
