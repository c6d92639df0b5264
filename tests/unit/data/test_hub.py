"""Datasets of Hugging Face, with a stand-in for the library that reads them."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dlm_core.data.gather import Reading, find_sources, read_source
from dlm_core.data.importing import Wanted, prepare
from dlm_core.data.rows import Topic
from dlm_core.errors import DataError
from tests.unit.data.conftest import asked

ROWS = [{"question": f"q{n}", "answer": f"a{n}"} for n in range(5)]


class Library(ModuleType):
    """Has one dataset, saved or on its hub, and remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__("datasets")
        self.asked_for: list[tuple[str, dict[str, Any]]] = []
        self.read = 0

    def _rows(self) -> Iterator[dict[str, str]]:
        for row in ROWS:
            self.read += 1
            yield row

    def load_dataset(self, name: str, **more: Any) -> Iterator[dict[str, str]]:
        self.asked_for.append((name, more))
        if name == "org/none":
            raise FileNotFoundError("no such\ndataset")
        if name == "org/half":
            return self._half()
        return self._rows()

    def _half(self) -> Iterator[dict[str, str]]:
        yield ROWS[0]
        raise ConnectionError("the line is gone")

    def load_from_disk(self, path: str) -> dict[str, list[dict[str, str]]]:
        self.asked_for.append((path, {}))
        return {"train": ROWS, "test": []}


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    library = Library()
    monkeypatch.setitem(sys.modules, "datasets", library)
    return library


def test_a_name_on_the_hub_is_read_row_by_row_and_no_further_than_wanted(
    library: Library, tmp_path: Path
) -> None:
    done = prepare(["hf:org/name"], tmp_path / "x.dlm", None, Wanted(limit=2))
    assert library.asked_for == [("org/name", {"split": "train", "streaming": True})]
    assert [e.texts for e in done.changes.added] == [("q0",), ("q1",)]
    assert library.read <= 3
    assert '<!-- dlm-auto-import from "hf:org/name" row 1 of 2 as' in done.text


def test_saved_folders_and_parquet_files_are_read_too(library: Library, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    saved.mkdir()
    (saved / "dataset_dict.json").write_text("{}")
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    for path in (saved, tmp_path / "rows.parquet"):
        (source,), _ = find_sources([str(path)], tmp_path / "x.dlm", Reading())
        assert len(asked(list(read_source(source, Reading())))) == 5
    with pytest.raises(DataError, match="no split 'dev'") as raised:
        list(
            read_source(find_sources([str(saved)], tmp_path / "x.dlm", Reading())[0][0], Reading(split="dev"))
        )
    assert "train, test" in raised.value.hint


def test_what_the_library_raises_is_said_and_what_was_read_before_it_kept(
    library: Library, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="hf:org/none cannot be read: no such dataset"):
        prepare(["hf:org/none"], tmp_path / "x.dlm", None, Wanted())
    done = prepare(["hf:org/half"], tmp_path / "x.dlm", None, Wanted())
    assert done.rows == 1
    assert "the line is gone" in done.notes.of(Topic.UNREADABLE)[0].message


def test_without_the_library_the_way_to_it_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match="needs the library") as raised:
        prepare(["hf:org/name"], tmp_path / "x.dlm", None, Wanted())
    assert "dlm-workbench[data]" in raised.value.hint
