"""Files to import, and short ways to read them and to make documents of them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dlm_core.data.gather import Reading, find_sources, read_source
from dlm_core.data.importing import Import, Wanted, prepare
from dlm_core.data.rows import Item, Note, Row

Read = Callable[..., list[Item]]
Prepare = Callable[..., Import]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads one file that holds `content`."""

    def read(name: str, content: str | bytes, reading: Reading | None = None) -> list[Item]:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        how = reading or Reading()
        (source,), _ = find_sources([str(path)], tmp_path / "new.dlm", how)
        return list(read_source(source, how))

    return read


@pytest.fixture
def imported(tmp_path: Path) -> Prepare:
    """Imports one file that holds `content` into `new.dlm`, which holds `before`; writes nothing."""

    def imported(
        name: str, content: str | bytes, wanted: Wanted | None = None, before: str | None = None
    ) -> Import:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return prepare([str(path)], tmp_path / "new.dlm", before, wanted or Wanted())

    return imported


def asked(items: list[Item]) -> list[tuple[str, str]]:
    """The questions and answers among items."""
    return [(row.question, row.answer) for row in rows(items)]


def rows(items: list[Item]) -> list[Row]:
    return [item for item in items if isinstance(item, Row)]


def notes(items: list[Item]) -> Iterator[Note]:
    return (item for item in items if isinstance(item, Note))
