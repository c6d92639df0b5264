"""Kinds of files that are read, by the ends of their names."""

from pathlib import Path

from dlm_core.safetext import visible_line

FORMATS = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "tsv", ".tab": "tsv",
    ".md": "markdown", ".markdown": "markdown", ".mdx": "markdown", ".html": "html", ".htm": "html",
    ".xhtml": "html", ".txt": "text", ".text": "text", ".parquet": "parquet", ".arrow": "arrow",
}  # fmt: skip
NAMED = ("jsonl", "json", "csv", "tsv", "markdown", "html", "text")
"""What `--format` takes."""

SAVE_AS = {
    **dict.fromkeys((".xlsx", ".xls", ".ods", ".numbers"), "save it as CSV in its own program"),
    **dict.fromkeys(
        (".docx", ".doc", ".odt", ".pdf", ".rtf"), "save it as HTML or text in the program that made it"
    ),
}
"""What to do with files of other kinds that people have."""


_LOOKED_AT = 4096


def refused(path: Path) -> str:
    """Why a file that is no data cannot be a document either, and what to do about it; empty where it can."""
    shown, remedy = visible_line(path.name), SAVE_AS.get(path.suffix.lower(), "")
    if not remedy:
        try:
            with path.open("rb") as file:
                binary = b"\0" in file.read(_LOOKED_AT)
        except OSError as error:
            return f"{shown} cannot be read: {(error.strerror or str(error)).lower()}"
        return f"{shown} is neither a document nor a kind of file that is read here." if binary else ""
    return f"{shown} is no kind of file that is read here: {remedy}."


def is_data(path: Path) -> bool:
    """Whether a path is a folder, or a file of a kind that is read."""
    return path.is_dir() or path.suffix.lower() in FORMATS
