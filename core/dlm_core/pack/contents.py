"""What is in a pack: a list of files with their hashes, the document, the manifest, the version folders.

pack.json                                   the list, first; all other members follow in order of their names
document.dlm
store/adapters/<name>/<version>/<file>      as in the store, each folder with its seal
store/gate/<version>/<file>
store/manifest.json
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from dlm_core.errors import StoreError
from dlm_core.pack import archive
from dlm_core.safetext import visible_line
from dlm_core.store import Snapshot, atomic, envelope, manifest, seal
from dlm_core.store.paths import StorePaths

INDEX, DOCUMENT, MANIFEST = "pack.json", "document.dlm", "store/manifest.json"
FORMAT = 1
MAX_INDEX_BYTES = 4 * 2**20
MAX_DOCUMENT_BYTES = 16 * 2**20
MAX_MANIFEST_BYTES = 64 * 2**20
MAX_SEAL_BYTES = 4 * 2**20
MAX_FILES = 4096

_FOLDER = r"store/(?:adapters/[a-z][a-z0-9_]{0,31}|gate)/v[0-9]{4,9}"
_MEMBER = re.compile(rf"({_FOLDER})/([A-Za-z0-9][A-Za-z0-9._-]{{0,79}}\.(?:json|safetensors))", re.ASCII)
_FILE_NAME = re.compile(r'[^\x00-\x1f\x7f/\\:*?"<>|. ][^\x00-\x1f\x7f/\\:*?"<>|]*\.dlm')
_DEVICES = re.compile(
    r"(?i)(con|prn|aux|nul|com\d|lpt\d)\s*(\.|$)"
)  # Windows opens these, whatever the suffix.


class PackedFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of a pack."""

    sha256: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    size: Annotated[int, Meta(ge=0, le=archive.MAX_MEMBER_BYTES)]


class Index(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of `pack.json`.

    Attributes:
        dlm_id: the document's.
        document: the document's file name, without a folder.
        base_model: the base that the document names; it is not in the pack.
        files: every other member, by name, in order.
    """

    dlm_id: str
    document: str
    base_model: str
    files: dict[str, PackedFile]


@dataclass(frozen=True)
class Content:
    """A file on its way into a pack: where it lies, or what it holds."""

    source: Path | bytes
    record: PackedFile


def encode_index(index: Index, place: str) -> bytes:
    """`pack.json`. Raises StoreError."""
    return envelope.encode(index, FORMAT, place)


def decode_index(data: bytes, place: str) -> Index:
    """`pack.json` read, and every name in it found harmless.

    Raises:
        StoreError: it is damaged, of a newer format, or names a file that has no place in a pack.
    """
    content, form = envelope.decode(data, f"the list of files in {place}")
    if form > FORMAT:
        raise StoreError(f"{place} was written by a newer dlm (format {form})", "update dlm")
    try:
        index = msgspec.convert(content, Index)
    except msgspec.ValidationError as error:
        reason = visible_line(str(error))
        raise StoreError(f"{place} is refused: its list of files is not one: {reason}") from error
    StorePaths(Path(), index.dlm_id)
    if not is_plain_file_name(index.document):
        shown = visible_line(index.document[:200])
        raise StoreError(f"{place} is refused: a document cannot be called `{shown}`")
    if len(index.files) > MAX_FILES or not {DOCUMENT, MANIFEST} <= index.files.keys():
        raise StoreError(f"{place} is refused: its list of files cannot be right")
    for name, record in index.files.items():
        if name not in (DOCUMENT, MANIFEST) and _MEMBER.fullmatch(name) is None:
            shown = visible_line(name[:200])
            raise StoreError(f"{place} is refused: `{shown}` has no place in a pack")
        if record.size > _limit(name):
            raise StoreError(f"{place} is refused: `{name}` has {record.size:,} bytes")
    if list(index.files) != sorted(index.files):
        raise StoreError(f"{place} is refused: its files are not in order")
    return index


def is_plain_file_name(name: str) -> bool:
    """Whether a document may have this file name anywhere: no folder, nothing hidden, no deceit."""
    return (
        _FILE_NAME.fullmatch(name) is not None
        and _DEVICES.match(name) is None
        and visible_line(name) == name
        and len(name.encode("utf-8")) <= 200
    )


def store_files(snapshot: Snapshot, place: str) -> dict[str, Content]:
    """The files of a commit by their names in a pack, with the hashes that their seals promise.

    Raises:
        StoreError: a seal is missing or damaged, or a folder holds a file that has no place in a pack.
    """
    found = {MANIFEST: in_memory(manifest.encode(snapshot, place))}
    for folder in snapshot.folders().values():
        within = _in_pack(snapshot.paths, folder)
        for relative, sealed in seal.read_seal(folder).files.items():
            name = f"{within}/{relative}"
            if _MEMBER.fullmatch(name) is None:
                raise StoreError(f"{visible_line(str(folder / relative))} has no place in a pack")
            found[name] = Content(folder / relative, PackedFile(sha256=sealed.sha256, size=sealed.size))
        found[f"{within}/{seal.SEAL}"] = in_memory(atomic.read_bytes(folder / seal.SEAL))
    return found


def in_memory(data: bytes) -> Content:
    """A file whose content is at hand."""
    return Content(data, PackedFile(sha256=hashlib.sha256(data).hexdigest(), size=len(data)))


def check_agreement(index: Index, small: Mapping[str, bytes], place: str) -> manifest.Committed:
    """The commit in a pack, once its manifest, its seals and its list of files say the same.

    Args:
        small: content of the manifest and of every seal, by member name.

    Raises:
        StoreError: they do not, or one of them is damaged.
    """
    committed, _ = manifest.decode(small[MANIFEST], f"the manifest in {place}")
    if not committed.generation:
        raise StoreError(f"{place} is refused: nothing in it was trained")
    promised = {DOCUMENT, MANIFEST}
    paths = StorePaths(Path(), index.dlm_id)
    for folder in manifest.snapshot(paths, committed).folders().values():
        within = _in_pack(paths, folder)
        name = f"{within}/{seal.SEAL}"
        if name not in small:
            raise StoreError(f"{place} is refused: `{name}` is missing")
        promised.add(name)
        for relative, sealed in seal.decode(small[name], f"`{name}` in {place}").files.items():
            promised.add(f"{within}/{relative}")
            record = index.files.get(f"{within}/{relative}")
            if record is None or (record.sha256, record.size) != (sealed.sha256, sealed.size):
                raise StoreError(f"{place} is refused: `{within}` is not what its seal says")
    if surplus := sorted(index.files.keys() - promised):
        raise StoreError(f"{place} is refused: no version it holds names `{surplus[0]}`")
    return committed


def is_small(name: str) -> bool:
    """Whether a member is one that `check_agreement` needs."""
    return name == MANIFEST or name.endswith(f"/{seal.SEAL}")


def place_of(name: str, paths: StorePaths) -> Path:
    """Where a member that belongs to the store goes. Its name has been through `decode_index`."""
    return paths.root / Path(*name.split("/")[1:])


def _in_pack(paths: StorePaths, folder: Path) -> str:
    return f"store/{folder.relative_to(paths.root).as_posix()}"


def _limit(name: str) -> int:
    if name == DOCUMENT:
        return MAX_DOCUMENT_BYTES
    if name == MANIFEST:
        return MAX_MANIFEST_BYTES
    return MAX_SEAL_BYTES if is_small(name) else archive.MAX_MEMBER_BYTES
