"""Nothing is there twice, and nothing that nobody asks for."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import dlm_core
import dlm_tui

FOLDERS = [Path(package.__path__[0]) for package in (dlm_core, dlm_tui)]
WORDS_OF_FIGURES = {"counted", "duration", "gate_lines"}
"""Functions that word figures: each is in one place, whichever front end says it."""


@cache
def sources() -> dict[Path, str]:
    return {path: path.read_text("utf-8") for folder in FOLDERS for path in sorted(folder.rglob("*.py"))}


def named() -> list[tuple[Path, str]]:
    """Functions and classes of modules, but for those that a decorator hands on."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [
        (path, node.name)
        for path, text in sources().items()
        for node in ast.parse(text).body
        if isinstance(node, kinds) and not node.name.startswith("__") and not node.decorator_list
    ]


def test_every_function_and_class_is_asked_for_somewhere() -> None:
    words = Counter(word for text in sources().values() for word in re.findall(r"\w+", text))
    assert [f"{path.name}: {name}" for path, name in named() if words[name] == 1] == []


def test_figures_are_worded_in_one_place() -> None:
    found = Counter(name for _, name in named() if name in WORDS_OF_FIGURES)
    assert found["duration"] == 1 and found["counted"] == 1
    assert [name for name, count in found.items() if count > 1] == []
