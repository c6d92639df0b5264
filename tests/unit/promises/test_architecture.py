"""ARCHITECTURE.md's table of packages says what the code imports, no more and no less."""

import re
from pathlib import Path

import grimp
import pytest

import dlm_core
import dlm_tui

ROOT = Path(__file__).parents[3]
_SHARED = "engine_protocol errors events gate_health launched reports requests safetext surroundings"
SHARED = {f"dlm_core.{name}" for name in _SHARED.split()}
"""What every package may import, and the table does not repeat."""
_ROW = re.compile(
    r"^\| `(?P<package>dlm_\w+\.\w+)` \| (?P<owns>[^|]+) \| (?P<imports>[^|]+) \|$", re.MULTILINE
)


def written() -> dict[str, set[str]]:
    """The table: what each package imports, by short names."""
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    return {
        row["package"]: set() if row["imports"].strip() == "–" else set(row["imports"].strip().split(", "))
        for row in _ROW.finditer(text)
    }


def part_of(module: str) -> str:
    """The package or module right below `dlm_core` or `dlm_tui` that a module is part of."""
    return ".".join(module.split(".")[:2])


def packages() -> set[str]:
    """The folders of `dlm_core` and `dlm_tui`: each has a row. Modules beside them may have one."""
    tops = (Path(next(iter(top.__path__))) for top in (dlm_core, dlm_tui))
    return {f"{top.name}.{init.parent.name}" for top in tops for init in top.glob("*/__init__.py")}


def found() -> dict[str, set[str]]:
    """What each package and module imports directly, by short names, without what all may import."""
    graph = grimp.build_graph("dlm_core", "dlm_tui", exclude_type_checking_imports=True, cache_dir=None)
    imports: dict[str, set[str]] = {}
    for module in graph.modules:
        mine = imports.setdefault(part_of(module), set())
        others = set(map(part_of, graph.find_modules_directly_imported_by(module)))
        mine |= {other.partition(".")[2] for other in others - SHARED - {part_of(module)}}
    return imports


WRITTEN = written()


@pytest.fixture(scope="module")
def imported() -> dict[str, set[str]]:
    return found()


@pytest.mark.parametrize("package", sorted(packages() | set(WRITTEN)))
def test_the_table_has_what_a_package_imports(package: str, imported: dict[str, set[str]]) -> None:
    assert package in imported, f"{package} is gone: its row in ARCHITECTURE.md goes too"
    row = f"| `{package}` | what it owns | {', '.join(sorted(imported[package])) or '–'} |"
    assert WRITTEN.get(package) == imported[package], f"ARCHITECTURE.md's row should be: {row}"
