"""`dlm export --target jsonl`: a document's sections as rows for other trainers; no engine is needed."""

from pathlib import Path
from typing import Any

import click

from dlm_core.data.jsonl import Form, LeftOut, left_out, rows_of
from dlm_core.document import Document
from dlm_core.errors import UsageError
from dlm_core.safetext import visible_line
from dlm_core.store import atomic
from dlm_tui.cli.tables import print_json

_FORM_OF = {"instruction": "chat", "preference": "dpo", "prose": "text"}


def export_rows(
    document: Document,
    form: Form,
    adapter: str | None,
    output: Path | None,
    *,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write the rows to `output`, or to stdout; say on stderr how many, and what was left out."""
    if as_json and output is None:
        raise UsageError("--json and rows cannot share stdout", "name a file with -o")
    content = b"".join(rows_of(document, form, adapter))
    rows = content.count(b"\n")
    missing = left_out(document, form, adapter)
    if output is None:
        click.echo(content, nl=False)
    elif overwrite:
        atomic.write_bytes(output, content)
    else:
        with atomic.new_file(output) as write:
            write(content)
    where = f" in {visible_line(str(output))}" if output is not None else ""
    click.echo(f"{rows:,} {'row' if rows == 1 else 'rows'}{where}", err=True)
    for line in _said(missing):
        click.echo(line, err=True)
    if as_json:
        print_json(_as_document(output, rows, missing))


def _said(missing: LeftOut) -> list[str]:
    said = [
        f"left out: {number:,} {kind.value} section{'' if number == 1 else 's'} (--form {_FORM_OF[kind]})"
        for kind, number in missing.kinds
    ]
    if missing.probes:
        said.append(f"left out: {missing.probes:,} probe{'' if missing.probes == 1 else 's'}, never trained")
    if missing.sources:
        files = "1 file" if missing.sources == 1 else f"{missing.sources:,} files"
        said.append(f"left out: {files} of training.sources")
    return said


def _as_document(output: Path | None, rows: int, missing: LeftOut) -> dict[str, Any]:
    return {
        "file": str(output),
        "rows": rows,
        "left_out": {**{kind.value: n for kind, n in missing.kinds}, "probes": missing.probes,
                     "sources": missing.sources},
    }  # fmt: skip
