"""`dlm train --processes N` and `dlm train` under a launcher: one voice, one end, whoever dies."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from dlm_core import client
from dlm_core.events import Event, RunEnded, TrainStep, decode
from dlm_core.store.store import Store
from dlm_tui.cli.interrupts import StopOnInterrupt
from dlm_tui.cli.progress import JsonLines
from tests.fakes.engine import FakeEngine
from tests.tiny import BODY, DLM_ID, Desk, make_base_folder
from tests.unit.cli.conftest import Run

ROOT = Path(__file__).parents[3]
PREFERENCE = "\n::preference#tone::\n### Prompt\nGreet.\n### Chosen\nAhoy!\n### Rejected\nSir.\n"
CLOSE = 1e-3
"""How far tensors may be apart, over their size, whose steps were added up in another order."""


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripted engine in every process, with two steps in two epochs."""
    monkeypatch.setattr(client, "DEFAULT_ENGINE", "tests.fakes.engine:create_engine")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("DLM_FAKE_ENGINE", json.dumps({"steps": 2}))


@pytest.mark.slow
def test_of_two_processes_the_first_alone_speaks(run: Run, document: Path, scripted: None) -> None:
    result = run("train", document, "--processes", 2, "--json")
    assert result.exit_code == 0
    events = [decode(line) for line in result.stdout.splitlines()]
    assert sum(isinstance(event, TrainStep) for event in events) == 2 and isinstance(events[-1], RunEnded)
    assert {event.request_id for event in events} == {""}, "as without --processes"


@pytest.mark.slow
def test_a_process_that_is_killed_ends_the_run_and_its_log_is_named(
    run: Run, document: Path, home: Path, scripted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "DLM_FAKE_ENGINE", json.dumps({"killed_rank": 1, "steps": 100_000, "step_delay": 0.01})
    )
    monkeypatch.setattr("dlm_core.launch.SETTLES_S", 0.1)
    result = run("train", document, "--processes", 2)
    assert result.exit_code == 1
    assert "process 1 of 2 ended the run: the engine process was killed by SIGKILL" in result.stderr
    assert str(home / "logs" / "process-1.log") in result.stderr
    assert "the versions from before stand" in result.stderr


@pytest.mark.slow
def test_an_error_of_the_first_is_told_once_and_as_it_is(
    run: Run, document: Path, scripted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLM_FAKE_ENGINE", json.dumps({"train_error": "the loss is not a number any more"}))
    result = run("train", document, "--processes", 2)
    assert result.exit_code == 1
    assert result.stderr.count("Error: the loss is not a number any more\n  hint: lower") == 1


class Interrupting(JsonLines):
    """Presses Ctrl-C at the second step."""

    def show(self, event: Event) -> None:
        if isinstance(event, TrainStep) and event.step == 2:
            signal.raise_signal(signal.SIGINT)
        super().show(event)


@pytest.mark.slow
def test_ctrl_c_ends_all_processes_in_good_order(
    run: Run, document: Path, scripted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLM_FAKE_ENGINE", json.dumps({"steps": 100_000, "step_delay": 0.005}))
    monkeypatch.setattr("dlm_tui.cli.train.JsonLines", Interrupting)
    result = run("train", document, "--processes", 2, "--json")
    assert result.exit_code == 130
    ended = decode(result.stdout.splitlines()[-1])
    assert isinstance(ended, RunEnded) and ended.status == "stopped"
    assert not [child for child in psutil.Process().children() if "dlm_core.host" in child.cmdline()]


@pytest.mark.slow
def test_watching_keeps_the_processes_from_save_to_save(
    run: Run, document: Path, scripted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    saves = iter([True, False])
    monkeypatch.setattr("dlm_tui.session.saves.Saves.wait", lambda self: next(saves))
    result = run("train", document, "--processes", 2, "--watch", "--json")
    assert result.exit_code == 0
    events = [decode(line) for line in result.stdout.splitlines()]
    assert [event.run_id for event in events if isinstance(event, RunEnded)] == [1, 2]


def launched(monkeypatch: pytest.MonkeyPatch, rank: int) -> None:
    for name, value in {"RANK": rank, "WORLD_SIZE": 2, "LOCAL_RANK": rank}.items():
        monkeypatch.setenv(name, f"{value}")


def test_a_launched_process_that_is_not_the_first_is_silent(
    run: Run, document: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched(monkeypatch, 1)
    result = run("train", document, "--json")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "") and "train" in engine.calls
    launched(monkeypatch, 0)
    assert "run_ended" in run("train", document, "--json").stdout


class Pressed(FakeEngine):
    """Is told to end while it trains, as a launcher tells all its processes."""

    def train(self, options, emit, stop, between_steps):  # type: ignore[no-untyped-def]
        signal.raise_signal(signal.SIGINT)
        return super().train(options, lambda event: None, stop, between_steps)


def test_a_launched_process_that_helps_ends_in_good_order_too(
    run: Run, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched(monkeypatch, 1)
    monkeypatch.setattr("dlm_core.oneshot.engine_factory", Pressed)
    result = run("train", document)
    assert (result.exit_code, result.stderr) == (130, "")


def test_what_goes_wrong_in_a_launched_process_names_it(
    run: Run, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched(monkeypatch, 1)
    result = run("train", document.with_name("none.dlm"))
    assert result.exit_code != 0
    monkeypatch.setattr("dlm_core.oneshot.engine_factory", lambda: Failing())
    assert "Error: process 1: no such base" in run("train", document).stderr


class Failing(FakeEngine):
    def open(self, path: Path):  # type: ignore[no-untyped-def]
        from dlm_core.errors import BaseModelError

        raise BaseModelError("no such base")


def test_a_launcher_that_started_one_of_several_is_no_silent_training_on_one_core(
    run: Run, document: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    monkeypatch.setenv("MASTER_PORT", "29500")
    result = run("train", document)
    assert result.exit_code == 2 and engine.calls == []
    assert "asked for several processes and started one" in result.stderr and "--processes N" in result.stderr


@pytest.mark.parametrize("flags", [["--processes", "2"], ["--watch"]])
def test_what_a_launcher_cannot_do_is_refused(
    run: Run, document: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, flags: list[str]
) -> None:
    launched(monkeypatch, 0)
    result = run("train", document, *flags)
    assert result.exit_code == 2 and "launcher" in result.stderr and engine.calls == []


def test_more_processes_than_cores_are_refused_before_any_starts(
    run: Run, document: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    result = run("train", document, "--processes", 5)
    assert result.exit_code == 2 and "--processes 5" in result.stderr and "which is 4" in result.stderr
    assert engine.calls == []


def test_a_plan_takes_no_processes(run: Run, document: Path, engine: FakeEngine) -> None:
    assert run("train", document, "--plan", "--processes", 2).exit_code == 2


def test_under_a_launcher_one_ctrl_c_that_comes_twice_is_one() -> None:
    now, left, notified = 100.0, [], []
    stop = StopOnInterrupt(
        lambda: notified.append(now), lambda: left.append(now), launched=True, clock=lambda: now
    )
    with stop:
        stop.graceful = True
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        assert stop.requested() and notified == [100.0] and not left
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


TWO_RUNS = """
import pathlib, psutil, sys
from dlm_core.events import TrainStep
from dlm_tui.cli import main
from dlm_tui.cli.progress import JsonLines
from dlm_tui.session.saves import Saves

def saved(saves):
    text = pathlib.Path("doc.dlm").read_text("utf-8")
    pathlib.Path("doc.dlm").write_text(text.replace('"num_epochs":2', '"num_epochs":500'), "utf-8")
    return True

def show(view, event):
    if isinstance(event, TrainStep) and event.run_id == 2:
        for child in psutil.Process().children():
            if child.environ().get("RANK") == "1":
                child.kill()

Saves.wait, JsonLines.show, sys.argv[0] = saved, show, "dlm"
main()
"""
"""`dlm train --watch` that sees a save after its first run, and whose second process dies in the next."""


def assert_close(home: Path, other: Path) -> None:
    from safetensors.torch import load_file

    ours, theirs = (Store.open(DLM_ID, each, create=False).snapshot() for each in (home, other))
    assert ours.adapters.keys() == theirs.adapters.keys() == {"facts", "tone"}
    for name in ours.adapters:
        here, there = (
            load_file(each.adapter_dir(name) / "adapter_model.safetensors") for each in (ours, theirs)
        )
        for key, value in here.items():
            assert (value - there[key]).norm() < CLOSE * there[key].norm(), key


@pytest.mark.slow
def test_two_processes_come_to_what_one_does_and_one_that_dies_changes_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path, make_base_folder(tmp_path))
    two = desk.folder / "two"
    desk.open(BODY + PREFERENCE, num_epochs=2, rehearsal={"enabled": True, "every": 2})
    desk.train()
    ended = subprocess.run(
        [sys.executable, "-c", TWO_RUNS, "train", "doc.dlm", "--processes", "2", "--watch", "--json"],
        cwd=desk.folder, capture_output=True, text=True, timeout=240, check=False,
        env={**os.environ, "DLM_HOME": str(two)},
    )  # fmt: skip
    assert ended.returncode == 1 and "process-1.log" in ended.stderr, ended.stderr
    assert_close(desk.home, two)
    store = Store.open(DLM_ID, two, create=False)
    assert store.snapshot().generation == Store.open(DLM_ID, desk.home, create=False).snapshot().generation
    with store.metrics() as metrics:
        assert [run.status for run in metrics.runs()] == ["done", "failed"]
