"""The recipes of `examples/` as modules, and a tiny model that they run on."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).parents[3] / "examples"
NAMES = ("bases", "chat_data", "make_sums", "eval_gsm8k", "eval_retention", "train_metamath")


@pytest.fixture(scope="session")
def recipes() -> Iterator[SimpleNamespace]:
    """Every recipe by its name, imported as a user who runs it imports it."""
    sys.path.insert(0, str(ROOT))
    found: dict[str, ModuleType] = {name: importlib.import_module(name) for name in NAMES}
    yield SimpleNamespace(**found)
    sys.path.remove(str(ROOT))
    for name in NAMES:
        sys.modules.pop(name)
