"""A file holds what it held, or what it was to hold; failures name the file and the way out."""

import errno
import os
import stat
from pathlib import Path

import pytest

from dlm_core.errors import StoreError
from dlm_core.store import atomic
from tests.faults.inject import Disk, FaultKind, on


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    atomic.write_json(tmp_path / "a.json", {"a": [1, 2.5, None, "ü"]})
    assert atomic.read_json(tmp_path / "a.json") == {"a": [1, 2.5, None, "ü"]}
    atomic.write_text(tmp_path / "a.json", "now text")
    assert (tmp_path / "a.json").read_text() == "now text"


def test_files_and_folders_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        atomic.write_bytes(tmp_path / "one" / "two" / "file", b"secret")
    finally:
        os.umask(before)
    assert mode(tmp_path / "one" / "two" / "file") == 0o600
    assert mode(tmp_path / "one" / "two") == mode(tmp_path / "one") == 0o700


def test_a_tree_written_by_others_becomes_private(tmp_path: Path) -> None:
    (tmp_path / "tree" / "deep").mkdir(parents=True, mode=0o755)
    (tmp_path / "tree" / "deep" / "file").write_text("x")
    (tmp_path / "tree" / "deep" / "file").chmod(0o644)
    atomic.fsync_tree(tmp_path / "tree")
    assert mode(tmp_path / "tree" / "deep" / "file") == 0o600
    assert mode(tmp_path / "tree" / "deep") == 0o700


def test_a_tree_with_a_link_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "link").symlink_to("/etc/passwd")
    with pytest.raises(StoreError, match="neither a file nor a folder"):
        atomic.fsync_tree(tmp_path / "tree")


def test_a_file_is_synced_before_it_takes_its_name_and_the_folder_after(tmp_path: Path) -> None:
    calls: list[str] = []
    real = atomic.System()

    def fsync(descriptor: int) -> None:
        calls.append("sync folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "sync file")

    def replace(source: Path, target: Path) -> None:
        calls.append("rename")
        real.replace(source, target)

    before, atomic.system = atomic.system, atomic.System(fsync=fsync, replace=replace)
    try:
        atomic.write_bytes(tmp_path / "file", b"x")
    finally:
        atomic.system = before
    assert calls == ["sync file", "rename", "sync folder"]


@pytest.mark.parametrize("kind", ["enospc", "eio", "read_only", "full"])
def test_a_write_that_fails_before_its_rename_leaves_the_old_content_and_no_litter(
    tmp_path: Path, kind: FaultKind
) -> None:
    for at in (1, 2, 3, 4):  # open, write, sync, rename
        atomic.write_bytes(tmp_path / "file", b"old")
        with pytest.raises(StoreError, match=r"cannot write .*/file: ") as failure, on(Disk(kind, at)):
            atomic.write_bytes(tmp_path / "file", b"something new")
        assert failure.value.hint
        assert (tmp_path / "file").read_bytes() == b"old"
        if kind != "read_only":
            assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("code", "way_out"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "right"),
        (errno.EIO, "check it"),
    ],
)
def test_the_message_says_what_to_do(code: int, way_out: str) -> None:
    error = atomic.store_error(Path("/store/manifest.json"), "write", OSError(code, os.strerror(code)))
    assert "/store/manifest.json" in error.message
    assert way_out in error.hint


def test_a_folder_in_the_place_of_a_file_is_an_error_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(StoreError, match="file"):
        atomic.write_bytes(tmp_path / "file", b"x")
    (tmp_path / "plain").write_text("")
    with pytest.raises(StoreError, match="plain"):
        atomic.write_bytes(tmp_path / "plain" / "below", b"x")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"a": 1}x', b"[" * 100_000])
def test_what_is_no_json_is_an_error_with_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(StoreError, match=r"a\.json is damaged"):
        atomic.read_json(tmp_path / "a.json")


def test_a_path_cannot_steer_the_terminal_through_a_message(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as failure:
        atomic.read_bytes(tmp_path / "\x1b[2Jgone")
    assert "\x1b" not in str(failure.value)
