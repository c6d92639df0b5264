"""What commands write on stdout: tables, and JSON that no terminal can mistake for commands to itself."""

import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click
import msgspec
from msgspec import structs
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dlm_core.events import Reply
from dlm_core.safetext import visible_line

# JSON escapes what stands below U+0020. These steer terminals too: C1 controls, direction marks, separators.
_STEERING = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb]")
_UNFOLDED = 10_000
_FIRST_DAY, _LAST_DAY = 0.0, 253402214400.0  # 1970-01-01 and 9999-12-31, as seconds since the epoch


def as_json(value: Any, *, indent: int = 0) -> str:
    """Structs, dataclasses and plain values as JSON text.

    Characters that steer a terminal become `\\u` escapes; floats that JSON cannot hold become null.
    """
    encoded = msgspec.json.encode(value)
    text = (msgspec.json.format(encoded, indent=indent) if indent else encoded).decode()
    return _STEERING.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    click.echo(as_json(value, indent=2))


def reply_document(reply: Reply, load_s: float) -> dict[str, Any]:
    """A reply as `--json` gives it: `reply`, `finish_reason`, `routing`, `openness`, `timing`, `version`.

    `load_s`, in seconds, is what loading took where the reply itself does not say.
    """
    return {
        "reply": reply.reply,
        "finish_reason": reply.finish_reason,
        "routing": reply.routing,
        "openness": {
            name: {"mean": openness.mean, "per_layer": openness.per_layer, "layers": openness.numbers}
            for name, openness in reply.openness.items()
        },
        "timing": structs.replace(reply.timing, load_s=reply.timing.load_s or load_s),
        "version": reply.version,
    }


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Aligned columns on stdout, those of numbers (`heading#`) to the right; folded only on a terminal."""
    console = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=_UNFOLDED)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in headings:
        table.add_column(heading.rstrip("#"), justify="right" if heading.endswith("#") else "left")
    for row in rows:
        table.add_row(*(Text(visible_line(cell)) for cell in row))
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        click.echo(line.rstrip())


def megabytes(size: int) -> str:
    """Bytes for people: `3.1 MB`, `1.42 GB`."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def local_time(at: float) -> str:
    """Seconds since the epoch as date and minute, where the person is."""
    return _instant(at).astimezone().strftime("%Y-%m-%d %H:%M")


def utc_time(at: float) -> str:
    """Seconds since the epoch in ISO 8601, for programs."""
    return _instant(at).isoformat(timespec="seconds")


def _instant(at: float) -> datetime:
    """The time that a clock showed, or the nearest that can be written: clocks jump, by any amount."""
    return datetime.fromtimestamp(min(max(at, _FIRST_DAY), _LAST_DAY), UTC)
