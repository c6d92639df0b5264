"""A base as a folder on disk: what it must hold, the record of its files, and its fingerprint."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from dlm_core.errors import BaseModelError

SourceName = Literal["cache", "hub", "wheel", "path"]
_VOLATILE_CONFIG_KEYS = ("transformers_version", "_name_or_path")


@dataclass(frozen=True)
class BaseFolder:
    """A base on disk, complete: a folder with config, tokenizer and safetensors.

    `fingerprint` is the sha256 (hex) over the content of config and weights.
    """

    name: str
    path: Path
    source: SourceName
    fingerprint: str


class FileRecord(msgspec.Struct, frozen=True):
    """A file as it was when it was hashed: size in bytes, mtime in nanoseconds, sha256 in hex."""

    name: str
    size: int
    mtime_ns: int
    sha256: str


def missing_parts(folder: Path) -> str:
    """What a folder lacks to be a loadable base: config, tokenizer, or a shard of weights; "" for nothing."""
    if not (folder / "config.json").is_file():
        return "config.json is missing"
    if not any(
        (folder / n).is_file()
        for n in ("tokenizer.json", "tokenizer.model", "vocab.json", "tokenizer_config.json")
    ):
        return "the tokenizer is missing"
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return "" if any(folder.glob("*.safetensors")) else "there are no safetensors weights"
    try:
        shards = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return f"{index.name} is unreadable"
    absent = sorted(str(s) for s in shards if not (folder / str(s)).is_file())
    return f"{absent[0]} is missing" if absent else ""


def record_files(folder: Path) -> tuple[FileRecord, ...]:
    """Name, size, mtime and sha256 of every file directly in `folder`, by name."""
    return tuple(
        record_file(p) for p in sorted(folder.iterdir()) if p.is_file() and not p.name.startswith(".")
    )


def fingerprint(folder: Path, records: tuple[FileRecord, ...]) -> str:
    """sha256 over config (without the keys that say who saved it) and weights; files in any order."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BaseModelError(
            f"{folder / 'config.json'} cannot be read: {error}", "fetch the base again"
        ) from error
    if isinstance(config, dict):
        config = {k: v for k, v in config.items() if k not in _VOLATILE_CONFIG_KEYS}
    lines = [
        f"{r.name} {r.sha256}"
        for r in sorted(records, key=lambda r: r.name)
        if r.name.endswith(".safetensors")
    ]
    return text_digest(json.dumps(config, sort_keys=True) + "\n" + "\n".join(lines))


def hash_file(path: Path) -> str:
    """sha256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def record_file(path: Path, known: FileRecord | None = None) -> FileRecord:
    """The record of a file; `known` is taken over if size and mtime still fit, and the file not read."""
    stat = path.stat()
    if known is not None and (known.size, known.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
        return known
    return FileRecord(path.name, stat.st_size, stat.st_mtime_ns, hash_file(path))


def text_digest(text: str) -> str:
    """sha256 of a text, hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
