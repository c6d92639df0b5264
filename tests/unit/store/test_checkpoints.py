"""The latest whole checkpoint counts; one that was not finished never does."""

from pathlib import Path

import pytest

from dlm_core.errors import StoreError
from dlm_core.store.checkpoints import Checkpoints
from tests.faults.inject import Disk, on


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path / "checkpoints")


def save(checkpoints: Checkpoints, content: str, key: str = "k") -> Path:
    def write(folder: Path) -> None:
        (folder / "state").write_text(content)

    return checkpoints.save(write, key)


def latest(checkpoints: Checkpoints) -> str | None:
    folder = checkpoints.latest()
    return None if folder is None else (folder / "state").read_text()


def test_there_is_none_at_first(checkpoints: Checkpoints) -> None:
    assert checkpoints.latest() is None


def test_the_last_saved_is_the_latest_and_old_ones_go(checkpoints: Checkpoints, tmp_path: Path) -> None:
    for content in ("one", "two", "three", "four"):
        save(checkpoints, content)
    assert latest(checkpoints) == "four"
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2


def test_a_checkpoint_is_found_by_its_key(checkpoints: Checkpoints) -> None:
    saved = save(checkpoints, "one", key="this run")
    assert checkpoints.latest("this run") == saved
    assert checkpoints.latest("another run") is None
    assert checkpoints.key(saved) == "this run"


def test_a_failing_writer_leaves_the_one_before(checkpoints: Checkpoints, tmp_path: Path) -> None:
    save(checkpoints, "one")

    def fail(folder: Path) -> None:
        (folder / "state").write_text("half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        checkpoints.save(fail, "k")
    assert latest(checkpoints) == "one"
    assert len(list((tmp_path / "checkpoints").iterdir())) == 1


def test_the_disk_may_fail_at_any_call(checkpoints: Checkpoints) -> None:
    save(checkpoints, "old")
    save(checkpoints, "old")
    save(checkpoints, "old")
    with on(Disk()) as counting:
        save(checkpoints, "old")
    for at in range(1, counting.calls + 1):
        before = latest(checkpoints)
        try:
            with on(Disk("eio", at)):
                save(checkpoints, f"new {at}")
        except StoreError:
            assert latest(checkpoints) in (before, f"new {at}")


def test_a_damaged_checkpoint_gives_way_to_the_one_before(checkpoints: Checkpoints) -> None:
    save(checkpoints, "one")
    (save(checkpoints, "two") / "state").write_text("twp")
    assert latest(checkpoints) == "one"
    save(checkpoints, "three")
    assert latest(checkpoints) == "three"


def test_a_full_disk_is_a_message(checkpoints: Checkpoints) -> None:
    def fill(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match="no space left") as failure:
        checkpoints.save(fill, "k")
    assert failure.value.hint


def test_clearing_leaves_none(checkpoints: Checkpoints) -> None:
    save(checkpoints, "one")
    checkpoints.clear()
    assert checkpoints.latest() is None
    checkpoints.clear()
