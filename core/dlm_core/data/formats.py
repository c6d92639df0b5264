"""Kinds of files that are read, by the ends of their names."""

from pathlib import Path

FORMATS = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "tsv", ".tab": "tsv",
    ".md": "markdown", ".markdown": "markdown", ".mdx": "markdown", ".html": "html", ".htm": "html",
    ".xhtml": "html", ".txt": "text", ".text": "text", ".parquet": "parquet", ".arrow": "arrow",
}  # fmt: skip
NAMED = ("jsonl", "json", "csv", "tsv", "markdown", "html", "text")
"""What `--format` takes."""


def is_data(path: Path) -> bool:
    """Whether a path is a folder, or a file of a kind that is read."""
    return path.is_dir() or path.suffix.lower() in FORMATS
