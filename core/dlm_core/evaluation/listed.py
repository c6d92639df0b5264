"""The entries of a YAML or JSON list that lies beside a document, each with the line it begins on."""

from pathlib import Path
from typing import Any

import yaml

from dlm_core.errors import DocumentError
from dlm_core.safetext import visible_line

_MAX_BYTES = 4_000_000


def read_list(path: Path, what: str, form: str) -> list[tuple[int, Any]]:
    """Read the list in a file: the line and the content of each entry.

    Args:
        path: the file, YAML or JSON.
        what: its entries in the plural, as an error names them.
        form: the hint of an error, which says how such a file is written.

    Raises:
        DocumentError: unreadable, too large, no YAML, no list, or an empty one; the message has the place.
    """
    shown = visible_line(str(path))
    content, lines = _read(path, shown, form)
    if not isinstance(content, list) or not content:
        raise DocumentError(f"{shown}: holds no list of {what}", form)
    return list(zip(lines, content, strict=True))


def _read(path: Path, shown: str, form: str) -> tuple[Any, list[int]]:
    """The content of a YAML or JSON file, and the line of each entry where it is a list."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DocumentError(f"{shown}: larger than {_MAX_BYTES // 1_000_000} MB", "split it")
        loader = _NoAliases(path.read_text("utf-8-sig"))
        try:
            node = loader.get_single_node()
            content: Any = None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except OSError as error:
        raise DocumentError(
            f"{shown}: cannot be read: {error.strerror or error}", "name a readable file"
        ) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{shown}:{mark.line + 1}:{mark.column + 1}" if mark else shown
        raise DocumentError(f"{place}: {visible_line(error.problem or 'no YAML')}", form) from error
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError, ValueError) as error:
        reason = visible_line(" ".join(str(error).split()))
        raise DocumentError(f"{shown}: cannot be read as YAML or JSON: {reason}", form) from error
    entries = node.value if isinstance(node, yaml.SequenceNode) else []
    return content, [entry.start_mark.line + 1 for entry in entries]


class _NoAliases(yaml.SafeLoader):
    """SafeLoader that refuses aliases, which such a list does not need and a bomb does."""

    def compose_node(self, parent: Any, index: int) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases are not read here", mark)
        return super().compose_node(parent, index)
