"""Kinds of files that are read, by the ends of their names."""

from pathlib import Path

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


def is_data(path: Path) -> bool:
    """Whether a path is a folder, or a file of a kind that is read."""
    return path.is_dir() or path.suffix.lower() in FORMATS
