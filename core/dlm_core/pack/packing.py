"""`dlm pack`: a document and its current versions into one file, the same bytes for the same content."""

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dlm_core.document import Document, parse_text
from dlm_core.document.parse import load
from dlm_core.errors import PackExistsError, StoreError
from dlm_core.pack import archive, contents
from dlm_core.pack.contents import Content, Index
from dlm_core.store import Store, atomic

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Packed:
    """A pack that was written: where, its bytes, what is in it, and the base it needs but does not hold.

    `outside` says, a sentence each, what the document refers to that is not in the pack either.
    """

    path: Path
    size: int
    adapters: tuple[str, ...]
    gate: bool
    base_model: str
    outside: tuple[str, ...]


def _unheard(done: int, total: int) -> None:
    pass


def pack(
    path: Path,
    target: Path | None = None,
    home: Path | None = None,
    *,
    overwrite: bool = False,
    told: Callable[[int, int], None] = _unheard,
) -> Packed:
    """Writes the document at `path`, as it stands, and its current adapters and gate into a file.

    Args:
        path: the document.
        target: the pack; None is beside the document, with the suffix `.dlmpack`.
        home: where the store is; None asks `dlm_home`.
        overwrite: replace an earlier pack; nothing else is ever replaced.
        told: hears how many bytes are written, and of how many; what it raises ends the packing.

    Raises:
        DocumentError: the document has errors.
        PackExistsError: a pack is there already, and `overwrite` was not given.
        StoreError: it was not trained yet, its store is damaged, or something is there already or the pack
            cannot be written. What was there stands then, and no new file is left.
    """
    document = load(path)
    raw = atomic.read_bytes(path)
    if (again := parse_text(raw, path).document) is None or again.dlm_id != document.dlm_id:
        raise StoreError(f"{atomic.shown(path)} changed while it was read", "try again")
    target = path.with_suffix(".dlmpack") if target is None else target
    _check_target(target, overwrite=overwrite)
    name = path.with_suffix(".dlm").name
    if not contents.is_plain_file_name(name):
        raise StoreError(f"a pack cannot hold a document called {atomic.shown(Path(name))}", "rename it")
    snapshot = Store.open(document.dlm_id, home, create=False).snapshot()
    if not snapshot.generation:
        raise StoreError(f"{atomic.shown(path)} was not trained yet", "train it first: `dlm train`")
    found = contents.store_files(snapshot, atomic.shown(target))
    found[contents.DOCUMENT] = contents.in_memory(raw)
    members = dict(sorted(found.items()))
    index = Index(
        dlm_id=document.dlm_id.upper(),
        document=name,
        base_model=document.frontmatter.base_model,
        files={name: member.record for name, member in members.items()},
    )
    head = contents.encode_index(index, atomic.shown(target))
    size = archive.total_size([len(head), *(m.record.size for m in members.values())])
    opened = atomic.replaced_file if overwrite else atomic.new_file
    with opened(target) as put:
        written = 0

        def write(data: bytes) -> None:
            nonlocal written
            put(data)
            written += len(data)
            told(written, size)

        archive.write_member(write, contents.INDEX, len(head), [head])
        for name, member in members.items():
            archive.write_member(write, name, member.record.size, _checked(member))
        archive.write_end(write)
    adapters = tuple(snapshot.adapters)
    return Packed(target, size, adapters, snapshot.gate is not None, index.base_model, _outside(document))


def _check_target(target: Path, *, overwrite: bool) -> None:
    """Refuse a place that is taken, before any work is done; an earlier pack may be replaced."""
    if not os.path.lexists(target):
        return
    there = atomic.shown(target)
    if not _is_pack(target):
        if not overwrite:
            return  # `new_file` refuses it
        raise StoreError(f"{there} is there and is no pack", "choose another place or name")
    if not overwrite:
        raise PackExistsError(
            f"{there} is there already, and stays as it is",
            "choose another place or name, or replace the pack with --overwrite",
        )


def _is_pack(path: Path) -> bool:
    """Whether a file begins as packs do."""
    if path.is_symlink() or not path.is_file():
        return False
    with atomic.translating(path, "read"), path.open("rb") as file:
        return file.read(100).rstrip(b"\0") == contents.INDEX.encode()


def _checked(member: Content) -> Iterator[bytes]:
    """A file's content; an error instead of its end if it is not what was recorded."""
    if isinstance(member.source, bytes):
        yield member.source
        return
    digest, size = hashlib.sha256(), 0
    with atomic.translating(member.source, "read"), member.source.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            yield chunk
    if (digest.hexdigest(), size) != (member.record.sha256, member.record.size):
        raise StoreError(
            f"{atomic.shown(member.source)} is damaged: its content does not match its hash",
            "go back with `dlm rollback`, or train again",
        )


def _outside(document: Document) -> tuple[str, ...]:
    frontmatter = document.frontmatter
    found = []
    if frontmatter.base_model.startswith("path:"):
        found.append(
            f"the base {frontmatter.base_model} has to be at the same place where the pack is opened"
        )
    if frontmatter.training.sources:
        found.append("the files that `training.sources` names are not in the pack; only training needs them")
    return tuple(found)
