"""The record of runs: every event that matters comes back, and trouble with it never stops a run."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

import pytest

from dlm_core.errors import StoreError
from dlm_core.events import (
    Done,
    Event,
    GateStep,
    GateTrained,
    Log,
    OpennessMap,
    RecipeEntry,
    RunEnded,
    RunPlanned,
    Token,
    TrainEpoch,
    TrainStep,
)
from dlm_core.store.metrics import Metrics, MetricsReader
from dlm_core.store.metrics_rows import FlatTable

QUERY = (
    "SELECT adapter_name, mean_weight, sample_count, mode FROM gate_events"
    " WHERE run_id = (SELECT MAX(run_id) FROM runs);"
)


class Ticks:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def metrics(tmp_path: Path, ticks: Ticks, said: list[str]) -> Iterator[Metrics]:
    with Metrics(tmp_path / "metrics.sqlite", ticks=ticks, on_problem=said.append) as opened:
        yield opened


@pytest.fixture
def reader(metrics: Metrics) -> Iterator[MetricsReader]:
    """Another process's view."""
    with MetricsReader(metrics.path) as opened:
        yield opened


def step(run_id: int, number: int, loss: float = 0.5) -> TrainStep:
    return TrainStep(
        run_id=run_id,
        phase="sft",
        step=number,
        steps=10,
        epoch=1,
        epochs=3,
        loss=loss,
        losses={"tone": loss},
        learning_rate=2e-3,
        grad_norm=1.5,
        tokens_per_s=900.0,
        elapsed_s=0.1 * number,
        eta_s=9.0,
        padding_share=0.25,
        rehearsal_kl=0.01,
        openness={"tone": 0.06},
    )


def openness(run_id: int, number: int, module: str = "q_proj", value: float = 0.5) -> OpennessMap:
    return OpennessMap(
        run_id=run_id,
        step=number,
        adapter="tone",
        module=module,
        layers=(0, 3),
        values=((value, 0.0), (1.0, value)),
    )


def epoch(run_id: int) -> TrainEpoch:
    return TrainEpoch(
        run_id=run_id,
        epoch=1,
        epochs=3,
        loss=0.4,
        recall=0.9,
        recalls={"tone": 0.9},
        perplexity=20.1,
        perplexity_base=20.0,
        kl=0.001,
    )


def gate_trained(run_id: int, mode: Literal["trained", "uniform"] = "trained") -> GateTrained:
    return GateTrained(
        run_id=run_id,
        mode=mode,
        mean_weights={"knowledge": 0.6, "tone": 0.4},
        sample_counts={"knowledge": 10, "tone": 9},
        floor=4,
        train_accuracy=1.0,
        loo_accuracy=0.95,
        entropy=0.1,
        max_entropy=0.69,
    )


def whole_run(run_id: int) -> list[Event]:
    return [
        RunPlanned(
            run_id=run_id,
            adapters=("tone",),
            rows={"tone": 3},
            tokens=99,
            steps=10,
            epochs=3,
            recipe=(RecipeEntry(key="lora_r", value="8", reason="the default"),),
        ),
        step(run_id, 1),
        step(run_id, 2),
        epoch(run_id),
        GateStep(run_id=run_id, step=1, steps=200, loss=0.7, entropy=0.69, accuracy=0.5),
        gate_trained(run_id),
        Log(level="warning", message="too few", hint="write more", code="cold_start"),
        RunEnded(
            run_id=run_id,
            status="done",
            reason="learned",
            versions={"tone": "v0001"},
            seconds=12.5,
            recall=1.0,
        ),
    ]


def test_every_event_of_a_run_comes_back_as_it_was_and_in_order(
    metrics: Metrics, reader: MetricsReader
) -> None:
    run = metrics.start_run(document_hash="d", recipe="r", base="smollm2-135m")
    events = whole_run(run)
    for event in events:
        metrics.record(event)
    assert list(reader.follow(run).events) == events
    assert reader.steps(run) == [step(run, 1), step(run, 2)]
    assert reader.steps(run, after=1) == [step(run, 2)]
    assert reader.epochs(run) == [epoch(run)]
    assert len(reader.gate_steps(run)) == 1
    assert reader.gate_steps(run, after=1) == []
    assert reader.gate(run) == gate_trained(run)
    assert [log.code for log in reader.logs(run)] == ["cold_start"]
    plan, end = reader.plan(run), reader.end(run)
    assert plan is not None and plan.recipe[0].key == "lora_r"
    assert end is not None and end.versions == {"tone": "v0001"}
    record = reader.runs()[0]
    assert (record.status, record.reason, record.seconds, record.recall) == ("done", "learned", 12.5, 1.0)
    assert (record.document_hash, record.recipe, record.base) == ("d", "r", "smollm2-135m")
    assert record.pid == os.getpid()


def test_the_promised_query_works_as_it_stands(metrics: Metrics) -> None:
    modes: tuple[Literal["trained", "uniform"], ...] = ("uniform", "trained")
    for mode in modes:
        run = metrics.start_run()
        metrics.record(gate_trained(run, mode))
    with closing(sqlite3.connect(metrics.path)) as db:
        rows = db.execute(QUERY).fetchall()
    assert rows == [("knowledge", 0.6, 10, "trained"), ("tone", 0.4, 9, "trained")]
    assert [(e.adapter_name, e.mode) for e in metrics.gate_events(1)] == [
        ("knowledge", "uniform"),
        ("tone", "uniform"),
    ]


def test_steps_are_written_in_batches_and_an_epoch_at_once(
    metrics: Metrics, reader: MetricsReader, ticks: Ticks
) -> None:
    run = metrics.start_run()
    for number in range(1, 100):
        metrics.record(step(run, number))
    assert reader.steps(run) == []
    ticks.now += 0.3
    metrics.record(step(run, 100))
    assert len(reader.steps(run)) == 100
    metrics.record(step(run, 101))
    assert len(reader.steps(run)) == 100
    metrics.record(epoch(run))
    assert len(reader.steps(run)) == 101


def test_the_writer_reads_what_it_has_not_written_yet(metrics: Metrics) -> None:
    run = metrics.start_run()
    metrics.record(step(run, 1))
    assert len(metrics.steps(run)) == 1


def test_closing_writes_what_was_waiting(tmp_path: Path) -> None:
    with Metrics(tmp_path / "m.sqlite", ticks=Ticks()) as metrics:
        run = metrics.start_run()
        metrics.record(step(run, 1))
        metrics.record(openness(run, 1, value=0.1))
        metrics.record(openness(run, 2, value=0.2))
    with MetricsReader(tmp_path / "m.sqlite") as reader:
        assert len(reader.steps(run)) == 1
        assert reader.openness(run)[0].step == 2


def test_following_gives_each_event_once(metrics: Metrics, reader: MetricsReader) -> None:
    run = metrics.start_run()
    other = whole_run(run)
    cursor = 0
    seen: list[Event] = []
    for event in other:
        metrics.record(event)
        metrics.flush()
        followed = reader.follow(run, cursor)
        cursor, seen = followed.cursor, [*seen, *followed.events]
        assert followed.over == isinstance(event, RunEnded)
    assert seen == other
    assert reader.follow(run, cursor).events == ()
    assert reader.follow(run, cursor).cursor == cursor


def test_following_one_run_gives_nothing_of_another(metrics: Metrics, reader: MetricsReader) -> None:
    first = metrics.start_run()
    metrics.record(epoch(first))
    second = metrics.start_run()
    metrics.record(epoch(second))
    assert reader.follow(second).events == (epoch(second),)


def test_openness_is_kept_once_a_second_per_module_and_the_last_one_always(
    metrics: Metrics, reader: MetricsReader, ticks: Ticks
) -> None:
    run = metrics.start_run()
    for tenth in range(25):
        ticks.now = tenth / 10
        metrics.record(openness(run, tenth))
        metrics.record(openness(run, tenth, module="up_proj"))
    metrics.record(epoch(run))
    kept = [m.step for m in reader.openness(run, latest=False) if m.module == "q_proj"]
    assert kept == [0, 10, 20, 24]
    assert [(m.module, m.step) for m in reader.openness(run)] == [("q_proj", 24), ("up_proj", 24)]
    followed = [e for e in reader.follow(run).events if isinstance(e, OpennessMap)]
    assert [(m.module, m.step) for m in followed] == [("q_proj", 24), ("up_proj", 24)]


def test_openness_comes_back_to_a_hundred_thousandth(metrics: Metrics) -> None:
    run = metrics.start_run()
    metrics.record(openness(run, 1, value=0.04742587))
    read = metrics.openness(run)[0]
    assert read.layers == (0, 3)
    assert read.values[0] == pytest.approx((0.04742587, 0.0), abs=1e-5)
    assert read.values[1] == pytest.approx((1.0, 0.04742587), abs=1e-5)


def test_a_field_that_has_no_column_yet_is_kept_all_the_same() -> None:
    older = FlatTable("evals", TrainEpoch, ("run_id", "epoch", "epochs", "recalls"), nested=("recalls",))
    row = older.row(epoch(3))
    assert "perplexity" not in row
    assert older.event(row) == epoch(3)


def test_a_value_of_another_kind_is_a_message_and_no_traceback(
    metrics: Metrics, reader: MetricsReader
) -> None:
    run = metrics.start_run()
    metrics.record(epoch(run))
    with closing(sqlite3.connect(metrics.path)) as db:
        db.execute("UPDATE evals SET recalls = 'no JSON'")
        db.commit()
    with pytest.raises(StoreError, match="makes no sense") as failure:
        reader.follow(run)
    assert failure.value.hint


def test_values_that_are_no_numbers_do_not_break_the_record(metrics: Metrics, said: list[str]) -> None:
    nan = float("nan")
    run = metrics.start_run()
    metrics.record(step(run, 1, loss=nan))
    metrics.record(step(run, 2, loss=float("inf")))
    metrics.record(openness(run, 1, value=nan))
    metrics.record(
        GateTrained(run_id=run, mode="failed", mean_weights={"a": nan}, sample_counts={"a": 1}, floor=4)
    )
    first, second = metrics.steps(run)
    assert first.loss != first.loss and first.losses["tone"] != first.losses["tone"]
    assert second.loss == float("inf")
    assert metrics.openness(run)[0].values[0][0] == 0.0
    gate = metrics.gate(run)
    assert gate is not None and gate.mean_weights == {}
    assert said == []


def test_text_that_is_no_utf8_does_not_break_the_record(metrics: Metrics, said: list[str]) -> None:
    run = metrics.start_run()
    metrics.record(Log(level="info", message="a file called \udcff"))
    metrics.record(RunEnded(run_id=run, status="failed", reason="\udcff", versions={}, seconds=1.0))
    assert metrics.logs(run)[0].message == "a file called ?"
    assert (metrics.runs()[0].status, metrics.runs()[0].reason) == ("failed", "?")
    assert said == []


def test_events_that_tell_nothing_about_a_run_are_not_kept(metrics: Metrics) -> None:
    run = metrics.start_run()
    metrics.record(Token(text="x"))
    metrics.record(Done())
    assert metrics.follow(run).events == ()


def test_a_run_that_a_dead_process_left_open_is_interrupted(metrics: Metrics, reader: MetricsReader) -> None:
    program = "import os, sys; from pathlib import Path; from dlm_core.store.metrics import Metrics\n"
    program += "m = Metrics(Path(sys.argv[1])); m.start_run(); os._exit(9)"
    subprocess.run([sys.executable, "-c", program, str(metrics.path)], check=False)
    assert [r.status for r in reader.runs()] == ["interrupted"], "its process is gone"
    assert reader.follow(1).over
    with closing(sqlite3.connect(metrics.path)) as db:
        assert db.execute("SELECT status FROM runs").fetchall() == [("running",)], "a reader changes nothing"
    second = metrics.start_run()
    with closing(sqlite3.connect(metrics.path)) as db:
        assert db.execute("SELECT status FROM runs").fetchall() == [("interrupted",), ("running",)]
    assert [r.status for r in reader.runs()] == ["interrupted", "running"]
    assert second == 2


def test_a_run_can_be_closed_without_an_event_but_not_twice(metrics: Metrics) -> None:
    run = metrics.start_run()
    metrics.end_run(run, "failed", "out of memory")
    metrics.end_run(run, "done")
    record = metrics.run(run)
    assert record is not None
    assert (record.status, record.reason) == ("failed", "out of memory")
    assert metrics.run(99) is None


def test_a_record_that_is_not_there_reads_as_empty_and_is_not_made(tmp_path: Path) -> None:
    with MetricsReader(tmp_path / "metrics.sqlite") as reader:
        assert reader.runs() == []
        assert reader.follow(1).events == ()
        assert reader.gate(1) is None
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_came_first_sees_the_run_that_follows(tmp_path: Path) -> None:
    with MetricsReader(tmp_path / "m.sqlite") as reader, Metrics(tmp_path / "m.sqlite") as metrics:
        assert reader.runs() == []
        run = metrics.start_run()
        assert [r.run_id for r in reader.runs()] == [run]


def test_a_closed_record_can_be_read_where_nothing_may_be_written(tmp_path: Path) -> None:
    with Metrics(tmp_path / "folder" / "m.sqlite") as metrics:
        metrics.record(epoch(metrics.start_run()))
    (tmp_path / "folder").chmod(0o500)
    try:
        with MetricsReader(tmp_path / "folder" / "m.sqlite") as reader:
            assert len(reader.epochs(1)) == 1
    finally:
        (tmp_path / "folder").chmod(0o700)


@pytest.mark.parametrize("spoil", ["overwritten", "header", "page", "truncated"])
def test_a_damaged_file_is_put_aside_and_a_new_one_begun(tmp_path: Path, said: list[str], spoil: str) -> None:
    path = tmp_path / "metrics.sqlite"
    with Metrics(path) as metrics:
        run = metrics.start_run()
        for number in range(300):
            metrics.record(step(run, number))
    data = bytearray(path.read_bytes())
    if spoil == "overwritten":
        data[:] = b"not a database" * 100
    elif spoil == "header":
        data[0:4] = b"\x00\x00\x00\x00"
    elif spoil == "page":
        data[4096:8192] = b"\xaa" * 4096
    else:
        del data[len(data) // 2 :]
    path.write_bytes(data)
    with Metrics(path, on_problem=said.append, floor=7) as metrics:
        run = metrics.start_run()
        metrics.record(step(run, 1))
        assert run == 8, "run ids go on above the floor"
        assert metrics.steps(run) == [step(run, 1)]
    assert len(said) == 1
    assert "metrics.sqlite was damaged" in said[0] and "metrics.damaged-1.sqlite" in said[0]
    assert "adapters are not affected" in said[0]
    assert (tmp_path / "metrics.damaged-1.sqlite").exists()


def test_a_reader_of_a_damaged_file_says_what_it_means(tmp_path: Path) -> None:
    (tmp_path / "metrics.sqlite").write_bytes(b"not a database" * 100)
    with (
        MetricsReader(tmp_path / "metrics.sqlite") as reader,
        pytest.raises(StoreError, match=r"metrics\.sqlite") as e,
    ):
        reader.runs()
    assert "adapters do not depend on it" in e.value.hint


def test_a_file_that_vanishes_under_a_run_is_begun_anew_with_the_run_in_it(
    metrics: Metrics, reader: MetricsReader
) -> None:
    metrics.start_run()
    run = metrics.start_run(document_hash="d")
    metrics.record(epoch(run))
    assert len(reader.epochs(run)) == 1
    for suffix in ("", "-wal", "-shm"):
        metrics.path.with_name(metrics.path.name + suffix).unlink()
    metrics.record(epoch(run))
    assert [(r.run_id, r.document_hash, r.status) for r in reader.runs()] == [(run, "d", "running")]
    assert len(reader.epochs(run)) == 1


def test_a_full_disk_is_said_once_and_what_was_missed_is_written_later(
    metrics: Metrics, reader: MetricsReader, said: list[str], ticks: Ticks
) -> None:
    run = metrics.start_run()
    db = metrics._connection()
    db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
    rows = 0
    while not said:
        metrics.record(Log(level="info", message="x" * 2000))
        rows += 1
        assert rows < 200
    metrics.record(Log(level="info", message="too soon"))
    assert len(reader.logs(run)) == rows - 1
    ticks.now += 10
    metrics.record(RunEnded(run_id=run, status="done", reason="", versions={}, seconds=1.0))
    assert [sentence.split(":")[-1].strip() for sentence in said] == ["database or disk is full"]
    assert len(reader.logs(run)) == rows + 1, "a new connection has no such bound"
    assert reader.runs()[0].status == "done"


def test_a_folder_that_cannot_be_written_never_stops_a_run(tmp_path: Path, said: list[str]) -> None:
    (tmp_path / "plain").write_text("a file where a folder should be")
    with Metrics(tmp_path / "plain" / "m.sqlite", on_problem=said.append, floor=3) as metrics:
        run = metrics.start_run()
        for event in whole_run(run):
            metrics.record(event)
    assert run == 4
    assert said and "m.sqlite" in said[0]


def test_a_file_of_a_newer_dlm_is_left_alone(tmp_path: Path, said: list[str]) -> None:
    path = tmp_path / "metrics.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    with Metrics(path, on_problem=said.append) as metrics:
        metrics.record(epoch(metrics.start_run()))
    assert "newer dlm" in said[0]
    assert path.read_bytes() == before
