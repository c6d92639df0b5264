"""A path as a terminal hands it over when a file is dropped on it: quoted, escaped, or as a URL."""

import os
import shlex
from pathlib import Path
from urllib.parse import unquote, urlsplit

from dlm_core.errors import UsageError


def dropped_path(text: str) -> Path | None:
    """The path that a pasted or typed text names; None for an empty one. Of several, the first."""
    text = text.strip()
    if not text:
        return None
    whole = _at_home(text)
    if _exists(whole):
        return whole
    if text.startswith("file:"):
        return Path(unquote(urlsplit(text.split()[0]).path))
    try:
        words = shlex.split(text)
    except ValueError:
        return whole
    return _at_home(words[0]) if words else whole


def document_beside(path: Path) -> Path:
    """A name for a new document beside a file or folder: `NAME.dlm`, or `NAME-2.dlm` where that is taken.

    Raises UsageError for the root of a file system.
    """
    path = Path(os.path.normpath(path.absolute()))
    if not path.name:
        raise UsageError(f"{path} is everything that this machine has", "name the file or folder to import")
    stem = path.stem if path.suffix else path.name
    candidate, number = path.with_name(f"{stem}.dlm"), 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{stem}-{number}.dlm")
    return candidate


def _at_home(text: str) -> Path:
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:  # ~ of nobody
        return path


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a text too long for a name
        return False
