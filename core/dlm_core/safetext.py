"""Text from documents, models and file names made safe to show: nothing in it can steer a terminal."""

from collections.abc import Iterator

_CONTROL_PICTURES = 0x2400
_DELETE_PICTURE = "␡"
# Characters that reorder or break a line without being seen: bidirectional embeddings, overrides, isolates,
# the line and paragraph separators, and the interlinear annotation anchors. The plain direction marks are not
# among them: right-to-left text needs them, and they move nothing but punctuation.
_INVISIBLE_STEERING = (*range(0x2028, 0x202F), *range(0x2066, 0x206A), *range(0xFFF9, 0xFFFC))


def _steering() -> Iterator[tuple[int, str]]:
    for code in range(0x20):
        yield code, chr(_CONTROL_PICTURES + code)
    yield 0x7F, _DELETE_PICTURE
    for code in range(0x80, 0xA0):
        yield code, f"\\x{code:02x}"
    for code in _INVISIBLE_STEERING:
        yield code, f"\\u{code:04x}"
    # Lone surrogates come from file names that are not UTF-8, and cannot be encoded for output.
    for code in range(0xD800, 0xE000):
        yield code, f"\\u{code:04x}"


_ONE_LINE = dict(_steering())
_MANY_LINES = {code: shown for code, shown in _ONE_LINE.items() if code not in (0x09, 0x0A)}


def visible(text: str) -> str:
    """`text` with every control character shown as a sign (ESC as `␛`, C1 and bidi as `\\x9b`, `\\u202e`).

    Newline and tab stay. The result holds no character that moves the cursor, starts an escape sequence,
    reorders text or fails to encode as UTF-8, and each character is replaced on its own, so that a stream
    may be passed through piece by piece.
    """
    return text.translate(_MANY_LINES)


def visible_line(text: str) -> str:
    """As `visible`, but newline and tab are shown too (`␊`, `␉`): for file names and titles."""
    return text.translate(_ONE_LINE)


def whole(text: str) -> str:
    """`text` with U+FFFD for every lone surrogate: what Python makes of bytes that are not UTF-8.

    Such text cannot be encoded, so it is put right where it comes in, from an argument or a terminal.
    """
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
