"""`dlm unpack`: a pack is read twice. The first reading writes nothing and checks everything; the second
writes beside what is there, and one rename in the store and one new name for the document make it visible.
"""

import contextlib
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec
from msgspec import Struct, structs

from dlm_core.document import parse_text
from dlm_core.errors import NOT_JSON, StoreError
from dlm_core.events import GateTrained
from dlm_core.pack import archive, contents
from dlm_core.pack.contents import Index
from dlm_core.store import Snapshot, Store, atomic
from dlm_core.store.manifest import Committed
from dlm_core.store.metrics import Metrics


@dataclass(frozen=True)
class Unpacked:
    """What was taken in: the document's path, whether it and its versions are new here, and what they are."""

    path: Path
    wrote_document: bool
    wrote_store: bool
    adapters: tuple[str, ...]
    gate: bool
    base_model: str


@dataclass(frozen=True)
class _Checked:
    """A pack that was read once and found whole."""

    index: Index
    committed: Committed
    document: bytes


def unpack(path: Path, folder: Path, home: Path | None = None) -> Unpacked:
    """Puts a pack's document into `folder`, and its versions into the store, where `dlm prompt` finds them.

    Nothing that is there is ever overwritten; what is there already with the same content is left as it is.

    Args:
        path: the pack.
        folder: made if it is missing.
        home: where the stores are; None asks `dlm_home`.

    Raises:
        StoreError: it is no pack, is damaged or hostile, or something else is in its place already. Nothing
            is visible then that was not before.
        StoreLockedError: another process writes to this document's store.
    """
    with _opened(path) as file:
        place = atomic.shown(path)
        checked = _check(file, place)
        target = folder / checked.index.document
        store = Store.open(checked.index.dlm_id, home, create=False)
        new_document = _is_new_document(target, checked.document)
        new_store = _is_new_store(store, checked.index)
        _refuse_too_large(checked.index, store.paths.home, place)
        with atomic.new_file(target) if new_document else contextlib.nullcontext() as write:
            if write is not None:
                write(checked.document)
            if new_store:
                store.adopt(
                    checked.committed, lambda incoming: _extract(file, place, incoming, checked.index)
                )
                _begin_record(store)
    return Unpacked(
        path=target,
        wrote_document=new_document,
        wrote_store=new_store,
        adapters=tuple(checked.committed.adapters),
        gate=checked.committed.gate is not None,
        base_model=checked.index.base_model,
    )


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with atomic.translating(path, "read"):
        # Not blocking: a pipe in the pack's place must not wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise StoreError(f"{atomic.shown(path)} is not a file", "packs are written by `dlm pack`")
            yield file


def _check(file: BinaryIO, place: str) -> _Checked:
    """Reads a whole pack, and believes nothing: names, order, sizes, hashes, and that all fits together."""
    reader = archive.Reader(file, place)
    index = contents.decode_index(reader.first(contents.INDEX, contents.MAX_INDEX_BYTES), place)
    small: dict[str, bytes] = {}
    for name, record in index.files.items():
        digest, kept = hashlib.sha256(), []
        for chunk in reader.member(name, record.size):
            digest.update(chunk)
            if name == contents.DOCUMENT or contents.is_small(name):
                kept.append(chunk)
        if digest.hexdigest() != record.sha256:
            raise StoreError(f"{place} is damaged: `{name}` does not match its hash", "fetch it again")
        small[name] = b"".join(kept)
    reader.end()
    committed = contents.check_agreement(index, small, place)
    return _Checked(index, committed, _own_document(index, small[contents.DOCUMENT], place))


def _own_document(index: Index, raw: bytes, place: str) -> bytes:
    """The document, if it reads as one and is the one that the versions were trained from."""
    parsed = parse_text(raw, Path(index.document))
    if parsed.document is None:
        first = parsed.errors[0].message
        raise StoreError(f"{place} is refused: its document has errors: {first}")
    if parsed.document.dlm_id.upper() != index.dlm_id.upper():
        raise StoreError(f"{place} is refused: its document has another dlm_id than its versions")
    return raw


def _is_new_document(target: Path, document: bytes) -> bool:
    """False if the same document is there; an error if something else is."""
    if not os.path.lexists(target):
        return True
    with atomic.translating(target, "read"):
        same = target.is_file() and target.stat().st_size == len(document) and target.read_bytes() == document
    if not same:
        raise StoreError(
            f"{atomic.shown(target)} is there already, with other content, and stays as it is",
            "unpack into another folder with `-o DIR`",
        )
    return False


def _is_new_store(store: Store, index: Index) -> bool:
    """False if the store holds the same versions; an error if it holds others."""
    current = store.snapshot()
    if not current.generation:
        return True
    here = {n: c.record for n, c in contents.store_files(current, atomic.shown(store.paths.root)).items()}
    if here != {name: record for name, record in index.files.items() if name != contents.DOCUMENT}:
        raise StoreError(
            f"this document (dlm_id {index.dlm_id}) was trained here already, to another end, which stays",
            f"keep both by setting DLM_HOME to another folder; or pack what is here with `dlm pack`, move "
            f"{atomic.shown(store.paths.root)} away, and unpack again",
        )
    store.verify(current)
    return False


def _refuse_too_large(index: Index, home: Path, place: str) -> None:
    wanted = sum(record.size for record in index.files.values())
    there = next((p for p in (home, *home.parents) if p.is_dir()), None)
    if there is not None and wanted > (free := shutil.disk_usage(there).free):
        raise StoreError(
            f"{place} holds {wanted:,} bytes, and {atomic.shown(there)} has room for {free:,}",
            "free some space, or set DLM_HOME to a folder on another disk",
        )


class _GateFigures(Struct, frozen=True, kw_only=True):
    """What `gate_config.json` says about the gate's training, as far as the record of runs keeps it."""

    mode: Literal["trained", "uniform"]
    mean_weights: dict[str, float]
    sample_counts: dict[str, int]
    floor: int
    train_accuracy: float | None = None
    loo_accuracy: float | None = None
    entropy: float | None = None


def _begin_record(store: Store) -> None:
    """The record of runs begins with the run that the pack came from: counting goes on, the gate is known."""
    snapshot = store.snapshot()
    if store.paths.metrics.exists() or not snapshot.run_id:
        return
    base = str(snapshot.extra.get("base", ""))
    with Metrics(store.paths.metrics, floor=snapshot.run_id - 1) as metrics:
        run = metrics.start_run(snapshot.document_hash, snapshot.recipe_hash, base)
        gate = snapshot.gate_dir()
        if gate is not None:
            with contextlib.suppress(StoreError, *NOT_JSON):
                figures = msgspec.json.decode(atomic.read_bytes(gate / "gate_config.json"), type=_GateFigures)
                metrics.record(GateTrained(run_id=run, **structs.asdict(figures)))
        metrics.end_run(run, "done", "taken in from a pack")


def _extract(file: BinaryIO, place: str, incoming: Snapshot, index: Index) -> None:
    """The second reading: version folders written where the store will look for them."""
    file.seek(0)
    reader = archive.Reader(file, place)
    reader.first(contents.INDEX, contents.MAX_INDEX_BYTES)
    for name, record in index.files.items():
        content = reader.member(name, record.size)
        if name in (contents.DOCUMENT, contents.MANIFEST):
            for _ in content:
                pass
            continue
        with atomic.new_file(contents.place_of(name, incoming.paths)) as write:
            for chunk in content:
                write(chunk)
