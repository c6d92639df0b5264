"""One writer at a time, known by name; a dead one does not stand in the way."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dlm_core.errors import StoreLockedError
from dlm_core.store import Store
from dlm_core.store.lock import Holder, hold, holder_file, read_holder
from tests.unit.store.conftest import DLM_ID

HOLD = """
import sys, time
from pathlib import Path
from dlm_core.store.lock import hold
sys.argv = ["/usr/bin/dlm", "train", "notes\\x1b[2J.dlm"]
with hold(Path({path!r})):
    print("held", flush=True)
    sys.stdin.read()
"""


def holding(path: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock until its stdin closes."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(path=str(path))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None and child.stdout.readline() == "held\n"
    return child


def test_the_second_writer_learns_who_the_first_one_is(tmp_path: Path) -> None:
    with holding(tmp_path / "lock") as child:
        with pytest.raises(StoreLockedError) as refused, hold(tmp_path / "lock"):
            raise AssertionError("two writers")
        child.communicate("")
    assert f"held by process {child.pid}, `dlm train" in refused.value.message
    assert "since" in refused.value.message
    assert "\x1b" not in refused.value.message
    assert refused.value.hint


def test_a_writer_that_waits_gets_the_lock_when_it_is_free(tmp_path: Path) -> None:
    with holding(tmp_path / "lock") as child:
        assert child.stdin is not None
        child.stdin.close()
        with hold(tmp_path / "lock", wait=60) as left_behind:
            assert left_behind is None


def test_the_lock_of_a_dead_process_is_taken_over_and_said_so(store: Store) -> None:
    with holding(store.paths.lock) as child:
        child.kill()
    assert holder_file(store.paths.lock).exists()
    with store.writer():
        holder = read_holder(store.paths.lock)
    assert holder is not None and holder.pid != child.pid
    assert any(f"process {child.pid}" in notice and "died" in notice for notice in store.notices)


def test_a_lock_does_not_grow_old_when_the_clock_jumps(tmp_path: Path) -> None:
    with hold(tmp_path / "lock", clock=lambda: 0.0):
        with pytest.raises(StoreLockedError), hold(tmp_path / "lock", clock=lambda: 1e12):
            raise AssertionError("two writers")
        with pytest.raises(StoreLockedError), hold(tmp_path / "lock", clock=lambda: -1e9):
            raise AssertionError("two writers")


def test_two_stores_of_one_document_in_one_process_exclude_each_other(store: Store) -> None:
    other = Store.open(DLM_ID, store.paths.home, create=True)
    with store.writer():
        with pytest.raises(StoreLockedError), other.writer():
            raise AssertionError("two writers")
        with pytest.raises(StoreLockedError), other.stage(run_id=1):
            raise AssertionError("two writers")
        with store.writer(), store.stage(run_id=1):
            pass  # one store does not stand in its own way
    with other.writer():
        pass


def test_opening_does_not_wait_for_a_writer(store: Store) -> None:
    with store.writer():
        assert Store.open(DLM_ID, store.paths.home, create=True).snapshot().generation == 0


def test_the_lock_is_released_when_the_work_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), hold(tmp_path / "lock"):
        raise KeyboardInterrupt
    with hold(tmp_path / "lock") as left_behind:
        assert left_behind is None


def test_a_holder_file_of_a_process_long_gone_is_not_quoted(tmp_path: Path) -> None:
    with hold(tmp_path / "lock"):
        holder_file(tmp_path / "lock").write_text(
            json.dumps({"pid": 99_999_999, "host": socket.gethostname(), "command": "x", "since": 0})
        )
        with pytest.raises(StoreLockedError, match="held by another process"), hold(tmp_path / "lock"):
            raise AssertionError("two writers")


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[1]"])
def test_a_damaged_holder_file_does_not_matter(tmp_path: Path, content: bytes) -> None:
    holder_file(tmp_path / "lock").write_bytes(content)
    with hold(tmp_path / "lock") as left_behind:
        assert left_behind is None


def test_a_holder_elsewhere_is_named_with_its_machine() -> None:
    assert "on elsewhere" in Holder(pid=1, host="elsewhere", command="dlm train", since=0.0).describe()
