"""Runs as the store keeps them: past ones, and live ones that another process started."""

from dataclasses import dataclass
from pathlib import Path

from dlm_core.errors import StoreError
from dlm_core.events import Event
from dlm_core.store.manifest import Snapshot
from dlm_core.store.metrics_reader import EvaluationRecord, MetricsReader, RunRecord
from dlm_core.store.paths import StorePaths, dlm_home
from dlm_core.store.store import Store
from dlm_tui.session.file_watch import Stamp, stamp_of
from dlm_tui.session.run_view import RunView


@dataclass(frozen=True)
class News:
    """What happened in the followed run since the last look. `fresh`: the run was not followed before."""

    run: RunRecord
    events: tuple[Event, ...]
    fresh: bool


class StoreFeed:
    """Follows the newest run of one document through its store; every method may be called from a thread."""

    def __init__(self, dlm_id: str, home: Path | None = None) -> None:
        self.paths = StorePaths(home or dlm_home(), dlm_id)
        self._reader = MetricsReader(self.paths.metrics)
        self._run_id = 0
        self._cursor = 0
        self._over = False
        self.files = tuple(self.paths.metrics.with_name(self.paths.metrics.name + s) for s in ("", "-wal"))
        """The files of the record of runs."""
        self._seen: tuple[Stamp, ...] = ()
        self._seen_evaluation: tuple[Stamp, ...] = ()

    def look(self) -> News | None:
        """News of the newest run, None where nothing happened. The first look gives the newest run whole.

        Raises:
            StoreError: the record of runs cannot be read.
        """
        marks = self._marks()
        if marks == self._seen:
            return None
        runs = self._reader.runs()
        if not runs:
            self._seen = marks
            return None
        newest = runs[-1]
        fresh = newest.run_id != self._run_id
        if not fresh and self._over:
            self._seen = marks
            return None
        if fresh:
            self._run_id, self._cursor, self._over = newest.run_id, 0, False
        followed = self._reader.follow(newest.run_id, self._cursor)
        self._cursor, self._over = followed.cursor, followed.over
        self._seen = marks if followed.over else ()
        return News(newest, followed.events, fresh) if followed.events or fresh or followed.over else None

    def evaluation(self) -> EvaluationRecord | None:
        """The last evaluation if the record changed since this was asked before, else None.

        Raises:
            StoreError: the record of runs cannot be read.
        """
        marks = self._marks()
        if marks == self._seen_evaluation:
            return None
        self._seen_evaluation = marks
        return self._reader.evaluation()

    def runs(self) -> list[RunRecord]:
        """All runs, newest first."""
        return self._reader.runs()[::-1]

    def view(self, run_id: int) -> RunView:
        """A past run, whole."""
        view = RunView(run_id)
        for event in self._reader.follow(run_id).events:
            view.take(event)
        return view

    def snapshot(self) -> Snapshot | None:
        """What is committed now, None while nothing is."""
        try:
            store = Store(self.paths)
            return store.snapshot() if store.exists else None
        except StoreError:
            return None

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()

    def _marks(self) -> tuple[Stamp, ...]:
        """The stamps of the record's files: unchanged means that nothing was written."""
        return tuple(map(stamp_of, self.files))
