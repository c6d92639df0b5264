"""Waiting for the next save of a document, or of the files that it reads in."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from dlm_core.document import parse_file
from dlm_tui.session.file_watch import bursts

Changes = Iterator[object]


class Saves:
    """Tells when a document differs from what it was when it was last taken up.

    What is compared is content, so that a save during a run is seen after it, of several only the last
    counts, and a save that changes nothing is none.
    """

    def __init__(self, path: Path, changes: Callable[[tuple[Path, ...], bool], Changes] = bursts) -> None:
        self._path = path
        self._changes = changes
        self._taken = ""
        self._folders: tuple[Path, ...] = ()

    def take(self) -> None:
        """The document as it now stands is being used."""
        self._taken, self._folders = self._look()

    def wait(self) -> bool:
        """Return True once the document has changed since it was taken, False on Ctrl-C."""
        try:
            if self._changed():
                return True
            for _ in self._changes(self._folders, len(self._folders) > 1):
                if self._changed():
                    return True
        except KeyboardInterrupt:
            return False
        return False

    def _changed(self) -> bool:
        found, _ = self._look()
        return bool(found) and found != self._taken

    def _look(self) -> tuple[str, tuple[Path, ...]]:
        """A hash of the document's text and of all it reads in, "" while there is no such file; and the
        folders to watch.
        """
        home = self._path.absolute().parent
        try:
            digest = hashlib.sha256(self._path.read_bytes())
        except OSError:
            return "", (home,)
        document = parse_file(self._path).document
        if document is None:
            return digest.hexdigest(), (home,)
        for section in document.sections:
            digest.update(section.content_hash.encode())
        sources = (home / source.path for source in document.frontmatter.training.sources)
        folders = (s if s.is_dir() else s.parent for s in sources)
        return digest.hexdigest(), tuple(dict.fromkeys((home, *(f for f in folders if f.is_dir()))))
