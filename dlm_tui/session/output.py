"""Values as text, for people and programs: JSON that steers no terminal, sizes, times."""

import re
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import structs

from dlm_tui.session.conversation import Answer

# JSON escapes what stands below U+0020. These steer terminals too: C1 controls, direction marks, separators.
_STEERING = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb]")
_FIRST_DAY, _LAST_DAY = 0.0, 253402214400.0  # 1970-01-01 and 9999-12-31, as seconds since the epoch


def as_json(value: Any, *, indent: int = 0) -> str:
    """Structs, dataclasses and plain values as JSON text.

    Characters that steer a terminal become `\\u` escapes; floats that JSON cannot hold become null.
    """
    encoded = msgspec.json.encode(value)
    text = (msgspec.json.format(encoded, indent=indent) if indent else encoded).decode()
    return _STEERING.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def reply_document(answer: Answer, load_s: float) -> dict[str, Any]:
    """A reply as `--json` gives it: `reply`, `finish_reason`, `routing`, `openness`, `timing`, `version`.

    `load_s`, in seconds, is what loading took where the reply itself does not say.
    """
    timing = answer.timing
    return {
        "reply": answer.text,
        "finish_reason": answer.finish_reason,
        "routing": answer.routing,
        "openness": {
            name: {"mean": openness.mean, "per_layer": openness.per_layer, "layers": openness.numbers}
            for name, openness in answer.openness.items()
        },
        "timing": structs.replace(timing, load_s=timing.load_s or load_s) if timing is not None else None,
        "version": answer.version,
    }


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
