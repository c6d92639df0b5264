"""JSON files that notice their own damage: the content, its format, and a hash over both."""

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from dlm_core.errors import StoreError
from dlm_core.store import atomic


def write(path: Path, content: Any, form: int) -> None:
    """Puts `content` (anything JSON can hold) at `path` in one step, marked as of format `form`.

    Raises:
        StoreError: it does not fit into JSON, or could not be written.
    """
    atomic.write_bytes(path, encode(content, form, atomic.shown(path)))


def encode(content: Any, form: int, place: str) -> bytes:
    """What `write` writes; `place` names the file in messages. Raises StoreError: it does not fit."""
    try:
        plain = msgspec.json.decode(msgspec.json.encode(content))
    except (TypeError, ValueError) as error:
        raise StoreError(f"what was to be recorded in {place} does not fit into JSON: {error}") from error
    enclosed = {"format": form, "sha256": _digest(form, plain), "content": plain}
    return msgspec.json.format(msgspec.json.encode(enclosed), indent=2) + b"\n"


def read(path: Path) -> tuple[Any, int]:
    """The content of a file and its format. Raises StoreError if it cannot be read, or is damaged."""
    return decode(atomic.read_bytes(path), atomic.shown(path))


def decode(data: bytes, place: str) -> tuple[Any, int]:
    """What `read` reads, from bytes; `place` names the file in messages. Raises StoreError."""
    match atomic.parse_json(data, place):
        case {"format": int(form), "sha256": str(digest), "content": content}:
            if _digest(form, content) != digest:
                raise StoreError(f"{place} is damaged: its content does not match its hash")
            return content, form
        case _:
            raise StoreError(f"{place} is damaged: parts of it are missing")


def _digest(form: int, content: object) -> str:
    return hashlib.sha256(msgspec.json.encode([form, content], order="sorted")).hexdigest()
