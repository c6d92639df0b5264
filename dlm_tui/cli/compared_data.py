"""A document of the rows of other files, for `dlm compare --data`: kept under the home folder, and the same
one for the same rows and base.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import click
from ulid import ULID

from dlm_core import oneshot
from dlm_core.data.importing import Wanted, prepare
from dlm_core.document import load
from dlm_core.store.paths import dlm_home
from dlm_tui.session import drafts as files
from dlm_tui.session.import_report import summary

_ID = re.compile(r"^dlm_id: .*$", re.MULTILINE)


def document_of(inputs: Sequence[str], base: str) -> Path:
    """A document with the rows of `inputs` on `base`; what is merged or left out is said on stderr.

    Its id follows from its rows, so that trainings that were made on them are found again.

    Raises:
        DataError: the inputs have no rows that a document could hold.
        UsageError: there is no such base.
    """
    name = Path(inputs[0]).name.partition(".")[0] or "data"
    wanted = Wanted(base=oneshot.known_base(base, Path.cwd()))
    made = prepare(inputs, Path(f"{name}.dlm"), None, wanted)
    for line in summary(made):
        click.echo(line, err=True)
    digest = hashlib.sha256(_ID.sub("", made.text).encode()).digest()
    path = dlm_home() / "compared" / digest.hex()[:16] / f"{name}.dlm"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        identity = str(ULID.from_bytes(b"\0" + digest[:15]))
        files.write_new(path, _ID.sub(f"dlm_id: {identity}", made.text, count=1))
    load(path)
    return path
