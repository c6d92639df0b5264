"""A document's sections as rows for other trainers, and what of it they leave out; no engine is needed."""

from dataclasses import dataclass
from pathlib import Path

from dlm_core.data.jsonl import Form, LeftOut, left_out, rows_of
from dlm_core.document import Document
from dlm_core.store import atomic
from dlm_tui.session.wording import counted

_FORM_OF = {"instruction": "chat", "preference": "dpo", "prose": "text"}


@dataclass(frozen=True)
class Rows:
    """Rows as JSON lines, and what the document has beside them."""

    content: bytes
    missing: LeftOut

    @property
    def count(self) -> int:
        """How many rows there are."""
        return self.content.count(b"\n")

    def words(self, output: Path | None = None) -> list[str]:
        """How many rows went into `output`, and what was left out."""
        where = f" in {output}" if output is not None else ""
        said = [f"{counted(self.count, 'row', ',')}{where}"]
        said += [
            f"left out: {counted(number, f'{kind.value} section', ',')} (--form {_FORM_OF[kind]})"
            for kind, number in self.missing.kinds
        ]
        if probes := self.missing.probes:
            said.append(f"left out: {counted(probes, 'probe', ',')}, never trained")
        if sources := self.missing.sources:
            said.append(f"left out: {counted(sources, 'file', ',')} of training.sources")
        return said


def rows_out(document: Document, form: Form, adapter: str | None) -> Rows:
    """The rows of a document; with `adapter` those that it learns alone."""
    return Rows(b"".join(rows_of(document, form, adapter)), left_out(document, form, adapter))


def write_rows(rows: Rows, output: Path, *, overwrite: bool) -> None:
    """Put rows into a file. Raises StoreError where one is there already, unless it may be replaced."""
    if overwrite:
        atomic.write_bytes(output, rows.content)
        return
    with atomic.new_file(output) as write:
        write(rows.content)
