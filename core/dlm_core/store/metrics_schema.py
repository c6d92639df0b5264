"""The tables of `metrics.sqlite`, as ordered migrations, how a file is brought up to date, or moved aside."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from dlm_core.errors import StoreError
from dlm_core.store import atomic

Migration = Callable[[sqlite3.Connection], None]


def _first_tables(db: sqlite3.Connection) -> None:
    """Every event table has `seq`, one count over all of them: a reader follows with a single number."""
    for statement in (
        "CREATE TABLE sequence (last INTEGER NOT NULL)",
        "INSERT INTO sequence VALUES (0)",
        """CREATE TABLE runs (
            run_id INTEGER PRIMARY KEY, document_hash TEXT NOT NULL, recipe TEXT NOT NULL, base TEXT NOT NULL,
            pid INTEGER NOT NULL, host TEXT NOT NULL, started_at REAL NOT NULL, ended_at REAL,
            status TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', seconds REAL, recall REAL)""",
        """CREATE TABLE run_events (
            seq INTEGER PRIMARY KEY, run_id INTEGER NOT NULL, event TEXT NOT NULL, at REAL NOT NULL)""",
        """CREATE TABLE steps (
            seq INTEGER PRIMARY KEY, run_id INTEGER NOT NULL, phase TEXT NOT NULL, step INTEGER NOT NULL,
            steps INTEGER NOT NULL, epoch INTEGER NOT NULL, epochs INTEGER NOT NULL,
            loss REAL, losses TEXT NOT NULL, learning_rate REAL, grad_norm REAL, tokens_per_s REAL,
            elapsed_s REAL, eta_s REAL, padding_share REAL, rehearsal_kl REAL,
            openness TEXT NOT NULL, at REAL NOT NULL)""",
        """CREATE TABLE evals (
            seq INTEGER PRIMARY KEY, run_id INTEGER NOT NULL, epoch INTEGER NOT NULL, epochs INTEGER NOT NULL,
            loss REAL, recall REAL, recalls TEXT NOT NULL, perplexity REAL, perplexity_base REAL,
            kl REAL, validation_loss REAL, at REAL NOT NULL)""",
        """CREATE TABLE openness (
            seq INTEGER PRIMARY KEY, run_id INTEGER NOT NULL, step INTEGER NOT NULL, adapter TEXT NOT NULL,
            module TEXT NOT NULL, layers TEXT NOT NULL, ranks TEXT NOT NULL, vals BLOB NOT NULL, at REAL NOT
            NULL)""",
        """CREATE TABLE gate_steps (
            seq INTEGER PRIMARY KEY, run_id INTEGER NOT NULL, step INTEGER NOT NULL, steps INTEGER NOT NULL,
            loss REAL, entropy REAL, accuracy REAL, at REAL NOT NULL)""",
        """CREATE TABLE gates (
            seq INTEGER PRIMARY KEY, run_id INTEGER NOT NULL, event TEXT NOT NULL, at REAL NOT NULL)""",
        """CREATE TABLE gate_events (
            run_id INTEGER NOT NULL, adapter_name TEXT NOT NULL, mean_weight REAL,
            sample_count INTEGER NOT NULL, mode TEXT NOT NULL, at REAL NOT NULL)""",
        """CREATE TABLE logs (
            seq INTEGER PRIMARY KEY, run_id INTEGER NOT NULL, level TEXT NOT NULL, message TEXT NOT NULL,
            hint TEXT NOT NULL, code TEXT NOT NULL, at REAL NOT NULL)""",
        *(
            f"CREATE INDEX {table}_of_run ON {table} (run_id)"
            for table in (
                "run_events",
                "steps",
                "evals",
                "openness",
                "gate_steps",
                "gates",
                "gate_events",
                "logs",
            )
        ),
    ):
        db.execute(statement)


def _room_for_more(db: sqlite3.Connection) -> None:
    """The phase of an evaluation, and `more`: JSON with the fields of an event that have no column."""
    db.execute("ALTER TABLE evals ADD COLUMN phase TEXT NOT NULL DEFAULT 'sft'")
    for table in ("steps", "evals", "gate_steps", "logs"):
        db.execute(f"ALTER TABLE {table} ADD COLUMN more TEXT NOT NULL DEFAULT '{{}}'")


def _probes(db: sqlite3.Connection) -> None:
    """What a few questions came to while a run trained."""
    db.execute(
        """CREATE TABLE probes (
            seq INTEGER PRIMARY KEY, run_id INTEGER NOT NULL, event TEXT NOT NULL, at REAL NOT NULL)"""
    )
    db.execute("CREATE INDEX probes_of_run ON probes (run_id)")


MIGRATIONS: Sequence[Migration] = (
    _first_tables,
    _room_for_more,
    _probes,
)  # Append only; `PRAGMA user_version` counts those applied.

_CHECKED_UP_TO = 64 * 2**20  # bytes; a larger file is not read through at every start


def open_for_writing(path: Path, migrations: Sequence[Migration] = MIGRATIONS) -> sqlite3.Connection:
    """A connection to an up-to-date file; an older file is copied to `<name>.v<n>.bak` before it is upgraded.

    Raises:
        StoreError: a newer dlm wrote the file.
        sqlite3.DatabaseError: the file is damaged (not an OperationalError), or cannot be used now (one).
    """
    atomic.make_folder(path.parent)
    if not path.exists():
        path.touch(mode=atomic.FILE_MODE)
    db = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
    try:
        if (
            path.stat().st_size <= _CHECKED_UP_TO
            and db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok"
        ):
            raise sqlite3.DatabaseError("the file fails its integrity check")
        _refuse_newer(db, path, len(migrations))
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(
            "PRAGMA synchronous = NORMAL"
        )  # In WAL: consistent after a power cut, at most the last rows lost.
        _upgrade(db, path, migrations)
    except BaseException:
        db.close()
        raise
    return db


def move_aside(path: Path) -> Path:
    """Renames a damaged file, and its journals, to the first free `<stem>.damaged-<n>.sqlite`, returned."""
    number = 1
    while (target := path.with_name(f"{path.stem}.damaged-{number}{path.suffix}")).exists():
        number += 1
    for suffix in ("-wal", "-shm", ""):
        source = path.with_name(path.name + suffix)
        if source.exists():
            atomic.replace(source, target.with_name(target.name + suffix))
    return target


def _refuse_newer(db: sqlite3.Connection, path: Path, known: int) -> None:
    applied = db.execute("PRAGMA user_version").fetchone()[0]
    if applied > known:
        raise StoreError(
            f"{atomic.shown(path)} was written by a newer dlm (tables {applied}, known {known})",
            "update dlm; the adapters are not affected",
        )


def _upgrade(db: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    applied = db.execute("PRAGMA user_version").fetchone()[0]
    if applied == len(migrations):
        return
    if applied:
        backup = path.with_name(f"{path.name}.v{applied}.bak")
        backup.touch(mode=atomic.FILE_MODE)
        with closing(sqlite3.connect(backup)) as copy:
            db.backup(copy)
    db.execute("BEGIN IMMEDIATE")
    try:
        for migrate in migrations[db.execute("PRAGMA user_version").fetchone()[0] :]:
            migrate(db)
        db.execute(f"PRAGMA user_version = {len(migrations)}")
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise
