"""An export appears whole or not at all, overwrites nothing it was not told to, and says in one sentence
what failed.
"""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dlm_core.errors import ExportError, ExportExistsError
from dlm_core.export import staging
from dlm_core.store import atomic


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


def write_export(goal: Path, text: str, *, overwrite: bool = False) -> None:
    with staging.staged(goal, overwrite=overwrite) as stage:
        (stage / "sub").mkdir()
        (stage / "sub" / "weights").write_text(text)
        (stage / "manifest.json").write_text("{}")


def test_an_export_appears_at_its_goal_and_is_private(tmp_path: Path) -> None:
    goal = tmp_path / "deep" / "out"
    write_export(goal, "one")
    assert (goal / "sub" / "weights").read_text() == "one"
    assert names(goal.parent) == {"out"}
    assert goal.stat().st_mode & 0o077 == 0 and (goal / "sub" / "weights").stat().st_mode & 0o077 == 0


def test_nothing_is_overwritten_without_being_told(tmp_path: Path) -> None:
    goal = tmp_path / "out"
    write_export(goal, "one")
    with pytest.raises(ExportError, match="there already"):
        write_export(goal, "two")
    assert (goal / "sub" / "weights").read_text() == "one"
    write_export(goal, "two", overwrite=True)
    assert (goal / "sub" / "weights").read_text() == "two"
    assert names(tmp_path) == {"out"}


@pytest.mark.parametrize("kind", ["file", "folder", "link", "broken_link"])
def test_what_is_no_export_is_never_replaced(tmp_path: Path, kind: str) -> None:
    goal, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    write_export(elsewhere, "kept")
    if kind == "file":
        goal.write_text("mine")
    elif kind == "folder":
        goal.mkdir()
        (goal / "thesis.txt").write_text("mine")
    else:
        goal.symlink_to(elsewhere if kind == "link" else tmp_path / "nowhere")
    with pytest.raises(ExportError, match="is there already") as refused:
        write_export(goal, "new")
    assert not isinstance(refused.value, ExportExistsError), "nobody is to be asked whether it may go"
    with pytest.raises(ExportError, match="no earlier export"):
        write_export(goal, "new", overwrite=True)
    assert (elsewhere / "sub" / "weights").read_text() == "kept"
    assert os.path.lexists(goal)


def test_a_failure_on_the_way_leaves_nothing_or_the_old_one(tmp_path: Path) -> None:
    goal = tmp_path / "out"

    def fail(overwrite: bool) -> None:
        with staging.staged(goal, overwrite=overwrite) as stage:
            (stage / "manifest.json").write_text("{}")
            raise ValueError("on the way")

    with pytest.raises(ValueError, match="on the way"):
        fail(overwrite=False)
    assert names(tmp_path) == set()
    write_export(goal, "one")
    with pytest.raises(ValueError, match="on the way"):
        fail(overwrite=True)
    assert (goal / "sub" / "weights").read_text() == "one" and names(tmp_path) == {"out"}


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EIO, "reports an error"),
        (errno.EROFS, "read-only"),
        (errno.EFBIG, "larger"),
    ],
)
def test_a_disk_that_refuses_is_one_sentence(tmp_path: Path, number: int, said: str) -> None:
    goal = tmp_path / "out\x1b[2J"
    with pytest.raises(ExportError, match=said) as caught, staging.staged(goal, overwrite=False):
        raise OSError(number, os.strerror(number))
    assert "\n" not in caught.value.message and "\x1b" not in str(caught.value)
    assert names(tmp_path) == set()


def test_numpy_on_a_full_disk_says_so_too(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="full"), staging.staged(tmp_path / "out", overwrite=False):
        raise OSError("65536 requested and 4096 written")


@pytest.fixture
def killed_in_the_middle(tmp_path: Path) -> Iterator[Path]:
    goal = tmp_path / "out"
    code = (
        "import sys, os, signal\nfrom pathlib import Path\nfrom dlm_core.export import staging\n"
        "with staging.staged(Path(sys.argv[1]), overwrite=True) as stage:\n"
        "    (stage / 'half').write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(goal)], check=False)
    assert done.returncode == -signal.SIGKILL
    yield goal


def test_kill_9_leaves_no_half_export(killed_in_the_middle: Path) -> None:
    goal = killed_in_the_middle
    assert not goal.exists()
    (left,) = goal.parent.iterdir()
    assert left.name.startswith(".out.") and left.name.endswith(".partial")
    old = left.stat().st_mtime - 2 * 86_400
    os.utime(left, (old, old))
    write_export(goal, "whole")
    assert names(goal.parent) == {"out"}


def test_a_replaced_export_that_was_left_aside_comes_back(tmp_path: Path) -> None:
    """Killed between the two renames of an overwrite, the old export stands under a hidden name."""
    goal = tmp_path / "out"
    write_export(goal, "one")
    goal.rename(tmp_path / ".out.0123.old.partial")
    with pytest.raises(ExportError, match="there already"):
        write_export(goal, "two")
    assert (goal / "sub" / "weights").read_text() == "one" and names(tmp_path) == {"out"}


def test_a_replaced_export_that_could_not_be_removed_goes_with_the_next(tmp_path: Path) -> None:
    write_export(tmp_path / "out", "one")
    write_export(tmp_path / ".out.0123.old.partial", "older")
    write_export(tmp_path / "out", "two", overwrite=True)
    assert names(tmp_path) == {"out"} and (tmp_path / "out" / "sub" / "weights").read_text() == "two"


def test_what_fails_in_code_of_the_store_names_the_export_and_its_way_out(tmp_path: Path) -> None:
    def refuse(path: Path, flags: int, mode: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def attempt() -> None:
        with staging.staged(tmp_path / "out", overwrite=False) as stage:
            atomic.write_json(stage / "adapter_config.json", {})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic, "system", replace(atomic.System(), open=refuse))
        with pytest.raises(ExportError, match="out could not be written: the disk is full") as caught:
            attempt()
    assert "-o" in caught.value.hint and "DLM_HOME" not in caught.value.hint


def test_an_earlier_export_that_cannot_be_put_back_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goal = tmp_path / "out"
    write_export(goal, "one")
    rename = Path.rename

    def once(self: Path, target: Path) -> Path:
        if self.name == "out":
            return rename(self, target)
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "rename", once)
    with pytest.raises(ExportError, match=r"stands beside it as \.out\..*\.old\.partial"):
        write_export(goal, "two", overwrite=True)
    monkeypatch.undo()
    with pytest.raises(ExportError, match="there already"):
        write_export(goal, "three")
    assert (goal / "sub" / "weights").read_text() == "one"
