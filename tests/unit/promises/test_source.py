"""What SECURITY.md promises about the code, held against every line of it."""

import ast
from functools import cache
from pathlib import Path

import pytest

import dlm_core
import dlm_tui

FOLDERS = [Path(package.__path__[0]) for package in (dlm_core, dlm_tui)]
SOURCES = sorted(path for folder in FOLDERS for path in folder.rglob("*.py"))

UNPICKLING = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
RUNS_TEXT = {"eval", "exec", "compile"}
SHELLS = {
    "os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput",
    "asyncio.create_subprocess_shell", "commands.getoutput", "pty.spawn",
}  # fmt: skip
UNPICKLES = {"torch.load", "np.load", "numpy.load", "yaml.unsafe_load", "yaml.full_load", "pd.read_pickle"}
SAFE_LOADERS = {"SafeLoader", "CSafeLoader", "_LOADER", "_YamlLoader", "_NoAliases"}


@cache
def trees() -> list[tuple[Path, list[ast.AST]]]:
    """Every file with the nodes of its tree that are looked at here."""
    kinds = (ast.Import, ast.ImportFrom, ast.Call, ast.Dict)
    return [
        (path, [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, kinds)])
        for path in SOURCES
    ]


@cache
def calls() -> list[tuple[str, str, ast.Call]]:
    """Every call: where, what is called by its full name, whatever it was imported as, and the call."""
    found = []
    for path, nodes in trees():
        full = imported(nodes)
        for node in nodes:
            if isinstance(node, ast.Call):
                first, *rest = dotted(node.func)
                found.append((f"{path.name}:{node.lineno}", ".".join([full.get(first, first), *rest]), node))
    return found


def dotted(called: ast.expr) -> list[str]:
    """The parts of `a.b.c`; whatever else is called comes first as it is written."""
    match called:
        case ast.Name(id=name):
            return [name]
        case ast.Attribute(value=value, attr=name):
            return [*dotted(value), name]
        case _:
            return ast.unparse(called).split(".")


def imported(nodes: list[ast.AST]) -> dict[str, str]:
    """The full names behind the names that a file imports under others: `from os import system as s`."""
    names: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_no_name_hides_what_is_called() -> None:
    nodes = list(ast.walk(ast.parse("from os import system as s\nimport torch as t\nfrom torch import load")))
    assert imported(nodes) == {"s": "os.system", "t": "torch", "load": "torch.load"}


def keyword(call: ast.Call, name: str) -> str | None:
    return next((ast.unparse(k.value) for k in call.keywords if k.arg == name), None)


def test_there_is_something_to_look_at() -> None:
    assert len(SOURCES) > 100


@pytest.mark.slow
def test_nothing_is_pickled_or_unpickled() -> None:
    for path, nodes in trees():
        for node in nodes:
            match node:
                case ast.Import(names=names):
                    modules = {alias.name.split(".")[0] for alias in names}
                case ast.ImportFrom(module=module):
                    modules = {(module or "").split(".")[0]}
                case _:
                    continue
            assert not modules & UNPICKLING, f"{path}:{node.lineno}"
    for place, name, call in calls():
        assert name not in UNPICKLES, place
        if name.endswith(("from_pretrained", "save_pretrained")) and "Model" in name:
            assert keyword(call, "use_safetensors") != "False", place
            assert keyword(call, "safe_serialization") != "False", place


def test_no_code_of_a_model_is_ever_run() -> None:
    for place, _, call in calls():
        assert keyword(call, "trust_remote_code") in (None, "False"), place
    for path, nodes in trees():
        for node in nodes:
            if isinstance(node, ast.Dict):
                settings = {
                    key.value: value for key, value in zip(node.keys, node.values, strict=True)
                    if isinstance(key, ast.Constant)
                }  # fmt: skip
                trusted = settings.get("trust_remote_code")
                assert trusted is None or ast.unparse(trusted) == "False", f"{path}:{node.lineno}"


def test_no_text_is_run_as_code() -> None:
    for place, name, _ in calls():
        assert name not in RUNS_TEXT, place


def test_nothing_goes_through_a_shell() -> None:
    for place, name, call in calls():
        assert name not in SHELLS, place
        assert keyword(call, "shell") in (None, "False"), place


def test_yaml_is_read_by_safe_loaders_alone() -> None:
    found = 0
    for place, name, call in calls():
        found += name == "yaml.safe_load"
        if name in ("yaml.load", "yaml.load_all", "yaml.parse", "yaml.compose", "yaml.scan"):
            found += 1
            loader = keyword(call, "Loader") or (ast.unparse(call.args[1]) if len(call.args) > 1 else "")
            assert loader in SAFE_LOADERS, place
    assert found >= 3


@pytest.mark.parametrize("module", ["dlm_tui.themes", "dlm_tui.settings", "dlm_core.document.yaml_tree"])
def test_the_loaders_are_what_they_are_called(module: str) -> None:
    import importlib

    import yaml

    loaded = importlib.import_module(module)
    loader = getattr(loaded, "_YamlLoader", None) or getattr(loaded, "_LOADER", yaml.SafeLoader)
    safe = (yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    assert issubclass(loader, safe)
    assert loader.yaml_constructors.keys() <= yaml.SafeLoader.yaml_constructors.keys()
