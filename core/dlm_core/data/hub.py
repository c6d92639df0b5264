"""Datasets of Hugging Face: on the hub, saved in a folder, or as Parquet and Arrow files.

They are read by the library `datasets`, which the extra `data` brings and which is imported when it is used.
"""

import importlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dlm_core.data.columns import Columns
from dlm_core.data.rows import Item, Place
from dlm_core.data.shapes import read_object
from dlm_core.errors import DataError, DlmError
from dlm_core.safetext import visible_line

PREFIX = "hf:"
_SAVED = ("dataset_dict.json", "state.json")


def is_dataset(folder: Path) -> bool:
    """Whether a folder is a dataset as the library saves it."""
    return any((folder / name).is_file() for name in _SAVED)


def read_dataset(name: str, path: Path | None, form: str, columns: Columns, split: str) -> Iterator[Item]:
    """The rows of a dataset, one after another; of one on the hub no more is fetched than is read.

    Raises:
        DataError: the library is not installed, or it cannot read the dataset; the message has its reason.
    """
    library = _library()
    try:
        rows = _opened(library, name, path, form, split)
    except DlmError:
        raise
    except Exception as error:
        raise _unreadable(name, error) from error
    for number in itertools.count(1):
        try:
            row = next(rows)
        except StopIteration:
            return
        except Exception as error:
            raise _unreadable(name, error) from error
        yield from read_object(row, Place(name, number), columns)


def _unreadable(name: str, error: Exception) -> DataError:
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    hint = "check name, network and --split; private datasets need `hf auth login`"
    return DataError(f"{visible_line(name)} cannot be read: {visible_line(reason)}", hint)


def _opened(library: Any, name: str, path: Path | None, form: str, split: str) -> Iterator[Any]:
    if path is None:
        return iter(library.load_dataset(name.removeprefix(PREFIX), split=split, streaming=True))
    if form == "dataset":
        saved = library.load_from_disk(str(path))
        splits = getattr(saved, "keys", None)
        if splits is not None and callable(splits) and split in list(splits()):
            saved = saved[split]
        elif callable(splits):
            raise DataError(
                f"{visible_line(name)} has no split {visible_line(split)!r}",
                f"its splits are {', '.join(map(str, splits()))}: choose with --split",
            )
        return iter(saved)
    return iter(library.load_dataset(form, data_files=str(path), split="train", streaming=True))


def _library() -> Any:
    try:
        return importlib.import_module("datasets")
    except ImportError:
        raise DataError(
            "reading datasets of Hugging Face needs the library `datasets`",
            "install it with: pip install 'dlm-workbench[data]'",
        ) from None
