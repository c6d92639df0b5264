"""Upgrades of the record run in order, in one transaction, with a copy of the file as it was."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dlm_core.errors import StoreError
from dlm_core.store.metrics_reader import MetricsReader
from dlm_core.store.metrics_schema import MIGRATIONS, Migration, open_for_writing


def creating(table: str) -> Migration:
    def create(db: sqlite3.Connection) -> None:
        db.execute(f"CREATE TABLE {table} (n INTEGER)")

    return create


def failing(db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE half (n INTEGER)")
    raise sqlite3.OperationalError("no")


def tables(db: sqlite3.Connection) -> list[str]:
    return [
        name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid")
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.sqlite"


def test_a_new_file_gets_all_tables_and_needs_no_copy(path: Path) -> None:
    with closing(open_for_writing(path)) as db:
        assert {"runs", "steps", "evals", "gate_events"} <= set(tables(db))
        assert db.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert not list(path.parent.glob("*.bak"))


def test_an_older_file_is_copied_and_only_what_is_missing_is_applied(path: Path) -> None:
    with closing(open_for_writing(path, [creating("a")])) as db:
        db.execute("INSERT INTO a VALUES (1)")
    with closing(open_for_writing(path, [creating("a"), creating("b"), creating("c")])) as db:
        assert tables(db) == ["a", "b", "c"]
        assert db.execute("SELECT n FROM a").fetchall() == [(1,)]
    with closing(sqlite3.connect(path.with_name("metrics.sqlite.v1.bak"))) as copy:
        assert tables(copy) == ["a"]
        assert copy.execute("SELECT n FROM a").fetchall() == [(1,)]
    assert path.with_name("metrics.sqlite.v1.bak").stat().st_mode & 0o077 == 0


def test_an_upgrade_that_fails_changes_nothing(path: Path) -> None:
    with closing(open_for_writing(path, [creating("a")])):
        pass
    with pytest.raises(sqlite3.OperationalError):
        open_for_writing(path, [creating("a"), creating("b"), failing])
    with closing(open_for_writing(path, [creating("a")])) as db:
        assert tables(db) == ["a"]


def test_an_evaluation_written_before_there_were_phases_reads_as_sft(path: Path) -> None:
    with closing(open_for_writing(path, MIGRATIONS[:1])) as db:
        columns = "seq, run_id, epoch, epochs, loss, recall, recalls, at"
        db.execute(f"INSERT INTO evals ({columns}) VALUES (1, 1, 1, 1, 0, 1, '{{}}', 0)")
    with closing(open_for_writing(path)), MetricsReader(path) as reader:
        assert [epoch.phase for epoch in reader.epochs(1)] == ["sft"]


def test_a_newer_file_is_refused(path: Path) -> None:
    with closing(open_for_writing(path, [creating("a"), creating("b")])):
        pass
    with pytest.raises(StoreError, match="newer dlm"):
        open_for_writing(path, [creating("a")])
