"""`dlm init` and `dlm check`: a document's beginning, and everything that is wrong with it."""

import errno
import os
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import click

from dlm_core import oneshot
from dlm_core.document import Diagnostic, parse_file
from dlm_core.document.identity import with_new_id
from dlm_core.document.report import as_dict, as_text
from dlm_core.document.template import new_document
from dlm_core.document.wordings import count_wordings
from dlm_core.errors import DlmError
from dlm_core.events import MaskedRow
from dlm_core.safetext import visible, visible_line
from dlm_tui.cli.progress import open_view
from dlm_tui.cli.tables import print_json
from dlm_tui.failures import FAILED
from dlm_tui.flags import document_argument, json_option
from dlm_tui.session import drafts as files
from dlm_tui.session.copies import with_copies
from dlm_tui.session.wording import counted


@click.command()
@document_argument
@click.option(
    "--base", default="smollm2-135m", show_default=True, help="`dlm base list` shows what there is."
)
@click.option(
    "--adapters",
    metavar="NAME,…",
    default="knowledge,tone",
    show_default=True,
    help="One for each thing to learn; from two on, the adapter gate weighs them.",
)
def init(file: Path, base: str, adapters: str) -> None:
    """Write a starting document to FILE: adapters, gate, and a first section of each kind.

    A file that is there already is never touched.
    """
    names = [name.strip() for name in adapters.split(",") if name.strip()]
    text = new_document(oneshot.known_base(base, file.parent), names, file_name=file.name)
    shown = visible_line(str(file))
    if not file.parent.is_dir():
        raise DlmError(f"{shown} cannot be written: {os.strerror(errno.ENOENT)}", "choose another place")
    files.write_new(file, text)
    click.echo(f"Wrote {shown}. Fill it in, then: dlm check {shown}; dlm train {shown}", err=True)


@click.command()
@document_argument
@json_option
@click.option("--mask", is_flag=True, help="Show which tokens training computes a loss on (loads the base).")
@click.option("--new-id", is_flag=True, help="First give FILE an id of its own, where it is a copy.")
def check(file: Path, as_json: bool, mask: bool, new_id: bool) -> None:
    """List every problem in FILE with its place and what would be right.

    Exits with 1 if any of them is an error; warnings do not count. At the end stands how many answers have a
    single wording: one with two or three `### Q` above it is found much more often. With --mask, the tokens
    of every training row follow, those that carry loss between ⟦ and ⟧; rows that are cut or left out say so.
    """
    if new_id:
        _give_new_id(file)
    parsed = with_copies(parse_file(file), file)
    rows: Sequence[MaskedRow] = ()
    wordings = count_wordings(parsed.document.sections if parsed.document else ())
    if mask and parsed.document is not None:
        with open_view(quiet=True) as view:
            rows = oneshot.loss_rows(file, view.show)
    if as_json:
        listed = {
            "diagnostics": [as_dict(diagnostic) for diagnostic in parsed.diagnostics],
            "wordings": {"answers": wordings.answers, "single": len(wordings.single)},
        }
        print_json({**listed, "mask": [_as_document(row) for row in rows]} if mask else listed)
    else:
        for diagnostic in parsed.diagnostics:
            click.echo(as_text(diagnostic, file))
        for row in rows:
            click.echo(_marked(row))
        said = "; ".join(filter(None, (_summary(parsed.diagnostics), str(wordings))))
        click.echo(f"{visible_line(str(file))}: {said}", err=True)
    if parsed.errors:
        raise click.exceptions.Exit(FAILED)


def _as_document(row: MaskedRow) -> dict[str, object]:
    """A row as `--json` promises it."""
    tokens = [{"text": t, "carries_loss": c} for t, c in zip(row.pieces, row.loss, strict=True)]
    return {
        "section": row.label,
        "adapter": row.adapter,
        "tokens": tokens,
        "content_hash": row.section,
        "note": row.note,
    }


def _give_new_id(file: Path) -> None:
    """Put a fresh id into the file; nothing else of it changes."""
    seen = files.read(file)
    text, fresh = with_new_id(seen.text, file)
    files.write(file, text, bom=seen.bom)
    click.echo(f"{visible_line(str(file))}: its id is {fresh} now; nothing is trained under it yet", err=True)


def _marked(row: MaskedRow) -> str:
    """A row's text under its label, the stretches that carry loss between ⟦ and ⟧."""
    text = "".join(
        f"⟦{stretch}⟧" if carries_loss else stretch
        for carries_loss, pieces in groupby(zip(row.loss, row.pieces, strict=True), key=itemgetter(0))
        for stretch in ["".join(text for _, text in pieces)]
    )
    note = f"warning: {visible(row.note)}\n" if row.note else ""
    return f"── {visible_line(row.label)} ({row.adapter}) ──\n{note}{visible(text)}\n"


def _summary(diagnostics: Sequence[Diagnostic]) -> str:
    counts = {s: sum(d.severity == s for d in diagnostics) for s in ("error", "warning")}
    said = [counted(n, name) for name, n in counts.items() if n]
    return ", ".join(said) or "no problems"
