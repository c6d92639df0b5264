"""Files that belong to a document and stand beside it under its name."""

from pathlib import Path


def offtopic_path(document: Path) -> Path:
    """The list of prompts that are about nothing in the document, one a line; it need not be there."""
    return document.with_name(f"{document.stem}.offtopic.txt")
