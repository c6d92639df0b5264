"""Values as text, for people and programs: JSON that steers no terminal, sizes, times."""

import re
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import structs

from dlm_core.safetext import whole
from dlm_tui.session.conversation import Answer

# JSON escapes what stands below U+0020. These steer terminals too: C1 controls, direction marks, separators.
_STEERING = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb]")
_BEYOND_ASCII = re.compile("[^\x00-\x7e]")
_FIRST_DAY, _LAST_DAY = 0.0, 253402214400.0  # 1970-01-01 and 9999-12-31, as seconds since the epoch


def as_json(value: Any, *, indent: int = 0, encoding: str | None = "utf-8") -> str:
    """Structs, dataclasses and plain values as JSON text.

    Characters that steer a terminal become `\\u` escapes, and so does all that is not ASCII where it is
    written in another `encoding` than UTF-8; floats that JSON cannot hold become null.
    """
    try:
        encoded = msgspec.json.encode(value)
    except UnicodeEncodeError:  # a path that is not UTF-8
        encoded = msgspec.json.encode(_whole(msgspec.to_builtins(value)))
    text = (msgspec.json.format(encoded, indent=indent) if indent else encoded).decode()
    utf8 = (encoding or "utf-8").lower().replace("-", "").replace("_", "") == "utf8"
    return (_STEERING if utf8 else _BEYOND_ASCII).sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    pairs = found[0].encode("utf-16-be")
    return "".join(f"\\u{pairs[i] << 8 | pairs[i + 1]:04x}" for i in range(0, len(pairs), 2))


def _whole(value: Any) -> Any:
    match value:
        case str():
            return whole(value)
        case dict():
            return {whole(str(key)): _whole(item) for key, item in value.items()}
        case list() | tuple():
            return [_whole(item) for item in value]
    return value


def reply_document(answer: Answer, load_s: float) -> dict[str, Any]:
    """A reply as `--json` gives it: `reply`, `finish_reason`, `routing`, `openness`, `timing`, `version`,
    `citation`, and whether it was `grounded`, with how many tokens were `overruled`.

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
        "citation": answer.citation,
        "grounded": answer.grounded,
        "overruled": answer.overruled,
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
