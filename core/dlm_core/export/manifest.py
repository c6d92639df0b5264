"""`manifest.json`: what an export holds, what it was made from, and how faithful it is."""

import hashlib
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Literal

import msgspec

from dlm_core.export.fidelity import Fidelity

MANIFEST = "manifest.json"
FORMAT = 1
_PACKAGES = ("dlm-workbench", "torch", "transformers", "peft", "gguf", "safetensors")

RankGateMode = Literal["static_mean", "dynamic", "none"]


class FileEntry(msgspec.Struct, frozen=True):
    """One file of the export: its size in bytes and its sha256 in hex."""

    size: int
    sha256: str


class AdapterEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One adapter that went in: its version in the store, and the sha256 of its weights file there."""

    version: str
    kind: str
    rank: int
    alpha: float
    weight: float
    sha256: str


class Coefficients(msgspec.Struct, frozen=True, kw_only=True):
    """What stands for the gates: a weight per adapter, and a factor per rank, adapter → module → ranks.

    `ranks` is None where ranks keep their gates or B was fitted as a whole; `mean` is its mean per adapter.
    """

    adapters: dict[str, float]
    ranks: dict[str, dict[str, list[float]]] | None = None
    mean: dict[str, float] = {}


class TemplateEntry(msgspec.Struct, frozen=True, kw_only=True):
    """The Modelfile's template: whether it was written, on how many conversations it equals the engine's."""

    written: bool
    conversations: int
    note: str = ""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `manifest.json`.

    Attributes:
        gate_mode: `static_mean` (the adapter gate's mean weights), pin, mix, off, or uniform.
        rank_gate_mode: `static_mean` (every rank fixed; `rank_constants` says at what), `dynamic` (the
            gates go along),
            or `none` (there are none).
        rank_constants: exact, mean, least_squares, fitted, or distilled; "" where ranks keep their gates.
        tried: what each way to choose constants measured.
        fidelity: of what was written, its number format included; None where nothing is approximated.
        warnings: the sentences that the export warned with.
    """

    format: int
    target: str
    created_at: str
    quant: str
    merged: bool
    folded: bool
    document: dict[str, str]
    base: dict[str, str]
    generation: str
    gate_mode: str
    rank_gate_mode: RankGateMode
    rank_constants: str
    coefficients: Coefficients
    adapters: dict[str, AdapterEntry]
    fidelity: Fidelity | None
    tried: dict[str, Fidelity]
    warnings: tuple[str, ...]
    template: TemplateEntry | None
    versions: dict[str, str]
    files: dict[str, FileEntry]


def versions() -> dict[str, str]:
    """Of this package, of those that write, and of Python."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def describe_files(folder: Path) -> dict[str, FileEntry]:
    """Every file below `folder` by its relative path."""
    return {
        path.relative_to(folder).as_posix(): FileEntry(path.stat().st_size, sha256_of(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def sha256_of(path: Path) -> str:
    """sha256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(folder: Path, manifest: Manifest) -> None:
    """Put the manifest into the folder, last. Raises OSError."""
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    (folder / MANIFEST).write_bytes(text + b"\n")


def read(folder: Path) -> Manifest:
    """The manifest of an export. Raises OSError, msgspec.DecodeError."""
    return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)


def plain(values: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, list[float]]]:
    """Tensors of factors as lists, rounded to six digits."""
    return {
        name: {m: [round(float(x), 6) for x in t] for m, t in by.items()}  # type: ignore[attr-defined]
        for name, by in values.items()
    }
