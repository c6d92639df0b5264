"""Where things are: the home folder, the store of one document, and every file name inside it."""

import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import platformdirs

from dlm_core.errors import StoreError

_DLM_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}", re.ASCII)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)
_VERSION = re.compile(r"v(\d{4,9})", re.ASCII)


def dlm_home() -> Path:
    """The folder that everything is kept in: `$DLM_HOME`, else the platform's user data folder for `dlm`."""
    chosen = os.environ.get("DLM_HOME")
    return Path(chosen).expanduser().absolute() if chosen else platformdirs.user_data_path("dlm")


def cache_dir(home: Path) -> Path:
    """What can be fetched or computed again: bases, embeddings."""
    return home / "cache"


def version_name(number: int) -> str:
    """`v0001` for 1."""
    return f"v{number:04d}"


def version_number(version: str) -> int:
    """1 for `v0001`. Raises StoreError for anything else."""
    match = _VERSION.fullmatch(version)
    if match is None:
        raise StoreError(f"{version!r} is not a version", "versions are written v0001, v0002, …")
    return int(match[1])


def is_version(name: str) -> bool:
    """Whether a folder of this name would be a version."""
    return _VERSION.fullmatch(name) is not None


@dataclass(frozen=True)
class StorePaths:
    """The files of one document's store.

    Args:
        home: the folder that `dlm_home` gives.
        dlm_id: the document's ULID, in either case.

    Raises:
        StoreError: `dlm_id` is not a ULID, or a name handed to a method could leave its folder.
    """

    home: Path
    dlm_id: str

    def __post_init__(self) -> None:
        if _DLM_ID.fullmatch(self.dlm_id.upper()) is None or not self.dlm_id.isascii():
            raise StoreError(f"{self.dlm_id!r} is not a dlm_id", "a dlm_id is a ULID: 26 digits and letters")

    @cached_property
    def root(self) -> Path:
        return self.home / "store" / self.dlm_id.upper()

    @property
    def manifest(self) -> Path:
        """The one pointer to the current versions."""
        return self.root / "manifest.json"

    @property
    def history(self) -> Path:
        """One file per committed generation, each a copy of the manifest of its time."""
        return self.root / "history"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics.sqlite"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def trained_from(self) -> Path:
        """The path of the document that was last trained, as bytes of the file system."""
        return self.root / "trained_from"

    @property
    def adapters(self) -> Path:
        return self.root / "adapters"

    @property
    def gate(self) -> Path:
        return self.root / "gate"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def replay(self) -> Path:
        return self.root / "replay"

    @property
    def exports(self) -> Path:
        return self.root / "exports"

    @property
    def index(self) -> Path:
        """Indexes of what was trained, a folder each, named by what they hold; a missing one is made anew."""
        return self.root / "index"

    @property
    def marks(self) -> Path:
        """Names of versions, and which are pinned."""
        return self.root / "named.json"

    @property
    def asked(self) -> Path:
        """The questions that were asked, with what the user said of the replies."""
        return self.root / "asked.json"

    @property
    def comparison(self) -> Path:
        """The report of the last comparison of methods."""
        return self.root / "comparison.json"

    def adapter(self, name: str) -> Path:
        """The folder of one adapter, with a folder per version in it."""
        if _NAME.fullmatch(name) is None:
            raise StoreError(
                f"{name!r} is not an adapter name",
                "names have lower-case letters, digits and _, begin with a letter, and are at most 32 long",
            )
        return self.adapters / name

    def version(self, name: str, version: str) -> Path:
        """The folder of one version of one adapter."""
        version_number(version)
        return self.adapter(name) / version

    def gate_version(self, version: str) -> Path:
        """The folder of one version of the adapter gate."""
        version_number(version)
        return self.gate / version

    def generation(self, generation: int) -> Path:
        """The history file of one generation."""
        return self.history / f"{generation:06d}.json"
