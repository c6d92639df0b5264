"""Every command ends well in every encoding: what it lacks is replaced, and JSON is escaped."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

DOCUMENT = """---
dlm_id: 01J9ZQ4T7M3N5P6R8S9V0W1X3B
base_model: smollm2-135m
training: {adapters: {küche: {}, tone: {}}}
---
::instruction#tone::
### Q
What does the café on Müllerstraße serve on Fridays? ☕
### A
Käsespätzle with onions — and “no” soup 🥣.
"""
NAMES = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "utf-8": {"PYTHONIOENCODING": "utf-8"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "POSIX": {"LC_ALL": "POSIX"},
}
COMMANDS = (
    ["--help"],
    ["train", "--help"],
    ["check", "FILE"],
    ["check", "--json", "FILE"],
    ["show", "FILE"],
    ["show", "--json", "FILE"],
    ["versions", "FILE"],
    ["init", "FILE.new.dlm"],
    ["base", "list"],
    ["base", "list", "--json"],
    ["migrate", "--dry-run", "FILE"],
    ["nonsense ü☕"],
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Größe.dlm").write_text(DOCUMENT.replace("küche", "kueche"), encoding="utf-8")
    (tmp_path / "wrong.dlm").write_text(DOCUMENT, encoding="utf-8")
    return tmp_path


def ran(folder: Path, name: str, arguments: list[str]) -> "subprocess.CompletedProcess[bytes]":
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "PYTHON", "LANG"))}
    return subprocess.run(
        [sys.executable, "-c", "from dlm_tui.cli import main; main()", *arguments],
        env={**inherited, "DLM_HOME": str(folder / "home"), **NAMES[name]},
        capture_output=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "latin-1" else [pytest.mark.slow]) for name in NAMES]
)
def test_commands_end_well(folder: Path, name: str) -> None:
    picked = COMMANDS if name != "latin-1" else (["--help"], ["show", "--json", "FILE"], ["check", "WRONG"])
    for arguments in picked:
        places = {"FILE": str(folder / "Größe.dlm"), "WRONG": str(folder / "wrong.dlm")}
        places["FILE.new.dlm"] = str(folder / "neu ☕.dlm")
        done = ran(folder, name, [places.get(a, a) for a in arguments])
        said = done.stdout + done.stderr
        assert b"unforeseen" not in said and b"Traceback" not in said, (arguments, said[-500:])
        assert done.returncode in (0, 1, 2)
        if "--json" in arguments:
            json.loads(done.stdout)
            assert name not in ("ascii", "latin-1") or done.stdout.isascii()
