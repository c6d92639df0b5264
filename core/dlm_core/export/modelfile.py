"""A value in a Modelfile: written so that Ollama's parser reads what was meant, and read as it reads it.

The parser (ollama/ollama, parser/parser.go, `ParseFile`) knows no escapes. It drops every character that Go's
`strconv.IsPrint` does not call printable (NBSP, U+3000, joiners) but blanks, tabs and line ends, and a
value in three quotation marks ends at the first line end after three of them.
"""

import unicodedata

from dlm_core.errors import ExportError

QUOTES = '"""'


def is_printable(character: str) -> bool:
    """As `strconv.IsPrint`: letters, marks, numbers, punctuation, symbols, and the ASCII space."""
    return character == " " or unicodedata.category(character)[0] in "LMNPS"


def read_value(written: str) -> str | None:
    """What Ollama makes of the value that begins a text; None if it takes it to have no end."""
    read = ""
    for character in written:
        if character in "\r\n" and (value := _unquoted(read.strip())) is not None:
            return value
        if character in " \t\r\n" or is_printable(character):
            read += character
    return _unquoted(read.strip())


def can_hold(text: str) -> bool:
    """Whether a Modelfile can hold `text` as a value."""
    return read_value(f"{QUOTES}{text}{QUOTES}\nFROM x\n") == text


def quoted(text: str, what: str) -> str:
    """`text` as a value. Raises ExportError where it would not come out of the file as it went in."""
    if not can_hold(text):
        raise ExportError(
            f"a Modelfile cannot hold {what}: Ollama would read it otherwise (three quotation marks that "
            "end a line, or characters that it drops)",
            "change it, or export with `--target gguf`",
        )
    return f"{QUOTES}{text}{QUOTES}"


def _unquoted(value: str) -> str | None:
    for mark in (QUOTES, '"'):
        if value.startswith(mark):
            return (
                value[len(mark) : -len(mark)]
                if len(value) >= 2 * len(mark) and value.endswith(mark)
                else None
            )
    return value
