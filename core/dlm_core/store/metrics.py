"""Writing the record of runs: events in, rows out, in batches, so that training does not wait for the disk.

The record is a diary, not the work: trouble with it is reported once and never stops a run.
"""

import logging
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from dlm_core.errors import StoreError
from dlm_core.events import Event, GateStep, GateTrained, OpennessMap, RunEnded, TrainStep
from dlm_core.store import atomic
from dlm_core.store.metrics_reader import (
    Followed,
    GateEvent,
    MetricsReader,
    RunRecord,
    RunState,
)
from dlm_core.store.metrics_rows import Row, storable, to_row
from dlm_core.store.metrics_schema import move_aside, open_for_writing

__all__ = ["Followed", "GateEvent", "Metrics", "MetricsReader", "RunRecord", "RunState"]

_BATCH_S = 0.25  # seconds between two commits, at most, while events come in
_OPENNESS_S = 1.0  # seconds between two maps of the same adapter and module type
_RETRY_S = 5.0  # seconds without another attempt after one that failed
_PENDING = 20_000  # rows kept in memory while the file cannot be written

_log = logging.getLogger(__name__)


class Metrics(MetricsReader):
    """The record of one document's runs, to write and to read.

    Writing belongs to whoever holds the store's writer lock; `record` may be called from any thread.

    Args:
        path: the SQLite file; made on the first write.
        on_problem: is told, in a sentence, when the record cannot be kept; None writes it to the log.
        floor: a run id that is taken already, should the file have been lost; the next one is above it.
        clock: seconds since the epoch, written beside every row.
        ticks: seconds of a clock that never jumps, for the batches.
    """

    def __init__(
        self,
        path: Path,
        *,
        on_problem: Callable[[str], None] | None = None,
        floor: int = 0,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(path)
        self._on_problem = on_problem or _log.warning
        self._floor = floor
        self._clock = clock
        self._ticks = ticks
        self._writing: sqlite3.Connection | None = None
        self._write_lock = threading.RLock()
        self._pending: list[tuple[str, Row]] = []
        self._flushed_at = ticks()
        self._retry_at = float("-inf")
        self._run_id = 0
        self._open_run: Row | None = None  # kept, in case the file is lost under a run
        self._maps: dict[tuple[str, str], OpennessMap] = {}  # seen, and too soon to be kept
        self._mapped_at: dict[tuple[str, str], float] = {}
        self._reported: set[str] = set()

    def start_run(self, document_hash: str = "", recipe: str = "", base: str = "") -> int:
        """Opens a run and returns its id; ids only grow. Runs left open by a dead process are `interrupted`.

        Args:
            document_hash: what was trained. recipe: its recipe, or the hash of it. base: the base's name.
        """
        with self._write_lock:
            self.flush()
            now = self._clock()
            self._run_id = self._floor + 1
            self._open_run = None
            self._mapped_at.clear()
            run: Row = {"document_hash": document_hash, "recipe": recipe, "base": base, "started_at": now}
            run |= {"pid": os.getpid(), "host": socket.gethostname(), "status": "running"}

            def insert(db: sqlite3.Connection) -> None:
                db.execute(
                    "UPDATE runs SET status = 'interrupted', ended_at = ?, reason = ?"
                    " WHERE status = 'running'",
                    (now, "its process ended without a word"),
                )
                last = db.execute("SELECT COALESCE(MAX(run_id), 0) FROM runs").fetchone()[0]
                self._run_id = max(last, self._floor) + 1
                _insert_row(db, "runs", {"run_id": self._run_id} | run)

            self._transact(insert)
            self._floor = self._run_id
            self._open_run = {"run_id": self._run_id} | run
            return self._run_id

    def record(self, event: Event) -> None:
        """Keeps an event; kinds that tell nothing about a run are ignored. Never raises for the disk's sake.

        Steps are written a few times a second, everything else at once. Openness is kept once a second per
        adapter and module type, and the last map of each before any other kind of event but a step.
        """
        with self._write_lock:
            if isinstance(event, OpennessMap):
                self._record_map(event)
            else:
                if not isinstance(event, TrainStep):
                    self._release_maps()
                self._append(event)
            if isinstance(event, RunEnded):
                self._append_end(event)
            batched = isinstance(event, TrainStep | GateStep | OpennessMap)
            if not batched or self._ticks() - self._flushed_at >= _BATCH_S:
                self.flush(at_once=False)

    def end_run(self, run_id: int, status: RunState = "done", reason: str = "") -> None:
        """Closes a run for which no RunEnded was recorded; one that is closed stays as it is."""
        with self._write_lock:
            self._release_maps()
            self.flush()
            values = (status, storable(reason), self._clock(), run_id)
            self._open_run = None
            self._transact(
                lambda db: db.execute(
                    "UPDATE runs SET status = ?, reason = ?, ended_at = ?"
                    " WHERE run_id = ? AND status = 'running'",
                    values,
                )
            )

    def flush(self, *, at_once: bool = True) -> None:
        """Writes what is waiting; without `at_once`, not if that failed a moment ago."""
        with self._write_lock:
            self._flushed_at = self._ticks()
            if not self._pending or not (at_once or self._flushed_at >= self._retry_at):
                return
            waiting, self._pending = self._pending, []
            if not self._transact(lambda db: _insert(db, waiting)):
                self._pending = waiting[-_PENDING:]
                self._retry_at = self._ticks() + _RETRY_S

    def close(self) -> None:
        """Writes what is waiting and lets go of the file."""
        with self._write_lock:
            self._release_maps()
            self.flush()
            self._drop_connection()
        super().close()

    def _rows(self, query: str, *values: object) -> list[Row]:
        self.flush(at_once=False)
        return super()._rows(query, *values)

    def _append(self, event: Event) -> None:
        try:
            kept = to_row(event)
        except ValueError as error:  # Text that is no UTF-8, say.
            self._report(f"a {type(event).__name__} was left out of the record of runs: {error}")
            return
        if kept is None:
            return
        table, row = kept
        now = self._clock()
        self._pending.append((table, {"run_id": self._run_id} | row | {"at": now}))
        if isinstance(event, GateTrained):
            for name, count in event.sample_counts.items():
                weight = event.mean_weights.get(name)
                values = {"run_id": event.run_id, "adapter_name": name, "mean_weight": weight}
                values |= {"sample_count": count, "mode": event.mode, "at": now}
                self._pending.append(("gate_events", values))

    def _append_end(self, event: RunEnded) -> None:
        end: Row = {"run_id": event.run_id, "status": event.status, "reason": storable(event.reason)}
        end |= {"ended_at": self._clock(), "seconds": event.seconds, "recall": event.recall}
        self._pending.append(("runs", end))

    def _record_map(self, event: OpennessMap) -> None:
        key = (event.adapter, event.module)
        now = self._ticks()
        if now - self._mapped_at.get(key, float("-inf")) < _OPENNESS_S:
            self._maps[key] = event
            return
        self._maps.pop(key, None)
        self._mapped_at[key] = now
        self._append(event)

    def _release_maps(self) -> None:
        for event in self._maps.values():
            self._append(event)
        self._maps.clear()

    def _transact(self, work: Callable[[sqlite3.Connection], object]) -> bool:
        """Runs `work` in one transaction, after damage once more on a fresh file. False if that failed."""
        for attempt in (1, 2):
            try:
                db = self._connection()
                db.execute("BEGIN IMMEDIATE")
                work(db)
                db.execute("COMMIT")
                return True
            except (sqlite3.Error, StoreError, OSError) as error:
                self._drop_connection()
                damaged = isinstance(error, sqlite3.Error) and _means_damage(error)
                reason = error.message if isinstance(error, StoreError) else error
                if not damaged or attempt == 2 or not self._begin_anew(error):
                    self._report(f"the record of runs {atomic.shown(self.path)} is not written: {reason}")
                    return False
        return False

    def _begin_anew(self, damage: Exception) -> bool:
        try:
            aside = move_aside(self.path)
        except StoreError:
            return False
        self._report(
            f"the record of runs {atomic.shown(self.path)} was damaged ({damage}); it is kept as"
            f" {aside.name} and a new one begun; the adapters are not affected"
        )
        return True

    def _connection(self) -> sqlite3.Connection:
        if self._writing is not None and not self.path.exists():
            self._drop_connection()
        if self._writing is None:
            self._writing = open_for_writing(self.path)
            if self._open_run is not None:
                _insert_row(self._writing, "runs", self._open_run)
        return self._writing

    def _drop_connection(self) -> None:
        if self._writing is not None:
            with suppress(sqlite3.Error):
                if self._writing.in_transaction:
                    self._writing.execute("ROLLBACK")
            with suppress(sqlite3.Error):
                self._writing.close()
            self._writing = None

    def _report(self, sentence: str) -> None:
        if sentence not in self._reported:
            self._reported.add(sentence)
            self._on_problem(sentence)


def _means_damage(error: sqlite3.Error) -> bool:
    """Whether the file is to blame: it says so, or a table is missing, or there before it was made."""
    name = getattr(error, "sqlite_errorname", "SQLITE_CORRUPT")
    missing = name == "SQLITE_ERROR" and ("no such table" in str(error) or "already exists" in str(error))
    return missing or name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def _insert(db: sqlite3.Connection, rows: list[tuple[str, Row]]) -> None:
    """Inserts events, numbered over all tables; a row for `runs` changes the run that is there."""
    seq = db.execute("SELECT last FROM sequence").fetchone()[0]
    for table, row in rows:
        if table == "runs":
            settings = ", ".join(f"{column} = ?" for column in row)
            db.execute(f"UPDATE runs SET {settings} WHERE run_id = ?", (*row.values(), row["run_id"]))
        elif table == "gate_events":
            _insert_row(db, table, row)
        else:
            seq += 1
            _insert_row(db, table, {"seq": seq} | row)
    db.execute("UPDATE sequence SET last = ?", (seq,))


def _insert_row(db: sqlite3.Connection, table: str, row: Row) -> None:
    """Inserts a row; one with the same key is left as it is."""
    marks = ", ".join("?" * len(row))
    db.execute(f"INSERT OR IGNORE INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))
