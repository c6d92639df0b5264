"""The texts of sections in a store: as they were trained last, and as earlier versions had them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

from dlm_core.document.model import Section
from dlm_core.errors import StoreError
from dlm_core.store import atomic, envelope

_FORMAT = 1
_FILE = "sections.json"
_EARLIER = "earlier.json"


def load_kept(folder: Path) -> dict[str, Section]:
    """The sections kept in the store by content hash: those of the last run, and those still replayed.

    Empty where none were kept, or where they cannot be read.
    """
    return _load(folder / _FILE)


def save_kept(folder: Path, sections: Iterable[Section], known: Mapping[str, Section]) -> None:
    """Keep these sections, and no others; `known` is what `load_kept` gave. Raises StoreError."""
    _save(folder / _FILE, {section.content_hash: section for section in sections}, known)


def load_all(folder: Path) -> dict[str, Section]:
    """As `load_kept`, with the sections that only earlier versions had."""
    return {**_load(folder / _EARLIER), **_load(folder / _FILE)}


def save_earlier(folder: Path, before: Mapping[str, Section], named: Collection[str]) -> None:
    """Keep of the sections `before` a commit, and of those kept earlier, what its store's versions name.

    Raises StoreError.
    """
    known, now = _load(folder / _EARLIER), _load(folder / _FILE)
    earlier = {**known, **before}
    wanted = {key: section for key, section in earlier.items() if key in named and key not in now}
    _save(folder / _EARLIER, wanted, known)


def _load(path: Path) -> dict[str, Section]:
    try:
        content, form = envelope.read(path)
        kept = msgspec.convert(content, list[Section], strict=False) if form == _FORMAT else []
    except (StoreError, msgspec.ValidationError):
        return {}
    return {section.content_hash: section for section in kept}


def _save(path: Path, sections: Mapping[str, Section], known: Mapping[str, Section]) -> None:
    wanted = {key: replace(section, source=None) for key, section in sections.items()}
    if wanted.keys() == known.keys():
        return
    atomic.make_folder(path.parent)
    envelope.write(path, list(wanted.values()), _FORMAT)
