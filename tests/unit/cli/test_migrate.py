"""`dlm migrate`: shows what it changes, keeps the old document, writes in one step."""

from pathlib import Path

import pytest

from tests.faults.inject import KILLING, KINDS, Disk, FaultKind, on
from tests.unit.cli.conftest import Run

OLD = (
    b"---\r\ndlm_id: 01J9ZQ4T7M3N5P6R8S9V0W1X2Y\r\ndlm_version: 1 # old\r\nbase_model: smollm2-135m\r\n"
    b"training:\r\n  dpo: {beta: 0.2} # here\r\n---\r\n\r\n::prose::\r\n text \x1b[2J \r\n"
)
NEW = OLD.replace(b"version: 1 ", b"version: 15 ").replace(
    b"dpo: {beta: 0.2}", b"preference: {hyperparams: {beta: 0.2}}"
)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A document of version 1."""
    path = tmp_path / "old.dlm"
    path.write_bytes(OLD)
    path.chmod(0o640)
    return path


def test_it_lifts_in_place_keeps_the_old_one_and_shows_the_change(run: Run, old: Path) -> None:
    result = run("migrate", old)
    assert result.exit_code == 0
    assert old.read_bytes() == NEW
    assert old.stat().st_mode & 0o777 == 0o640
    backup = old.with_name("old.dlm.v1.bak")
    assert backup.read_bytes() == OLD
    assert "-  dpo: {beta: 0.2} # here" in result.stdout
    assert "+  preference: {hyperparams: {beta: 0.2}} # here" in result.stdout
    assert "dlm_version 1 → 15" in result.stderr and str(backup) in result.stderr
    assert "\x1b" not in result.output
    again = run("migrate", old)
    assert again.exit_code == 0
    assert "up to date" in again.stderr
    assert old.read_bytes() == NEW


def test_check_writes_nothing_and_tells_by_its_exit_code(run: Run, old: Path) -> None:
    checked = run("migrate", old, "--check")
    assert checked.exit_code == 1
    assert "+  preference:" in checked.stdout
    assert [p.name for p in old.parent.iterdir()] == ["old.dlm"]
    run("migrate", old)
    assert run("migrate", old, "--check").exit_code == 0


def test_another_file_may_take_the_lifted_document(run: Run, old: Path, tmp_path: Path) -> None:
    assert run("migrate", old, "-o", tmp_path / "new.dlm").exit_code == 0
    assert (tmp_path / "new.dlm").read_bytes() == NEW
    assert old.read_bytes() == OLD
    refused = run("migrate", old, "--output", tmp_path / "new.dlm")
    assert refused.exit_code == 1
    assert "is there already" in refused.stderr
    assert run("migrate", old, "--check", "-o", "x.dlm").exit_code == 2


def test_no_backup_is_written_over(run: Run, old: Path) -> None:
    old.with_name("old.dlm.v1.bak").write_text("another")
    assert run("migrate", old).exit_code == 0
    assert old.with_name("old.dlm.v1.bak").read_text() == "another"
    assert old.with_name("old.dlm.v1-2.bak").read_bytes() == OLD


def test_a_link_stays_a_link(run: Run, old: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.dlm"
    link.symlink_to(old)
    assert run("migrate", link).exit_code == 0
    assert link.is_symlink()
    assert old.read_bytes() == NEW


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"---\n{\n---\n", b"---\na: &a [*a]\n---\n"])
def test_what_is_no_document_is_refused_in_words(run: Run, old: Path, content: bytes) -> None:
    old.write_bytes(content)
    result = run("migrate", old)
    assert result.exit_code == 1
    assert str(old) in result.stderr and "Traceback" not in result.stderr
    assert old.read_bytes() == content
    assert run("migrate", old.with_name("nothing.dlm")).exit_code == 1


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in KILLING])
def test_a_disk_that_fails_leaves_the_old_document_or_the_new(run: Run, old: Path, kind: FaultKind) -> None:
    at, failed = 1, True
    while failed:
        for left in old.parent.glob("*.bak"):
            left.unlink()
        old.write_bytes(OLD)
        with on(Disk(kind, at)):
            result = run("migrate", old)
        failed = result.exit_code != 0
        assert old.read_bytes() in (OLD, NEW)
        if old.read_bytes() == NEW:
            assert old.with_name("old.dlm.v1.bak").read_bytes() == OLD
        if failed:
            assert "hint: " in result.stderr and "old.dlm" in result.stderr
        at += 1
    assert at > 5
