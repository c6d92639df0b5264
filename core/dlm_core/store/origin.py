"""Which file a store was last trained from, and whether another file now shares its id."""

import os
import re
from contextlib import suppress
from pathlib import Path

from dlm_core.errors import StoreError
from dlm_core.safetext import visible_line
from dlm_core.store import atomic
from dlm_core.store.paths import StorePaths

SHARED_ID = "dlm-id-shared"
_ID = re.compile(rb"""\bdlm_id["']?[ \t]*:[ \t]*["']?([0-9A-Za-z]{26})\b""")
_READ = 65_536  # the beginning of a file in which its id stands
_LONGEST_PATH = 65_536


def remember(paths: StorePaths, document: Path) -> None:
    """Note that the store is trained from the file `document`. Raises StoreError."""
    atomic.write_bytes(paths.trained_from, os.fsencode(document.resolve()))


def other_file(paths: StorePaths, document: Path) -> Path | None:
    """The file that the store was last trained from, if it is another one, is there, and has the same id.

    None for a document that was moved or renamed, and where nothing is known. Reads that file's beginning.
    """
    with suppress(OSError, ValueError, StoreError):
        with paths.trained_from.open("rb") as file:
            known = Path(os.fsdecode(file.read(_LONGEST_PATH)))
        if document.exists() and known.samefile(document):
            return None
        with known.open("rb") as file:
            found = _ID.search(file.read(_READ))
        if found is not None and found[1].decode().upper() == paths.dlm_id.upper():
            return known
    return None


def warning(other: Path) -> tuple[str, str]:
    """What to say where `other` shares the document's id, and the way out."""
    return (
        f"{visible_line(str(other))} has the same `dlm_id`, and what is trained was trained from it: "
        "both files share one store, and each training replaces the other's",
        "if this file is a copy, give it an id of its own: `dlm check --new-id FILE`",
    )
