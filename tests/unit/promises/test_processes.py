"""What SECURITY.md promises about what the commands leave behind, run as a person runs them."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from dlm_core.errors import UsageError
from dlm_tui.repl.terminal import editor_command

DLM = "import sys; from dlm_tui.cli import main; sys.argv[0] = 'dlm'; main()"
FAILS = "import dlm_tui.cli.documents as documents; documents.parse_file = lambda file: 1 / 0; "


def dlm(home: Path, *words: object, folder: Path, first: str = "") -> "subprocess.CompletedProcess[str]":
    """A command in a process of its own, started by someone whose umask shuts nobody out."""
    return subprocess.run(
        [sys.executable, "-c", first + DLM, *map(str, words)], capture_output=True, text=True, cwd=folder,
        env={**os.environ, "DLM_HOME": str(home)}, umask=0, timeout=120, check=False,
    )  # fmt: skip


def open_to_others(folder: Path) -> list[str]:
    return [str(p.relative_to(folder)) for p in folder.rglob("*") if stat.S_IMODE(p.lstat().st_mode) & 0o077]


@pytest.mark.slow
def test_what_commands_write_is_private_whatever_the_umask(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert dlm(home, "init", "notes.dlm", folder=tmp_path).returncode == 0
    assert dlm(home, "show", "notes.dlm", folder=tmp_path).returncode == 0
    failed = dlm(home, "check", "notes.dlm", folder=tmp_path, first=FAILS)
    assert failed.returncode == 1 and "the details are in" in failed.stderr
    assert open_to_others(tmp_path) == []


def test_the_engine_process_writes_private_files_whatever_the_umask(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "engine.log"
    ended = subprocess.run(
        [sys.executable, "-m", "dlm_core.host", "--engine", "no:such", "--log", str(log)],
        input=b"", umask=0, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 0
    assert open_to_others(tmp_path) == []


@pytest.mark.parametrize(
    "chosen", ["true; touch gone", "true $(touch gone)", "true `touch gone`", "true|touch gone"]
)
def test_the_editors_name_is_words_and_not_a_shell_command(chosen: str) -> None:
    assert all(isinstance(word, str) for word in editor_command({"EDITOR": chosen}))
    assert editor_command({"EDITOR": chosen})[0] in ("true", "true;", "true|touch")


def test_an_editor_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(UsageError):
        editor_command({"EDITOR": "vi 'unclosed"})
