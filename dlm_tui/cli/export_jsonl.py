"""`dlm export --target jsonl`: a document's sections as rows for other trainers; no engine is needed."""

from pathlib import Path
from typing import Any

import click

from dlm_core.data.jsonl import Form
from dlm_core.document import Document
from dlm_core.errors import UsageError
from dlm_core.safetext import visible_line
from dlm_tui.cli.tables import print_json
from dlm_tui.session.rows_out import Rows, rows_out, write_rows


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
    rows = rows_out(document, form, adapter)
    if output is None:
        click.echo(rows.content, nl=False)
    else:
        write_rows(rows, output, overwrite=overwrite)
    for line in rows.words(output):
        click.echo(visible_line(line), err=True)
    if as_json:
        print_json(_as_document(output, rows))


def _as_document(output: Path | None, rows: Rows) -> dict[str, Any]:
    missing = rows.missing
    return {
        "file": str(output),
        "rows": rows.count,
        "left_out": {**{kind.value: n for kind, n in missing.kinds}, "probes": missing.probes,
                     "sources": missing.sources},
    }  # fmt: skip
