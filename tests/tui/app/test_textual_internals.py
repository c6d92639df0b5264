"""What the workbench takes of Textual's internals, by name: a version that moves one fails here, and not
somewhere in the editor.
"""

import ast
import importlib
import inspect
import pkgutil
import textwrap
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest
from textual.app import App
from textual.command import CommandPalette
from textual.document._document import Document
from textual.document._wrapped_document import WrappedDocument
from textual.widgets import TextArea

import dlm_tui

ROOT = Path(__file__).parents[3]
INTERNALS: dict[type, dict[str, tuple[str, ...] | None]] = {
    # A method with its parameters, or None for an attribute or a property.
    TextArea: {
        "_has_cursor": None,
        "_on_key": ("self", "event"),
        "_on_paste": ("self", "event"),
        "_render_line": ("self", "y"),
        "_rewrap_and_refresh_virtual_size": ("self",),
        "_set_document": ("self", "text", "language"),
        "_theme": None,
    },
    WrappedDocument: {
        "_offset_to_line_info": None,
        "_tab_width": None,
        "_width": None,
        "_wrap_offsets": None,
    },
    CommandPalette: {
        "_GATHER_COMMANDS_GROUP": None,
        "_gather_commands": ("self", "search_value"),
    },
    App: {"_fatal_error": ("self",)},
}


def workbench_modules() -> list[ModuleType]:
    names = [m.name for m in pkgutil.walk_packages(dlm_tui.__path__, "dlm_tui.")]
    wanted = ("app", "panes", "screens", "widgets")
    return [importlib.import_module(n) for n in names if n.split(".")[1] in wanted]


@cache
def names_in(kind: type) -> tuple[set[str], set[str]]:
    """Private names that a class's code makes its own, and those that it asks itself or `super()` for."""
    code = inspect.getsource(kind)
    own: set[str] = set()
    asked: set[str] = set()
    for node in ast.walk(ast.parse(textwrap.dedent(code))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            own.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            own.add(node.id)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) != "os":
            (own if isinstance(node.ctx, ast.Store) else asked).add(node.attr)
    return (
        {n for n in own if n.startswith("_") and not n.startswith("__")},
        {n for n in asked if n.startswith("_") and not n.startswith("__")},
    )


def taken_from_textual() -> set[str]:
    """Private names of Textual's classes that a class of the workbench asks for or overrides."""
    found: set[str] = set()
    for module in workbench_modules():
        for kind in vars(module).values():
            if not inspect.isclass(kind) or kind.__module__ != module.__name__:
                continue
            theirs = [k for k in kind.__mro__ if k.__module__.startswith("textual.")]
            ours = [k for k in kind.__mro__ if k.__module__.startswith("dlm_tui.")]
            if not theirs:
                continue
            read = [names_in(k) for k in ours]
            own, asked = set().union(*(r[0] for r in read)), set().union(*(r[1] for r in read))
            methods = {n for k in theirs for n, value in vars(k).items() if inspect.isfunction(value)}
            found |= (asked - own) | (own & methods)
    return found


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, names in INTERNALS.items() for name in names]
)
def test_textual_still_has_what_the_workbench_takes_of_it(kind: type, name: str) -> None:
    parameters = INTERNALS[kind][name]
    thing = inspect.getattr_static(kind, name, None)
    if parameters is not None:
        assert inspect.isfunction(thing), f"{kind.__name__}.{name} is no method any more"
        assert tuple(inspect.signature(thing).parameters) == parameters
    elif thing is None:
        made = WrappedDocument(Document("a\nb")) if kind is WrappedDocument else kind()
        assert hasattr(made, name), f"{kind.__name__}.{name} is gone"


@pytest.mark.slow
def test_no_other_internals_are_used() -> None:
    assert taken_from_textual() == {name for names in INTERNALS.values() for name in names}


def test_rows_of_a_wrapped_document_are_kept_as_the_editor_reads_them() -> None:
    wrapped = WrappedDocument(Document("one two three\nfour"))
    wrapped.wrap(8)
    assert wrapped._offset_to_line_info == [(0, 0), (0, 1), (1, 0)]
    assert wrapped._wrap_offsets == [[8], []]


def test_the_installed_textual_is_one_that_was_tested() -> None:
    named = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    (pin,) = (d for d in named if d.startswith("textual>"))
    installed = metadata.version("textual").split(".")
    assert pin == f"textual>={installed[0]}.{installed[1]},<{installed[0]}.{int(installed[1]) + 1}"
