"""Reading the record of runs while another process writes it; cheap enough to ask twice a second."""

import socket
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import msgspec
import psutil
from msgspec import Struct

from dlm_core.errors import StoreError
from dlm_core.events import (
    Evaluated,
    Event,
    GateStep,
    GateTrained,
    Log,
    OpennessMap,
    ProbesAsked,
    RunEnded,
    RunPlanned,
    TrainEpoch,
    TrainStep,
)
from dlm_core.reports import Answers
from dlm_core.store import atomic
from dlm_core.store.metrics_rows import EVALUATION_PHASE, EVENT_TABLES, Row, from_row

RunState = Literal["running", "done", "stopped", "failed", "interrupted"]
E = TypeVar("E", bound=Event)


class _Figures(Struct):
    version: str
    answers: Answers | None = None


class _Told(Struct):
    """What is read of an evaluation without its replies."""

    evaluation: _Figures


class RunRecord(Struct, frozen=True, kw_only=True):
    """One run. Times in seconds since the epoch; a run whose process is gone reads as `interrupted`."""

    run_id: int
    status: RunState
    document_hash: str
    recipe: str
    base: str
    pid: int
    host: str
    started_at: float
    ended_at: float | None = None
    reason: str = ""
    seconds: float | None = None
    recall: float | None = None


class GateEvent(Struct, frozen=True, kw_only=True):
    """How one adapter came out of the gate's training: its mean weight, and how many samples were its own."""

    run_id: int
    adapter_name: str
    mean_weight: float
    sample_count: int
    mode: str
    at: float


class EvaluationRecord(Struct, frozen=True, kw_only=True):
    """An evaluation, and when it was made (seconds since the epoch)."""

    evaluated: Evaluated
    at: float


class Followed(Struct, frozen=True):
    """What happened in a run since a cursor: events in order, the next cursor, whether the run is over."""

    events: tuple[Event, ...]
    cursor: int
    over: bool


class MetricsReader:
    """The record of one document's runs, read-only. A file that is not there yet reads as empty.

    Any thread may ask. All methods raise StoreError where the file is damaged or cannot be read; the
    adapters do not depend on it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reading: sqlite3.Connection | None = None
        self._inode = 0
        self._read_lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the file. Asking again opens it again."""
        with self._read_lock:
            self._disconnect()

    def runs(self) -> list[RunRecord]:
        """All runs, oldest first."""
        return [_run(row) for row in self._rows("SELECT * FROM runs ORDER BY run_id")]

    def run(self, run_id: int) -> RunRecord | None:
        """One run, None if there is no such."""
        rows = self._rows("SELECT * FROM runs WHERE run_id = ?", run_id)
        return _run(rows[0]) if rows else None

    def steps(self, run_id: int, after: int = 0) -> list[TrainStep]:
        """The steps of a run in order; with `after`, those numbered above it."""
        return self._events(TrainStep, "steps", run_id, "AND step > ?", after)

    def epochs(self, run_id: int) -> list[TrainEpoch]:
        """The ends of epochs, in order."""
        return self._events(TrainEpoch, "evals", run_id)

    def evaluation(self) -> EvaluationRecord | None:
        """The last evaluation of the document, whatever the run; None where there was none."""
        query = "SELECT * FROM evals WHERE phase = ? ORDER BY seq DESC LIMIT 1"
        for row in self._rows(query, EVALUATION_PHASE):
            event = self._event("evals", row)
            if isinstance(event, Evaluated):
                return EvaluationRecord(evaluated=event, at=row["at"])
        return None

    def right_shares(self) -> dict[str, float]:
        """By version (`g3`) the share of probes that were right when it was evaluated last."""
        found: dict[str, float] = {}
        for row in self._rows("SELECT more FROM evals WHERE phase = ? ORDER BY seq", EVALUATION_PHASE):
            try:
                told = msgspec.json.decode(row["more"], type=_Told).evaluation
            except msgspec.MsgspecError as error:
                raise self._unreadable(error) from error
            if told.answers is not None:
                found[told.version] = (told.answers.grounded or told.answers.weights).right
        return found

    def gate_steps(self, run_id: int, after: int = 0) -> list[GateStep]:
        """The steps of the adapter gate's training; with `after`, those numbered above it."""
        return self._events(GateStep, "gate_steps", run_id, "AND step > ?", after)

    def gate_events(self, run_id: int) -> list[GateEvent]:
        """One record per adapter, in the order of the document; empty where no gate was trained."""
        rows = self._rows("SELECT * FROM gate_events WHERE run_id = ? ORDER BY rowid", run_id)
        return [GateEvent(**row | {"mean_weight": _number(row["mean_weight"])}) for row in rows]

    def gate(self, run_id: int) -> GateTrained | None:
        """How the adapter gate of a run came out, None where none was trained."""
        trained = self._events(GateTrained, "gates", run_id)
        return trained[-1] if trained else None

    def openness(self, run_id: int, *, latest: bool = True) -> list[OpennessMap]:
        """Openness maps: the newest per adapter and module type; with `latest=False` all that were kept."""
        newest = "AND seq IN (SELECT MAX(seq) FROM openness WHERE run_id = ? GROUP BY adapter, module)"
        return self._events(OpennessMap, "openness", run_id, *((newest, run_id) if latest else ()))

    def logs(self, run_id: int) -> list[Log]:
        """What was said during a run."""
        return self._events(Log, "logs", run_id)

    def plan(self, run_id: int) -> RunPlanned | None:
        """What a run set out to do, with its resolved recipe."""
        return next((e for e in self._run_events(run_id) if isinstance(e, RunPlanned)), None)

    def end(self, run_id: int) -> RunEnded | None:
        """How a run ended by its own account; None while it runs, and for one that was interrupted."""
        return next((e for e in reversed(self._run_events(run_id)) if isinstance(e, RunEnded)), None)

    def follow(self, run_id: int, after: int = 0) -> Followed:
        """Everything kept of a run since the cursor `after` (0: from its start), in the order it happened.

        Of openness only the newest map per adapter and module type is given.
        """
        found: list[tuple[int, Event]] = []
        for table in EVENT_TABLES:
            newest = " GROUP BY adapter, module HAVING seq = MAX(seq)" if table == "openness" else ""
            query = f"SELECT * FROM {table} WHERE run_id = ? AND seq > ?{newest}"
            found += [(row["seq"], self._event(table, row)) for row in self._rows(query, run_id, after)]
        found.sort(key=lambda pair: pair[0])
        run = self.run(run_id)
        cursor = found[-1][0] if found else after
        return Followed(
            tuple(event for _, event in found), cursor, run is not None and run.status != "running"
        )

    def probes(self, run_id: int) -> list[ProbesAsked]:
        """What a few questions came to while a run trained, in order; none in a run of an older dlm."""
        return self._events(ProbesAsked, "probes", run_id)

    def _run_events(self, run_id: int) -> list[Event]:
        return self._events(Event, "run_events", run_id)

    def _events(
        self, kind: type[E], table: str, run_id: int, condition: str = "", *values: object
    ) -> list[E]:
        query = f"SELECT * FROM {table} WHERE run_id = ? {condition} ORDER BY seq"
        events = (self._event(table, row) for row in self._rows(query, run_id, *values))
        return [event for event in events if isinstance(event, kind)]

    def _event(self, table: str, row: Row) -> Event:
        try:
            return from_row(table, row)
        except ValueError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> StoreError:
        return StoreError(
            f"the record of runs {atomic.shown(self.path)} cannot be read: {error}",
            "the adapters do not depend on it; the next training puts a damaged file aside",
        )

    def _rows(self, query: str, *values: object) -> list[Row]:
        with self._read_lock:
            try:
                db = self._connect()
                if db is None:
                    return []
                with closing(db.execute(query, values)) as cursor:
                    return cursor.fetchall()
            except (sqlite3.Error, OSError, UnicodeError) as error:
                self._disconnect()
                if "no such table" in str(error):  # Another process is just making the file.
                    return []
                raise self._unreadable(error) from error

    def _connect(self) -> sqlite3.Connection | None:
        try:
            inode = self.path.stat().st_ino
        except FileNotFoundError:
            self._disconnect()
            return None
        if self._reading is not None and inode == self._inode:
            return self._reading
        self._disconnect()
        place = self.path.absolute().as_uri()
        try:
            self._reading = _open(f"{place}?mode=ro")
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")):
                raise
            # A read-only folder cannot hold the index that WAL wants.
            self._reading = _open(f"{place}?mode=ro&immutable=1")
        self._inode = inode
        return self._reading

    def _disconnect(self) -> None:
        if self._reading is not None:
            self._reading.close()
            self._reading = None


def _open(uri: str) -> sqlite3.Connection:
    db = sqlite3.connect(uri, uri=True, timeout=2.0, isolation_level=None, check_same_thread=False)
    db.row_factory = _as_dict
    try:
        db.execute("SELECT 1 FROM sqlite_master LIMIT 1").close()
    except BaseException:
        db.close()
        raise
    return db


def _as_dict(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> Row:
    return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}


def _run(row: Row) -> RunRecord:
    run = RunRecord(**row)
    gone = run.status == "running" and run.host == socket.gethostname() and not psutil.pid_exists(run.pid)
    return RunRecord(**row | {"status": "interrupted"}) if gone else run


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
